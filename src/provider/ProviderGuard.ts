/**
 * What stands between calls and one provider.
 *
 * Owns: how many calls run at a time, and the circuit that opens when the provider is down. A provider that
 * limits the rate, or refuses a request, is not down.
 * Does not decide: what a call does when it is not let through (Retry).
 */
import { Duration, Effect, Option, Semaphore } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { type Adapter, NO_USAGE, ProviderFailure } from "./Adapter.ts"

export interface GuardOptions {
  /** Calls that run at a time. */
  readonly concurrency: number
  /** Calls that wait for a place; one more is `Overloaded`. */
  readonly waiting: number
  /** Failures in a row that open the circuit, and for how long. */
  readonly failuresMax: number
  readonly openMs: number
}

export const DEFAULT_GUARD: GuardOptions = { concurrency: 64, waiting: 256, failuresMax: 5, openMs: 15_000 }

export interface ProviderGuard {
  readonly adapter: Adapter
  readonly options: GuardOptions
  readonly slots: Semaphore.Semaphore
  /** `undefined`: calls may pass. Otherwise how the circuit fails them. */
  readonly closedBy: Effect.Effect<ProviderFailure | undefined>
  /** Runs an attempt through the circuit. */
  readonly through: <A>(attempt: Effect.Effect<A, ProviderFailure>) => Effect.Effect<A, ProviderFailure>
  /** Runs it only where a place is free now: a call that comes from another provider does not wait. */
  readonly ifFree: <A>(attempt: Effect.Effect<A, ProviderFailure>) => Effect.Effect<A, ProviderFailure>
}

const neverSent = (provider: string, message: string, retryAfterMs: number | undefined): ProviderFailure =>
  new ProviderFailure({
    provider,
    status: null,
    isRetryable: true,
    retryAfterMs,
    message,
    usage: { counts: NO_USAGE },
    reachedProvider: false
  })

const outcomeOf = (failure: ProviderFailure): CircuitBreaker.Outcome => {
  if (failure.status === 429) return CircuitBreaker.ignored
  return failure.status === null || failure.status >= 500 ? CircuitBreaker.failure() : CircuitBreaker.success
}

export const makeGuard = Effect.fnUntraced(function* (adapter: Adapter, options: GuardOptions) {
  const provider = adapter.name
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(options.failuresMax),
    openDuration: Duration.millis(options.openMs)
  })
  const slots = yield* Semaphore.make(options.concurrency)
  const isOpen = (retryAfterMs: number | undefined) =>
    neverSent(
      provider,
      `it failed ${options.failuresMax} times in a row and is not asked for now`,
      retryAfterMs
    )

  const through = <A>(attempt: Effect.Effect<A, ProviderFailure>): Effect.Effect<A, ProviderFailure> =>
    // The attempt's own failure is a value inside, so that the circuit's refusal is told apart by its type.
    breaker
      .execute(Effect.result(attempt), {
        key: provider,
        classify: (exit) =>
          exit._tag === "Success" && exit.value._tag === "Failure"
            ? outcomeOf(exit.value.failure)
            : exit._tag === "Success"
              ? CircuitBreaker.success
              : CircuitBreaker.failure()
      })
      .pipe(
        Effect.mapError((refusal) =>
          isOpen(
            refusal.reason._tag === "CircuitOpen" ? Duration.toMillis(refusal.reason.retryAfter) : undefined
          )
        ),
        Effect.flatMap(Effect.fromResult)
      )

  const guard: ProviderGuard = {
    adapter,
    options,
    slots,
    closedBy: breaker.state(provider).pipe(
      Effect.map((state) =>
        state._tag === "Open" && Duration.isGreaterThan(state.retryAfter, Duration.zero)
          ? isOpen(Duration.toMillis(state.retryAfter))
          : undefined
      ),
      Effect.orElseSucceed(() => undefined)
    ),
    through,
    ifFree: (attempt) =>
      slots
        .withPermitsIfAvailable(1)(attempt)
        .pipe(
          Effect.flatMap(
            Option.match({
              onSome: Effect.succeed,
              onNone: () =>
                Effect.fail(
                  neverSent(
                    provider,
                    `it has ${options.concurrency} calls running, which is its bound`,
                    undefined
                  )
                )
            })
          )
        )
  }
  return guard
})
