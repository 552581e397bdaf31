/**
 * The port behind which a user is forgotten outside of the ledger.
 *
 * Owns: what is promised of it. Does not decide: what that is (runtime/UserTraces).
 */
import type { Effect } from "effect"
import type { SignalError } from "../signal/Errors.ts"

export interface TraceCounts {
  /** Workflows, and other durable machines. */
  readonly machines: number
  readonly dead_letters: number
  readonly refusals: number
}

/** Puts a name in the place of the user's. Done again, it finds less to do. */
export type RenameTraces = (to: string) => Effect.Effect<TraceCounts, SignalError>

export interface UserTraces {
  /**
   * What runs for the user stands still until `effect` is over: it asks the ledger under the old name before, and under the
   * new one afterwards.
   */
  readonly whileStill: <A, E>(
    tenant: string,
    user: string,
    effect: (rename: RenameTraces) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | SignalError>
}
