/**
 * The port behind which workflows and other durable machines go that ended long ago.
 *
 * Owns: what is promised of it. Does not decide: what is old (Cleanup), or how they are removed (runtime/).
 */
import { Effect } from "effect"
import type { SignalError } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"

export interface EndedMachines {
  /** How many of a tenant ended before a moment. */
  readonly count: (tenant: string, before: Millis) => Effect.Effect<number, SignalError>
  /** Removes some of them, with what they have told. Done again, it finds less to do. */
  readonly remove: (
    tenant: string,
    before: Millis
  ) => Effect.Effect<{ readonly removed: number; readonly isMore: boolean }, SignalError>
}

/** For a ledger beside which there are none. */
export const noMachines: EndedMachines = {
  count: () => Effect.succeed(0),
  remove: () => Effect.succeed({ removed: 0, isMore: false })
}
