/**
 * Tenants with many budgets, each about somebody else.
 *
 * Owns: what such a budget is, and writing as many as are wanted through the store's port.
 */
import { Effect } from "effect"
import { UNIT } from "../../src/signal/Money.ts"
import type { Millis } from "../../src/signal/Text.ts"
import { KEPT_PERIODS_MS } from "../../src/tokens/Ledger.ts"
import type { BudgetDefinition, LedgerStore, PeriodRow } from "../../src/tokens/LedgerStore.ts"
import { windowAt } from "../../src/tokens/Period.ts"
import { batch, budget, period } from "../contract/LedgerRows.ts"
import { TENANT } from "./Workload.ts"

const ROWS_AT_ONCE = 10_000

const idOf = (index: number): string => `budget_many_${index.toString(36)}`

export const budgetOfMany = (index: number, now: Millis): BudgetDefinition =>
  budget(idOf(index), {
    name: `Budget of user ${index}`,
    type: "user",
    entityId: `somebody-${index}`,
    limit: 100n * UNIT,
    alertThresholds: [50, 80, 90],
    createdAt: now,
    updatedAt: now,
    sinceSeq: 0
  })

/** What it has spent in the period that runs. */
const periodOfMany = (index: number, now: Millis): PeriodRow =>
  period(idOf(index), {
    ...windowAt({ period: "monthly", timeZone: "UTC", weekStartsOn: "monday" }, now),
    spent: BigInt(index) * 1_000n,
    held: 0n
  })

/** Writes `count` budgets, each with a running period; answers the claim that they were written under. */
export const fillWithBudgets = (store: LedgerStore, count: number, now: Millis) =>
  Effect.gen(function* () {
    const claim = yield* store.claim(TENANT, "fill")
    const { journalSeq, head } = yield* store.load(claim, now - KEPT_PERIODS_MS)
    for (let from = 0, seq = journalSeq; from < count; from += ROWS_AT_ONCE, seq++) {
      const part = Array.from({ length: Math.min(ROWS_AT_ONCE, count - from) }, (_, index) => from + index)
      const budgets = part.map((index) => budgetOfMany(index, now))
      const periods = part.map((index) => periodOfMany(index, now))
      yield* store.commit(claim, batch(`fill ${from}`, { journalSeq: seq }, { head, budgets, periods }))
    }
    return claim
  }).pipe(Effect.orDie)
