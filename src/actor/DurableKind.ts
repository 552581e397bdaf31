/**
 * What a host has of a kind of durable machines.
 *
 * Owns: the interface. Does not decide: how any of it is done (DurableMachines).
 */
import type { Effect } from "effect"
import type { AnyStateMachine, InputFrom } from "xstate"
import type { Conflict, SignalError, Unavailable } from "../signal/Errors.ts"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { MachineView } from "./DurableMachine.ts"

/** What a machine begins with. It may be left out where the machine's types allow it. */
export type StartInput<Machine extends AnyStateMachine> =
  undefined extends InputFrom<Machine> ? [input?: InputFrom<Machine>] : [input: InputFrom<Machine>]

/** One kind of durable machine, ready to be used. */
export interface DurableKind<Machine extends AnyStateMachine, P extends Protocol> {
  /**
   * Starts a machine at an address, and answers once its first state is committed. Where one was started already, that
   * one is answered (`isNew: false`), whatever the input is. On several nodes it starts where its tenant is, whichever of them
   * is asked; `isNew` may then be false of one that this call began, where it was sent twice because the tenant moved meanwhile.
   */
  readonly start: (
    address: Address,
    ...input: StartInput<Machine>
  ) => Effect.Effect<{ readonly ref: ActorRef<P>; readonly isNew: boolean }, SignalError>
  /**
   * The actor at an address, brought into memory where it is not; `undefined` where nothing was ever started. Of one that lives
   * on another node it is a handle: what is sent through it goes there, also after it has moved.
   */
  readonly find: (address: Address) => Effect.Effect<ActorRef<P> | undefined, Unavailable>
  /** Brings one that is at rest back, as its moment would: on the node where it lives, and on no other. */
  readonly wake: (address: Address) => Effect.Effect<void, Unavailable>
  /** A machine as it was last committed, without bringing it into memory. */
  readonly view: (address: Address) => Effect.Effect<MachineView<Machine> | undefined, Conflict | Unavailable>
}
