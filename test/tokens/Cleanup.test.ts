/** Old usage goes: what is left, and what is kept of it, add up to every counter. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import { formatAmount } from "../../src/signal/Money.ts"
import { pass, settle } from "../../src/testing.ts"
import { cellsOf } from "../../src/tokens/Cleaning.ts"
import { CLEANED_AT_ONCE } from "../../src/tokens/Cleanup.ts"
import { NOON, usageRow } from "../contract/LedgerRows.ts"
import { checkRows } from "./support/Invariants.ts"
import { type Manager, makeManager, told } from "./support/Manager.ts"
import { makeGate } from "./support/ScriptedStore.ts"

const DAY_MS = 86_400_000

/** The tenant sleeps for so many days. */
const later = (manager: Manager, days: number) =>
  Effect.gen(function* () {
    yield* manager.stop
    yield* TestClock.adjust(days * DAY_MS)
    return yield* makeManager(manager.script)
  })

const post = (
  manager: Manager,
  id: string,
  tokens: number,
  more: Partial<SignalParams<"track_usage">> = {}
) => Effect.flatMap(manager.post(id, tokens, more), (asked) => asked.success)

/** The spending of a budget that is made now. */
const spentOfNew = (manager: Manager, more: Partial<SignalParams<"create_budget">>) =>
  Effect.map(manager.budget("1000", more), ({ budget }) => formatAmount(budget.spent))

/** Usage of two users at the turn of the year, a budget that is made in between, and a hundred days. */
const makeOld = Effect.gen(function* () {
  let manager = yield* makeManager()
  yield* manager.budget("1000", { type: "user", entity_id: "*", period: "yearly" })
  yield* post(manager, "r1", 1, { user_id: "ann" })
  yield* post(manager, "r2", 2, { user_id: "bob", team_id: "red" })
  yield* manager.budget("1000", { type: "user", entity_id: "bob", period: "yearly" })
  yield* manager.budget("1000", { period: "hourly" })
  yield* post(manager, "r3", 4, { user_id: "bob" })
  yield* manager.budget("1000", { period: "lifetime", measure: "requests" })
  manager = yield* later(manager, 100)
  yield* post(manager, "r4", 8, { user_id: "ann" })
  yield* settle
  return manager
})

const clean = (manager: Manager, more: SignalParams<"cleanup_old_data"> = {}) =>
  manager.done("cleanup_old_data", { dry_run: false, ...more })

describe("cleanup_old_data", () => {
  it.effect(
    "counts only, unless it is told otherwise; by the retention of the configuration, or its own",
    () =>
      Effect.gen(function* () {
        const manager = yield* makeOld
        const counted = yield* manager.done("cleanup_old_data", {})
        assert.deepInclude(counted, { dry_run: true, usage_rows: 3 })
        assert.include(counted.message, "Nothing was deleted")
        yield* manager.done("configure_manager", { retention_days: 101 })
        assert.strictEqual((yield* manager.done("cleanup_old_data", {})).usage_rows, 0)
        const other = yield* manager.done("cleanup_old_data", { older_than_days: 100 })
        assert.strictEqual(other.usage_rows, 0, "whole quarters of an hour")
        assert.strictEqual((yield* manager.done("cleanup_old_data", { older_than_days: 99 })).usage_rows, 3)
        assert.strictEqual(manager.script.rows.usage.length, 4)
        assert.strictEqual((yield* manager.done("get_status", {})).config.retention_days, 101)
      }).pipe(told)
  )

  it.effect("takes the rows; totals, budgets and what a new budget counts from before stay", () =>
    Effect.gen(function* () {
      const manager = yield* makeOld
      const before = yield* manager.done("get_budget_status", {})
      assert.deepInclude(yield* clean(manager), { dry_run: false, usage_rows: 3 })
      assert.strictEqual(manager.recorded, "r4:8")
      checkRows(manager.script.rows, "after a cleanup")
      const again = yield* later(manager, 0)
      assert.deepStrictEqual(yield* again.done("get_budget_status", {}), before)
      const status = yield* again.done("get_status", {})
      assert.deepInclude(status, { total_tracked: 4, total_tokens: 15 })
      const usage = yield* again.done("get_usage", {})
      assert.deepInclude(usage.totals, { requests: 1, total_tokens: 8 })
      assert.strictEqual(yield* spentOfNew(again, { period: "lifetime" }), "15")
      assert.strictEqual(yield* spentOfNew(again, { period: "yearly", time_zone: "Pacific/Apia" }), "15")
      assert.strictEqual(yield* spentOfNew(again, { period: "yearly", type: "team", entity_id: "red" }), "2")
      assert.strictEqual(
        yield* spentOfNew(again, { period: "quarterly", type: "user", entity_id: "ann" }),
        "8"
      )
      assert.strictEqual(yield* spentOfNew(again, { period: "lifetime", measure: "requests" }), "4")
      yield* again.budget("1000", { type: "model", entity_id: "*", period: "lifetime", name: "models" })
      const { budgets } = yield* again.done("get_budget_status", { type: "model", entity_id: "dollar" })
      assert.deepStrictEqual(
        budgets.map(({ spent }) => formatAmount(spent)),
        ["15"]
      )
      assert.strictEqual((yield* clean(again)).usage_rows, 0)
      checkRows(again.script.rows, "with new budgets")
    }).pipe(told)
  )

  it.effect("a request stays unique: what was cleaned up is neither counted again nor changed", () =>
    Effect.gen(function* () {
      const manager = yield* later(yield* Effect.tap(makeOld, (old) => clean(old)), 0)
      const repeated = yield* manager.post("r1", 1, { user_id: "ann" })
      const error = yield* repeated.failure
      assert.deepInclude(error, { _tag: "NotFound", kind: "usage", id: "r1" })
      assert.include(error.message, "cleaned up")
      assert.strictEqual(yield* (yield* manager.post("r1", 3)).outcome, "NotFound")
      yield* post(manager, "r1", 5, { attempt: 2, user_id: "ann" })
      assert.strictEqual((yield* manager.done("get_status", {})).total_tracked, 4)
      checkRows(manager.script.rows, "after a repeat")
    }).pipe(told)
  )

  it.effect(
    "nor corrected, nor replaced where it was estimated, whether or not memory has had it at hand",
    () =>
      Effect.gen(function* () {
        let manager = yield* makeManager()
        yield* post(manager, "r1", 1)
        yield* post(manager, "r2", 2, { status: "estimated" })
        const correct = (tokens: number) =>
          manager.ask("correct_usage", {
            request_id: "r1",
            usage: { prompt_tokens: tokens, completion_tokens: 0 },
            reason: "seen"
          })
        yield* (yield* correct(3)).success
        manager = yield* later(manager, 100)
        yield* (yield* correct(5)).success
        assert.isTrue((yield* post(manager, "r2", 2, { status: "estimated" })).duplicate)
        assert.strictEqual((yield* clean(manager)).usage_rows, 3)
        for (let turn = 0; turn < 2; turn++) {
          const error = yield* (yield* correct(7)).failure
          assert.deepInclude(error, { _tag: "NotFound", kind: "usage", id: "r1" })
          assert.include(error.message, "cleaned up")
          const final = yield* (yield* manager.post("r2", 4)).failure
          assert.deepInclude(final, { _tag: "NotFound", kind: "usage", id: "r2" })
          assert.include(final.message, "cleaned up")
          assert.deepInclude(yield* manager.done("get_status", {}), { total_tracked: 2, total_tokens: 7 })
          checkRows(manager.script.rows, "after corrections")
          manager = yield* later(manager, 0)
        }
      }).pipe(told)
  )

  it.effect("keeps what budgets in other currencies have come to, each row at its own rate", () =>
    Effect.gen(function* () {
      const rated = (manager: Manager, EUR: string) =>
        manager.done("update_exchange_rates", { base: "USD", rates: { EUR } })
      let manager = yield* makeManager()
      yield* rated(manager, "0.333333333333")
      yield* manager.budget("1000", { name: "euro", period: "yearly", currency: "EUR" })
      yield* post(manager, "r1", 1)
      yield* TestClock.adjust(1_000)
      yield* rated(manager, "0.666666666667")
      yield* post(manager, "r2", 2)
      yield* manager.budget("1000", { type: "user", entity_id: "*", period: "yearly", currency: "EUR" })
      yield* post(manager, "r3", 3, { user_id: "ann" })
      manager = yield* later(manager, 100)
      yield* rated(manager, "0.5")
      yield* post(manager, "r4", 4, { user_id: "ann" })
      yield* settle
      const before = yield* manager.done("get_budget_status", {})
      assert.strictEqual((yield* clean(manager)).usage_rows, 3)
      checkRows(manager.script.rows, "after a cleanup")
      manager = yield* later(manager, 0)
      assert.deepStrictEqual(yield* manager.done("get_budget_status", {}), before)
      const [euro] = (yield* manager.done("get_budget_status", { type: "global" })).budgets
      assert.strictEqual(euro && formatAmount(euro.spent), "5.666666666668")
      assert.strictEqual(yield* spentOfNew(manager, { period: "lifetime", currency: "EUR" }), "5")
      assert.strictEqual(yield* spentOfNew(manager, { period: "lifetime" }), "10")
      checkRows(manager.script.rows, "with new budgets")
    }).pipe(told)
  )

  it.effect("is audited once, and the same request_id answers the first result", () =>
    Effect.gen(function* () {
      const manager = yield* makeOld
      const first = yield* clean(manager, { request_id: "c1" })
      assert.deepStrictEqual(yield* clean(manager, { request_id: "c1" }), first)
      const other = yield* manager.ask("cleanup_old_data", {
        dry_run: false,
        request_id: "c1",
        older_than_days: 30
      })
      assert.strictEqual(yield* other.outcome, "Conflict")
      const trail = yield* manager.done("get_audit_trail", { kind: "cleanup_old_data" })
      assert.deepStrictEqual(
        trail.items.map(({ principal, after }) => [
          principal?.key_id,
          (after as { usage_rows: number }).usage_rows
        ]),
        [["admin", 3]]
      )
    }).pipe(told)
  )

  it.effect(
    "goes in steps between everybody else's batches; stopped by an outage, the next one goes on",
    () =>
      Effect.gen(function* () {
        const count = 2 * CLEANED_AT_ONCE + 1
        let manager = yield* makeManager()
        const { rows } = manager.script
        const asked = yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
          manager.post(`p${index}`, 1)
        )
        for (let turn = 0; turn < 10; turn++) yield* settle
        for (const one of asked) assert.isTrue(one.isAnswered)
        manager = yield* later(manager, 100)
        const gate = yield* makeGate
        manager.script.once("commit", gate.turn)
        const cleaning = yield* manager.ask("cleanup_old_data", { dry_run: false })
        const second = yield* manager.ask("cleanup_old_data", { dry_run: false })
        yield* settle
        const posted = yield* manager.post("new", 1)
        yield* settle
        yield* gate.open
        yield* settle
        assert.isTrue(posted.isAnswered)
        yield* pass(1_000)
        assert.strictEqual((yield* cleaning.success).usage_rows, count)
        assert.strictEqual((yield* second.success).usage_rows, 0, "one at a time")
        assert.strictEqual(manager.recorded, "new:1")
        checkRows(rows, "after many steps")
      }).pipe(told)
  )

  it.effect("stopped by an outage, the next one goes on from there", () =>
    Effect.gen(function* () {
      const manager = yield* makeOld
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const cleaning = yield* manager.ask("cleanup_old_data", { dry_run: false })
      yield* settle
      manager.script.rows.claim("default", "somebody else")
      yield* gate.open
      yield* settle
      assert.strictEqual(yield* cleaning.outcome, "Unavailable")
      assert.strictEqual(manager.script.rows.usage.length, 4, "a fenced owner deletes nothing")
      assert.strictEqual((yield* clean(manager)).usage_rows, 3)
      checkRows(manager.script.rows, "in the end")
    }).pipe(told)
  )
})

describe("cells", () => {
  const MINUTE = 60_000
  it("are quarters of an hour, apart by subject, by currency, and by the budgets that were made between", () => {
    const rows = [
      usageRow(1, { user_id: "ann", booked_at: NOON }),
      usageRow(2, { user_id: "ann", booked_at: NOON + 15 * MINUTE - 1 }, 0),
      usageRow(3, { user_id: "ann", booked_at: NOON + 15 * MINUTE }),
      usageRow(4, { user_id: "bob", booked_at: NOON }),
      usageRow(5, { user_id: "ann", booked_at: NOON }),
      usageRow(6, { user_id: "ann", booked_at: NOON, currency: "EUR" })
    ]
    const shown = cellsOf(rows, [0, 4, 9]).map(
      ({ bookedFrom, currency, afterSeq, subject, rows: count, requests, cost }) =>
        `${(bookedFrom - NOON) / MINUTE} ${currency} after ${afterSeq} ${subject.user_id}: ${count} ${requests} ${formatAmount(cost)}`
    )
    assert.deepStrictEqual(shown, [
      "0 USD after 0 ann: 2 1 0.003",
      "15 USD after 0 ann: 1 1 0.0015",
      "0 USD after 0 bob: 1 1 0.0015",
      "0 USD after 4 ann: 1 1 0.0015",
      "0 EUR after 4 ann: 1 1 0.0015"
    ])
  })
})
