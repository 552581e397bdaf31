/**
 * The port through which users are replaced in what a bridge keeps itself, where a tenant anonymises them.
 *
 * Owns: the interface. Does not decide: who is replaced by what (runtime/).
 */
import { Context, type Effect } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { SignalError } from "../signal/Errors.ts"

export interface UserDisguise {
  /** The attribution that a key is forced to, as it is kept. */
  readonly attribution: (tenant: string, attribution: Attribution) => Effect.Effect<Attribution, SignalError>
  /** Calls back when keys have ended because they spoke for a user who was forgotten. */
  readonly onKeysEnded: (listener: (keyIds: ReadonlyArray<string>) => void) => void
  /** What may be kept of a notification that failed. `isDecoded`: it was one of the language's signals. */
  readonly params: (tenant: string, params: unknown, isDecoded: boolean) => Effect.Effect<unknown>
}

export const UserDisguise = Context.Service<UserDisguise>("bursar/bridge/UserDisguise")
