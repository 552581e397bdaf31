/**
 * Overrides of budgets as rows, and reading them.
 *
 * Owns: their columns, there and back; which of them an activation reads, and a page of them.
 * Does not decide: what is in them (tokens/).
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { parseAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { LapsedOverrides, OverrideFilter, OverrideRow } from "../tokens/LedgerStore.ts"
import {
  amountColumn,
  type Columns,
  int8Column,
  isStorable,
  oneOf,
  type Parameter,
  textArray,
  textColumn,
  timeColumn
} from "./Columns.ts"

type Reading<A> = Effect.Effect<A, SqlError.SqlError>

export const OVERRIDE_COLUMNS: Columns = [
  ["override_id", "text"],
  ["override_seq", "int8"],
  ["budget_id", "text"],
  ["period_start", "timestamptz"],
  ["period_end", "timestamptz"],
  ["type", "text"],
  ["entity_id", "text"],
  ["measure", "text"],
  ["currency", "text"],
  ["status", "text"],
  ["amount", "numeric"],
  ["approved_amount", "numeric"],
  ["reason", "text"],
  ["note", "text"],
  ["requested_by", "text"],
  ["requested_at", "timestamptz"],
  ["decided_by", "text"],
  ["decided_at", "timestamptz"],
  ["expires_at", "timestamptz"]
]

export const overrideValues = (rows: ReadonlyArray<OverrideRow>) => [
  textColumn(rows.map((row) => row.id)),
  int8Column(rows.map((row) => row.seq)),
  textColumn(rows.map((row) => row.budgetId)),
  timeColumn(rows.map((row) => row.periodStart)),
  timeColumn(rows.map((row) => row.periodEnd ?? Number.POSITIVE_INFINITY)),
  textColumn(rows.map((row) => row.type)),
  textColumn(rows.map((row) => row.entityId)),
  textColumn(rows.map((row) => row.measure)),
  textColumn(rows.map((row) => row.currency)),
  textColumn(rows.map((row) => row.status)),
  amountColumn(rows.map((row) => row.amount)),
  amountColumn(rows.map((row) => row.approvedAmount)),
  textColumn(rows.map((row) => row.reason)),
  textColumn(rows.map((row) => row.note)),
  textColumn(rows.map((row) => row.requestedBy)),
  timeColumn(rows.map((row) => row.requestedAt)),
  textColumn(rows.map((row) => row.decidedBy)),
  timeColumn(rows.map((row) => row.decidedAt)),
  timeColumn(rows.map((row) => row.expiresAt))
]

export interface StoredOverride {
  readonly override_id: string
  readonly override_seq: bigint
  readonly budget_id: string
  readonly period_start: Date
  /** `infinity` for a lifetime, which reads as an invalid date. */
  readonly period_end: Date
  readonly type: OverrideRow["type"]
  readonly entity_id: string | null
  readonly measure: OverrideRow["measure"]
  readonly currency: string
  readonly status: OverrideRow["status"]
  readonly amount: string
  readonly approved_amount: string | null
  readonly reason: string
  readonly note: string | null
  readonly requested_by: string
  readonly requested_at: Date
  readonly decided_by: string | null
  readonly decided_at: Date | null
  readonly expires_at: Date | null
}

export const overrideFrom = (row: StoredOverride): OverrideRow => {
  const end = row.period_end.getTime()
  return {
    id: row.override_id,
    seq: Number(row.override_seq),
    budgetId: row.budget_id,
    periodStart: row.period_start.getTime(),
    periodEnd: Number.isNaN(end) ? null : end,
    type: row.type,
    entityId: row.entity_id,
    measure: row.measure,
    currency: row.currency,
    status: row.status,
    amount: parseAmount(row.amount),
    approvedAmount: row.approved_amount === null ? null : parseAmount(row.approved_amount),
    reason: row.reason,
    note: row.note,
    requestedBy: row.requested_by,
    requestedAt: row.requested_at.getTime(),
    decidedBy: row.decided_by,
    decidedAt: row.decided_at?.getTime() ?? null,
    expiresAt: row.expires_at?.getTime() ?? null
  }
}

export const SELECT_OVERRIDES = `SELECT ${OVERRIDE_COLUMNS.map(([name]) => name).join(", ")} FROM budget_override WHERE tenant = $1`

/** In the words of the index, so that it is used. */
export const IS_LIVE = "status IN ('pending', 'approved')"
export const IS_LAPSED = "status = 'expired' AND approved_amount IS NOT NULL"

export const liveOverrides = (
  sql: SqlClient.SqlClient,
  tenant: string
): Reading<ReadonlyArray<OverrideRow>> =>
  Effect.map(
    sql.unsafe<StoredOverride>(`${SELECT_OVERRIDES} AND ${IS_LIVE} ORDER BY override_seq`, [tenant]),
    (rows) => rows.map(overrideFrom)
  )

export const lapsedOverrides = (
  sql: SqlClient.SqlClient,
  tenant: string,
  liveAfter: Millis
): Reading<ReadonlyArray<LapsedOverrides>> =>
  Effect.map(
    sql.unsafe<{ readonly budget_id: string; readonly period_start: Date; readonly amount: string }>(
      `SELECT budget_id, period_start, sum(approved_amount) AS amount FROM budget_override
WHERE tenant = $1 AND ${IS_LAPSED} AND period_end > $2::timestamptz GROUP BY budget_id, period_start`,
      [tenant, PgTypes.timestamptz(liveAfter)]
    ),
    (rows) =>
      rows.map((row) => ({
        budgetId: row.budget_id,
        periodStart: row.period_start.getTime(),
        amount: parseAmount(row.amount)
      }))
  )

export const overridesById = (
  sql: SqlClient.SqlClient,
  tenant: string,
  ids: ReadonlyArray<string>
): Reading<ReadonlyArray<OverrideRow>> =>
  Effect.map(
    sql.unsafe<StoredOverride>(`${SELECT_OVERRIDES} AND override_id = ${oneOf(2, "text")}`, [
      tenant,
      textArray(ids.filter(isStorable))
    ]),
    (rows) => rows.map(overrideFrom)
  )

/** What an override is now: its row may be behind the clock. */
const STATUS_NOW = `CASE WHEN ${IS_LIVE} AND expires_at <= $2::timestamptz THEN 'expired' ELSE status END`

export const overridePage = (
  sql: SqlClient.SqlClient,
  tenant: string,
  { status, budgetId, about, now }: OverrideFilter,
  beforeSeq: number,
  limit: number
): Reading<ReadonlyArray<OverrideRow>> => {
  const parameters: Array<Parameter> = [tenant, PgTypes.timestamptz(now), BigInt(beforeSeq), BigInt(limit)]
  const place = (value: Parameter): string => `$${parameters.push(value)}`
  // The clock is named in any case, so that all parameters are in the text.
  const wanted = [`$2::timestamptz IS NOT NULL`, "override_seq < $3::int8"]
  if (status !== undefined) wanted.push(`${STATUS_NOW} = ${place(status)}`)
  if (budgetId !== undefined) {
    if (!isStorable(budgetId)) return Effect.succeed([])
    wanted.push(`split_part(budget_id, '/', 1) = ${place(budgetId)}`)
  }
  if (about !== undefined) {
    const types = place(textArray(about.map(({ type }) => type)))
    const entities = place(textArray(about.map(({ entityId }) => entityId)))
    wanted.push(`(type, entity_id) IN (SELECT * FROM unnest(${types}::text[], ${entities}::text[]))`)
  }
  return Effect.map(
    sql.unsafe<StoredOverride>(
      `${SELECT_OVERRIDES} AND ${wanted.join(" AND ")} ORDER BY override_seq DESC LIMIT $4::int8`,
      parameters
    ),
    (rows) => rows.map(overrideFrom)
  )
}
