/**
 * Usage that waits for a price, as rows.
 *
 * Owns: their columns, there and back. Does not decide: what has no price (tokens/).
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { UnpricedQuery, UnpricedRow } from "../tokens/UnpricedUse.ts"
import { type Columns, int8Column, isStorable, textColumn, timeColumn } from "./Columns.ts"

export const UNPRICED_COLUMNS: Columns = [
  ["usage_seq", "int8"],
  ["request_id", "text"],
  ["provider", "text"],
  ["model", "text"],
  ["booked_at", "timestamptz"]
]

export const unpricedValues = (rows: ReadonlyArray<UnpricedRow>) => [
  int8Column(rows.map((row) => row.usageSeq)),
  textColumn(rows.map((row) => row.requestId)),
  textColumn(rows.map((row) => row.provider)),
  textColumn(rows.map((row) => row.model)),
  timeColumn(rows.map((row) => row.bookedAt))
]

/** For `SELECT_UNPRICED_AMONG`. */
export const unpricedArrays = (rows: ReadonlyArray<UnpricedRow>) =>
  unpricedValues(rows).map((column) => column.all)

/** Those of the rows that are on the list as they are given. */
export const SELECT_UNPRICED_AMONG = `SELECT usage_seq FROM unpriced_usage WHERE tenant = $1
AND (usage_seq, request_id, provider, model, booked_at)
IN (SELECT * FROM unnest($2::int8[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]))`

interface StoredUnpriced {
  readonly usage_seq: bigint
  readonly request_id: string
  readonly provider: string
  readonly model: string
  readonly booked_at: Date
}

const unpricedFrom = (row: StoredUnpriced): UnpricedRow => ({
  usageSeq: Number(row.usage_seq),
  requestId: row.request_id,
  provider: row.provider,
  model: row.model,
  bookedAt: row.booked_at.getTime()
})

/** In the order of the primary key, so that the earliest are found without looking at the others. */
export const unpricedOf = (
  sql: SqlClient.SqlClient,
  tenant: string,
  { provider, model, from }: UnpricedQuery,
  limit: number
): Effect.Effect<ReadonlyArray<UnpricedRow>, SqlError.SqlError> => {
  if (!isStorable(provider) || !isStorable(model)) return Effect.succeed([])
  const since = from === null ? "" : "AND booked_at >= $5"
  const parameters = [tenant, provider, model, BigInt(limit)]
  return Effect.map(
    sql.unsafe<StoredUnpriced>(
      `SELECT usage_seq, request_id, provider, model, booked_at FROM unpriced_usage
WHERE tenant = $1 AND provider = $2 AND model = $3 ${since}
ORDER BY booked_at, usage_seq LIMIT $4::int8`,
      from === null ? parameters : [...parameters, PgTypes.timestamptz(from)]
    ),
    (rows) => rows.map(unpricedFrom)
  )
}
