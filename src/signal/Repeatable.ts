/**
 * Making a command one that can be sent again.
 *
 * Owns: giving it a `request_id` where its sender gave none, so that whoever passes it on may do so twice.
 * Does not decide: how a repeat is recognized (tokens/Decide).
 */
import { ACTOR_SIGNALS, type ActorSignalName, type SignalPayload } from "./Catalogue.ts"
import type { AnySignal } from "./Protocol.ts"
import { traitsOf } from "./Signal.ts"

/** The payload with a `request_id`, if its signal is a command. One that has one stays as it is. */
export const withRequestId = <Payload>(definition: AnySignal, payload: Payload): Payload => {
  if ((payload as { readonly request_id?: string }).request_id !== undefined) return payload
  if (traitsOf(definition).kind === "query") return payload
  return { ...payload, request_id: crypto.randomUUID() }
}

/** The same for a signal of the product's own. */
export const repeatable = <Name extends ActorSignalName>(
  name: Name,
  payload: SignalPayload<Name>
): SignalPayload<Name> => withRequestId(ACTOR_SIGNALS[name], payload)
