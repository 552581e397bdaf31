/** How the call of an agent is made, and what each of its ends means; what is done while a workflow is parked. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { tenantAddress } from "../../src/actor/Address.ts"
import { durableRunOf } from "../../src/actor/DurableLogic.ts"
import {
  Conflict,
  InvalidParams,
  invalidParam,
  PriceUnknown,
  ProviderFailed,
  type SignalError,
  Unavailable,
  Violation
} from "../../src/signal/Errors.ts"
import { parseAmount } from "../../src/signal/Money.ts"
import { callAgent } from "../../src/workflow/AgentCall.ts"
import { orderOf } from "../../src/workflow/AgentOrder.ts"
import { awaitRoom, lookAtRefusals, refusedOrderOf } from "../../src/workflow/Refused.ts"
import { RoomLine } from "../../src/workflow/RoomLine.ts"
import { endStep, type StepEnd } from "../../src/workflow/StepEnd.ts"
import type { WorkflowContext } from "../../src/workflow/WorkflowContext.ts"
import { makeWorkflowMachine } from "../../src/workflow/WorkflowMachine.ts"
import { completionOf, exceeded, FakePorts, used, violationOf } from "./support/FakePorts.ts"
import { agent, contextOf, graph, START } from "./support/Graphs.ts"

const SCHEMA = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] } as const

const orderFor = (context: WorkflowContext, name = "a") => orderOf(context, name)

const providerFailed = (retryable: boolean) =>
  new ProviderFailed({ message: "503", provider: "p", status: 503, retryable, attempts: 3 })

const SPENT = { prompt_tokens: 30, completion_tokens: 7, cost: parseAmount("0.02"), last_seq: 4 }

describe("a call that ends", () => {
  const order = orderFor(contextOf(graph("a")))
  const ends: ReadonlyArray<readonly [string, SignalError, Partial<StepEnd>]> = [
    ["of a provider, for now", providerFailed(true), { kind: "failed", isRetryable: true }],
    ["of a provider, for good", providerFailed(false), { kind: "failed", isRetryable: false }],
    [
      "for a price",
      new PriceUnknown({ message: "none", provider: "p", model: "m", nearest: [] }),
      { kind: "failed", isRetryable: false, error: "PriceUnknown" } as never
    ],
    [
      "for its own fault",
      new InvalidParams({ message: "no", issues: [] }),
      { kind: "failed", isRetryable: false }
    ],
    [
      "because it was charged before",
      new Conflict({ message: "posted", reason: "hold_already_posted" }),
      { kind: "lost" }
    ]
  ]
  for (const [name, error, expected] of ends) {
    it.effect(`badly, ${name}: with all that it has used`, () =>
      Effect.gen(function* () {
        const ports = new FakePorts().script("find_request", used({}), used(SPENT))
        ports.completions.push(error)
        const end = yield* callAgent(ports, order)
        assert.deepInclude(end, expected)
        assert.deepStrictEqual(end.spent, { promptTokens: 30, completionTokens: 7, cost: "0.02", lastSeq: 4 })
      })
    )
  }

  it.effect("refused: by what, and when to look again, as it was said", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      ports.completions.push(exceeded([violationOf({ resets_at: START + 90_000 })], START + 5_000))
      const end = yield* callAgent(ports, order)
      assert.strictEqual(end.kind === "refused" && end.refusal.retryAt, START + 5_000)
      ports.completions[0] = exceeded([violationOf({ resets_at: START })])
      const never = yield* callAgent(ports, order)
      assert.isNull(never.kind === "refused" ? never.refusal.retryAt : "it is not refused")
    })
  )

  it.effect("well: a text, under its request id, attributed to the workflow and to the agent", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      ports.completions.push(completionOf("an answer"))
      const context = contextOf(graph("a"), { attribution: { user_id: "ann", agent: "of the caller" } })
      const end = yield* callAgent(ports, orderFor(context))
      assert.deepInclude(end, { kind: "done", output: "an answer", currency: "USD" })
      assert.deepStrictEqual(end.spent, { promptTokens: 10, completionTokens: 5, cost: "0.001", lastSeq: 1 })
      const [payload] = ports.named("complete")
      assert.deepInclude(payload, {
        request_id: "wf/a/1",
        workflow_id: "wf",
        agent: "a",
        user_id: "ann",
        operation: "graph",
        messages: [{ role: "user", content: "tides" }]
      })
    })
  )

  it.effect("well, after attempts that failed: those count, too", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("find_request", used({}), used(SPENT))
      ports.completions.push(completionOf("x", { usage: { ...completionOf("x").usage, attempt: 2 } }))
      const { spent } = yield* callAgent(ports, order)
      assert.deepStrictEqual(spent, { promptTokens: 30, completionTokens: 7, cost: "0.02", lastSeq: 4 })
    })
  )

  it.effect("cut short, because the process was told to stop: that is no answer", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      ports.completions.push(completionOf("half of it", { finish_reason: "cancelled" }))
      assert.strictEqual((yield* callAgent(ports, order)).kind, "lost")
    })
  )

  it.effect("with JSON that does not match: it is asked again", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      const output = { type: "json", schema: SCHEMA } as const
      const json = orderFor(
        contextOf({ name: "n", agents: [agent("a", [], { output, system: "Be brief." })] })
      )
      ports.completions.push(completionOf('{"n":"1"}'), completionOf('{"n":1}'))
      const first = yield* callAgent(ports, json)
      assert.deepInclude(first, {
        kind: "failed",
        isRetryable: true,
        error: "output_does_not_match"
      } as never)
      assert.deepInclude(yield* callAgent(ports, json), { kind: "done", output: { n: 1 } } as never)
      const [payload] = ports.named("complete") as ReadonlyArray<{ readonly system: string }>
      assert.match(payload?.system ?? "", /^Be brief\.\n\nAnswer with one JSON value.*"type":"object"/su)
    })
  )

  it.effect("not at all while the store is away: it is sent again until it is taken", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      const away = new Unavailable({ message: "away", retry_after_ms: 1_000 })
      ports.completions.push(away, away, completionOf("at last"))
      const ended = yield* Effect.forkChild(callAgent(ports, order))
      yield* TestClock.adjust(2_500)
      assert.strictEqual((yield* Fiber.join(ended)).kind, "done")
      assert.strictEqual(ports.named("complete").length, 3)
    })
  )

  it.effect("never before its time", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      ports.completions.push(completionOf("x"))
      const ended = yield* Effect.forkChild(callAgent(ports, { ...order, notBefore: 5_000 }))
      yield* TestClock.adjust(4_999)
      assert.strictEqual(ports.asked.length, 0)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(ended)).at, 5_000)
    })
  )

  it.effect("that a process which died has held: it is settled, and asked again under the next number", () =>
    Effect.gen(function* () {
      const open_hold = { hold_id: "hold_1.wf/a/1", provider: "simulator", model: "sim-fast" }
      const ports = new FakePorts().script("find_request", used({ open_hold }), used(SPENT))
      const end = yield* callAgent(ports, order)
      assert.deepInclude(end, { kind: "lost", currency: "USD" })
      assert.strictEqual(end.spent?.cost, "0.02")
      assert.deepStrictEqual(
        ports.asked.map(({ name }) => name),
        ["find_request", "settle", "find_request", "find_adjustments"]
      )
    })
  )

  it.effect(
    "that was charged, and whose end nobody kept: the next try asks, nothing is asked under its id",
    () =>
      Effect.gen(function* () {
        const ports = new FakePorts().script("find_request", used({ ...SPENT, is_posted: true }))
        const end = yield* callAgent(ports, order)
        assert.deepInclude(end, { kind: "lost", currency: "USD" })
        assert.deepStrictEqual(end.spent, { promptTokens: 30, completionTokens: 7, cost: "0.02", lastSeq: 4 })
        assert.deepStrictEqual(ports.named("complete"), [])
      })
  )

  it.effect("that was charged, and has an end or goes on here: it is asked for", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("find_request", used({ ...SPENT, is_posted: true }))
      ports.isKnown = true
      ports.completions.push(completionOf("from before"))
      assert.deepInclude(yield* callAgent(ports, order), { kind: "done", output: "from before" } as never)
    })
  )
})

describe("its own budget", () => {
  const budgeted = (limit: string, warnAt = 10_000): WorkflowContext => ({
    ...contextOf(graph("a, b", { budget: { limit, measure: "tokens" }, token_warning_at: warnAt })),
    ownBudget: { budgetId: "budget_9", limit, remaining: limit }
  })
  const status = (remaining: string) =>
    ({
      budgets: [
        { limit: parseAmount("50000"), override_total: parseAmount("5"), remaining: parseAmount(remaining) }
      ]
    }) as never

  it.effect("is looked at after each step, and warned of once", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
        .script("get_budget_status", status("10001"), status("10000"), status("9000"))
        .script("raise_alert", { alert: {} } as never)
      ports.completions.push(completionOf("x"))
      let context = budgeted("50000")
      const first = yield* callAgent(ports, orderFor(context))
      assert.deepStrictEqual(first.ownBudget, { budgetId: "budget_9", limit: "50005", remaining: "10001" })
      assert.strictEqual(ports.named("raise_alert").length, 0)
      const second = yield* callAgent(ports, orderFor(context))
      assert.isTrue(second.isWarned)
      assert.deepInclude(ports.named("raise_alert")[0], {
        request_id: "wf/token_warning",
        kind: "token_warning",
        budget_id: "budget_9",
        data: { workflow_id: "wf", warn_at: 10_000, remaining: "10000" }
      })
      context = endStep({ ...context }, "a", second)
      assert.isTrue((yield* callAgent(ports, orderFor(context, "b"))).isWarned !== true)
      assert.strictEqual(ports.named("raise_alert").length, 1)
    })
  )

  it.effect("that cannot be looked at throws no answer away that was paid for", () =>
    Effect.gen(function* () {
      const forbidden = new InvalidParams({ message: "no", issues: [] })
      const ports = new FakePorts()
        .script("get_budget_status", forbidden)
        .script("find_request", used({}), forbidden)
      ports.completions.push(completionOf("paid for", { attempts: [{}, {}] as never }))
      const end = yield* callAgent(ports, orderFor(budgeted("50000")))
      assert.deepInclude(end, { kind: "done", output: "paid for" } as never)
      assert.strictEqual(end.spent?.cost, "0.001")
      assert.isUndefined(end.ownBudget)
    })
  )

  it.effect("is not warned of where nobody wants that", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("get_budget_status", status("1"))
      ports.completions.push(completionOf("x"))
      assert.isUndefined((yield* callAgent(ports, orderFor(budgeted("50000", 0)))).isWarned)
    })
  )
})

const encodeViolation = Schema.encodeSync(Violation)
const refusal = { reason: "r", retryAt: null, violations: [] }
const parkedOn = (more: object = {}, definition = graph("a")): WorkflowContext =>
  endStep(contextOf(definition), "a", {
    kind: "refused",
    at: START,
    refusal: {
      ...refusal,
      violations: [encodeViolation(violationOf())],
      ...more
    }
  })

describe("while it is parked", () => {
  const status = (entity_id: string, approvers = ["budget_admin"]) =>
    ({ budgets: [{ entity_id, override_policy: { approvers } }] }) as never

  it.effect("says who may approve, and asks nobody where it was not told to", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("get_budget_status", status("red", ["budget_admin", "ann"]))
      const found = yield* lookAtRefusals(ports, refusedOrderOf(parkedOn()))
      assert.deepStrictEqual(found, {
        round: 1,
        approvers: ["budget_admin", "ann"],
        overrides: [],
        notes: [],
        keyEndsAt: null
      })
    })
  )

  it.effect.each([
    ["what is missing", {}, "red", { amount: parseAmount("0.2") }],
    ["what it was told to", { amount: "5" }, "red", { amount: parseAmount("5") }],
    ["in a default, for its own standing", {}, "*", { entity_id: "red" }]
  ] as const)("asks for %s, once for each round", ([_, request_override, entity, expected]) =>
    Effect.gen(function* () {
      const ports = new FakePorts()
        .script("get_budget_status", status(entity))
        .script("request_override", { override_id: "override_7" } as never)
      const context = parkedOn({}, graph("a", { request_override }))
      const found = yield* lookAtRefusals(ports, refusedOrderOf(context))
      assert.deepStrictEqual(found.overrides, ["override_7"])
      assert.deepInclude(ports.named("request_override")[0], {
        request_id: "wf/override/budget_1/1",
        budget_id: "budget_1",
        ...expected
      } as never)
    })
  )

  it.effect("says why it could not ask, where the budget's policy leaves no room for so much", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
        .script("get_budget_status", status("red"))
        .script("request_override", invalidParam(["amount"], "by at most 50 %"))
      const context = parkedOn(
        { violations: [encodeViolation(violationOf({ override: "none" }))] },
        graph("a", { request_override: {} })
      )
      const found = yield* lookAtRefusals(ports, refusedOrderOf(context))
      assert.deepInclude(found, {
        overrides: [],
        notes: ["No override could be asked for: amount: by at most 50 %"]
      })
    })
  )

  const allowed = { allowed: true } as never
  const refused = { allowed: false, violations: [], retry_at: null } as never

  /** Since it came into the line it has looked once. */
  const inLine = (ports: FakePorts, order = refusedOrderOf(parkedOn())) =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkChild(awaitRoom(ports, new RoomLine(ports), order))
      yield* TestClock.adjust(2_000)
      assert.strictEqual(ports.named("check_budget").length, 1)
      return waiting
    })

  it.effect("looks when the news says that there may be room, and not otherwise", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("check_budget", refused, refused, allowed)
      const waiting = yield* inLine(ports)
      const looksAfter = (tell: () => void) =>
        Effect.gen(function* () {
          tell()
          yield* TestClock.adjust(0)
          return ports.named("check_budget").length
        })
      assert.strictEqual(yield* looksAfter(() => ports.leaves("0.299999999999")), 1, "0.3 is asked for")
      assert.strictEqual(yield* looksAfter(() => ports.change({ hasNewPrices: true })), 1)
      assert.strictEqual(yield* looksAfter(() => ports.change({ redefined: ["another"] })), 1)
      assert.strictEqual(yield* looksAfter(() => ports.leaves("0.3")), 2)
      assert.strictEqual(yield* looksAfter(() => ports.change({ redefined: ["budget_1"] })), 3)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { at: 2_000, hasRoom: true })
      yield* TestClock.adjust(10_000)
      assert.strictEqual(ports.listeners.size, 0)
      assert.deepInclude(ports.named("check_budget")[0], {
        request_id: "wf/a/look",
        hold: false,
        estimated_cost: parseAmount("0.3"),
        estimated_tokens: 0,
        workflow_id: "wf",
        agent: "a"
      })
    })
  )

  it.effect("keeps room for its call while the runtime runs, and leaves no timer when it ends", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("check_budget", allowed)
      const runtime = yield* Scope.make()
      const room = awaitRoom(ports, new RoomLine(ports), refusedOrderOf(parkedOn()))
      const waiting = yield* Effect.forkChild(Scope.provide(room, runtime))
      yield* TestClock.adjust(2_000)
      yield* Fiber.join(waiting)
      yield* Scope.close(runtime, Exit.void)
      yield* TestClock.adjust(60_000)
      assert.strictEqual(ports.listeners.size, 1, "nobody was there to give it back")
    })
  )

  for (const work of ["awaitRoom", "lookAtRefusals"] as const) {
    it.effect(`is not tried again at once where it dies of a defect: ${work}`, () =>
      Effect.gen(function* () {
        const ports = new FakePorts()
        const money = { ...ports.money, ask: () => Effect.die(new Error("a defect")) }
        const broken = Object.create(ports, { money: { value: money } }) as FakePorts
        const machine = makeWorkflowMachine(
          yield* Effect.context<Scope.Scope>(),
          broken,
          new RoomLine(broken)
        )
        const logic = machine.implementations.actors[work] as object
        const run = durableRunOf(logic) ?? assert.fail("it is made by durably")
        let ended = "no"
        const input = refusedOrderOf(parkedOn())
        const stay = {
          key: "k",
          address: tenantAddress("workflow", "t"),
          id: work,
          revision: 1,
          isOver: () => true
        }
        void run({ ...stay, input }, new AbortController().signal).catch((error: Error) => {
          ended = error.message
        })
        // Those in line gather for two seconds.
        yield* TestClock.adjust(work === "awaitRoom" ? 2_000 : 0)
        yield* TestClock.adjust(4_999)
        assert.strictEqual(ended, "no")
        yield* TestClock.adjust(1)
        yield* Effect.yieldNow
        assert.strictEqual(ended, "a defect")
      })
    )
  }

  it.effect("goes on when a price comes, where none was known", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("check_budget", refused, allowed)
      const waiting = yield* inLine(ports, refusedOrderOf(parkedOn({ violations: [] })))
      ports.change({ hasNewPrices: true })
      assert.deepStrictEqual(yield* Fiber.join(waiting), { at: 2_000, hasRoom: true })
    })
  )

  it.effect("looks by itself once a minute", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("check_budget", refused)
      yield* inLine(ports)
      const looks: Array<number> = []
      for (let second = 3; second <= 200; second += 1) {
        yield* TestClock.adjust(1_000)
        if (ports.named("check_budget").length > looks.length + 1) looks.push(second)
      }
      assert.deepStrictEqual(looks, [62, 122, 182])
    })
  )

  it.effect("looks at the moment of the reset", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("check_budget", refused, allowed)
      const waiting = yield* inLine(ports, refusedOrderOf(parkedOn({ retryAt: 5_000 })))
      yield* TestClock.adjust(2_999)
      assert.strictEqual(ports.named("check_budget").length, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { at: 5_000, hasRoom: true })
    })
  )

  it.effect("looks soon where money was only held, and again when the period ends", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("check_budget", refused, refused, allowed)
      const violations = [encodeViolation(violationOf({ resets_at: 40_000 }))]
      const waiting = yield* inLine(ports, refusedOrderOf(parkedOn({ retryAt: 5_000, violations })))
      yield* TestClock.adjust(3_000)
      assert.strictEqual(ports.named("check_budget").length, 2)
      yield* TestClock.adjust(35_000)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { at: 40_000, hasRoom: true })
    })
  )

  it.effect("goes on waiting while the store is away", () =>
    Effect.gen(function* () {
      const away = new Unavailable({ message: "away", retry_after_ms: 1 })
      const ports = new FakePorts().script("check_budget", away as never, allowed)
      const waiting = yield* inLine(ports)
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { at: 62_000, hasRoom: true })
    })
  )
})
