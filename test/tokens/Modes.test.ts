/** What each `budget_check_mode` promises, and what is done under it when the store fails. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import type { ActorSystem } from "../../src/actor/ActorSystem.ts"
import type { Approval } from "../../src/signal/Budgeting.ts"
import { UNIT } from "../../src/signal/Money.ts"
import { pass, settle } from "../../src/testing.ts"
import { BatchRefused } from "../../src/tokens/LedgerStore.ts"
import { BATCH_SIGNALS_MAX } from "../../src/tokens/Shift.ts"
import { TENANT, TEST_PRICES } from "./support/Books.ts"
import { assertRecordedOnce, BOMB, type Manager, makeManager, told } from "./support/Manager.ts"
import { lostAfter, makeGate, notWritten, type Turn, unreachable } from "./support/ScriptedStore.ts"

const lostMetric = Metric.counter("bursar_async_answers_lost_total", {
  description: "Answers that async mode gave and that were in the end not recorded as they were given",
  incremental: true
})

const makeAsync = (prices = TEST_PRICES): Effect.Effect<Manager, never, ActorSystem> =>
  Effect.gen(function* () {
    const manager = yield* makeManager(undefined, prices)
    yield* Effect.orDie(manager.done("configure_manager", { budget_check_mode: "async" }))
    yield* Effect.orDie(manager.budget("10"))
    yield* settle
    return manager
  })

const relaxedOf = (manager: Manager) =>
  Effect.map(manager.ask("get_status", {}), (asked) => asked).pipe(
    Effect.tap(() => pass(1_000)),
    Effect.flatMap((asked) => asked.success),
    Effect.map(({ relaxed }) => relaxed)
  )

const holdOf = (approval: Approval) =>
  approval.allowed ? { id: approval.hold_id, until: approval.expires_at } : undefined

const lostSoFar = Effect.map(Metric.value(lostMetric), ({ count }) => count)

const NOTHING = { unwritten: 0, lost: 0, admitted_without_hold: 0 }

describe("async: money is answered from memory, and written behind", () => {
  it.effect("a hold, its extension, a report and a release are answered while nothing is written yet", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const written = manager.script.rows.journalSeq
      const events = manager.told.length
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const first = yield* manager.hold("r1", 4)
      yield* settle
      assert.strictEqual(yield* first.outcome, "ok")
      const { hold_id = "" } = (yield* first.success) as { readonly hold_id?: string }
      const more = yield* manager.ask("extend_hold", { hold_id, by: { tokens: 2, cost: "2" } })
      const other = yield* manager.hold("r2", 4)
      const tooMuch = yield* manager.hold("r3", 1)
      const posted = yield* manager.post("r1", 5, { hold_id })
      yield* settle
      assert.strictEqual(yield* more.outcome, "ok")
      assert.strictEqual(yield* other.outcome, "ok")
      assert.strictEqual(yield* tooMuch.outcome, "refused", "4 + 2 + 4 are held")
      assert.strictEqual((yield* posted.success).usage.overage, 0n)
      const { hold_id: second = "" } = (yield* other.success) as { readonly hold_id?: string }
      const released = yield* manager.ask("release_hold", { hold_id: second })
      yield* settle
      assert.strictEqual(yield* released.outcome, "ok")
      assert.strictEqual(manager.script.rows.journalSeq, written, "nothing is written")
      assert.strictEqual(manager.told.length, events, "and no event has left")
      yield* gate.open
      yield* settle
      assert.strictEqual(manager.recorded, "r1:5")
      assert.isAbove(manager.told.length, events)
      assert.strictEqual(yield* manager.standing, "spent 5, held 0")
      assert.deepStrictEqual(yield* relaxedOf(manager), NOTHING)
    }).pipe(told)
  )

  it.effect("strict is the default, and says nothing of the kind", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const status = yield* manager.done("get_status", {})
      assert.strictEqual(status.config.budget_check_mode, "strict")
      assert.strictEqual(status.config.on_store_down, "deny")
      assert.isUndefined(status.relaxed)
    }).pipe(told)
  )

  it.effect("what changes the rules waits for its commit, also a mode; back to strict, everything does", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const created = yield* manager.ask("create_budget", {
        name: "ann",
        type: "user",
        entity_id: "ann",
        period: "daily",
        limit: "1"
      })
      yield* settle
      const held = yield* manager.hold("r1", 1)
      const strict = yield* manager.ask("configure_manager", { budget_check_mode: "strict" })
      const price = yield* manager.ask("update_pricing", {
        provider: "test",
        model: "new",
        pricing: { prompt_per_million: "1", completion_per_million: "1" }
      })
      yield* settle
      assert.isFalse(created.isAnswered)
      assert.isFalse(strict.isAnswered)
      assert.isFalse(price.isAnswered)
      assert.isTrue(held.isAnswered, "async is in force until the change is committed")
      yield* gate.open
      yield* settle
      for (const asked of [created, strict, price]) assert.strictEqual(yield* asked.outcome, "ok")
      const second = yield* makeGate
      manager.script.once("commit", second.turn)
      const waiting = yield* manager.hold("r2", 1)
      yield* settle
      assert.isFalse(waiting.isAnswered)
      yield* second.open
      yield* settle
      assert.isTrue(waiting.isAnswered)
    }).pipe(told)
  )

  it.effect("async is not in force before it is committed", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* manager.ask("configure_manager", { budget_check_mode: "async" })
      const held = yield* manager.hold("r1", 1)
      yield* settle
      assert.isFalse(held.isAnswered)
      yield* gate.open
      yield* settle
      assert.isTrue(held.isAnswered)
    }).pipe(told)
  )

  it.effect("nobody waits for commit_interval_ms", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      yield* manager.done("configure_manager", { commit_interval_ms: 1_000 })
      const posted = yield* manager.post("r1", 1)
      yield* settle
      assert.strictEqual(yield* posted.outcome, "ok")
    }).pipe(told)
  )
})

describe("lesson 22, async: a query sees everything that was acknowledged before it was sent", () => {
  it.effect("get_usage, get_budget_status and get_status wait for what was answered", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* (yield* manager.post("r1", 1)).success
      yield* (yield* manager.post("r2", 2)).success
      const usage = yield* manager.ask("get_usage", {})
      const budgets = yield* manager.ask("get_budget_status", {})
      const status = yield* manager.ask("get_status", {})
      yield* settle
      assert.isFalse(usage.isAnswered)
      assert.isFalse(budgets.isAnswered)
      assert.isFalse(status.isAnswered)
      yield* gate.open
      yield* settle
      assert.deepStrictEqual(
        (yield* usage.success).items.map(({ request_id }) => request_id),
        ["r2", "r1"]
      )
      assert.strictEqual((yield* budgets.success).budgets[0]?.spent, 3_000_000_000_000n)
      assert.strictEqual((yield* status.success).total_tracked, 2)
    }).pipe(told)
  )

  it.effect("what is answered after it was sent is not waited for", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const [first, second] = [yield* makeGate, yield* makeGate]
      manager.script.once("commit", first.turn, second.turn)
      yield* (yield* manager.post("r1", 1)).success
      const usage = yield* manager.ask("get_usage", {})
      yield* settle
      yield* (yield* manager.post("r2", 2)).success
      yield* first.open
      yield* settle
      assert.strictEqual((yield* usage.success).items.length, 1)
    }).pipe(told)
  )

  it.effect(
    "where the store does not answer, get_status says what is not written, a query that it is unavailable",
    () =>
      Effect.gen(function* () {
        const manager = yield* makeAsync()
        manager.script.always("commit", notWritten)
        yield* (yield* manager.post("r1", 1)).success
        const usage = yield* manager.ask("get_usage", {})
        const status = yield* manager.ask("get_status", {})
        yield* pass(1_000)
        assert.deepStrictEqual((yield* status.success).relaxed, { ...NOTHING, unwritten: 1 })
        manager.script.setReachable(false)
        yield* pass(6_000)
        assert.strictEqual(yield* usage.outcome, "Unavailable")
      }).pipe(told)
  )
})

describe("async: the journal falls behind", () => {
  it.effect("a batch that takes longer than a second: signals wait for their commit, as in strict mode", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* (yield* manager.post("r1", 1)).success
      yield* pass(999)
      yield* (yield* manager.post("r2", 1)).success
      yield* pass(1)
      const waiting = yield* manager.post("r3", 1)
      yield* settle
      assert.isFalse(waiting.isAnswered)
      yield* gate.open
      yield* settle
      assert.strictEqual(yield* waiting.outcome, "ok")
      assertRecordedOnce(manager, ["r1", "r2", "r3"])
    }).pipe(told)
  )

  it.effect("a batch on its way and a full one behind it: more waits", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* (yield* manager.post("r0", 1)).success
      const asked = yield* Effect.forEach(Array.from({ length: BATCH_SIGNALS_MAX + 5 }), (_, index) =>
        manager.post(`p${index}`, 1)
      )
      for (let turn = 0; turn < 8; turn++) yield* settle
      assert.strictEqual(asked.filter(({ isAnswered }) => isAnswered).length, BATCH_SIGNALS_MAX)
      yield* gate.open
      for (let turn = 0; turn < 4; turn++) yield* settle
      for (const one of asked) assert.strictEqual(yield* one.outcome, "ok")
      assert.strictEqual(manager.script.rows.usage.length, BATCH_SIGNALS_MAX + 6)
    }).pipe(told)
  )

  it.effect(
    "a commit that is not written at once, or a look-up that fails: the same until the store answers",
    () =>
      Effect.gen(function* () {
        const manager = yield* makeAsync()
        manager.script.always("commit", notWritten)
        yield* (yield* manager.post("r1", 1)).success
        yield* settle
        const waiting = yield* manager.post("r2", 1)
        yield* settle
        assert.isFalse(waiting.isAnswered)
        manager.script.always("commit")
        yield* pass(1_000)
        assert.strictEqual(yield* waiting.outcome, "ok")
        manager.script.once("findRequests", unreachable)
        const late = yield* manager.post("r3", 1)
        yield* pass(50)
        assert.strictEqual(yield* late.outcome, "ok")
      }).pipe(told)
  )

  it.effect("the store is away: Unavailable in bounded time", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      manager.script.setReachable(false)
      const asked = yield* manager.post("r1", 1)
      yield* pass(10_000)
      assert.strictEqual(yield* asked.outcome, "Unavailable")
    }).pipe(told)
  )
})

describe("async: a commit fails for good", () => {
  for (const [how, turn] of [
    ["it was not written", notWritten],
    ["it was written, and nobody knows", lostAfter]
  ] as const) {
    it.effect(
      `the store is away (${how}): what was answered is recorded when it is back, as it was answered`,
      () =>
        Effect.gen(function* () {
          const manager = yield* makeAsync()
          yield* (yield* manager.hold("r0", 2)).success
          yield* settle
          const gate = yield* makeGate
          manager.script.once("commit", (real, batch) => gate.turn(turn(real, batch)))
          const first = yield* (yield* manager.post("r1", 4)).success
          const second = yield* (yield* manager.hold("r2", 3)).success
          manager.script.setReachable(false)
          yield* gate.open
          yield* settle
          const waiting = yield* manager.post("r3", 1)
          yield* pass(30_000)
          assert.strictEqual(yield* waiting.outcome, "Unavailable", "it was not promised")
          manager.script.setReachable(true)
          yield* pass(2_000)
          const usage = yield* manager.done("get_usage", {})
          assert.deepStrictEqual(usage.items, [first.usage], "the same row, booked at the same time")
          const again = yield* (yield* manager.hold("r2", 3)).success
          assert.isTrue(again.allowed && second.allowed)
          assert.deepStrictEqual(holdOf(again), holdOf(second))
          assert.strictEqual(yield* manager.standing, "spent 4, held 5")
          assert.deepStrictEqual(yield* relaxedOf(manager), NOTHING)
          assertRecordedOnce(manager, ["r1"])
        }).pipe(told)
    )
  }

  it.effect(
    "another owner has taken over: what still fits is recorded, what does not is lost, and that is said",
    () =>
      Effect.gen(function* () {
        const manager = yield* makeAsync()
        const before = yield* lostSoFar
        const gate = yield* makeGate
        manager.script.once("commit", gate.turn)
        yield* (yield* manager.post("r1", 1)).success
        yield* (yield* manager.hold("r2", 6)).success
        yield* settle
        // The other owner lowers the budget, and goes.
        const { rows } = manager.script
        rows.claim(TENANT, "somebody else")
        const budget = rows.budgets.get("budget_1")
        if (budget !== undefined) rows.budgets.set(budget.id, { ...budget, limit: 5n * UNIT })
        yield* gate.open
        yield* pass(1_000)
        assert.strictEqual(manager.recorded, "r1:1")
        assert.strictEqual(yield* manager.standing, "spent 1, held 0")
        assert.deepStrictEqual(yield* relaxedOf(manager), { ...NOTHING, lost: 1 })
        const alert = manager.script.rows.alerts.at(-1)?.alert
        assert.strictEqual(alert?.kind, "anomaly")
        assert.deepStrictEqual(alert?.data, { lost_answers: 1 })
        assert.strictEqual((yield* lostSoFar) - before, 1)
        // Its call was made all the same, and is charged.
        yield* (yield* manager.post("r2", 6, { hold_id: "hold_1.r2" })).success
        assert.strictEqual(yield* manager.standing, "spent 7, held 0")
      }).pipe(told)
  )

  it.effect("data that the store refuses: the offending one is lost, the others are recorded", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const refused: Turn = (real, batch) =>
        batch?.newRequests.some(({ requestId }) => requestId === "bad")
          ? Effect.fail(new BatchRefused({ tenant: TENANT, message: "scripted" }))
          : real
      manager.script.always("commit", refused)
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      for (const id of ["r1", "bad", "r2"]) yield* (yield* manager.post(id, 1)).success
      yield* gate.open
      yield* pass(1_000)
      assertRecordedOnce(manager, ["r1", "r2"])
      assert.deepStrictEqual(yield* relaxedOf(manager), { ...NOTHING, lost: 1 })
    }).pipe(told)
  )

  it.effect("a rule that throws is a signal of its own: what was answered before it is recorded", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync([...TEST_PRICES, BOMB])
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* (yield* manager.post("r1", 1)).success
      yield* settle
      yield* (yield* manager.post("r2", 2)).success
      const poison = yield* manager.post("r3", 4, { model: "bomb" })
      yield* settle
      yield* gate.open
      yield* pass(1_000)
      assert.strictEqual(yield* poison.outcome, "InternalError")
      assertRecordedOnce(manager, ["r1", "r2"])
      assert.deepStrictEqual(yield* relaxedOf(manager), NOTHING)
    }).pipe(told)
  )

  it.effect("a refusal is nobody's promise: it is not decided again", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync([...TEST_PRICES, BOMB])
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const { hold_id = "" } = (yield* (yield* manager.hold("r1", 10)).success) as { hold_id?: string }
      yield* settle
      assert.strictEqual(yield* (yield* manager.hold("r2", 5)).outcome, "refused")
      yield* (yield* manager.ask("release_hold", { hold_id })).success
      const poison = yield* manager.post("r3", 4, { model: "bomb" })
      yield* settle
      yield* gate.open
      yield* pass(1_000)
      assert.strictEqual(yield* poison.outcome, "InternalError")
      assert.strictEqual(yield* manager.standing, "spent 0, held 0")
    }).pipe(told)
  )

  it.effect("a stop writes what was answered; only what it cannot write is lost", () =>
    Effect.gen(function* () {
      const manager = yield* makeAsync()
      const before = yield* lostSoFar
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* (yield* manager.post("r1", 1)).success
      yield* settle
      yield* (yield* manager.post("r2", 2)).success
      yield* Effect.forkDetach(manager.stop)
      yield* settle
      yield* gate.open
      yield* settle
      assertRecordedOnce(manager, ["r1", "r2"])
      assert.strictEqual(yield* lostSoFar, before)
      const again = yield* makeManager(manager.script)
      again.script.always("commit", notWritten)
      yield* (yield* again.post("r3", 3)).success
      yield* Effect.forkDetach(again.stop)
      yield* pass(20_000)
      assert.strictEqual((yield* lostSoFar) - before, 1)
    }).pipe(told)
  )
})

const ALLOW = { on_store_down: "allow" } as const

describe('lesson 17: on_store_down: "allow"', () => {
  const makeAllowing = Effect.gen(function* () {
    const manager = yield* makeManager()
    yield* manager.done("configure_manager", ALLOW)
    yield* manager.budget("10")
    yield* settle
    return manager
  })

  it.effect(
    "a call is admitted without a hold after a second, with a warning, and is charged when it is back",
    () =>
      Effect.gen(function* () {
        const manager = yield* makeAllowing
        manager.script.setReachable(false)
        const asked = yield* manager.hold("r1", 20)
        const look = yield* manager.hold("r2", 1, { hold: false })
        const posted = yield* manager.post("r3", 1)
        yield* pass(900)
        assert.isFalse(asked.isAnswered, "it may be back in a moment")
        yield* pass(200)
        const approval = yield* asked.success
        assert.isTrue(approval.allowed)
        if (!approval.allowed) return
        assert.isUndefined(approval.hold_id)
        assert.strictEqual(approval.estimated_cost, 20n * UNIT)
        assert.deepStrictEqual(
          approval.warnings.map(({ kind, severity, data }) => ({ kind, severity, data })),
          [{ kind: "anomaly", severity: "critical", data: { admitted_without_hold: true } }]
        )
        assert.include(approval.warnings[0]?.message, "without a hold")
        assert.strictEqual(yield* look.outcome, "ok")
        assert.isFalse(posted.isAnswered, "usage waits: it is never said to be recorded when it is not")
        const created = yield* manager.ask("create_budget", {
          name: "b",
          type: "global",
          period: "daily",
          limit: "1"
        })
        yield* pass(12_000)
        assert.strictEqual(yield* posted.outcome, "Unavailable")
        assert.strictEqual(yield* created.outcome, "Unavailable")
        const status = yield* manager.ask("get_status", {})
        yield* pass(1_000)
        const { config, relaxed, store } = yield* status.success
        assert.isFalse(store.reachable)
        assert.strictEqual(config.on_store_down, "allow")
        assert.deepStrictEqual(relaxed, { ...NOTHING, admitted_without_hold: 2 })
        manager.script.setReachable(true)
        yield* pass(2_000)
        const { usage } = yield* (yield* manager.post("r1", 20)).success
        assert.isUndefined(usage.hold_id)
        assert.strictEqual(yield* manager.standing, "spent 20, held 0")
        const alert = manager.script.rows.alerts.find(({ alert: { kind } }) => kind === "anomaly")?.alert
        assert.deepStrictEqual(alert?.data, { admitted_without_hold: 2 })
        assert.strictEqual(
          yield* (yield* manager.hold("r4", 1)).outcome,
          "refused",
          "budgets are asked again"
        )
      }).pipe(told)
  )

  it.effect("back within the second: it is held like any other", () =>
    Effect.gen(function* () {
      const manager = yield* makeAllowing
      manager.script.setReachable(false)
      const asked = yield* manager.hold("r1", 20)
      yield* pass(500)
      manager.script.setReachable(true)
      yield* pass(100)
      assert.strictEqual(yield* asked.outcome, "refused")
    }).pipe(told)
  )

  it.effect("a call that does not say who it is for, as the tenant requires, is not admitted", () =>
    Effect.gen(function* () {
      const manager = yield* makeAllowing
      yield* manager.done("configure_manager", { required_attribution: ["project_id"] })
      yield* settle
      manager.script.setReachable(false)
      const nameless = yield* manager.hold("r1", 1)
      const named = yield* manager.hold("r2", 1, { project_id: "p" })
      yield* pass(1_100)
      assert.strictEqual(yield* nameless.outcome, "InvalidParams")
      assert.strictEqual(yield* named.outcome, "ok")
      manager.script.setReachable(true)
      yield* pass(2_000)
      assert.deepStrictEqual(yield* relaxedOf(manager), { ...NOTHING, admitted_without_hold: 1 })
    }).pipe(told)
  )

  it.effect(
    "a commit that is given up: whoever asked for room is admitted, whoever reported is not told a lie",
    () =>
      Effect.gen(function* () {
        const manager = yield* makeAllowing
        manager.script.always("commit", notWritten)
        const asked = yield* manager.hold("r1", 3)
        const posted = yield* manager.post("r2", 3)
        yield* pass(1_000)
        manager.script.setReachable(false)
        yield* pass(10_000)
        const approval = yield* asked.success
        assert.isTrue(approval.allowed && approval.hold_id === undefined)
        assert.strictEqual(yield* posted.outcome, "Unavailable")
      }).pipe(told)
  )

  it.effect("while the tenant is loaded again, also after a crash of its actor", () =>
    Effect.gen(function* () {
      const manager = yield* makeAllowing
      manager.script.setReachable(false)
      manager.script.once("findRequests", () => Effect.die(new Error("scripted")))
      yield* manager.post("r1", 1)
      yield* pass(10_000)
      const asked = yield* manager.hold("r2", 1)
      yield* pass(2_100)
      assert.strictEqual(yield* asked.outcome, "ok")
    }).pipe(told)
  )

  it.effect("a tenant that was never loaded here is denied: its policy is not known", () =>
    Effect.gen(function* () {
      const manager = yield* makeAllowing
      yield* manager.stop
      manager.script.setReachable(false)
      const again = yield* makeManager(manager.script)
      const asked = yield* again.hold("r1", 1)
      yield* pass(10_000)
      assert.strictEqual(yield* asked.outcome, "Unavailable")
    }).pipe(told)
  )

  it.effect(
    "deny is the default; a change that was not committed changes nothing; another owner is no outage",
    () =>
      Effect.gen(function* () {
        const manager = yield* makeManager()
        manager.script.always("commit", notWritten)
        const configured = yield* manager.ask("configure_manager", ALLOW)
        yield* settle
        manager.script.setReachable(false)
        const asked = yield* manager.hold("r1", 1)
        yield* pass(20_000)
        assert.strictEqual(yield* configured.outcome, "Unavailable")
        assert.strictEqual(yield* asked.outcome, "Unavailable")
        manager.script.setReachable(true)
        yield* pass(2_000)
        yield* manager.done("configure_manager", ALLOW)
        const gate = yield* makeGate
        manager.script.once("commit", gate.turn)
        const fenced = yield* manager.hold("r2", 1)
        yield* settle
        manager.script.rows.claim(TENANT, "somebody else")
        yield* gate.open
        yield* settle
        assert.strictEqual(yield* fenced.outcome, "Unavailable")
      }).pipe(told)
  )

  it.effect("with async: what waits for the store is admitted, what was answered is kept", () =>
    Effect.gen(function* () {
      const manager = yield* makeAllowing
      yield* manager.done("configure_manager", { budget_check_mode: "async" })
      const gate = yield* makeGate
      manager.script.once("commit", (real, batch) => gate.turn(notWritten(real, batch)))
      const held = yield* (yield* manager.hold("r1", 4)).success
      assert.isTrue(held.allowed && held.hold_id !== undefined)
      manager.script.setReachable(false)
      yield* gate.open
      yield* settle
      const asked = yield* manager.hold("r2", 4)
      yield* pass(15_000)
      const approval = yield* asked.success
      assert.isTrue(approval.allowed && approval.hold_id === undefined)
      manager.script.setReachable(true)
      yield* pass(2_000)
      assert.strictEqual(yield* manager.standing, "spent 0, held 4")
      assert.deepStrictEqual(yield* relaxedOf(manager), { ...NOTHING, admitted_without_hold: 1 })
    }).pipe(told)
  )
})
