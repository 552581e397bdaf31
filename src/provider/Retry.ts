/**
 * Decides what follows a failed attempt.
 *
 * Owns: the order try again, next model, give up; and how long to wait. Pure: the random number comes in.
 * Does not decide: whether there is still room in the budget (BudgetKeeper).
 */
import type { ProviderFailure } from "./Adapter.ts"

export interface RetryPolicy {
  readonly backoffMs: number
  readonly backoffMaxMs: number
  /** A provider that asks for a longer pause is not tried again: waiting less would only fail again. */
  readonly retryAfterMaxMs: number
}

export const DEFAULT_RETRY: RetryPolicy = { backoffMs: 500, backoffMaxMs: 20_000, retryAfterMaxMs: 60_000 }

export type Plan =
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "fallback" }
  | { readonly kind: "finish" }

/**
 * Exponential with jitter: between half of and the whole of `backoffMs * 2^(tries - 1)`, and never less than the
 * provider asked for.
 */
export const backoffMs = (
  policy: RetryPolicy,
  tries: number,
  retryAfterMs: number | undefined,
  random: number
): number => {
  const ceiling = Math.min(policy.backoffMs * 2 ** (tries - 1), policy.backoffMaxMs)
  return Math.max(Math.round(ceiling * (0.5 + random / 2)), retryAfterMs ?? 0)
}

export interface Situation {
  /** Attempts made on this model, the failed one included. */
  readonly tries: number
  readonly triesMax: number
  readonly hasFallback: boolean
  /** Text has reached the reader: a second answer would not continue it. */
  readonly hasTextBeenRead: boolean
  readonly remainingMs: number
  readonly random: number
}

export const planAfter = (policy: RetryPolicy, failure: ProviderFailure, situation: Situation): Plan => {
  if (situation.hasTextBeenRead) return { kind: "finish" }
  const next: Plan = situation.hasFallback ? { kind: "fallback" } : { kind: "finish" }
  if (!failure.isRetryable || situation.tries >= situation.triesMax) return next
  if ((failure.retryAfterMs ?? 0) > policy.retryAfterMaxMs) return next
  const delayMs = backoffMs(policy, situation.tries, failure.retryAfterMs, situation.random)
  return delayMs < situation.remainingMs ? { kind: "retry", delayMs } : next
}
