/**
 * The port through which a durable machine's outgoing signals find their receivers.
 *
 * Owns: what a delivery is, and which of its failures pass.
 * Does not decide: where a receiver lives (the runtime and the cluster know).
 */
import { Context, type Effect } from "effect"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { OutgoingSignal } from "./MachineStore.ts"

export interface SignalDelivery {
  /**
   * Sends one signal, as the principal that names its sender and number, and waits until it is answered. `Unavailable`
   * and `Overloaded` are tried again, `InternalError` a few times; any other failure ends it as a dead letter.
   */
  readonly deliver: (principal: Principal, outgoing: OutgoingSignal) => Effect.Effect<void, SignalError>
}

export const SignalDelivery = Context.Service<SignalDelivery>("bursar/actor/SignalDelivery")
