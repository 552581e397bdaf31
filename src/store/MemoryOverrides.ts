/**
 * Overrides in a store in memory: the same reads as on Postgres.
 *
 * Owns: which of a tenant's overrides an activation reads, and a page of them.
 */
import type { LapsedOverrides, OverrideFilter, OverrideRow } from "../tokens/LedgerStore.ts"
import { isLive } from "../tokens/OverrideBook.ts"
import { definitionIdOf } from "../tokens/StandingKey.ts"

/** The overrides of one tenant, as they were written. */
export class MemoryOverrides {
  readonly #rows = new Map<string, OverrideRow>()

  write(rows: ReadonlyArray<OverrideRow>): void {
    for (const row of rows) this.#rows.set(row.id, row)
  }

  get live(): ReadonlyArray<OverrideRow> {
    return [...this.#rows.values()].filter(isLive).sort((a, b) => a.seq - b.seq)
  }

  lapsed(liveAfter: number): ReadonlyArray<LapsedOverrides> {
    const sums = new Map<string, LapsedOverrides>()
    for (const { status, budgetId, periodStart, periodEnd, approvedAmount } of this.#rows.values()) {
      if (status !== "expired" || approvedAmount === null) continue
      if (periodEnd !== null && periodEnd <= liveAfter) continue
      const key = `${periodStart} ${budgetId}`
      const amount = (sums.get(key)?.amount ?? 0n) + approvedAmount
      sums.set(key, { budgetId, periodStart, amount })
    }
    return [...sums.values()]
  }

  byId(ids: ReadonlyArray<string>): ReadonlyArray<OverrideRow> {
    return ids.flatMap((id) => this.#rows.get(id) ?? [])
  }

  page(filter: OverrideFilter, beforeSeq: number, limit: number): ReadonlyArray<OverrideRow> {
    const { status, budgetId, about, now } = filter
    const statusNow = (row: OverrideRow) =>
      isLive(row) && row.expiresAt !== null && row.expiresAt <= now ? "expired" : row.status
    return [...this.#rows.values()]
      .filter(
        (row) =>
          row.seq < beforeSeq &&
          (status === undefined || statusNow(row) === status) &&
          (budgetId === undefined || definitionIdOf(row.budgetId) === budgetId) &&
          (about === undefined ||
            about.some(({ type, entityId }) => row.type === type && row.entityId === entityId))
      )
      .sort((a, b) => b.seq - a.seq)
      .slice(0, limit)
  }
}
