/**
 * Says what became of a request, and of one of its attempts.
 *
 * Owns: the sums over their rows. Rows that were cleaned up count no more.
 */
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { netOf } from "./Adjusting.ts"
import type { Ledger } from "./Ledger.ts"
import type { AttemptRow } from "./LedgerStore.ts"

/** The first number under which nothing is recorded, nor will be by an attempt that came before. */
export const firstFree = (attempts: ReadonlyArray<AttemptRow>): number =>
  attempts.reduce((next, { attempt }) => Math.max(next, attempt + 1), 1)

/** A process that was taken for dead may only have stood still: what it reports replaces what was guessed, and is not charged beside it. */
const nextAttempt = (attempts: ReadonlyArray<AttemptRow>): number =>
  attempts.find(({ isGuess }) => isGuess)?.attempt ?? firstFree(attempts)

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
    next_attempt: nextAttempt(attempts),
    prompt_tokens: rows.reduce((sum, { prompt_tokens }) => sum + prompt_tokens, 0),
    completion_tokens: rows.reduce((sum, { completion_tokens }) => sum + completion_tokens, 0),
    cost: rows.reduce((sum, { cost }) => sum + cost, 0n),
    currency: ledger.config.currency,
    last_seq: rows.reduce((last, { usage_seq }) => Math.max(last, usage_seq), 0)
  }
}

export const findAttempt = (
  ledger: Ledger,
  { request_id, attempt }: SignalPayload<"find_attempt">
): SignalSuccess<"find_attempt"> => {
  const request = ledger.request(request_id)
  const recorded = request?.attempts.find((one) => one.attempt === attempt)
  const rows = recorded && request?.rowsOf(recorded)
  if (rows === undefined) return { usage: null }
  const { counts, cost, lines } = netOf(rows)
  const total_tokens = counts.prompt_tokens + counts.completion_tokens
  return {
    usage: { ...(rows.at(-1) ?? rows[0]), ...counts, total_tokens, cost, cost_breakdown: lines }
  }
}
