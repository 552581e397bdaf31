/**
 * An SDK's stream of chunks as a Stream of `ModelEvent`s.
 *
 * Owns: aborting the request when the reader goes away, the longest silence, and that a stream which ends
 * without having finished is a failure. One chunk is read when one is asked for: the reader sets the pace.
 * Does not decide: what a chunk means (the provider's translator).
 */
import { Cause, Clock, Effect, Stream } from "effect"
import type { ModelEvent, ProviderFailure } from "./Adapter.ts"
import { cutStream, type SdkErrorClasses, sdkFailure, silentStream, withoutCost } from "./SdkFailure.ts"

/** Understands one stream of a provider's chunks. */
export interface Translator<Chunk> {
  readonly take: (chunk: Chunk) => ReadonlyArray<ModelEvent>
  /** The events after the last chunk; `undefined` when the provider had not finished. */
  readonly end: () => ReadonlyArray<ModelEvent> | undefined
}

export interface SdkSettings {
  readonly provider: string
  readonly classes: SdkErrorClasses
  readonly idleTimeoutMs: number
}

/** Runs one call of an SDK; interruption aborts the request. */
export const sdkCall = <A>(
  settings: SdkSettings,
  run: (signal: AbortSignal) => PromiseLike<A>
): Effect.Effect<A, ProviderFailure> =>
  Effect.clockWith((clock) =>
    Effect.tryPromise({
      try: run,
      catch: (thrown) =>
        sdkFailure(settings.provider, settings.classes, thrown, clock.currentTimeMillisUnsafe())
    })
  )

export const sdkStream = <Chunk>(
  settings: SdkSettings,
  open: (signal: AbortSignal) => PromiseLike<AsyncIterable<Chunk>>,
  makeTranslator: () => Translator<Chunk>
): Stream.Stream<ModelEvent, ProviderFailure> => {
  const { provider, classes, idleTimeoutMs } = settings
  const make = Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const controller = yield* Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (opened) => Effect.sync(() => opened.abort())
    )
    const translator = makeTranslator()
    let hasBegun = false
    const fail = (thrown: unknown) => {
      const failure = sdkFailure(provider, classes, thrown, clock.currentTimeMillisUnsafe())
      return hasBegun || failure.status === null ? failure : withoutCost(failure)
    }
    const chunks = yield* Effect.tryPromise({ try: () => open(controller.signal), catch: fail })
    const iterator = chunks[Symbol.asyncIterator]()
    const next = Effect.tryPromise({ try: () => iterator.next(), catch: fail }).pipe(
      Effect.timeoutOrElse({
        duration: idleTimeoutMs,
        orElse: () => Effect.fail(silentStream(provider, idleTimeoutMs))
      })
    )
    let isOver = false
    const pull = Effect.gen(function* () {
      while (!isOver) {
        const step = yield* next
        isOver = step.done === true
        const events = step.done === true ? translator.end() : translator.take(step.value)
        if (events === undefined) return yield* cutStream(provider)
        hasBegun = true
        const [first, ...rest] = events
        if (first !== undefined) return [first, ...rest] as const
      }
      return yield* Cause.done()
    })
    return Stream.fromPull(Effect.succeed(pull))
  })
  return Stream.unwrap(make)
}
