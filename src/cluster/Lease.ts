/**
 * What this node may believe of its shards, and until when.
 *
 * Owns: the moment. A process that was frozen wakes up with a table that says that everything is still here; until its
 * locks are confirmed again it takes nothing for its own. And the end: a node that leaves lets go of all at once, and
 * takes nothing more.
 * Does not decide: who has a lock (the store).
 */
import { Cause, Clock, Effect, Latch, Layer } from "effect"
import { RunnerStorage } from "effect/cluster"
import { messageOf } from "../actor/PlainJson.ts"
import type { Millis } from "../signal/Text.ts"
import { Outage } from "./Outage.ts"
import { LEASE_MS, SHARDS, TAKEN_AGAIN_MS, TAKEN_AGAIN_MS_MAX } from "./Timing.ts"

export interface Lease {
  readonly isValid: () => boolean
  /** It was valid, and the store has not confirmed it since: nobody can say who has what. */
  readonly isCutOff: () => boolean
  /** When the store was asked for the last time that it has answered. */
  readonly confirmedAt: () => Millis
  /** Lets go of every lock, takes this node off the list and tells the others. Afterwards it is no node any more. */
  readonly leave: Effect.Effect<void>
  /** How long to wait before shards that somebody else still has are tried again. */
  readonly takenAgainMs: () => Millis
  /** Until this node has taken shards since this was waited for last. */
  readonly taken: Effect.Effect<void>
  /**
   * Until nodes have changed, and this one is about to take what is its own since: only then the table that says where each
   * address is has been made anew. Who asks before that asks a node that is gone.
   */
  readonly changed: Effect.Effect<void>
  readonly layer: Layer.Layer<RunnerStorage.RunnerStorage, never, RunnerStorage.RunnerStorage>
}

type Storage = RunnerStorage.RunnerStorage["Service"]
type Address = Parameters<Storage["releaseAll"]>[0]

/** A node that has left asks the store for nothing: it has nothing, and it is none of the nodes. */
const untilLeft = (storage: Storage, hasLeft: () => boolean): Storage => {
  const unless =
    <A extends ReadonlyArray<unknown>, B, E>(
      operation: (...given: A) => Effect.Effect<B, E>,
      left: Effect.Effect<B, E>
    ) =>
    (...given: A): Effect.Effect<B, E> =>
      Effect.suspend(() => (hasLeft() ? left : operation(...given)))
  return {
    register: unless(storage.register, Effect.never),
    unregister: unless(storage.unregister, Effect.void),
    getRunners: unless(() => storage.getRunners, Effect.never)(),
    setRunnerHealth: unless(storage.setRunnerHealth, Effect.void),
    acquire: unless(storage.acquire, Effect.succeed([])),
    refresh: unless(storage.refresh, Effect.succeed([])),
    release: unless(storage.release, Effect.void),
    releaseAll: unless(storage.releaseAll, Effect.void)
  }
}

const said = (line: string | undefined): Effect.Effect<void> =>
  line === undefined ? Effect.void : Effect.logWarning(line)

/** The last cause of it, in one line: what is around it says only what was being done. */
const reasonOf = (cause: Cause.Cause<unknown>): string => {
  let error = Cause.squash(cause)
  while (error instanceof Error && error.cause instanceof Error) error = error.cause
  return messageOf(error).split("\n", 1)[0]?.slice(0, 200) ?? ""
}

export const makeLease = (self: () => Address | undefined): Effect.Effect<Lease> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const taken = Latch.makeUnsafe(false)
    let changed = Latch.makeUnsafe(false)
    let listed = ""
    let hasChanged = false
    let store: Storage | undefined
    let hasLeft = false
    let until: Millis = 0
    const outage = new Outage()
    let pauseMs: Millis = TAKEN_AGAIN_MS
    const renewed = <A, E>(operation: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() => {
        // The store counts from when it was asked, at the earliest.
        const since = now()
        return Effect.tap(operation, () => {
          until = Math.max(until, since + LEASE_MS)
          return said(outage.answered(now()))
        }).pipe(
          Effect.tapCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.void : said(outage.failed(reasonOf(cause), now()))
          )
        )
      })
    const tellChange = () => {
      if (!hasChanged) return
      hasChanged = false
      const before = changed
      changed = Latch.makeUnsafe(false)
      before.openUnsafe()
    }
    const leased = (storage: Storage): Storage => ({
      ...storage,
      getRunners: Effect.tap(storage.getRunners, (runners) =>
        Effect.sync(() => {
          const list = runners
            .map(([{ address }, isHealthy]) => `${address} ${isHealthy}`)
            .sort()
            .join()
          hasChanged ||= list !== listed
          listed = list
        })
      ),
      refresh: (address, shardIds) => renewed(storage.refresh(address, shardIds)),
      acquire: (address, shardIds) => {
        tellChange()
        return Effect.tap(renewed(storage.acquire(address, shardIds)), ({ length }) => {
          // Whoever lets go of some will mostly let go of more; whoever is frozen does not.
          pauseMs = length > 0 ? TAKEN_AGAIN_MS : Math.min(pauseMs * 2, TAKEN_AGAIN_MS_MAX)
          if (length === 0) return Effect.void
          taken.openUnsafe()
          return Effect.logInfo(`this node has taken ${length} of ${SHARDS} shards, and the tenants in them`)
        })
      }
    })
    const layer = Layer.effect(
      RunnerStorage.RunnerStorage,
      Effect.map(RunnerStorage.RunnerStorage, (storage) => {
        store = storage
        return RunnerStorage.RunnerStorage.of(untilLeft(leased(storage), () => hasLeft))
      })
    )
    const leave = Effect.suspend(() => {
      const address = self()
      if (hasLeft || store === undefined || address === undefined) return Effect.void
      hasLeft = true
      // The store lets go of its locks with that, in one word. What could not be let go ends with this node's session.
      return Effect.ignore(store.unregister(address))
    })
    return {
      isValid: () => !hasLeft && now() < until,
      confirmedAt: () => until - LEASE_MS,
      isCutOff: () => !hasLeft && until > 0 && now() >= until,
      leave,
      takenAgainMs: () => pauseMs,
      taken: Effect.andThen(
        taken.await,
        Effect.sync(() => {
          taken.closeUnsafe()
        })
      ),
      changed: Effect.suspend(() => changed.await),
      layer
    }
  })
