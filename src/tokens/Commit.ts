/**
 * Brings one batch into the store, whatever happens on the way.
 *
 * Owns: the failure protocol: retry what was not written, ask after what is not known, give up in bounded time.
 * Does not decide: what becomes of the signals in the batch (TokenManager).
 */
import { Clock, Effect, Result, Schedule } from "effect"
import type { Batch, BatchRefused, Claim, LedgerStore } from "./LedgerStore.ts"

export type CommitOutcome =
  | { readonly _tag: "committed"; readonly claim: Claim }
  /** Another owner has the tenant. */
  | { readonly _tag: "lost" }
  /** The data itself was refused; nothing was written. */
  | { readonly _tag: "refused"; readonly error: BatchRefused }
  /** Not written, or not known, after all patience. */
  | { readonly _tag: "unavailable" }

/** By this a batch is known again. Each activation has an owner of its own, and writes each number once. */
export const batchIdOf = ({ owner }: Claim, { journalSeq }: Pick<Batch, "journalSeq">): string =>
  `${owner}.${journalSeq}`

/** How long a batch is tried before its callers are told `Unavailable`. */
export const PATIENCE_MS = 5_000

const PAUSE = Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("500 millis")])

type Attempt = { readonly _tag: "again"; readonly claim: Claim } | CommitOutcome

/** After a lost connection: asks a new one whether the batch is there. */
const askAfter = (store: LedgerStore, claim: Claim, batchId: string): Effect.Effect<Attempt> =>
  Effect.map(Effect.result(store.resolve(claim, batchId)), (resolved): Attempt => {
    if (Result.isSuccess(resolved)) {
      const { claim: renewed, isWritten } = resolved.success
      return { _tag: isWritten ? "committed" : "again", claim: renewed }
    }
    return resolved.failure._tag === "Fenced" ? { _tag: "lost" } : { _tag: "unavailable" }
  })

const tryOnce = (
  store: LedgerStore,
  claim: Claim,
  batch: Batch,
  onTrouble?: () => void
): Effect.Effect<Attempt> =>
  Effect.matchEffect(store.commit(claim, batch), {
    onSuccess: () => Effect.succeed<Attempt>({ _tag: "committed", claim }),
    onFailure: (error): Effect.Effect<Attempt> => {
      onTrouble?.()
      switch (error._tag) {
        case "Fenced":
          return Effect.succeed({ _tag: "lost" })
        case "BatchRefused":
          return Effect.succeed({ _tag: "refused", error })
        case "NotWritten":
          return Effect.as(Effect.logWarning("a batch was not written; it is tried again", error), {
            _tag: "again",
            claim
          })
        case "OutcomeUnknown":
          return resolvePatiently(store, claim, batch.id)
      }
    }
  })

/** Keeps asking while the store cannot be reached: until it answers, the outcome stays unknown. */
const resolvePatiently = (store: LedgerStore, claim: Claim, batchId: string): Effect.Effect<Attempt> =>
  askAfter(store, claim, batchId).pipe(
    Effect.repeat({ schedule: PAUSE, while: (attempt) => attempt._tag === "unavailable" }),
    Effect.timeoutOrElse({
      duration: PATIENCE_MS,
      orElse: () => Effect.succeed<Attempt>({ _tag: "unavailable" })
    })
  )

const tryAgain = (store: LedgerStore, claim: Claim, batch: Batch): Effect.Effect<CommitOutcome> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    let current = claim
    for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 2, 500)) {
      yield* Effect.sleep(pauseMs)
      const attempt = yield* tryOnce(store, current, batch)
      if (attempt._tag !== "again") return attempt
      current = attempt.claim
      if ((yield* Clock.currentTimeMillis) - startedAt > PATIENCE_MS) return { _tag: "unavailable" }
    }
  })

/**
 * Asks whether the tenant is still this owner's, for answers that write nothing: an owner that was frozen, or cut off,
 * must not answer from a memory that another one has gone on from.
 */
export const confirm = (
  store: LedgerStore,
  claim: Claim,
  onTrouble: () => void
): Effect.Effect<CommitOutcome> =>
  store.isOwner(claim).pipe(
    Effect.tapError(() => Effect.sync(onTrouble)),
    Effect.retry({ schedule: PAUSE }),
    Effect.map((isOwner): CommitOutcome => (isOwner ? { _tag: "committed", claim } : { _tag: "lost" })),
    Effect.catch(() => Effect.succeed<CommitOutcome>({ _tag: "unavailable" })),
    Effect.timeoutOrElse({
      duration: PATIENCE_MS,
      orElse: () => Effect.succeed<CommitOutcome>({ _tag: "unavailable" })
    })
  )

/**
 * Writes a batch, and says how that ended. It takes at most some seconds, and never fails. `onTrouble` is called when
 * it is not written at once.
 */
export const commit = (
  store: LedgerStore,
  claim: Claim,
  batch: Batch,
  onTrouble?: () => void
): Effect.Effect<CommitOutcome> =>
  Effect.flatMap(tryOnce(store, claim, batch, onTrouble), (attempt) =>
    attempt._tag === "again" ? tryAgain(store, attempt.claim, batch) : Effect.succeed(attempt)
  )
