/**
 * Requests with their holds and attempts as rows, and back.
 *
 * Owns: which parts are columns. Does not decide: when a request changes (tokens/).
 */
import type { PgTypes } from "@effect/sql-pg"
import type { Attribution } from "../signal/Attribution.ts"
import { formatAmount, parseAmount } from "../signal/Money.ts"
import type { AttemptRow, HoldRow, HoldState, RequestRow } from "../tokens/LedgerStore.ts"
import { plainJsonArray, textArray, timeArray } from "./Columns.ts"

/** A booking: budget, start of the period, amount. */
type BookingInJson = readonly [string, number, string]

/** A hold without its state and deadline, which are columns. */
interface HoldInJson {
  readonly id: string
  readonly digest: string
  readonly created_at: number
  readonly key_id: string
  readonly provider: string | null
  readonly model: string | null
  readonly estimated_tokens: number
  readonly estimated_cost: string
  readonly remaining_tokens: number
  readonly remaining_cost: string
  readonly bookings: ReadonlyArray<BookingInJson>
  readonly attribution: Attribution
}

/** An attempt: number, digest, usage_seq, and 1 where it is an estimate. */
type AttemptInJson = readonly [number, string, number, 0 | 1]

const holdJson = (hold: HoldRow): string => {
  const kept: HoldInJson = {
    id: hold.id,
    digest: hold.digest,
    created_at: hold.createdAt,
    key_id: hold.keyId,
    provider: hold.provider,
    model: hold.model,
    estimated_tokens: hold.estimatedTokens,
    estimated_cost: formatAmount(hold.estimatedCost),
    remaining_tokens: hold.remainingTokens,
    remaining_cost: formatAmount(hold.remainingCost),
    bookings: hold.bookings.map((it) => [it.budgetId, it.periodStart, formatAmount(it.amount)]),
    attribution: hold.attribution
  }
  return JSON.stringify(kept)
}

const attemptInJson = (row: AttemptRow): AttemptInJson => [
  row.attempt,
  row.digest,
  row.usageSeq,
  row.isEstimated ? 1 : 0
]

// --- writing

export const REQUEST_COLUMNS: ReadonlyArray<readonly [name: string, array: string, value?: string]> = [
  ["request_id", "text[]"],
  ["state", "text[]"],
  ["expires_at", "timestamptz[]"],
  ["hold", "text[]", "hold::json"],
  ["attempts", "text[]", "attempts::json"]
]

export const requestParameters = (rows: ReadonlyArray<RequestRow>): Array<PgTypes.Parameter | string> => [
  textArray(rows.map((row) => row.requestId)),
  textArray(rows.map((row) => row.hold?.state ?? null)),
  timeArray(rows.map((row) => row.hold?.expiresAt ?? null)),
  plainJsonArray(rows.map((row) => (row.hold === null ? null : holdJson(row.hold)))),
  plainJsonArray(
    rows.map((row) => (row.attempts.length === 0 ? null : JSON.stringify(row.attempts.map(attemptInJson))))
  )
]

// --- reading

/** What `SELECT_REQUEST` selects. */
export interface StoredRequest {
  readonly request_id: string
  readonly state: HoldState | null
  readonly expires_at: Date | null
  readonly hold: HoldInJson | null
  readonly attempts: ReadonlyArray<AttemptInJson> | null
}

export const SELECT_REQUEST = "SELECT q.request_id, q.state, q.expires_at, q.hold, q.attempts FROM request q"

const holdFrom = (hold: HoldInJson, state: HoldState, expiresAt: Date): HoldRow => ({
  id: hold.id,
  state,
  digest: hold.digest,
  createdAt: hold.created_at,
  expiresAt: expiresAt.getTime(),
  keyId: hold.key_id,
  provider: hold.provider,
  model: hold.model,
  estimatedTokens: hold.estimated_tokens,
  estimatedCost: parseAmount(hold.estimated_cost),
  remainingTokens: hold.remaining_tokens,
  remainingCost: parseAmount(hold.remaining_cost),
  bookings: hold.bookings.map(([budgetId, periodStart, amount]) => ({
    budgetId,
    periodStart,
    amount: parseAmount(amount)
  })),
  attribution: hold.attribution
})

export const requestFrom = ({
  request_id,
  state,
  expires_at,
  hold,
  attempts
}: StoredRequest): RequestRow => ({
  requestId: request_id,
  hold: hold === null || state === null || expires_at === null ? null : holdFrom(hold, state, expires_at),
  attempts: (attempts ?? []).map(([attempt, digest, usageSeq, isEstimated]) => ({
    attempt,
    digest,
    usageSeq,
    isEstimated: isEstimated === 1
  }))
})
