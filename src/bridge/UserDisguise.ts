/**
 * The port through which users are replaced in what a bridge keeps itself, where a tenant anonymises them.
 *
 * Owns: the interface. Does not decide: who is replaced by what (runtime/).
 */
import { Context, type Effect } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"

export interface UserDisguise {
  /** The attribution that a key is forced to, as it is kept. */
  readonly attribution: (tenant: string, attribution: Attribution) => Effect.Effect<Attribution, SignalError>
  /** Calls back when keys have ended because they spoke for a user who was forgotten. */
  readonly onKeysEnded: (listener: (keyIds: ReadonlyArray<string>) => void) => void
  /** What may be kept of a notification that failed, and of who sent it. */
  readonly letter: (principal: Principal, params: unknown, use: LetterUse) => Effect.Effect<KeptParams>
}

/** What failed: a signal that may be sent again; one that is only listed (`shown`); or what nobody could make out. */
export type LetterUse = "command" | "query" | "shown" | "unread"

export interface KeptParams {
  readonly principal: Principal
  readonly params: unknown
  /** Whether this is what was sent, but for who is named in it: so that it can be sent again. */
  readonly isWhole: boolean
}

export const UserDisguise = Context.Service<UserDisguise>("bursar/bridge/UserDisguise")
