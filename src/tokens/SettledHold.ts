/**
 * Settles a hold for a process that nobody hears of any more.
 *
 * Owns: that what is held is charged once, as an attempt of its own that is marked as a guess: if the process has only stood
 * still, its report replaces it.
 * Does not decide: what such a call is expected to have used (who settles it), or what it is charged (Posting).
 */
import { Result } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { usageDigest } from "./Digest.ts"
import { requestIdOfHold } from "./HoldLife.ts"
import type { Ledger } from "./Ledger.ts"
import { post } from "./Posting.ts"
import { problemWithOwner } from "./RequestOwner.ts"
import { firstFree } from "./RequestState.ts"

/** One that has ended was settled, given back, or reported by the call itself: nothing is left to do. */
export const settleHold = (
  ledger: Ledger,
  { hold_id, provider, model, prompt_tokens, why }: SignalPayload<"settle_hold">,
  principal: Principal,
  now: Millis
): Result.Result<SignalSuccess<"settle_hold">, SignalError> => {
  const request = ledger.request(requestIdOfHold(hold_id))
  const foreign = problemWithOwner(request, principal)
  if (foreign !== undefined) return Result.fail(foreign)
  const hold = request?.hold
  if (request === undefined || hold?.state !== "held" || hold.id !== hold_id) {
    return Result.succeed({ settled: false })
  }
  const report: SignalPayload<"track_usage"> = {
    request_id: request.requestId,
    attempt: firstFree(request.attempts),
    provider,
    model,
    prompt_tokens,
    completion_tokens: 0,
    hold_id,
    settle: true,
    status: "estimated",
    metadata: { usage_source: "estimated", why }
  }
  post(ledger, report, request, hold, usageDigest(report), principal, now, true)
  return Result.succeed({ settled: true })
}
