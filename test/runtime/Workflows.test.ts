/** Workflows as clients see them, over real sockets: started, watched, parked, resumed, cancelled, and whose they are. */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll } from "vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json, type Wire } from "../support/Wire.ts"

const agent = (name: string, depends_on: ReadonlyArray<string> = [], more: Json = {}): Json => ({
  name,
  provider: "simulator",
  model: "sim-fast",
  prompt: ["SECRETPROMPT {{input}}", ...depends_on.map((other) => `{{${other}}}`)].join(" "),
  max_completion_tokens: 20,
  depends_on,
  ...more
})

const ROW = {
  name: "row",
  agents: [agent("research"), agent("draft", ["research"]), agent("review", ["draft"])]
}
const SLOW = { name: "slow", agents: [agent("slow", [], { model: "sim-slow" }), agent("after", ["slow"])] }

const OPEN_HANDED = {
  requires_approval: true,
  approvers: ["budget_admin"],
  max_override_percentage: 1_000,
  notification_required: true
}

/** Its own budget allows one call. */
const ONE_CALL = {
  ...ROW,
  name: "one call",
  budget: { limit: "1", measure: "requests", override_policy: OPEN_HANDED }
}

let program: Program
let wire: Wire

const keyFor = async (roles: ReadonlyArray<string>, owner: string, more: Json = {}): Promise<Wire> => {
  const { key } = await program.call("create_key", { name: owner, roles, owner, tenant: "acme", ...more })
  return program.connect(key)
}

const start = async (by: Wire, workflow: Json, more: Json = {}): Promise<string> =>
  (await by.call("start_workflow", { workflow, input: "tides", ...more })).workflow_id

const shown = async (by: Wire, workflow_id: string): Promise<Json> =>
  (await by.call("get_workflow", { workflow_id })).workflow

const until = (by: Wire, id: string, state: string): Promise<Json> =>
  eventually(
    () => shown(by, id),
    (workflow) => workflow.state === state
  )

beforeAll(async () => {
  program = await startProgram({ databaseUrl: await makeDatabase() })
  wire = await keyFor(["admin"], "admin")
})
afterAll(() => program.kill())

describe("a workflow", () => {
  it("runs to its end: outputs, sums and rows agree, and all of it is told in order", async () => {
    const events = await wire.subscribe("workflows")
    const id = await start(wire, ROW, { user_id: "ann", request_id: "first" })
    const told = (await events.until(({ workflow }) => workflow.ended_at !== null)).map(
      ({ workflow }) => workflow
    )
    assert.deepStrictEqual(
      told.map(({ what, agent: name }) => (name === null ? what : `${what} ${name}`)),
      [
        "started",
        "step_started research",
        "step_done research",
        "step_started draft",
        "step_done draft",
        "step_started review",
        "step_done review",
        "completed"
      ]
    )
    const workflow = await shown(wire, id)
    assert.deepInclude(workflow, {
      state: "completed",
      steps_done: 3,
      completion_percent: 100,
      owner: "admin"
    })
    const { items, totals } = await wire.call("get_usage", { workflow_id: id })
    assert.deepInclude(workflow, {
      total_tokens: totals.total_tokens,
      cost: totals.cost,
      currency: totals.currency
    })
    assert.deepStrictEqual(
      items.map((row: Json) => `${row.request_id} ${row.agent} ${row.operation} ${row.user_id}`).sort(),
      [`${id}/draft/1 draft row ann`, `${id}/research/1 research row ann`, `${id}/review/1 review row ann`]
    )
    for (const step of workflow.steps) assert.isNotEmpty(step.output)
    assert.notInclude(JSON.stringify(told), "SECRETPROMPT", "what is told has no prompt")
    assert.notInclude(JSON.stringify(told), workflow.steps[0].output, "and no output")
  })

  it("is one, however often it is started under the same id", async () => {
    const params = { workflow: ROW, input: "tides", request_id: "again" }
    const { workflow_id } = await wire.call("start_workflow", params)
    assert.strictEqual((await wire.call("start_workflow", params)).workflow_id, workflow_id)
    const other = await failureOf(wire.call("start_workflow", { ...params, input: "maps" }))
    assert.deepInclude(other.data, { _tag: "Conflict", reason: "request_reused_with_different_content" })
    const named = { workflow: ROW, input: "tides", workflow_id: "of-mine" }
    assert.strictEqual((await wire.call("start_workflow", named)).workflow_id, "of-mine")
    assert.strictEqual((await wire.call("start_workflow", named)).workflow_id, "of-mine")
    const taken = await failureOf(wire.call("start_workflow", { ...named, input: "maps" }))
    assert.deepInclude(taken.data, { _tag: "Conflict", reason: "workflow_id_in_use" })
    const object = { workflow: ROW, input: { a: 1 }, request_id: "an object" }
    await wire.call("start_workflow", object)
    const list = await failureOf(wire.call("start_workflow", { ...object, input: [["a", 1]] }))
    assert.deepInclude(list.data, { _tag: "Conflict", reason: "request_reused_with_different_content" })
  })

  it.each([
    ["a name that is not declared", "report", { _tag: "NotFound", kind: "workflow", id: "report" }],
    [
      "agents that wait for each other",
      { name: "n", agents: [agent("a", ["b"]), agent("b", ["a"])] },
      { _tag: "InvalidParams" }
    ],
    [
      "a provider that there is not",
      { name: "n", agents: [agent("a", [], { provider: "nobody" })] },
      { _tag: "InvalidParams" }
    ]
  ])("is refused with %s", async (_, workflow, expected) => {
    const failure = await failureOf(wire.call("start_workflow", { workflow, input: "x" }))
    assert.deepInclude(failure.data, expected)
  })

  it("fails clearly when an answer never matches, and every try is charged", async () => {
    // It does not fit into the tokens that it may use.
    const output = { type: "json", schema: { type: "string", minLength: 200 } }
    const workflow = {
      name: "json",
      agents: [agent("a", [], { output, retries: { max: 1, backoff_ms: 1 } })]
    }
    const id = await start(wire, workflow)
    const failed = await until(wire, id, "failed")
    assert.deepInclude(failed.failure, { agent: "a", error: "output_does_not_match" })
    assert.match(failed.failure.message, /cannot be taken: it is not JSON .*\(after 2 tries\)$/u)
    const { totals } = await wire.call("get_usage", { workflow_id: id })
    assert.deepInclude(totals, { requests: 2, total_tokens: failed.total_tokens })
  })

  it("takes JSON from the simulator, field by field, without a key", async () => {
    const schema = {
      type: "object",
      properties: {
        title: { type: "string", minLength: 3 },
        kind: { enum: ["note", "report"] },
        pages: { type: "integer", minimum: 2 },
        parts: { type: "array", items: { $ref: "#/$defs/Part" }, minItems: 1 }
      },
      required: ["title", "kind", "pages", "parts"],
      $defs: { Part: { type: "object", properties: { done: { type: "boolean" } }, required: ["done"] } }
    }
    const json = { output: { type: "json", schema }, max_completion_tokens: 100 }
    const prompt = "{{a.title}} {{a.parts.0.done}}"
    const id = await start(wire, {
      name: "json",
      agents: [agent("a", [], json), agent("b", ["a"], { prompt })]
    })
    const { steps } = await until(wire, id, "completed")
    assert.deepStrictEqual(steps[0].output, {
      title: "aaa",
      kind: "note",
      pages: 2,
      parts: [{ done: false }]
    })
  })

  it("is refused with a model that its provider has not, or that has no price where that matters", async () => {
    const misspelt = { name: "n", agents: [agent("a", [], { model: "sim-fst" })] }
    const refused = await failureOf(start(wire, misspelt))
    assert.deepStrictEqual(refused.data.issues, [
      {
        path: ["workflow", "agents", 0, "model"],
        message: 'simulator has no model "sim-fst". Nearest are: sim-fast, sim-slow, sim-flaky'
      }
    ])
    const budget = { name: "priced", type: "team", entity_id: "priced", period: "lifetime", limit: "5" }
    await wire.call("create_budget", budget)
    const check = { request_id: "p1", provider: "antropic", model: "claude-opus-4-5", team_id: "priced" }
    const { allowed, reason } = await wire.call("check_budget", check)
    assert.isFalse(allowed)
    assert.match(
      reason,
      /^Refused: antropic\/claude-opus-4-5 has no price .*nearest is anthropic with claude-opus/u
    )
  })

  it("is an actor: listed, with its statechart, without prompt or output", async () => {
    const id = await start(wire, SLOW)
    const address = `workflow/acme/${id}`
    await eventually(
      () => wire.call("list_actors", { kind: "workflow" }),
      ({ items }) => items.some((item: Json) => item.address === address)
    )
    const actor = await wire.call("inspect_actor", { address })
    assert.strictEqual(actor.machine.id, "workflow")
    assert.include(
      actor.machine.states.map((state: Json) => state.id),
      "working.parked"
    )
    assert.notInclude(JSON.stringify(actor), "SECRETPROMPT")
    await wire.call("cancel_workflow", { workflow_id: id })
  })
})

describe("a cancelled workflow", () => {
  it("settles what is on its way, holds nothing, and starts nothing more", async () => {
    const usage = await wire.subscribe("usage")
    const id = await start(wire, SLOW, { feature: "to be cancelled" })
    await usage.until((event) => event.in_flight?.workflow_id === id && event.in_flight.state === "calling")
    const { workflow } = await wire.call("cancel_workflow", { workflow_id: id, reason: "not needed" })
    assert.strictEqual(workflow.state, "cancelling")
    const cancelled = await until(wire, id, "cancelled")
    assert.deepStrictEqual(
      cancelled.steps.map(({ state, tries }: Json) => `${state} ${tries}`),
      ["cancelled 1", "cancelled 0"]
    )
    assert.strictEqual(cancelled.failure.message, "not needed")
    const { items, totals } = await wire.call("get_usage", { workflow_id: id })
    assert.deepStrictEqual(
      items.map((row: Json) => row.status),
      ["cancelled"]
    )
    assert.deepInclude(cancelled, { total_tokens: totals.total_tokens, cost: totals.cost })
    const again = await wire.call("cancel_workflow", { workflow_id: id })
    assert.strictEqual(again.workflow.state, "cancelled", "cancelled once more, it is what it is")
    const resumed = await failureOf(wire.call("resume_workflow", { workflow_id: id }))
    assert.deepInclude(resumed.data, { _tag: "Conflict", reason: "workflow_already_ended" })
  })
})

describe("a workflow without budget", () => {
  it("parks at the step that was refused, says by what and who may approve, and goes on when that is approved", async () => {
    const decider = await keyFor(["budget_admin"], "decider")
    const id = await start(wire, { ...ONE_CALL, request_override: { reason: "the launch is tomorrow" } })
    const parked = await eventually(
      () => shown(wire, id),
      ({ parked: why }) => why !== null && why.overrides.length > 0
    )
    assert.deepInclude(parked, { state: "parked", steps_done: 1, remaining: "0", budget_percent: 100 })
    assert.deepInclude(parked.parked, { agents: ["draft"], approvers: ["budget_admin"], retry_at: null })
    assert.deepInclude(parked.parked.violations[0], { type: "workflow", entity_id: id, shortfall: "1" })
    const [override_id] = parked.parked.overrides
    await decider.call("decide_override", { override_id, decision: "approve" })
    const next = await eventually(
      () => shown(wire, id),
      ({ parked: why, steps_done }) => steps_done === 2 && why !== null && why.overrides.length > 0
    )
    assert.deepStrictEqual(next.parked.agents, ["review"], "the room was for one call")
    const [second] = next.parked.overrides
    await decider.call("decide_override", { override_id: second, decision: "approve" })
    const completed = await until(wire, id, "completed")
    assert.deepInclude(completed, { steps_done: 3, parked: null, remaining: "0" })
    assert.deepStrictEqual(
      completed.steps.map(({ tries }: Json) => tries),
      [1, 1, 1],
      "a refusal is no try"
    )
  })

  it.each(["a limit that is raised", "resume_workflow after the budget has gone"])(
    "goes on with %s",
    async (what) => {
      const id = await start(wire, ONE_CALL)
      const { budget } = await until(wire, id, "parked")
      const updates = what.startsWith("a limit") ? { limit: "3" } : { active: false }
      await wire.call("update_budget", { budget_id: budget.budget_id, updates })
      if (what.startsWith("resume")) await wire.call("resume_workflow", { workflow_id: id })
      await until(wire, id, "completed")
    }
  )

  it("says why nobody was asked for more, and what would make it need less", async () => {
    const id = await start(wire, {
      name: "tight",
      request_override: {},
      budget: { measure: "tokens", limit: "1000" },
      agents: [{ name: "draft", provider: "simulator", model: "sim-fast", prompt: "Write" }]
    })
    const { parked } = await eventually(
      () => shown(wire, id),
      ({ parked: why }) => why?.reason.includes("No override")
    )
    assert.deepInclude(parked, { overrides: [], approvers: ["budget_admin"] })
    assert.match(
      parked.reason,
      /No override could be asked for: amount: Budget \S+ can be overridden by at most 50 % of the limit, 500 tokens in a period \(0 tokens of it approved already, 500 tokens left\)/u
    )
    assert.include(
      parked.reason,
      "draft gave no max_completion_tokens, so the tenant's default_completion_tokens are held for the answer"
    )
    await wire.call("cancel_workflow", { workflow_id: id })
  })

  it("can be cancelled while it is parked", async () => {
    const id = await start(wire, ONE_CALL)
    await until(wire, id, "parked")
    await wire.call("cancel_workflow", { workflow_id: id })
    const cancelled = await until(wire, id, "cancelled")
    assert.deepStrictEqual(
      cancelled.steps.map(({ state }: Json) => state),
      ["done", "cancelled", "cancelled"]
    )
  })

  it("fails where it was started so, at once where its first call is refused", async () => {
    const id = await start(wire, ONE_CALL, { on_denied: "fail" })
    const failed = await until(wire, id, "failed")
    assert.deepInclude(failed.failure, { agent: "draft", error: "BudgetExceeded" })
    await wire.call("create_budget", {
      name: "poor",
      type: "user",
      entity_id: "poor",
      period: "lifetime",
      limit: "0"
    })
    const poor = { workflow: ROW, input: "x", on_denied: "fail", user_id: "poor", workflow_id: "of-the-poor" }
    const refused = await failureOf(wire.call("start_workflow", poor))
    assert.strictEqual(refused.tag, "BudgetExceeded")
    assert.strictEqual(refused.data.violations[0].entity_id, "poor")
    assert.strictEqual((await failureOf(shown(wire, "of-the-poor"))).tag, "NotFound", "nothing was started")
    const own = { ...ROW, budget: { limit: "10", measure: "tokens" } }
    const small = await failureOf(
      wire.call("start_workflow", { workflow: own, input: "x", on_denied: "fail" })
    )
    assert.strictEqual(small.tag, "BudgetExceeded")
    assert.strictEqual(
      await start(wire, ROW, { ...poor, workflow_id: "parks", on_denied: "park", workflow: ROW }),
      "parks"
    )
    await until(wire, "parks", "parked")
  })

  it("raises an alert when few tokens are left", async () => {
    const alerts = await wire.subscribe("alerts")
    const budget = { limit: "9000", measure: "tokens" }
    // Most of it is left in the end, so nobody is warned.
    await until(wire, await start(wire, { ...ROW, budget }), "completed")
    const id = await start(wire, { ...ROW, budget, token_warning_at: 8_999 })
    await until(wire, id, "completed")
    const told = await alerts.until(({ alert }) => alert.kind === "token_warning")
    assert.deepStrictEqual(
      told.filter(({ alert }) => alert.kind === "token_warning").map(({ alert }) => alert.data.workflow_id),
      [id]
    )
    assert.strictEqual(told.at(-1)?.alert.data.warn_at, 8_999)
  })
})

describe("the budget that a definition brings along", () => {
  const workflow = { ...ROW, budget: { limit: "9000", measure: "tokens" } }
  const tenant = { tenant: "globex" }

  it("is nobody else's: only who may make budgets gives one to an id of their choice", async () => {
    const app = await keyFor(["app"], "app of budgets", tenant)
    const refused = await failureOf(start(app, workflow, { workflow_id: "nightly" }))
    assert.deepInclude(refused.data, { _tag: "Forbidden", required_role: "budget_admin" })
    await start(app, workflow, { request_id: "minted" })
    const both = await keyFor(["app", "budget_admin"], "maker of budgets", tenant)
    assert.strictEqual(await start(both, workflow, { workflow_id: "nightly" }), "nightly")
  })

  it("takes the place of no default, unless who starts it may make budgets", async () => {
    const app = await keyFor(["app"], "app of defaults", tenant)
    const before = await start(app, workflow, { request_id: "before the default" })
    const both = await keyFor(["app", "budget_admin"], "maker of defaults", tenant)
    await both.call("create_budget", {
      ...{ name: "every workflow", type: "workflow", entity_id: "*", period: "lifetime" },
      ...{ limit: "1", measure: "requests" }
    })
    const refused = await failureOf(start(app, workflow))
    assert.deepInclude(refused.data, { _tag: "Forbidden", required_role: "budget_admin" })
    assert.strictEqual(await start(app, workflow, { request_id: "before the default" }), before)
    await start(app, ROW)
    await start(both, workflow)
  })
})

describe("whose it is", () => {
  it("an app has its owner's, a key that always speaks for one user has that user's, operators have all", async () => {
    const ann = await keyFor(["app"], "ann")
    const annToo = await keyFor(["app"], "ann")
    const bob = await keyFor(["app"], "bob")
    const forAda = await keyFor(["app"], "eve", { attribution: { user_id: "ada" } })
    const operator = await keyFor(["operator"], "ops")
    const id = await start(ann, ROW, { user_id: "ada", feature: "whose" })
    const listed = async (by: Wire) =>
      (await by.call("list_workflows", { feature: "whose" })).items.map((item: Json) => item.workflow_id)
    for (const by of [ann, annToo, forAda, operator, wire]) assert.deepStrictEqual(await listed(by), [id])
    assert.deepStrictEqual(await listed(bob), [])
    const never = (await failureOf(shown(bob, "of-nobody"))).message.replaceAll("of-nobody", id)
    assert.strictEqual((await failureOf(shown(bob, id))).message, never)
    for (const signal of ["cancel_workflow", "resume_workflow"]) {
      assert.strictEqual((await failureOf(bob.call(signal, { workflow_id: id }))).tag, "NotFound")
    }
    await until(operator, id, "completed")
  })

  it("who starts the same under the same id gets none of somebody else's", async () => {
    const ann = await keyFor(["app"], "ann of the ids")
    const bob = await keyFor(["app"], "bob of the ids")
    const ids = [await start(ann, ROW, { request_id: "same" }), await start(bob, ROW, { request_id: "same" })]
    assert.notStrictEqual(ids[0], ids[1])
    await start(ann, ROW, { workflow_id: "of-ann" })
    const taken = await failureOf(start(bob, ROW, { workflow_id: "of-ann" }))
    assert.deepInclude(taken.data, { _tag: "Conflict", reason: "workflow_id_in_use" })
  })

  it("an analyst sees all, and ends or resumes none but their own", async () => {
    const ann = await keyFor(["app"], "ann of the analyst")
    const analyst = await keyFor(["app", "analyst"], "analyst")
    const id = await start(ann, SLOW)
    assert.strictEqual((await shown(analyst, id)).workflow_id, id)
    for (const signal of ["cancel_workflow", "resume_workflow"]) {
      assert.strictEqual((await failureOf(analyst.call(signal, { workflow_id: id }))).tag, "NotFound")
    }
    await ann.call("cancel_workflow", { workflow_id: id })
    const own = await start(analyst, SLOW)
    await analyst.call("cancel_workflow", { workflow_id: own })
    await until(analyst, own, "cancelled")
  })

  it("lists the newest first, by state and name, page by page", async () => {
    const by = await keyFor(["app"], "lister")
    const ids: Array<string> = []
    for (let n = 0; n < 5; n++) ids.push(await start(by, { ...ROW, name: n === 4 ? "last" : "row" }))
    for (const id of ids) await until(by, id, "completed")
    const first = await by.call("list_workflows", { name: "row", limit: 3 })
    const second = await by.call("list_workflows", { name: "row", limit: 3, cursor: first.next_cursor })
    assert.deepStrictEqual(
      [...first.items, ...second.items].map((item: Json) => item.workflow_id),
      ids.slice(0, 4).reverse()
    )
    assert.isNull(second.next_cursor)
    assert.lengthOf((await by.call("list_workflows", { state: "parked" })).items, 0)
  })

  it("the topic tells each what is theirs, and goes on from a cursor without loss", async () => {
    const ann = await keyFor(["app"], "ann of the topic")
    const bob = await keyFor(["app"], "bob of the topic")
    const seen = await ann.subscribe("workflows")
    await start(bob, ROW)
    const id = await start(ann, ROW)
    const live: Array<Json> = []
    while (live.at(-1)?.event.workflow.ended_at == null) live.push(await seen.next())
    assert.deepStrictEqual([...new Set(live.map(({ event }) => event.workflow.workflow_id))], [id])
    for (const from of [seen.cursor, live[3]?.cursor]) {
      const again = await ann.subscribe("workflows", { from_cursor: from })
      const expected = live.slice(from === seen.cursor ? 0 : 4)
      for (const event of expected) assert.deepStrictEqual(await again.next(), event as never)
    }
  })
})
