/**
 * Whose a request is: a key that always has its own attribution neither settles, nor replaces, nor sees what was held
 * or used under the same request id for somebody else.
 *
 * Owns: telling that a request is somebody else's.
 * Does not decide: what becomes of one that is not (Holding, Posting).
 */
import { isAttributedAs } from "../signal/Attribution.ts"
import { Conflict } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { RequestRecord } from "./RequestRecord.ts"

/** Whether all that is at hand of a request is attributed as this key always is. */
const isOwn = (request: RequestRecord, { attribution }: Principal): boolean =>
  (request.hold === null || isAttributedAs(request.hold.attribution, attribution)) &&
  request.attempts.every(({ usageSeq }) => {
    const usage = request.usageBySeq(usageSeq)
    return usage === undefined || isAttributedAs(usage, attribution)
  })

/** Why this key can do nothing under this request id, or `undefined`. */
export const problemWithOwner = (
  request: RequestRecord | undefined,
  principal: Principal
): Conflict | undefined =>
  request === undefined || isOwn(request, principal)
    ? undefined
    : new Conflict({
        reason: "hold_of_another_request",
        message: `The request_id ${request.requestId} is in use for somebody else; take one of your own`
      })
