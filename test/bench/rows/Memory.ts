/**
 * What a thousand budgets keep in memory: heap after garbage collection, beside the same budgets as plain objects out of
 * JSON.
 */
import { Effect } from "effect"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { Ledger } from "../../../src/tokens/Ledger.ts"
import { budgetOfMany, fillWithBudgets } from "../Budgets.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, number, type RowReport } from "../Figures.ts"
import { bytesOf } from "../Heap.ts"
import { TENANT } from "../Workload.ts"

const COUNTS: ByExtent<number> = { whole: 10_000, smallest: 100 }

const kilobytes = (bytes: number): string => `${number((bytes * 1_000) / 1024)} KiB per 1,000`

const comparison = (what: string, bytes: number, baseline: string, bare: number): Comparison => ({
  what,
  measured: kilobytes(bytes),
  baseline: `${baseline}: ${kilobytes(bare)}`,
  ratio: bytes / bare
})

const budgets = async (count: number): Promise<Comparison> => {
  const now = Date.now()
  const kept: Array<unknown> = []
  const loaded = await bytesOf(count, async (count) => {
    const store = makeMemoryLedgerStore()
    const filled = Effect.flatMap(fillWithBudgets(store, count, now), (claim) => store.load(claim, now))
    const snapshot = await Effect.runPromise(filled)
    const ledger = new Ledger(TENANT, snapshot, [], () => "")
    kept.push(ledger)
    return ledger
  })
  const plain = await bytesOf(count, async (count) => {
    const text = (_: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value)
    const rows = Array.from({ length: count }, (_, index) =>
      JSON.parse(
        JSON.stringify({ ...budgetOfMany(index, now), start: now, spent: String(index), held: "0" }, text)
      )
    )
    kept.push(rows)
    return rows as ReadonlyArray<unknown>
  })
  if (kept.length !== 4) throw new Error("something was not kept")
  return comparison("budgets with a running period", loaded, "plain objects out of JSON", plain)
}

export const memory = async (extent: Extent): Promise<RowReport> => {
  const count = COUNTS[extent]
  return {
    facts: [`heap after gc, of ${count} budgets, loaded and in use`],
    comparisons: [await budgets(count)]
  }
}
