/**
 * Until when this node may believe what it knows of its shards.
 *
 * Owns: the moment. A process that was frozen wakes up with a table that says that everything is still here; until its
 * locks are confirmed again it takes nothing for its own.
 * Does not decide: who has a lock (the store).
 */
import { Clock, Effect, Layer, Semaphore } from "effect"
import { RunnerStorage } from "effect/cluster"
import type { Millis } from "../signal/Text.ts"
import { LEASE_MS, RENEWED_EVERY_MS, RETRIED_EVERY_MS } from "./Timing.ts"

export interface Lease {
  readonly isValid: () => boolean
  readonly layer: Layer.Layer<RunnerStorage.RunnerStorage, never, RunnerStorage.RunnerStorage>
}

/** Less than the time in which taking locks is given up. */
const TAKEN_WITHIN_MS: Millis = RENEWED_EVERY_MS * 0.7

type Storage = RunnerStorage.RunnerStorage["Service"]

/** Locks that are about to be let go are waited for: who looks again only after a second prolongs the pause. */
const acquirePatiently =
  (storage: Storage, now: () => Millis): Storage["acquire"] =>
  (address, shardIds) => {
    const wanted = [...shardIds]
    const until = now() + TAKEN_WITHIN_MS
    const attempt: ReturnType<Storage["acquire"]> = Effect.flatMap(
      storage.acquire(address, wanted),
      (acquired) =>
        acquired.length >= wanted.length || now() >= until
          ? Effect.succeed(acquired)
          : Effect.andThen(Effect.sleep(RETRIED_EVERY_MS), attempt)
    )
    return attempt
  }

export const makeLease: Effect.Effect<Lease> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const releases = Semaphore.makeUnsafe(1)
  let until: Millis = 0
  const renewed = <A, E>(operation: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      // The store counts from when it was asked, at the earliest.
      const since = now()
      return Effect.tap(operation, () =>
        Effect.sync(() => {
          until = Math.max(until, since + LEASE_MS)
        })
      )
    })
  const layer = Layer.effect(
    RunnerStorage.RunnerStorage,
    Effect.map(RunnerStorage.RunnerStorage, (storage) =>
      RunnerStorage.RunnerStorage.of({
        ...storage,
        // One after the other: each has its own bound, which the others' waiting must not use up.
        release: (address, shardId) => releases.withPermits(1)(storage.release(address, shardId)),
        refresh: (address, shardIds) => renewed(storage.refresh(address, shardIds)),
        acquire: (address, shardIds) => renewed(acquirePatiently(storage, now)(address, shardIds))
      })
    )
  )
  return { isValid: () => now() < until, layer }
})
