/** What every store of a ledger must do when usage is cleaned up. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { convert, UNIT } from "../../src/signal/Money.ts"
import { cellsOf } from "../../src/tokens/Cleaning.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { unpricedRowOf } from "../../src/tokens/UnpricedUse.ts"
import { batch, NOON, usageRow } from "./LedgerRows.ts"

type Check = (title: string, body: Effect.Effect<void, unknown, LedgerStore>) => void

const LATER = NOON + 100_000_000
const span = { measure: "cost", from: 0, to: null } as const

const ROWS = [
  usageRow(1, { user_id: "ada" }),
  usageRow(2, { user_id: "ada", team_id: "core", conversation_id: "c".repeat(256) }),
  usageRow(3, { user_id: "bob", booked_at: NOON - 3_600_000 }, 0),
  usageRow(4, { user_id: "ada", recorded_at: LATER, booked_at: LATER })
]

let tenants = 0

const filled = Effect.gen(function* () {
  const store = yield* LedgerStore
  const tenant = `cleaned-${++tenants}`
  const claim = yield* store.claim(tenant, "owner")
  yield* store.commit(claim, batch("b0", { journalSeq: 0 }, { usage: ROWS }))
  return { store, tenant, claim }
})

/** Deletes these rows of ROWS, which a store may have or not. */
const cleaning = (journalSeq: number, seqs: ReadonlyArray<number>, before = LATER) => {
  const rows = ROWS.filter(({ usage }) => seqs.includes(usage.usage_seq))
  return batch(`b${journalSeq}`, { journalSeq }, { cleaned: { before, seqs, cells: cellsOf(rows, [1]) } })
}

export const cleaningUp = (check: Check): void => {
  check(
    "finds the oldest rows that are recorded and booked before a moment",
    Effect.gen(function* () {
      const { store, tenant } = yield* filled
      assert.deepStrictEqual(yield* store.oldUsage(tenant, LATER, 2), ROWS.slice(0, 2))
      assert.deepStrictEqual(yield* store.oldUsage(tenant, LATER, 10), ROWS.slice(0, 3))
      assert.deepStrictEqual(yield* store.oldUsage(tenant, LATER + 1, 10), ROWS)
      assert.strictEqual(yield* store.countOldUsage(tenant, LATER), 3)
      assert.strictEqual(yield* store.countOldUsage("another tenant", LATER), 0)
      assert.deepStrictEqual(yield* store.oldUsage("another tenant", LATER, 10), [])
    })
  )
  check(
    "deletes rows and keeps their sums, step by step: what was spent stays the same",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* filled
      const sums = Effect.gen(function* () {
        return {
          all: yield* store.spent(tenant, { ...span, type: "global", entityId: null }),
          ada: yield* store.spent(tenant, { ...span, type: "user", entityId: "ada" }),
          tokens: yield* store.spent(tenant, { ...span, measure: "tokens", type: "team", entityId: "core" }),
          sinceNoon: yield* store.spent(tenant, { ...span, from: NOON, type: "global", entityId: null }),
          untilNoon: yield* store.spent(tenant, { ...span, to: NOON, type: "user", entityId: "bob" }),
          requests: yield* store.spentByEntity(tenant, { ...span, measure: "requests", type: "user" }, 10)
        }
      })
      const before = yield* sums
      yield* store.commit(claim, cleaning(1, [1]))
      assert.deepStrictEqual(yield* sums, before)
      yield* store.commit(claim, cleaning(2, [2, 3]))
      assert.deepStrictEqual(yield* sums, before)
      const { usage } = ROWS[3] ?? assert.fail()
      assert.deepStrictEqual(yield* store.usageAfter(tenant, {}, 0, 10), [usage])
      assert.strictEqual(yield* store.countOldUsage(tenant, LATER), 0)
      const cells = yield* store.cleanedAfter(tenant, undefined, 10)
      assert.deepStrictEqual(
        cells.map(({ bookedFrom, afterSeq, rows, requests, subject }) => [
          (bookedFrom - NOON) / 3_600_000,
          afterSeq,
          rows,
          requests,
          subject.user_id
        ]),
        [
          [0, 0, 1, 1, "ada"],
          [-1, 1, 1, 0, "bob"],
          [0, 1, 1, 1, "ada"]
        ]
      )
      assert.deepStrictEqual(yield* store.cleanedAfter(tenant, cells[0], 1), cells.slice(1, 2))
    })
  )
  check(
    "adds to a cell that is there, currency by currency",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* filled
      const third = UNIT / 3n
      const rows = [
        usageRow(5, { user_id: "ada" }),
        usageRow(6, { user_id: "ada", cost: 5n, budget_rates: { EUR: UNIT / 2n } }),
        usageRow(7, { user_id: "ada", cost: 10n ** 27n - 1n, budget_rates: { EUR: UNIT, GBP: third } }),
        usageRow(8, { user_id: "ada" }),
        usageRow(9, { user_id: "ada", cost: -2n, budget_rates: { EUR: UNIT, JPY: UNIT } })
      ]
      yield* store.commit(claim, batch("b1", { journalSeq: 1 }, { usage: rows }))
      for (const [index, row] of rows.entries()) {
        const cleaned = { before: LATER, seqs: [row.usage.usage_seq], cells: cellsOf([row], []) }
        yield* store.commit(claim, batch(`c${index}`, { journalSeq: 2 + index }, { cleaned }))
      }
      const cells = yield* store.cleanedAfter(tenant, undefined, 10)
      assert.deepStrictEqual(cells, cellsOf(rows, []))
      assert.deepStrictEqual(cells[0]?.converted, {
        EUR: 10n ** 27n - 1n,
        GBP: convert(10n ** 27n - 1n, third),
        JPY: -2n
      })
    })
  )
  check(
    "takes what is deleted from the list of what waits for a price",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* filled
      const waiting = ROWS.slice(0, 2).map(({ usage }) => unpricedRowOf(usage))
      yield* store.commit(
        claim,
        batch("b1", { journalSeq: 1 }, { unpriced: { added: waiting, removed: [] } })
      )
      yield* store.commit(claim, cleaning(2, [1]))
      const [first] = waiting
      const query = { provider: first?.provider ?? "", model: first?.model ?? "", from: null }
      assert.deepStrictEqual(yield* store.findUnpriced(tenant, query, 10), waiting.slice(1))
    })
  )
  check(
    "writes nothing where a row is not there any more, or not old, or the owner is fenced",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* filled
      const outcome = (entry: ReturnType<typeof cleaning>) =>
        Effect.map(Effect.flip(store.commit(claim, entry)), (error) => error._tag)
      assert.strictEqual(yield* outcome(cleaning(1, [1, 9])), "BatchRefused")
      assert.strictEqual(yield* outcome(cleaning(1, [1, 4])), "BatchRefused")
      assert.strictEqual(yield* store.countOldUsage(tenant, LATER), 3)
      yield* store.claim(tenant, "another")
      assert.strictEqual(yield* outcome(cleaning(1, [1])), "Fenced")
      assert.strictEqual(yield* store.countOldUsage(tenant, LATER), 3)
      assert.deepStrictEqual(yield* store.cleanedAfter(tenant, undefined, 10), [])
    })
  )
}
