/**
 * When money that is only held comes back.
 *
 * Owns: the guess for a call that would fit if what is held were given back. Calls on their way end by themselves and
 * nobody knows when, so it is soon: a look that comes too early costs one refusal, and one that waits for the next period
 * costs the user hours.
 * Does not decide: whether there is room (tokens/).
 */
import type { Violation } from "./Errors.ts"
import type { Millis } from "./Text.ts"

export const HELD_RETRY_MS = 5_000

/** Whether a budget would have room if all that is held in it were given back. */
export const isOnlyHeld = ({ requested, remaining, held }: Violation): boolean =>
  requested <= remaining + held

/** Soon, and never later than the period's end. */
export const heldAgainAt = (resetsAt: Millis | null, now: Millis): Millis =>
  Math.min(now + HELD_RETRY_MS, resetsAt ?? Number.POSITIVE_INFINITY)
