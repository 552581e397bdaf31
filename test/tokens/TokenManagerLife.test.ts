/** A TokenManager's life: deadlines, clocks that jump, activation after a crash, stopping. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { pass, settle } from "../../src/testing.ts"
import { Books, MORNING } from "./support/Books.ts"
import { assertRecordedOnce, makeManager, told } from "./support/Manager.ts"
import { makeGate } from "./support/ScriptedStore.ts"

describe("lesson 2: a hold whose caller died", () => {
  it.effect("ends by the timer, at its moment, without any signal", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.hold("r1", 10, { hold_ttl_ms: 60_000 })).success
      const written = manager.script.rows.journalSeq
      yield* pass(59_999)
      assert.strictEqual(manager.script.rows.journalSeq, written)
      yield* pass(1)
      assert.strictEqual(manager.script.rows.journalSeq, written + 1)
      assert.strictEqual(manager.script.rows.holdStateOf("r1"), "expired")
      assert.deepStrictEqual(
        manager.told.at(-1)?.batch.alerts.map(({ alert }) => alert.kind),
        ["hold_unsettled"]
      )
      assert.strictEqual(manager.told.at(-1)?.standings[0]?.held, 0n)
      assert.strictEqual(yield* manager.standing, "spent 0, held 0")
    }).pipe(told)
  )

  it.effect("an earlier deadline that comes later is kept as well", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.hold("r1", 1, { hold_ttl_ms: 600_000 })).success
      yield* pass(1_000)
      yield* (yield* manager.hold("r2", 2, { hold_ttl_ms: 5_000 })).success
      yield* pass(5_000)
      assert.strictEqual(manager.script.rows.holdStateOf("r2"), "expired")
      assert.strictEqual(manager.script.rows.holdStateOf("r1"), "held")
      yield* pass(594_000)
      assert.strictEqual(manager.script.rows.holdStateOf("r1"), "expired")
    }).pipe(told)
  )

  it.effect("an extended hold ends at its new deadline", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const held = yield* (yield* manager.hold("r1", 1, { hold_ttl_ms: 5_000 })).success
      if (!held.allowed || held.hold_id === undefined) throw new Error("no hold")
      yield* manager.done("extend_hold", { hold_id: held.hold_id, ttl_ms: 20_000 })
      yield* pass(19_999)
      assert.strictEqual(manager.script.rows.holdStateOf("r1"), "held")
      yield* pass(1)
      assert.strictEqual(manager.script.rows.holdStateOf("r1"), "expired")
    }).pipe(told)
  )

  it.effect("a deadline that comes while a commit is on its way is kept after it", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.hold("r1", 10, { hold_ttl_ms: 5_000 })).success
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      yield* manager.post("r2", 1)
      yield* pass(6_000)
      yield* gate.open
      yield* settle
      assert.strictEqual(manager.script.rows.holdStateOf("r1"), "expired")
      assert.strictEqual(yield* manager.standing, "spent 1, held 0")
    }).pipe(told)
  )

  it.effect("lesson 23: after a restart its deadline counts once, and from when it was made", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.hold("r1", 10, { hold_ttl_ms: 60_000 })).success
      yield* pass(30_000)
      yield* manager.stop
      const again = yield* makeManager(manager.script)
      yield* pass(29_999)
      assert.strictEqual(yield* again.standing, "spent 0, held 10")
      yield* pass(1)
      assert.strictEqual(yield* again.standing, "spent 0, held 0")
      yield* pass(600_000)
      assert.strictEqual(again.script.rows.alerts.length, 1)
    }).pipe(told)
  )

  it.effect("a deadline that passed while nobody was alive is kept at activation", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.hold("r1", 10, { hold_ttl_ms: 60_000 })).success
      yield* manager.stop
      yield* pass(3_600_000)
      const again = yield* makeManager(manager.script)
      assert.strictEqual(again.script.rows.holdStateOf("r1"), "expired")
      assert.strictEqual(yield* (yield* again.hold("r2", 10)).outcome, "ok")
    }).pipe(told)
  )

  it.effect("after an outage all holds are due at once, and end batch by batch", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10000")
      for (let from = 0; from < 5_000; from += 1_000) {
        const asked = []
        for (let n = from; n < from + 1_000; n++) asked.push(yield* manager.hold(`r${n}`, 1))
        for (const hold of asked) yield* hold.success
      }
      assert.strictEqual(yield* manager.standing, "spent 0, held 5000")
      yield* manager.stop
      yield* pass(3_600_000)
      const again = yield* makeManager(manager.script)
      assert.strictEqual(yield* again.standing, "spent 0, held 0")
      assert.strictEqual(again.script.rows.alerts.length, 5_000)
      for (const { batch } of again.told) assert.isAtMost(batch.changedRequests.length, 2_000)
    }).pipe(told)
  )

  it.effect("a hold that is extended without end leaves no trail of deadlines", () =>
    Effect.gen(function* () {
      const books = new Books()
      const held = Result.getOrThrow(
        yield* books.ask("check_budget", { request_id: "r1", estimated_tokens: 1 })
      )
      if (!held.allowed || held.hold_id === undefined) throw new Error("no hold")
      for (let turn = 0; turn < 6_000; turn++) {
        books.now += 1
        yield* books.ask("extend_hold", { hold_id: held.hold_id, ttl_ms: 86_400_000 })
      }
      assert.isBelow(books.ledger.deadlines.size, 5_000)
      assert.strictEqual(books.ledger.deadlines.earliest?.id, held.hold_id)
    })
  )
})

describe("clocks", () => {
  it.effect("a process that slept for a week wakes up in the right period", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.hold("r1", 4)).success
      yield* (yield* manager.post("r2", 6)).success
      yield* TestClock.setTime(MORNING + 7 * 86_400_000)
      yield* settle
      assert.strictEqual(yield* manager.standing, "spent 0, held 0")
      assert.strictEqual(yield* (yield* manager.hold("r3", 10)).outcome, "ok")
      assert.strictEqual(manager.script.rows.holdStateOf("r1"), "expired")
    }).pipe(told)
  )

  it.effect("lesson 11: a clock that ran ahead and came back does not wipe what was spent", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.post("r1", 6)).success
      yield* manager.stop
      yield* TestClock.setTime(MORNING + 30 * 86_400_000)
      const ahead = yield* makeManager(manager.script)
      assert.strictEqual(yield* ahead.standing, "spent 0, held 0")
      yield* TestClock.setTime(MORNING + 60_000)
      yield* settle
      assert.strictEqual(yield* ahead.standing, "spent 6, held 0")
      yield* (yield* ahead.post("r2", 1)).success
      assert.strictEqual(yield* ahead.standing, "spent 7, held 0")
      assert.strictEqual(yield* (yield* ahead.hold("r3", 4)).outcome, "refused")
      assert.strictEqual(yield* (yield* ahead.hold("r3", 3)).outcome, "ok")
    }).pipe(told)
  )
})

describe("activation after a crash", () => {
  it.effect("open holds are still held, and counters are equal", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("100")
      yield* (yield* manager.hold("r1", 10)).success
      yield* (yield* manager.hold("r2", 20)).success
      yield* (yield* manager.post("r1", 7)).success
      const before = yield* manager.done("get_status", {})
      yield* manager.stop
      const again = yield* makeManager(manager.script)
      const after = yield* again.done("get_status", {})
      for (const figure of [
        "open_holds",
        "total_tracked",
        "total_tokens",
        "total_cost",
        "budgets_active"
      ] as const) {
        assert.strictEqual(after[figure], before[figure], figure)
      }
      assert.strictEqual(yield* again.standing, "spent 7, held 20")
      assert.strictEqual(yield* (yield* again.hold("r2", 20)).outcome, "ok")
      assert.strictEqual((yield* (yield* again.post("r1", 7)).success).duplicate, true)
      assert.strictEqual((yield* (yield* again.post("r2", 9)).success).usage.overage, 0n)
      assertRecordedOnce(again, ["r1", "r2"])
    }).pipe(told)
  )

  it.effect("requests that memory has forgotten are still known", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const ids = Array.from({ length: 3_000 }, (_, index) => `r${index}`)
      for (const id of ids) yield* manager.post(id, 1)
      yield* settle
      for (const id of ["r0", "r1", "r2999"]) {
        assert.isTrue((yield* (yield* manager.post(id, 1)).success).duplicate, id)
        assert.strictEqual(yield* (yield* manager.post(id, 2)).outcome, "Conflict", id)
      }
      assert.strictEqual(manager.script.rows.usage.length, 3_000)
    }).pipe(told)
  )

  it.effect("lesson 3: what is not committed yet is never forgotten, however full the memory is", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      for (let index = 0; index < 1_000; index++) yield* manager.post(`r${index}`, 1)
      yield* settle
      const first = yield* makeGate
      const second = yield* makeGate
      manager.script.once("commit", first.turn, second.turn)
      yield* manager.post("one more", 1)
      yield* settle
      yield* manager.post("r0", 2, { attempt: 2 })
      yield* settle
      yield* first.open
      yield* settle
      const again = yield* manager.post("r0", 2, { attempt: 2 })
      yield* settle
      yield* second.open
      yield* settle
      assert.isTrue((yield* again.success).duplicate)
      assert.strictEqual(manager.script.rows.usage.length, 1_002)
    }).pipe(told)
  )

  it.effect("a command's result is still known", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const first = yield* manager.budget("10", { request_id: "c1" })
      yield* manager.stop
      const again = yield* makeManager(manager.script)
      assert.deepStrictEqual(yield* again.budget("10", { request_id: "c1" }), first)
      assert.strictEqual((yield* again.done("get_budget_status", {})).budgets.length, 1)
    }).pipe(told)
  )
})

describe("lesson 12: stopping", () => {
  it.effect("finishes what is on its way, answers it, and refuses the rest", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const onItsWay = yield* manager.post("r1", 4)
      yield* settle
      const decided = yield* manager.post("r2", 1)
      yield* settle
      yield* Effect.forkDetach(manager.stop)
      yield* settle
      assert.isFalse(onItsWay.isAnswered)
      yield* gate.open
      yield* settle
      assert.strictEqual(yield* onItsWay.outcome, "ok")
      assert.strictEqual(yield* decided.outcome, "Unavailable")
      const late = yield* manager.post("r3", 1)
      // Nobody makes it anew here: a runtime does, and says so.
      assert.strictEqual(yield* late.outcome, "NotFound")
      assert.strictEqual(manager.recorded, "r1:4")
    }).pipe(told)
  )

  for (const operation of ["findRequests", "spent", "usagePage"] as const) {
    it.effect(`in the middle of a look-up (${operation}) nobody is left waiting`, () =>
      Effect.gen(function* () {
        const manager = yield* makeManager()
        yield* (yield* manager.post("r0", 1)).success
        const gate = yield* makeGate
        manager.script.once(operation, gate.turn)
        const asked =
          operation === "findRequests"
            ? yield* manager.post("r1", 1)
            : operation === "spent"
              ? yield* manager.ask("create_budget", {
                  name: "a",
                  type: "global",
                  period: "daily",
                  limit: "1"
                })
              : yield* manager.ask("get_usage", {})
        yield* settle
        const behind = yield* manager.post("r2", 1)
        yield* manager.stop
        yield* gate.open
        yield* settle
        assert.isTrue(asked.isAnswered, "the one that was looked up")
        assert.isTrue(behind.isAnswered, "the one behind it")
      }).pipe(told)
    )
  }
})

describe("get_usage", () => {
  it.effect("pages that later writes neither shift nor repeat, and a cursor belongs to its filter", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      for (let index = 1; index <= 7; index++) {
        yield* (yield* manager.post(`r${index}`, index, { user_id: index % 2 === 0 ? "ann" : "bob" })).success
      }
      const seqs: Array<number> = []
      let page = yield* manager.done("get_usage", { limit: 3 })
      assert.strictEqual(page.totals?.total_tokens, 28)
      assert.strictEqual(page.totals?.requests, 7)
      for (;;) {
        seqs.push(...page.items.map(({ usage_seq }) => usage_seq))
        if (page.next_cursor === null) break
        yield* (yield* manager.post(`late${seqs.length}`, 1)).success
        page = yield* manager.done("get_usage", { limit: 3, cursor: page.next_cursor })
        assert.isUndefined(page.totals)
      }
      assert.deepStrictEqual(seqs, [7, 6, 5, 4, 3, 2, 1])
      const first = yield* manager.done("get_usage", { limit: 1, user_id: "ann" })
      const cursor = first.next_cursor ?? ""
      const foreign = yield* manager.ask("get_usage", { limit: 1, user_id: "bob", cursor })
      assert.strictEqual(yield* foreign.outcome, "InvalidParams")
      const nonsense = yield* manager.ask("get_usage", { cursor: "nonsense" })
      assert.strictEqual(yield* nonsense.outcome, "InvalidParams")
    }).pipe(told)
  )

  it.effect("lesson 22: sees everything that was acknowledged before", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      for (let index = 1; index <= 20; index++) {
        yield* (yield* manager.post(`r${index}`, 1)).success
        assert.strictEqual((yield* manager.done("get_usage", {})).items.length, index)
      }
    }).pipe(told)
  )
})
