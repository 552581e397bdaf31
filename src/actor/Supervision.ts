/**
 * What happens when an actor's loop ends badly.
 *
 * Owns: the restart rule: a growing pause, and a limit within a window.
 * Does not decide: how state is rebuilt (the behaviour's own start).
 */

export interface SupervisionPolicy {
  /** Restarts allowed within `withinMs`; one more, and the actor has failed. */
  readonly restartsMax: number
  readonly withinMs: number
  readonly backoffMs: number
  readonly backoffMaxMs: number
}

export const DEFAULT_SUPERVISION: SupervisionPolicy = {
  restartsMax: 10,
  withinMs: 60_000,
  backoffMs: 50,
  backoffMaxMs: 5_000
}

/** An actor that ends with its first failure. */
export const NEVER_RESTART: SupervisionPolicy = { restartsMax: 0, withinMs: 1, backoffMs: 0, backoffMaxMs: 0 }

/** Decides on one crash: the pause before the restart, or `undefined` to give up. */
export const pauseBeforeRestart = (
  policy: SupervisionPolicy,
  crashes: ReadonlyArray<number>,
  now: number
): number | undefined => {
  const recent = crashes.filter((at) => at > now - policy.withinMs).length
  if (recent > policy.restartsMax) return undefined
  return Math.min(policy.backoffMs * 2 ** Math.max(0, recent - 1), policy.backoffMaxMs)
}
