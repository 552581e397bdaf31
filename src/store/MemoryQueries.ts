/**
 * What is asked of rows in memory.
 *
 * Owns: the same answers as the queries on Postgres (SqlLedgerStore, UsageReads).
 */
import { ATTRIBUTION_FIELDS } from "../signal/Attribution.ts"
import { type Amount, amountOfCount } from "../signal/Money.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { entityOf, type Subject } from "../tokens/BudgetIndex.ts"
import type {
  AuditFilter,
  AuditRow,
  PeriodRow,
  SpentByEntityQuery,
  SpentQuery,
  UsageFilter,
  UsageRow
} from "../tokens/LedgerStore.ts"
import type { UnpricedQuery, UnpricedRow } from "../tokens/UnpricedUse.ts"
import type { MemoryTenant } from "./MemoryTenant.ts"

export const matches = (usage: TokenUsage, filter: UsageFilter): boolean => {
  for (const field of ["provider", "model", "status", ...ATTRIBUTION_FIELDS] as const) {
    if (filter[field] !== undefined && usage[field] !== filter[field]) return false
  }
  for (const [name, value] of Object.entries(filter.tags ?? {})) {
    if (usage.tags?.[name] !== value) return false
  }
  if (filter.from !== undefined && usage.booked_at < filter.from) return false
  return filter.to === undefined || usage.booked_at < filter.to
}

export const isAbout = (row: AuditRow, { kind, principal, from, to }: AuditFilter): boolean =>
  (kind === undefined || row.action === kind) &&
  (principal === undefined || row.keyId === principal || row.owner === principal) &&
  (from === undefined || row.at >= from) &&
  (to === undefined || row.at < to)

/** What counts in budgets: a row that is there, or the sums of rows that are not. */
interface Charge {
  readonly usage: Subject & Pick<TokenUsage, "booked_at" | "cost" | "total_tokens">
  readonly requests: number
}

export const chargesOf = (tenant: MemoryTenant): ReadonlyArray<Charge> => [
  ...tenant.usage,
  ...tenant.cells.charges
]

export const spentIn = (rows: ReadonlyArray<Charge>, query: SpentQuery): Amount => {
  let amount = 0n
  for (const { usage, requests } of rows) {
    if (usage.booked_at < query.from || (query.to !== null && usage.booked_at >= query.to)) continue
    if (entityOf(query.type, usage) !== query.entityId) continue
    if (query.measure === "cost") amount += usage.cost
    else amount += amountOfCount(query.measure === "tokens" ? usage.total_tokens : requests)
  }
  return amount
}

export const spentByEntity = (
  rows: ReadonlyArray<Charge>,
  query: SpentByEntityQuery,
  limit: number
): ReadonlyMap<string, Amount> => {
  const byEntity = new Map<string, Array<Charge>>()
  for (const row of rows) {
    const entityId = entityOf(query.type, row.usage)
    if (entityId == null) continue
    const known = byEntity.get(entityId)
    if (known === undefined) byEntity.set(entityId, [row])
    else known.push(row)
  }
  const amounts = Array.from(
    byEntity,
    ([entityId, own]) => [entityId, spentIn(own, { ...query, entityId })] as const
  )
  return new Map(amounts.filter(([, amount]) => amount !== 0n).slice(0, limit))
}

export const waiting = (rows: Iterable<UnpricedRow>, { provider, model, from }: UnpricedQuery) =>
  [...rows]
    .filter((row) => row.provider === provider && row.model === model)
    .filter(({ bookedAt }) => bookedAt >= (from ?? Number.NEGATIVE_INFINITY))
    .sort((a, b) => a.bookedAt - b.bookedAt || a.usageSeq - b.usageSeq)

/** The last of a budget's periods that starts at a moment or before. */
export const lastBefore = (periods: Iterable<PeriodRow> = [], at: number): PeriodRow | undefined =>
  [...periods]
    .filter(({ start }) => start <= at)
    .sort((a, b) => a.start - b.start)
    .at(-1)

export const totalsOf = (rows: ReadonlyArray<UsageRow>) => {
  const totals = { requests: 0, prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, cost: 0n }
  for (const { usage, requests } of rows) {
    totals.requests += requests
    totals.prompt_tokens += usage.prompt_tokens
    totals.completion_tokens += usage.completion_tokens
    totals.total_tokens += usage.total_tokens
    totals.cost += usage.cost
  }
  return totals
}
