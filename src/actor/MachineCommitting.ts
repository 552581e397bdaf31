/**
 * Brings one commit of a durable machine into the store, whatever happens on the way.
 *
 * Owns: the failure protocol: retry what was not written, ask after what is not known, give up in bounded time.
 * Does not decide: what becomes of those who wait (DurableKeeping).
 */
import { Effect, Result, Schedule } from "effect"
import type { MachineClaim, MachineCommit, MachineRefused, MachineStore } from "./MachineStore.ts"

export type MachineOutcome =
  | { readonly _tag: "committed"; readonly claim: MachineClaim }
  /** Another owner has the machine. */
  | { readonly _tag: "lost" }
  /** The data itself was refused; nothing was written. */
  | { readonly _tag: "refused"; readonly error: MachineRefused }
  /** Not written, or not known, after all patience. */
  | { readonly _tag: "unavailable" }

/** How long a commit is tried before those who wait are told `Unavailable`. */
export const PATIENCE_MS = 5_000

const PAUSE = Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("500 millis")])

const UNAVAILABLE: MachineOutcome = { _tag: "unavailable" }

type Attempt = { readonly _tag: "again"; readonly claim: MachineClaim } | MachineOutcome

/** Until the store answers whether it was written, nobody knows. */
const ask = (store: MachineStore, claim: MachineClaim, id: string): Effect.Effect<Attempt> =>
  store.resolve(claim, id).pipe(
    Effect.retry({ schedule: PAUSE, while: (error) => error._tag === "MachineStoreUnreachable" }),
    Effect.result,
    Effect.map((resolved): Attempt => {
      if (Result.isFailure(resolved))
        return resolved.failure._tag === "MachineFenced" ? { _tag: "lost" } : UNAVAILABLE
      const { claim: renewed, isWritten } = resolved.success
      return { _tag: isWritten ? "committed" : "again", claim: renewed }
    })
  )

const attempt = (store: MachineStore, claim: MachineClaim, commit: MachineCommit): Effect.Effect<Attempt> =>
  Effect.matchEffect(store.commit(claim, commit), {
    onSuccess: () => Effect.succeed<Attempt>({ _tag: "committed", claim }),
    onFailure: (error): Effect.Effect<Attempt> => {
      switch (error._tag) {
        case "MachineFenced":
          return Effect.succeed({ _tag: "lost" })
        case "MachineRefused":
          return Effect.succeed({ _tag: "refused", error })
        case "MachineNotWritten":
          return Effect.as(Effect.logWarning("a step was not written; it is tried again", error), {
            _tag: "again",
            claim
          })
        case "MachineOutcomeUnknown":
          return ask(store, claim, commit.id)
      }
    }
  })

/** Writes a commit, and says how that ended. It takes at most some seconds, and never fails. */
export const commitMachine = (
  store: MachineStore,
  claim: MachineClaim,
  commit: MachineCommit
): Effect.Effect<MachineOutcome> =>
  Effect.gen(function* () {
    let current = claim
    for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 2, 500)) {
      const tried = yield* attempt(store, current, commit)
      if (tried._tag !== "again") return tried
      current = tried.claim
      yield* Effect.sleep(pauseMs)
    }
  }).pipe(Effect.timeoutOrElse({ duration: PATIENCE_MS, orElse: () => Effect.succeed(UNAVAILABLE) }))
