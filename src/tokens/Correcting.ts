/**
 * Corrects what an attempt used.
 *
 * Owns: correct_usage: which attempt is meant, that the same correction again changes nothing.
 * Does not decide: how the difference is booked and charged (Adjusting).
 */
import { Result } from "effect"
import { isAttributedAs } from "../signal/Attribution.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Conflict, invalidParam, NotFound, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { type AttemptRows, adjust, isSameCounts, netOf, pricedAsBefore } from "./Adjusting.ts"
import { priceUnknown } from "./Costing.ts"
import type { Ledger } from "./Ledger.ts"
import type { AttemptRow } from "./LedgerStore.ts"
import type { RequestRecord } from "./RequestRecord.ts"
import { activeStandings } from "./Room.ts"

type Decision<A> = Result.Result<A, SignalError>
type Correction = SignalPayload<"correct_usage">
type Corrected = SignalSuccess<"correct_usage">

/** Adjustments of one attempt that are listed in its row; a correction that would be one more is refused. */
const ADJUSTMENTS_MAX = 100

const notFound = (id: string, what: string): NotFound =>
  new NotFound({ kind: "usage", id, message: `${what}; look it up with get_usage` })

/** The attempt that is meant, with its rows. A key that always has its own attribution corrects what was used for it. */
const attemptOf = (
  request: RequestRecord | undefined,
  { request_id, attempt: number }: Correction,
  principal: Principal
): Decision<{
  readonly request: RequestRecord
  readonly attempt: AttemptRow
  readonly rows: AttemptRows
}> => {
  const unknown = notFound(request_id, `There is no usage of the request ${request_id}`)
  if (request === undefined || request.attempts.length === 0) return Result.fail(unknown)
  const covered = request.attempts.filter((row) => {
    const first = request.usageBySeq(row.usageSeq)
    return first === undefined || isAttributedAs(first, principal.attribution)
  })
  if (covered.length === 0) return Result.fail(unknown)
  const numbers = covered.map((row) => row.attempt).sort((a, b) => a - b)
  if (number === undefined && numbers.length > 1) {
    return Result.fail(
      invalidParam(["attempt"], `Say which: the request ${request_id} has the attempts ${numbers.join(", ")}`)
    )
  }
  const attempt = covered.find((row) => number === undefined || row.attempt === number)
  if (attempt === undefined) {
    return Result.fail(
      notFound(
        request_id,
        `The request ${request_id} has the attempts ${numbers.join(", ")}, and no ${number}`
      )
    )
  }
  const rows = request.rowsOf(attempt)
  if (rows === undefined) {
    return Result.fail(
      new NotFound({
        kind: "usage",
        id: request_id,
        message: `The rows of the request ${request_id} have been cleaned up: they cannot be corrected any more`
      })
    )
  }
  return Result.succeed({ request, attempt, rows })
}

/** The correction that has done the same before for the same reason; or, where nothing is to change, the last row. */
const doneBefore = (rows: AttemptRows, { usage, reason }: Correction): TokenUsage | undefined => {
  const [first, ...adjustments] = rows
  for (const [index, row] of adjustments.entries()) {
    if (row.reason !== reason) continue
    if (isSameCounts(netOf([first, ...adjustments.slice(0, index + 1)]).counts, usage)) return row
  }
  return isSameCounts(netOf(rows).counts, usage) ? (rows.at(-1) as TokenUsage) : undefined
}

/** Brings an attempt to the counts that are right, by a row with the difference. */
export const correctUsage = (
  ledger: Ledger,
  correction: Correction,
  principal: Principal,
  now: Millis
): Decision<Corrected> => {
  const found = attemptOf(ledger.request(correction.request_id), correction, principal)
  if (Result.isFailure(found)) return Result.fail(found.failure)
  const { request, attempt, rows } = found.success
  const before = doneBefore(rows, correction)
  if (before !== undefined) {
    const budgets = activeStandings(ledger.index.matching(before), now)
    return Result.succeed({ corrected: true, duplicate: true, usage: before, budgets, alerts: [] })
  }
  if (attempt.adjustments.length >= ADJUSTMENTS_MAX) {
    return Result.fail(
      new Conflict({
        reason: "too_many_adjustments",
        message: `Attempt ${attempt.attempt} of request ${request.requestId} was adjusted ${ADJUSTMENTS_MAX} times, which is the bound; what is missing can be tracked under a request_id of its own`
      })
    )
  }
  const net = netOf(rows)
  const pricedAt = pricedAsBefore(ledger, net)
  if (pricedAt === undefined) return Result.fail(priceUnknown(ledger, net.first.provider, net.first.model))
  const { usage: counts, reason } = correction
  const { usage, budgets, alerts } = adjust(
    ledger,
    request,
    attempt,
    { net, counts, pricedAt, facts: { reason } },
    now
  )
  return Result.succeed({
    corrected: true,
    duplicate: false,
    usage,
    budgets: activeStandings(budgets, now),
    alerts
  })
}
