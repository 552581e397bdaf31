/** What every store of a ledger must do when it is asked what adjusts the usage of workflows: a further attempt does, too. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { SignalSuccess } from "../../src/signal/Catalogue.ts"
import { findAdjustments } from "../../src/tokens/AdjustmentQuery.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { batch, usageRow } from "./LedgerRows.ts"

type Check = (title: string, body: Effect.Effect<void, unknown, LedgerStore>) => void

const adjusting = (seq: number, adjustsSeq: number, workflow_id?: string) => ({
  ...usageRow(
    seq,
    {
      request_id: `r${adjustsSeq}`,
      adjusts: `use_${adjustsSeq}`,
      prompt_tokens: -3,
      ...(workflow_id !== undefined && { workflow_id })
    },
    0
  ),
  adjustsSeq
})

const ROWS = [
  usageRow(1, { workflow_id: "one" }),
  usageRow(2, { workflow_id: "two" }),
  usageRow(3),
  adjusting(4, 1, "one"),
  adjusting(5, 2, "two"),
  adjusting(6, 3),
  adjusting(7, 1, "one"),
  usageRow(8, { workflow_id: "two", attempt: 2 }),
  usageRow(9, { attempt: 2 })
]

let tenants = 0

const filled = (rows: typeof ROWS) =>
  Effect.gen(function* () {
    const store = yield* LedgerStore
    const tenant = `adjusted-${++tenants}`
    const claim = yield* store.claim(tenant, "owner")
    yield* store.commit(claim, batch("b0", { journalSeq: 0 }, { usage: rows }))
    return { store, tenant }
  })

export const adjustments = (check: Check): void => {
  check(
    "finds what adjusts the usage of workflows, the oldest first, after a number",
    Effect.gen(function* () {
      const { store, tenant } = yield* filled(ROWS)
      const find = (ids: ReadonlyArray<string>, after = 0, limit = 10) =>
        Effect.map(store.adjustmentsOf(tenant, ids, after, limit), (rows) => rows.map((row) => row.usage_seq))
      assert.deepStrictEqual(yield* find(["one"]), [4, 7])
      assert.deepStrictEqual(yield* find(["two", "none", "one"]), [4, 5, 7, 8])
      assert.deepStrictEqual(yield* find(["one", "two"], 4), [5, 7, 8])
      assert.deepStrictEqual(yield* find(["one", "two"], 0, 2), [4, 5])
      assert.deepStrictEqual(yield* find(["none", "", "\u0000"]), [])
      assert.deepStrictEqual(yield* find([]), [])
      assert.deepStrictEqual(yield* store.adjustmentsOf("another tenant", ["one"], 0, 10), [])
      const [first] = yield* store.adjustmentsOf(tenant, ["one"], 0, 1)
      assert.deepStrictEqual(first, ROWS[3]?.usage)
    })
  )
  check(
    "answers them page by page",
    Effect.gen(function* () {
      const many = Array.from({ length: 2_100 }, (_, index) =>
        index === 0 ? usageRow(1, { workflow_id: "one" }) : adjusting(index + 1, 1, "one")
      )
      const { store, tenant } = yield* filled(many as typeof ROWS)
      const found: Array<number> = []
      let pages = 0
      for (let after_seq: number | null = 0; after_seq !== null; pages++) {
        const page: SignalSuccess<"find_adjustments"> = yield* findAdjustments(store, tenant, {
          workflow_ids: ["one"],
          after_seq
        })
        found.push(...page.items.map(({ usage_seq }) => usage_seq))
        after_seq = page.next_seq
      }
      assert.strictEqual(pages, 3)
      assert.deepStrictEqual(
        found,
        Array.from({ length: 2_099 }, (_, index) => index + 2)
      )
    })
  )
}
