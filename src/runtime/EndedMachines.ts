/**
 * Removes durable machines that ended long ago, for a cleanup.
 *
 * Owns: how many go at once, and that what they have told goes with them.
 * Does not decide: what is old (tokens/Cleanup), or what stays of a machine (store/).
 */
import { Effect } from "effect"
import type { MachineStore, MachineStoreUnreachable } from "../actor/MachineStore.ts"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { EndedMachines } from "../tokens/EndedMachines.ts"

/** A statement of some tens of milliseconds: snapshots may be large. */
export const REMOVED_AT_ONCE = 200

const answered = <A>(effect: Effect.Effect<A, MachineStoreUnreachable>): Effect.Effect<A, SignalError> =>
  Effect.mapError(
    effect,
    () => new Unavailable({ message: "The store cannot be reached; send it again", retry_after_ms: 1_000 })
  )

export const makeEndedMachines = (
  store: Pick<MachineStore, "countEnded" | "removeEnded" | "removeOldFacts">
): EndedMachines => ({
  count: (tenant, before) => answered(store.countEnded(tenant, before)),
  remove: (tenant, before) =>
    answered(
      Effect.tap(store.removeEnded(tenant, before, REMOVED_AT_ONCE), ({ isMore }) =>
        isMore ? Effect.void : store.removeOldFacts(tenant, before)
      )
    )
})
