/**
 * The sums of deleted usage as rows, and back; and finding what is old.
 *
 * Owns: their columns and queries. Does not decide: what is old, or what a cell is (tokens/Cleaning).
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { formatAmount, parseAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import { SUBJECT_FIELDS, type Subject } from "../tokens/BudgetIndex.ts"
import type { AmountsIn, CleanedCell, CleanedPlace } from "../tokens/CleanedUsage.ts"
import { oldestOf } from "../tokens/Cleaning.ts"
import type { UsageRow } from "../tokens/LedgerStore.ts"
import { amountColumn, type Columns, int8Column, jsonColumn, textColumn, timeColumn } from "./Columns.ts"
import { SELECT_USAGE_ROWS, type StoredUsageRow, usageRowFrom } from "./UsageRows.ts"

type Reading<A> = Effect.Effect<A, SqlError.SqlError>

const SUBJECTS = Object.values(SUBJECT_FIELDS)

const SUMS = ["rows", "requests", "prompt_tokens", "completion_tokens", "total_tokens", "cost"] as const

export const CLEANED_COLUMNS: Columns = [
  ["booked_from", "timestamptz"],
  ["currency", "text"],
  ["after_seq", "int8"],
  ["cell", "text"],
  ["rows", "int8"],
  ["requests", "int8"],
  ["prompt_tokens", "int8"],
  ["completion_tokens", "int8"],
  ["total_tokens", "int8"],
  ["cost", "numeric"],
  ["converted", "text", "jsonb"],
  ...SUBJECTS.map((name) => [name, "text"] as const)
]

/** A cell grows with every step that takes rows of it. */
export const CLEANED_GROW = ` ON CONFLICT (tenant, after_seq, booked_from, currency, cell) DO UPDATE SET ${SUMS.map(
  (sum) => `${sum} = usage_cleaned.${sum} + excluded.${sum}`
).join(", ")}, converted = CASE WHEN excluded.converted IS NULL THEN usage_cleaned.converted ELSE
(SELECT jsonb_object_agg(s.currency, s.amount) FROM (SELECT e.key AS currency, sum(e.value::numeric)::text AS amount
FROM (SELECT * FROM jsonb_each_text(usage_cleaned.converted) UNION ALL SELECT * FROM jsonb_each_text(excluded.converted)) e
GROUP BY e.key) s) END`

/** `null` where there is no other currency. */
const convertedColumn = (cells: ReadonlyArray<CleanedCell>) =>
  jsonColumn(
    cells.map(({ converted }) => {
      const amounts = Object.entries(converted).map(([currency, amount]) => [currency, formatAmount(amount)])
      return amounts.length === 0 ? null : JSON.stringify(Object.fromEntries(amounts))
    })
  )

const convertedFrom = (stored: Readonly<Record<string, string>> | null): AmountsIn =>
  Object.fromEntries(
    Object.entries(stored ?? {}).map(([currency, amount]) => [currency, parseAmount(amount)])
  )

export const cleanedValues = (cells: ReadonlyArray<CleanedCell>) => [
  timeColumn(cells.map((cell) => cell.bookedFrom)),
  textColumn(cells.map((cell) => cell.currency)),
  int8Column(cells.map((cell) => cell.afterSeq)),
  textColumn(cells.map((cell) => cell.key)),
  int8Column(cells.map((cell) => cell.rows)),
  int8Column(cells.map((cell) => cell.requests)),
  int8Column(cells.map((cell) => cell.promptTokens)),
  int8Column(cells.map((cell) => cell.completionTokens)),
  int8Column(cells.map((cell) => cell.totalTokens)),
  amountColumn(cells.map((cell) => cell.cost)),
  convertedColumn(cells),
  ...SUBJECTS.map((field) => textColumn(cells.map(({ subject }) => (subject[field] as string) ?? null)))
]

interface StoredCell {
  readonly booked_from: Date
  readonly currency: string
  readonly after_seq: bigint
  readonly cell: string
  readonly rows: string
  readonly requests: string
  readonly prompt_tokens: string
  readonly completion_tokens: string
  readonly total_tokens: string
  readonly cost: string
  readonly converted: Readonly<Record<string, string>> | null
}

const cellFrom = (row: StoredCell): CleanedCell => {
  const texts = row as unknown as Record<string, string | null>
  const named = SUBJECTS.flatMap((field) => (texts[field] == null ? [] : [[field, texts[field]] as const]))
  return {
    bookedFrom: row.booked_from.getTime(),
    currency: row.currency,
    afterSeq: Number(row.after_seq),
    key: row.cell,
    subject: Object.fromEntries(named) as Subject,
    rows: Number(row.rows),
    requests: Number(row.requests),
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    totalTokens: Number(row.total_tokens),
    cost: parseAmount(row.cost),
    converted: convertedFrom(row.converted)
  }
}

const CELL_NAMES = CLEANED_COLUMNS.map(([name]) => name).join(", ")

/** Some of the cells about a user. */
export const cleanedOf = (
  sql: SqlClient.SqlClient,
  tenant: string,
  userId: string,
  limit: number
): Reading<ReadonlyArray<CleanedCell>> =>
  Effect.map(
    sql.unsafe<StoredCell>(
      `SELECT ${CELL_NAMES} FROM usage_cleaned WHERE tenant = $1 AND user_id = $2 LIMIT $3::int8`,
      [tenant, userId, BigInt(limit)]
    ),
    (rows) => rows.map(cellFrom)
  )

/** Cells in the order of their places, after one of them. */
export const cleanedAfter = (
  sql: SqlClient.SqlClient,
  tenant: string,
  after: CleanedPlace | undefined,
  limit: number
): Reading<ReadonlyArray<CleanedCell>> =>
  Effect.map(
    sql.unsafe<StoredCell>(
      `SELECT ${CELL_NAMES} FROM usage_cleaned WHERE tenant = $1
AND (after_seq, booked_from, currency COLLATE "C", cell COLLATE "C") > ($2::int8, $3::timestamptz, $4::text, $5::text)
ORDER BY after_seq, booked_from, currency COLLATE "C", cell COLLATE "C" LIMIT $6::int8`,
      [
        tenant,
        BigInt(after?.afterSeq ?? -1),
        PgTypes.timestamptz(after?.bookedFrom ?? 0),
        after?.currency ?? "",
        after?.key ?? "",
        BigInt(limit)
      ]
    ),
    (rows) => rows.map(cellFrom)
  )

/** Recorded is never before booked, and by it whole months are left out. */
const OLD = "tenant = $1 AND recorded_at < $2::timestamptz AND booked_at < $2::timestamptz"

export const countOldUsage = (sql: SqlClient.SqlClient, tenant: string, before: Millis): Reading<number> =>
  Effect.map(
    sql.unsafe<{ readonly found: bigint }>(`SELECT count(*) AS found FROM usage WHERE ${OLD}`, [
      tenant,
      PgTypes.timestamptz(before)
    ]),
    ([row]) => Number(row?.found ?? 0)
  )

/** The oldest rows, up to the first that is not old. */
export const oldUsage = (
  sql: SqlClient.SqlClient,
  tenant: string,
  before: Millis,
  limit: number
): Reading<ReadonlyArray<UsageRow>> =>
  Effect.map(
    sql.unsafe<StoredUsageRow>(`${SELECT_USAGE_ROWS} WHERE tenant = $1 ORDER BY usage_seq LIMIT $2::int8`, [
      tenant,
      BigInt(limit)
    ]),
    (rows) => oldestOf(rows.map(usageRowFrom), before)
  )
