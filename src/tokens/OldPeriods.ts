/**
 * Borrows from the store the periods of long ago that an adjustment is about to be charged to.
 *
 * Owns: which signals may adjust usage of long ago, and reading the periods that memory lacks, in one query.
 * Does not decide: whether there will be an adjustment, or what a settled period hands over (BudgetPeriods).
 */
import { Effect } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import type { Millis } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { LedgerSignal } from "./Decide.ts"
import type { Ledger } from "./Ledger.ts"
import type { LedgerStore, StoreUnreachable } from "./LedgerStore.ts"

/** Periods that are read at once. */
const PERIODS_AT_ONCE = 10_000

/** The first rows that these signals may adjust: what a correction is about, and estimates that become final. */
export const adjustable = (
  ledger: Ledger,
  envelopes: ReadonlyArray<Envelope<LedgerSignal>>
): ReadonlyArray<TokenUsage> => {
  const rows: Array<TokenUsage> = []
  for (const envelope of envelopes) {
    if (envelope.name !== "correct_usage" && envelope.name !== "track_usage") continue
    const request = ledger.request(envelope.payload.request_id)
    for (const attempt of request?.attempts ?? []) {
      if (envelope.name === "track_usage" && !attempt.isEstimated) continue
      const first = request?.usageBySeq(attempt.usageSeq)
      if (first !== undefined) rows.push(first)
    }
  }
  return rows
}

interface Missing {
  readonly budget: BudgetRecord
  readonly at: Millis
}

/** A moment in each period that memory lacks. */
const missingFor = (ledger: Ledger, rows: ReadonlyArray<TokenUsage>): ReadonlyArray<Missing> => {
  const { horizon } = ledger
  const missing = new Map<string, Missing>()
  for (const { booked_at: at, ...subject } of rows) {
    if (at >= horizon) continue
    for (const budget of ledger.index.matching(subject)) {
      const start = budget.missingPeriod(at, horizon)
      if (start !== undefined) missing.set(`${start} ${budget.key}`, { budget, at })
    }
  }
  return [...missing.values()]
}

const borrowSome = (
  store: LedgerStore,
  ledger: Ledger,
  missing: ReadonlyArray<Missing>
): Effect.Effect<void, StoreUnreachable> => {
  const queries = missing.map(({ budget, at }) => ({ budgetId: budget.key, at }))
  return Effect.map(store.findPeriods(ledger.tenant, queries), (found) => {
    const byBudget = Map.groupBy(
      found.toSorted((a, b) => a.start - b.start),
      ({ budgetId }) => budgetId
    )
    for (const { budget, at } of missing) {
      const last = byBudget.get(budget.key)?.findLast(({ start }) => start <= at)
      ledger.borrowPeriod(budget, at, last)
    }
  })
}

/** Lets the ledger have every period that an adjustment of these rows is charged to; `undefined` where it has them. */
export const borrowPeriods = (
  store: LedgerStore,
  ledger: Ledger,
  rows: ReadonlyArray<TokenUsage>
): Effect.Effect<void, StoreUnreachable> | undefined => {
  const missing = missingFor(ledger, rows)
  if (missing.length === 0) return undefined
  const parts: Array<ReadonlyArray<Missing>> = []
  for (let from = 0; from < missing.length; from += PERIODS_AT_ONCE) {
    parts.push(missing.slice(from, from + PERIODS_AT_ONCE))
  }
  return Effect.forEach(parts, (part) => borrowSome(store, ledger, part), { discard: true })
}
