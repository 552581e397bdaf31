/**
 * When a delivery that failed is tried again.
 *
 * Owns: how often, and how far apart. Does not decide: what a failure is.
 */

/** After as many tries a delivery is a dead letter. */
export const ATTEMPTS_MAX = 8

const FIRST_PAUSE_MS = 15_000
const GROWTH = 4
/** Up to this part of a pause is added or taken away, so that what failed together does not come back together. */
const JITTER = 0.2

/**
 * The pause after this try, or `undefined` when it was the last: 15 s, 1 min, 4 min, 16 min, 64 min, 4.3 h, 17 h,
 * so that eight tries are spread over most of a day. `random` is from 0 up to 1.
 */
export const pauseAfter = (attempt: number, random: number): number | undefined =>
  attempt >= ATTEMPTS_MAX
    ? undefined
    : Math.round(FIRST_PAUSE_MS * GROWTH ** (attempt - 1) * (1 + JITTER * (2 * random - 1)))
