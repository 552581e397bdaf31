/**
 * What a machine tells others, before it leaves.
 *
 * Owns: its shape, the id that a command gets, and that nobody tells another tenant's actors.
 * Does not decide: when it leaves (MachineOutbox, MachineTelling).
 */
import type { Schema } from "effect"
import type { Address } from "./Address.ts"
import { NotDurable } from "./PlainJson.ts"
import { requestIdOf } from "./RequestKey.ts"

/** A signal that a step sends, as it is written on the wire. */
export interface Outgoing {
  readonly to: Address
  readonly signal: string
  readonly params: Schema.JsonObject
  /** It changes something, and so carries a `request_id`. */
  readonly isCommand: boolean
}

/** One signal, several, or none. */
export type Told = Outgoing | ReadonlyArray<Outgoing> | undefined

/** One by one. */
export const listOf = (told: Told): ReadonlyArray<Outgoing> =>
  told === undefined ? [] : "signal" in told ? [told] : told

/** A machine speaks for its own tenant; whom tenants share is nobody's in particular. */
export const strangerProblem = (from: Address, { to, signal }: Outgoing): NotDurable | undefined =>
  to.tenant === undefined || from.tenant === undefined || to.tenant === from.tenant
    ? undefined
    : new NotDurable(
        `${from.text} may not tell ${signal} to ${to.text}, which is another tenant's: a machine speaks for its own`
      )

/** Its payload, under an id made of a key that nothing else has, where a command has none of its own. */
export const namedBy = (key: string, { params, isCommand }: Outgoing): Schema.JsonObject =>
  !isCommand || params.request_id !== undefined ? params : { ...params, request_id: requestIdOf(key) }
