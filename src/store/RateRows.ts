/**
 * Exchange rates as rows, and back.
 *
 * Owns: their columns. Does not decide: which rate applies (tokens/RateBook).
 */
import { parseAmount } from "../signal/Money.ts"
import type { RateRow } from "../tokens/RateBook.ts"
import { amountColumn, type Columns, int8Column, textColumn, timeColumn } from "./Columns.ts"

export const RATE_COLUMNS: Columns = [
  ["rate_seq", "int8"],
  ["base", "text"],
  ["currency", "text"],
  ["rate", "numeric"],
  ["as_of", "timestamptz"],
  ["source", "text"]
]

export const rateValues = (rows: ReadonlyArray<RateRow>) => [
  int8Column(rows.map((row) => row.seq)),
  textColumn(rows.map((row) => row.base)),
  textColumn(rows.map((row) => row.currency)),
  amountColumn(rows.map((row) => row.rate)),
  timeColumn(rows.map((row) => row.asOf)),
  textColumn(rows.map((row) => row.source))
]

export interface StoredRate {
  readonly rate_seq: bigint
  readonly base: string
  readonly currency: string
  readonly rate: string
  readonly as_of: Date
  readonly source: string | null
}

export const SELECT_RATES = `SELECT ${RATE_COLUMNS.map(([name]) => name).join(", ")} FROM exchange_rate
WHERE tenant = $1 ORDER BY rate_seq`

export const rateFrom = (row: StoredRate): RateRow => ({
  seq: Number(row.rate_seq),
  base: row.base,
  currency: row.currency,
  rate: parseAmount(row.rate),
  asOf: row.as_of.getTime(),
  source: row.source
})
