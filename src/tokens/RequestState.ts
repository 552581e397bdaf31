/**
 * Says what became of a request.
 *
 * Owns: the sums over its rows. Rows that were cleaned up count no more.
 */
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { Ledger } from "./Ledger.ts"
import type { RequestRecord } from "./RequestRecord.ts"

/**
 * Who settles a call for a process that is taken for dead does so by an estimate. That process may have stood still
 * only: what it reports replaces this estimate, and is not charged beside it.
 */
const nextAttempt = (request: RequestRecord | undefined): number => {
  let last = 0
  let isEstimated = false
  for (const one of request?.attempts ?? []) {
    if (one.attempt < last) continue
    last = one.attempt
    isEstimated = one.isEstimated
  }
  return isEstimated && request?.isPosted === true ? last : last + 1
}

export const findRequest = (
  ledger: Ledger,
  { request_id }: SignalPayload<"find_request">
): SignalSuccess<"find_request"> => {
  const request = ledger.request(request_id)
  const attempts = request?.attempts ?? []
  const rows = attempts.flatMap((attempt) => request?.rowsOf(attempt) ?? [])
  const hold = request?.isOpen === true ? request.hold : null
  return {
    open_hold: hold == null ? null : { hold_id: hold.id, provider: hold.provider, model: hold.model },
    is_posted: request?.isPosted === true,
    attempts: attempts.length,
    next_attempt: nextAttempt(request),
    prompt_tokens: rows.reduce((sum, { prompt_tokens }) => sum + prompt_tokens, 0),
    completion_tokens: rows.reduce((sum, { completion_tokens }) => sum + completion_tokens, 0),
    cost: rows.reduce((sum, { cost }) => sum + cost, 0n),
    currency: ledger.config.currency,
    last_seq: rows.reduce((last, { usage_seq }) => Math.max(last, usage_seq), 0)
  }
}
