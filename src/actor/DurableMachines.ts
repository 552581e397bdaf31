/**
 * The durable machines of this node.
 *
 * Owns: starting one, finding one wherever it was left, and starting again what a restart ended.
 * Does not decide: on which node a machine lives (cluster/): who asks here has decided that.
 */
import { Context, type Effect } from "effect"
import type { AnyStateMachine, InputFrom } from "xstate"
import type { SignalError, Unavailable } from "../signal/Errors.ts"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { DurableMachine, MachineView } from "./DurableMachine.ts"
import type { OutgoingSignal } from "./MachineStore.ts"

/** One kind of durable machine, ready to be used. */
export interface DurableKind<Machine extends AnyStateMachine, P extends Protocol> {
  /**
   * Starts a machine at an address, and answers once its first state is committed. Where one was started already, that
   * one is answered (`isNew: false`), whatever the input is.
   */
  readonly start: (
    address: Address,
    input: InputFrom<Machine>
  ) => Effect.Effect<{ readonly ref: ActorRef<P>; readonly isNew: boolean }, SignalError>
  /** The actor at an address, brought into memory where it is not; `undefined` where nothing was ever started. */
  readonly find: (address: Address) => Effect.Effect<ActorRef<P> | undefined, Unavailable>
  /** A machine as it was last committed, without bringing it into memory. */
  readonly view: (address: Address) => Effect.Effect<MachineView<Machine> | undefined, Unavailable>
}

export interface DurableMachines {
  /** Makes a kind known. Machines of a kind that nobody has registered stay where they are. */
  readonly register: <Machine extends AnyStateMachine, P extends Protocol>(
    definition: DurableMachine<Machine, P>
  ) => Effect.Effect<DurableKind<Machine, P>>
  /**
   * Brings into memory what has to be there: after a start of the process, and again every few seconds for what went idle
   * or moved here. `isMine` says which addresses live on this node. Answers how many were started.
   */
  readonly recover: (isMine: (address: Address) => boolean) => Effect.Effect<number, Unavailable>
  /** Starts a parked or failed-over machine anew from the store: after its code or what it waited for has changed. */
  readonly restart: (address: Address) => Effect.Effect<void, SignalError>
  /** Calls back when facts of a tenant have been committed by this node; the store has them. Returns how to stop. */
  readonly onFacts: (listener: (tenant: string) => void) => () => void
}

export const DurableMachines = Context.Service<DurableMachines>("bursar/actor/DurableMachines")

/** How outgoing signals find their receiver: provided by the runtime, which knows every actor and node. */
export interface SignalDelivery {
  /**
   * Sends one signal and waits until it is taken. `Unavailable`, `Overloaded` and other failures that pass are tried
   * again; any other failure ends it as a dead letter.
   */
  readonly deliver: (from: Address, outgoing: OutgoingSignal) => Effect.Effect<void, SignalError>
}

export const SignalDelivery = Context.Service<SignalDelivery>("bursar/actor/SignalDelivery")
