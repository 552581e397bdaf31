/** The rules of a workflow as tables, without I/O: who may start, what an end means, what is parked and goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { outputOf } from "../../src/workflow/Output.ts"
import { goOn, lookedAt, lookedInVain } from "../../src/workflow/Parking.ts"
import { startable, start as startThese } from "../../src/workflow/Plan.ts"
import { afterSettling, cancel } from "../../src/workflow/Settling.ts"
import { backoffMs, endStep, type StepEnd } from "../../src/workflow/StepEnd.ts"
import { fillIn } from "../../src/workflow/Template.ts"
import {
  newContext,
  type Refusing,
  stepOf,
  type WorkflowContext,
  withStep
} from "../../src/workflow/WorkflowContext.ts"
import { agent, contextOf, graph, inputOf, START } from "./support/Graphs.ts"

const MINUTE = 60_000
const SPENT = { promptTokens: 10, completionTokens: 5, cost: "0.001", lastSeq: 1 }
const done = (output: string): StepEnd => ({
  kind: "done",
  at: START + 1,
  output,
  provider: "simulator",
  model: "sim-fast",
  spent: SPENT,
  currency: "USD"
})
const failed = (isRetryable: boolean, at = START): StepEnd => ({
  kind: "failed",
  at,
  isRetryable,
  error: "ProviderFailed",
  message: "no"
})
const refused: StepEnd = {
  kind: "refused",
  at: START,
  refusal: { reason: "Refused: no room", violations: [], retryAt: START + 60_000 }
}

describe("the warning that few tokens are left", () => {
  it.each([
    ["10,000 of a large budget", { limit: "50001", measure: "tokens" }, undefined, 10_000],
    ["a fifth of a small one", { limit: "5000", measure: "tokens" }, undefined, 1_000],
    ["whole tokens", { limit: "4.5", measure: "tokens" }, undefined, 0],
    ["what was given, however large", { limit: "5000", measure: "tokens" }, 10_000, 10_000],
    ["never, where that was given", { limit: "5000", measure: "tokens" }, 0, 0]
  ] as const)("comes at %s", (_, budget, token_warning_at, expected) => {
    const more = token_warning_at === undefined ? {} : { token_warning_at }
    assert.strictEqual(contextOf(graph("a", { budget, ...more })).plan.tokenWarningAt, expected)
  })
})

/** Whoever may start has started. */
const start = (context: WorkflowContext): WorkflowContext => startThese(context, startable(context))

const statesOf = (context: WorkflowContext): string =>
  context.plan.agents.map(({ name }) => `${name}:${stepOf(context, name).state}`).join(" ")

const end = (context: WorkflowContext, name: string, how: StepEnd = done(name)): WorkflowContext =>
  start(endStep(context, name, how))

describe("who may start", () => {
  it.each([
    ["a row", graph("a, b < a, c < b"), "", "a"],
    ["a row, after its first", graph("a, b < a, c < b"), "a", "b"],
    ["beside each other", graph("a, b, c"), "", "a b c"],
    ["no more at once than its limit", graph("a, b, c", { concurrency: 2 }), "", "a b"],
    ["the next when one has ended", graph("a, b, c", { concurrency: 2 }), "a", "c"],
    ["a join waits for all", graph("a, b, c < a b"), "a", ""],
    ["a join, when all are done", graph("a, b, c < a b"), "a b", "c"],
    ["all done", graph("a"), "a", ""]
  ])("%s", (_, definition, ended, expected) => {
    let context = contextOf(definition)
    const before = ended === "" ? [] : ended.split(" ")
    for (const [index, name] of before.entries()) {
      context = start(context)
      context = endStep(context, name, done(`output ${index}`))
    }
    assert.strictEqual(startable(context).join(" "), expected)
  })
})

describe("how a call ends", () => {
  it("done: its output is there for those that wait for it, what it used is counted", () => {
    const context = end(start(contextOf(graph("a, b < a"))), "a")
    assert.strictEqual(statesOf(context), "a:done b:running")
    assert.deepInclude(stepOf(context, "a"), { output: "a", spent: { 1: SPENT } })
    assert.strictEqual(context.currency, "USD")
  })

  it("failed, and may be tried again: under the next number, later and later, so often and no more", () => {
    const retries = { max: 2, backoff_ms: 1_000, backoff_max_ms: 60_000 }
    let context = start(contextOf({ name: "n", agents: [agent("a", [], { retries })] }))
    context = end(context, "a", failed(true))
    assert.deepInclude(stepOf(context, "a"), { state: "running", tryNumber: 2, notBefore: START + 1_000 })
    context = end(context, "a", failed(true))
    assert.deepInclude(stepOf(context, "a"), { tryNumber: 3, notBefore: START + 2_000 })
    context = end(context, "a", failed(true))
    assert.deepInclude(stepOf(context, "a"), { state: "failed", tryNumber: 3 })
    assert.deepStrictEqual(context.failure, {
      agent: "a",
      error: "ProviderFailed",
      message: "no (after 3 tries)"
    })
    assert.strictEqual(context.ending, "failed")
  })

  it("failed for good: nothing more starts", () => {
    const context = end(start(contextOf(graph("a, b, c", { concurrency: 2 }))), "a", failed(false))
    assert.strictEqual(statesOf(context), "a:failed b:running c:pending")
    assert.strictEqual(context.failure?.message, "no")
  })

  it("lost again and again: it is asked again after a pause that grows, and no more than so often", () => {
    const lost: StepEnd = { kind: "lost", at: START, spent: SPENT, currency: "USD" }
    let context = start(contextOf(graph("a")))
    const pauses: Array<number> = []
    for (let times = 0; times < 12; times++) {
      context = end(context, "a", lost)
      pauses.push((stepOf(context, "a").notBefore ?? context.now) - context.now)
    }
    assert.deepStrictEqual(pauses.slice(0, 4), [0, 100, 200, 400])
    assert.strictEqual(pauses.at(-1), 5_000)
  })

  it("lost: it is asked again, and that counts as no retry", () => {
    const lost: StepEnd = { kind: "lost", at: START, spent: SPENT, currency: "USD" }
    let context = start(contextOf({ name: "n", agents: [agent("a", [], { retries: { max: 0 } })] }))
    context = end(context, "a", lost)
    assert.deepInclude(stepOf(context, "a"), { state: "running", tryNumber: 2, failures: 0, lost: 1 })
    context = end(context, "a")
    assert.deepStrictEqual(stepOf(context, "a").spent, { 1: SPENT, 2: SPENT })
  })

  it("what a try has used counts once, however often it is told", () => {
    const context = contextOf(graph("a"))
    const told = {
      kind: "refused",
      at: START,
      refusal: { reason: "r", violations: [], retryAt: null }
    } as const
    const twice = end(start(goOn(endStep(start(context), "a", { ...told, spent: SPENT }), START)), "a", {
      ...told,
      spent: SPENT
    })
    assert.deepStrictEqual(stepOf(twice, "a").spent, { 1: SPENT })
  })

  it.each([
    [1, 100],
    [2, 200],
    [5, 1_000],
    [60, 1_000]
  ])("waits before retry %i for %i ms", (failures, expected) => {
    assert.strictEqual(backoffMs({ max: 10, backoff_ms: 100, backoff_max_ms: 1_000 }, failures), expected)
  })
})

describe("a refusal", () => {
  it("parks: what runs goes on, nothing more starts, and it goes on under the same number", () => {
    let context = end(start(contextOf(graph("a, b, c < b", { concurrency: 2 }))), "a", refused)
    assert.strictEqual(statesOf(context), "a:parked b:running c:pending")
    context = end(context, "b")
    assert.strictEqual(statesOf(context), "a:parked b:done c:pending", "c could start, but it is parked")
    context = start(goOn(context, START + 5))
    assert.strictEqual(statesOf(context), "a:running b:done c:running")
    assert.strictEqual(stepOf(context, "a").tryNumber, 1)
    assert.isNull(context.parked)
    const again = endStep(context, "a", refused)
    assert.strictEqual(again.parked?.round, 2, "refused again, more may be asked for again")
  })

  it("of several steps is looked at anew with each", () => {
    let context = start(contextOf(graph("a, b")))
    context = endStep(context, "a", refused)
    assert.deepInclude(context.parked, { round: 1, lookedAtRound: 0 })
    context = lookedAt(context, {
      round: 1,
      approvers: ["budget_admin"],
      overrides: ["override_1"],
      notes: [],
      keyEndsAt: null
    })
    context = endStep(context, "b", refused)
    assert.deepInclude(context.parked, { round: 2, lookedAtRound: 1 })
    assert.deepStrictEqual(
      context.parked?.refusals.map(({ agent: name }) => name),
      ["a", "b"]
    )
    context = lookedAt(context, {
      round: 2,
      approvers: ["budget_admin", "ann"],
      overrides: [],
      notes: [],
      keyEndsAt: null
    })
    assert.deepInclude(context.parked, { approvers: ["budget_admin", "ann"], overrides: ["override_1"] })
  })

  it("looks at the moments that there are: a reset, the end of its key, or by the clock; never one that is over", () => {
    const lookAtOf = ({ parked }: WorkflowContext) => (parked?.lookAt ?? 0) - START
    let context = endStep(start(contextOf(graph("a"))), "a", refused)
    assert.strictEqual(lookAtOf(context), 30 * MINUTE, "what is nearer is looked at in memory")
    const found = { round: 1, approvers: [], overrides: [], notes: [] }
    assert.strictEqual(lookAtOf(lookedAt(context, { ...found, keyEndsAt: START + 5_000 })), 5_000)
    assert.strictEqual(lookAtOf(lookedAt(context, { ...found, keyEndsAt: START - 1 })), 0)
    context = lookedAt(context, { ...found, keyEndsAt: START + 70 * MINUTE })
    assert.strictEqual(lookAtOf(context), 30 * MINUTE)
    context = lookedInVain(context, START + 30 * MINUTE)
    assert.strictEqual(lookAtOf(context), 70 * MINUTE)
    const seen = [{ agent: "a", violations: [], retryAt: START + 80 * MINUTE }]
    context = lookedInVain(context, START + 71 * MINUTE, seen)
    assert.strictEqual(lookAtOf(context), 80 * MINUTE)
    assert.strictEqual(context.parked?.refusals[0]?.retryAt, START + 80 * MINUTE)
    context = lookedInVain(context, START + 80 * MINUTE)
    assert.strictEqual(lookAtOf(context), 140 * MINUTE)
  })

  it("shows where the budgets stood at the last look; what the look says nothing of stays", () => {
    const violation = (budget_id: string, remaining: string) =>
      ({ budget_id, remaining }) as unknown as Refusing
    const refusal = { reason: "r", retryAt: null, violations: [violation("b1", "1"), violation("b2", "1")] }
    const context = endStep(start(contextOf(graph("a"))), "a", { kind: "refused", at: START, refusal })
    const seen = [{ agent: "a", retryAt: null, violations: [violation("b2", "2"), violation("b3", "3")] }]
    assert.deepStrictEqual(lookedInVain(context, START, seen).parked?.refusals[0]?.violations, [
      violation("b1", "1"),
      violation("b2", "2")
    ])
  })

  it("ends it where it was started to fail", () => {
    const context = endStep(start(contextOf(graph("a, b < a"), { onDenied: "fail" })), "a", refused)
    assert.strictEqual(statesOf(context), "a:failed b:pending")
    assert.deepStrictEqual(context.failure, {
      agent: "a",
      error: "BudgetExceeded",
      message: "Refused: no room"
    })
  })
})

describe("a cancelled workflow", () => {
  it("starts nothing more, and says what became of each step", () => {
    let context = end(start(contextOf(graph("a, b < a, c < a, d < b c"))), "a")
    context = start(cancel(context, START + 9, "not needed"))
    assert.strictEqual(statesOf(context), "a:done b:running c:running d:pending")
    context = afterSettling(context, { at: START + 10, spent: { b: SPENT } })
    assert.strictEqual(statesOf(context), "a:done b:cancelled c:cancelled d:cancelled")
    assert.deepStrictEqual(stepOf(context, "b").spent, { 1: SPENT })
    assert.isNull(stepOf(context, "d").endedAt)
    assert.strictEqual(cancel(context, START + 11, "again"), context)
  })

  it("counts nothing that JavaScript's own objects have under an agent's name", () => {
    const plan = contextOf(graph("a, b")).plan
    const named = plan.agents.map((one) => ({ ...one, name: one.name === "b" ? "constructor" : one.name }))
    let context = newContext({ ...inputOf(graph("a, b")), plan: { ...plan, agents: named } })
    context = afterSettling(cancel(context, START, null), { at: START, spent: {} })
    assert.deepInclude(stepOf(context, "constructor"), { state: "cancelled", spent: {} })
  })

  it("that has failed before stays failed", () => {
    const context = endStep(start(contextOf(graph("a, b"))), "a", failed(false))
    assert.strictEqual(cancel(context, START, null).ending, "failed")
  })
})

describe("a prompt", () => {
  const values = { input: { topic: "tides" }, research: "notes", plan: { parts: ["x", "y"], title: "T" } }
  it.each([
    ["{{input.topic}} by {{ research }}", "tides by notes"],
    ["{{plan.title}}: {{plan.parts}}", 'T: ["x","y"]'],
    ["{{plan.parts.1}}", "y"],
    ["{{input}}", '{"topic":"tides"}'],
    ["no {braces}", "no {braces}"]
  ])("%s", (template, expected) => {
    assert.deepStrictEqual(fillIn(template, values), Result.succeed(expected))
  })

  const missing = (place: string) => Result.fail(`has ${place}, and nothing is there`)

  it("says what is missing, and finds nothing in JavaScript's own objects", () => {
    assert.deepStrictEqual(fillIn("{{plan.author}}", values), missing("{{plan.author}}"))
    assert.deepStrictEqual(fillIn("{{plan.constructor}}", values), missing("{{plan.constructor}}"))
    assert.deepStrictEqual(fillIn("{{plan.toString}}", values), missing("{{plan.toString}}"))
  })

  it("is at most a mebibyte with everything in its place, and no more of it is ever built", () => {
    const tooLong = Result.fail("is longer than 1048576 bytes with everything in its place")
    const input = "é".repeat(131_072)
    assert.deepStrictEqual(fillIn("{{input}}".repeat(4), { input }), Result.succeed(input.repeat(4)))
    assert.deepStrictEqual(fillIn(`${"{{input}}".repeat(4)}.`, { input }), tooLong)
    // With all of it in its place this is longer than JavaScript's longest string.
    assert.deepStrictEqual(fillIn("{{input}}".repeat(3_600), { input: { input } }), tooLong)
  })

  it("does not read what it has put in: an answer with braces stays text", () => {
    assert.deepStrictEqual(
      fillIn("{{research}}", { research: "{{input}}", input: "secret" }),
      Result.succeed("{{input}}")
    )
  })
})

describe("an output", () => {
  const spec = {
    type: "json",
    schema: {
      type: "object",
      properties: { title: { type: "string" }, points: { type: "array", items: { type: "string" } } },
      required: ["title"],
      additionalProperties: false
    }
  } as const
  it.each([
    ['{"title":"a","points":["b"]}', { title: "a", points: ["b"] }],
    [' {"title":"a"}\n', { title: "a" }]
  ])("matches: %s", (content, expected) => {
    assert.deepStrictEqual(outputOf(spec, content), Result.succeed(expected))
  })
  it.each([
    ["Here it is: {}", /not JSON/u],
    ['```json\n{"title":"a"}\n```', /not JSON/u],
    ["{}", /title/u],
    ['{"title":1}', /Expected string.*title/u],
    ['{"title":"a","more":1}', /excess property.*more/u],
    [JSON.stringify({ title: "x".repeat(70_000) }), /longer than 65536 bytes/u]
  ])("does not: %s", (content, why) => {
    const output = outputOf(spec, content)
    assert.match(Result.isFailure(output) ? output.failure : "it matches", why)
  })
  it("of text is what was said, without what the store cannot keep", () => {
    assert.deepStrictEqual(outputOf({ type: "text" }, "a\u0000b"), Result.succeed("ab"))
  })
})

describe("a step that is there", () => {
  it("has all that it needs", () => {
    const context = withStep(contextOf(graph("a")), "a", { lost: 3 })
    assert.strictEqual(stepOf(context, "a").lost, 3)
    assert.throws(() => stepOf(context, "b"), /no agent b/u)
  })
})
