/** Group commit: nothing derived from an uncommitted batch leaves before it commits. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { pass, settle } from "../../src/testing.ts"
import { makeManager, told } from "./support/Manager.ts"
import { makeGate } from "./support/ScriptedStore.ts"

describe("nothing leaves before the commit", () => {
  it.effect("no answer, no refusal, no query, no event, no figure", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* settle
      const events = manager.told.length
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)

      const hold = yield* manager.hold("r1", 10)
      yield* settle
      const tracked = yield* manager.post("r2", 3)
      const refused = yield* manager.hold("r3", 1)
      const status = yield* manager.ask("get_budget_status", {})
      yield* pass(1_000)
      assert.isFalse(hold.isAnswered, "a hold")
      assert.isFalse(tracked.isAnswered, "usage")
      assert.isFalse(refused.isAnswered, "a refusal that follows from the hold")
      assert.isFalse(status.isAnswered, "a standing that shows the hold")
      assert.strictEqual(manager.told.length, events, "an event")
      const figures = yield* manager.done("get_status", {})
      assert.strictEqual(figures.open_holds, 0)
      assert.strictEqual(figures.total_tracked, 0)
      assert.strictEqual(figures.pending_commits, 1)
      const usage = yield* manager.done("get_usage", {})
      assert.strictEqual(usage.items.length, 0)

      yield* gate.open
      yield* settle
      assert.strictEqual(yield* hold.outcome, "ok")
      assert.strictEqual(yield* tracked.outcome, "ok")
      assert.strictEqual(yield* refused.outcome, "refused")
      assert.strictEqual(yield* manager.standing, "spent 3, held 10")
      assert.isTrue(manager.told.length > events)
      assert.strictEqual((yield* manager.done("get_status", {})).open_holds, 1)
    }).pipe(told)
  )

  it.effect("a query waits for what it was decided on, even with nothing of its own to write", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const first = yield* makeGate
      const second = yield* makeGate
      manager.script.once("commit", first.turn, second.turn)
      yield* manager.post("r1", 1)
      yield* settle
      const query = yield* manager.ask("get_budget_status", {})
      yield* manager.post("r2", 2)
      yield* settle
      yield* first.open
      yield* settle
      assert.isFalse(query.isAnswered, "it shows r2, which is on its way")
      yield* second.open
      yield* settle
      assert.isTrue(query.isAnswered)
    }).pipe(told)
  )

  it.effect("the next batch is decided on top of the one on its way", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const hold = yield* manager.hold("r1", 10)
      yield* settle
      const posted = yield* manager.post("r1", 4)
      const next = yield* manager.hold("r2", 6)
      const tooMuch = yield* manager.hold("r3", 1)
      yield* settle
      yield* gate.open
      yield* settle
      assert.strictEqual(yield* hold.outcome, "ok")
      assert.strictEqual((yield* posted.success).usage.overage, 0n)
      assert.strictEqual(yield* next.outcome, "ok")
      assert.strictEqual(yield* tooMuch.outcome, "refused")
      assert.strictEqual(yield* manager.standing, "spent 4, held 6")
      // The budget, r1's hold, and the rest together.
      assert.strictEqual(manager.script.rows.journalSeq, 3)
    }).pipe(told)
  )

  it.effect("what arrives together is written together", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* manager.post("r0", 1)
      yield* settle
      const asked = yield* Effect.forEach(Array.from({ length: 500 }), (_, index) =>
        manager.post(`p${index}`, 1)
      )
      yield* settle
      yield* gate.open
      yield* settle
      for (const one of asked) assert.strictEqual(yield* one.outcome, "ok")
      assert.strictEqual(manager.script.rows.journalSeq, 2)
      assert.strictEqual(manager.script.rows.usage.length, 501)
    }).pipe(told)
  )

  it.effect("a question that changes nothing writes nothing", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const written = manager.script.rows.journalSeq
      assert.strictEqual(yield* (yield* manager.hold("r1", 11)).outcome, "refused")
      assert.strictEqual(yield* (yield* manager.hold("r1", 10, { hold: false })).outcome, "ok")
      yield* manager.done("calculate_cost", {
        provider: "test",
        model: "dollar",
        prompt_tokens: 1,
        completion_tokens: 1
      })
      yield* manager.done("get_pricing", { provider: "test", model: "dollar" })
      assert.strictEqual(manager.script.rows.journalSeq, written)
    }).pipe(told)
  )

  it.effect("a new budget counts what was on its way", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.done("track_usage", {
        request_id: "r0",
        provider: "test",
        model: "dollar",
        prompt_tokens: 1,
        completion_tokens: 0
      })
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* manager.post("r1", 2)
      yield* settle
      yield* manager.post("r2", 4)
      const created = yield* manager.ask("create_budget", {
        name: "all",
        type: "global",
        period: "daily",
        limit: "100"
      })
      yield* manager.post("r3", 8)
      yield* settle
      assert.isFalse(created.isAnswered)
      yield* gate.open
      yield* settle
      assert.strictEqual((yield* created.success).budget.spent, 7_000_000_000_000n)
      assert.strictEqual(yield* manager.standing, "spent 15, held 0")
    }).pipe(told)
  )

  it.effect("a price is given to what was on its way without one", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("100")
      const use = (request_id: string, prompt_tokens: number) =>
        manager.ask("track_usage", {
          request_id,
          provider: "test",
          model: "nameless",
          prompt_tokens,
          completion_tokens: 0
        })
      yield* (yield* use("r0", 1)).success
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* use("r1", 2)
      yield* settle
      yield* use("r2", 4)
      const params = {
        provider: "test",
        model: "nameless",
        pricing: { prompt_per_million: "1000000", completion_per_million: "1000000" },
        reprice_unpriced: true
      }
      const [priced, again] = [
        yield* manager.ask("update_pricing", params),
        yield* manager.ask("update_pricing", params)
      ]
      yield* use("r3", 8)
      yield* settle
      assert.isFalse(priced.isAnswered)
      yield* gate.open
      yield* settle
      assert.strictEqual((yield* priced.success).repriced, 3)
      assert.strictEqual((yield* again.success).repriced, 0)
      assert.strictEqual(yield* manager.standing, "spent 15, held 0")
    }).pipe(told)
  )

  it.effect("a new budget counts the period that its spending was read for", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* pass(13 * 3_600_000 + 59 * 60_000)
      yield* (yield* manager.post("r1", 2)).success
      const gate = yield* makeGate
      manager.script.once("spent", gate.turn)
      const created = yield* manager.ask("create_budget", {
        name: "all",
        type: "global",
        period: "daily",
        limit: "100"
      })
      yield* pass(120_000)
      yield* gate.open
      yield* settle
      yield* created.success
      assert.strictEqual(yield* manager.standing, "spent 0, held 0")
    }).pipe(told)
  )
})

describe("commit_interval_ms", () => {
  it.effect("waits that long for company, and no longer", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const configured = yield* manager.ask("configure_manager", { commit_interval_ms: 100 })
      yield* pass(100)
      yield* configured.success
      const written = manager.script.rows.journalSeq
      yield* manager.done("get_budget_status", {})
      const first = yield* manager.post("r1", 1)
      yield* pass(50)
      const second = yield* manager.post("r2", 1)
      yield* pass(49)
      assert.isFalse(first.isAnswered)
      assert.strictEqual(manager.script.rows.journalSeq, written)
      yield* pass(1)
      assert.isTrue(first.isAnswered)
      assert.isTrue(second.isAnswered)
      assert.strictEqual(manager.script.rows.journalSeq, written + 1)
    }).pipe(told)
  )

  it.effect("survives a restart", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.ask("configure_manager", { commit_interval_ms: 100, default_completion_tokens: 7 })
      yield* pass(100)
      yield* manager.stop
      const again = yield* makeManager(manager.script)
      const { config } = yield* again.done("get_status", {})
      assert.strictEqual(config.commit_interval_ms, 100)
      assert.strictEqual(config.default_completion_tokens, 7)
    }).pipe(told)
  )
})

describe("the mailbox's bound", () => {
  it.effect("is max_pending, from the answer on; more is Overloaded at once", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.done("configure_manager", { max_pending: 3 })
      const gate = yield* makeGate
      manager.script.once("findRequests", gate.turn)
      const taken = yield* manager.post("r0", 1)
      yield* settle
      const waiting = yield* Effect.forEach([1, 2, 3], (index) => manager.post(`r${index}`, 1))
      const over = yield* manager.post("r4", 1)
      const error = yield* over.failure
      if (error._tag !== "Overloaded") throw new Error(error._tag)
      assert.isTrue(error.retry_after_ms > 0)
      yield* gate.open
      yield* settle
      for (const asked of [taken, ...waiting]) assert.strictEqual(yield* asked.outcome, "ok")
      assert.strictEqual(manager.recorded, "r0:1 r1:1 r2:1 r3:1")
    }).pipe(told)
  )
})

describe("lesson 1: N parallel holds with room for k admit exactly k", () => {
  it.effect("200 at once, room for 37, a hundred times", () =>
    Effect.gen(function* () {
      for (let run = 0; run < 100; run++) {
        const manager = yield* makeManager()
        yield* manager.budget("37")
        yield* manager.budget("370", { name: "team", type: "team", entity_id: "red" })
        const asked = yield* Effect.forEach(
          Array.from({ length: 200 }),
          (_, index) =>
            Effect.andThen(
              index % 7 === run % 7 ? Effect.yieldNow : Effect.void,
              manager.hold(`r${index}`, 1, { team_id: "red" })
            ),
          { concurrency: "unbounded" }
        )
        let admitted = 0
        for (const one of asked) if ((yield* one.outcome) === "ok") admitted += 1
        assert.strictEqual(admitted, 37, `run ${run}`)
        assert.strictEqual(yield* manager.standing, "spent 0, held 37")
        yield* manager.stop
      }
    }).pipe(told)
  )
})
