/**
 * What makes an actor, and what its behaviour knows of it and may do.
 *
 * Owns: the interfaces. Does not decide: how any of it is done (Life, Lives).
 */
import type { Effect, Schema } from "effect"
import type { MachineGraph } from "../signal/Actors.ts"
import type { ActorSignals } from "../signal/Catalogue.ts"
import type { NameIn, PayloadIn, Protocol } from "../signal/Protocol.ts"
import type { ActorRef, MailboxPolicy } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { EnvelopeIn } from "./Envelope.ts"
import type { SupervisionPolicy } from "./Supervision.ts"
import type { Watcher } from "./Watching.ts"

/** What an actor shows of itself when it is inspected. */
export interface ActorInsight {
  readonly machine: MachineGraph | null
  readonly context: { readonly [name: string]: Schema.Json }
  /** Of a machine: the tags of the state that it is in. */
  readonly tags?: ReadonlyArray<string>
  /** Of a machine: the `meta` of each state that it is in, by the state's id. */
  readonly meta?: { readonly [state: string]: Schema.Json }
}

export interface ActorOptions<P extends Protocol = ActorSignals> {
  readonly address: Address
  /** The signals that it takes. Default: the product's own. */
  readonly protocol?: P
  /** It ends before its parent does. Where the parent is not there, nobody can be its child: `spawn` dies. */
  readonly parent?: Address
  /** Signals that may wait. Default: 1,000. */
  readonly mailboxCapacity?: number
  /**
   * Whether each payload is compared with its signal's schema before it is taken, as what comes over a wire is: for an actor
   * that is asked from JavaScript. It takes about a microsecond. Default: no, for TypeScript has looked. What a durable machine
   * is sent is always compared.
   */
  readonly checksPayloads?: boolean
  /** What a full mailbox does. Default: it refuses. */
  readonly mailboxPolicy?: MailboxPolicy
  /** Signals that can be put aside at once. Default: 1,000. */
  readonly stashCapacity?: number
  readonly supervision?: SupervisionPolicy
  /** The actor's loop. When it returns the actor has stopped; when it fails or dies, supervision decides. */
  readonly behaviour: (context: ActorContext<P>) => Effect.Effect<void, unknown>
  readonly insight?: () => ActorInsight
  /**
   * Whether the actor may leave memory while it is idle, asked each time before it does. Only actors of a registered kind
   * leave; one with timers, children, or signals that it has not answered never does. Default: yes.
   */
  readonly mayPassivate?: () => boolean
  /** Whether what it is lies in the store, so that it goes on after somebody has stopped the actor. Default: no. */
  readonly isDurable?: boolean
  /**
   * Whether somebody makes it again when it is needed, so that who is refused after its end may send again. Default: where
   * its kind is registered.
   */
  readonly isRemade?: boolean
}

/**
 * What belongs to one life. When that has ended, nothing can be begun with it: `spawn`, `watch`, `after`, `every` and `stash`
 * throw; and it says nothing more: `transition`, `shows` and `ends` do nothing.
 */
export interface ActorContext<P extends Protocol = ActorSignals> {
  readonly ref: ActorRef<P>
  /** Says in which state the actor's machine is now; `detail` is the event that led there. */
  readonly transition: (state: string, detail?: string) => void
  /** Says how to look inside this life. */
  readonly shows: (insight: () => ActorInsight) => void
  /** Says why its loop is about to return, and with what: whoever watches is told. */
  readonly ends: (why: string, output?: unknown) => void
  /** Starts a child: it ends before this actor does. */
  readonly spawn: <Q extends Protocol = ActorSignals>(
    options: Omit<ActorOptions<Q>, "parent">
  ) => Effect.Effect<ActorRef<Q>>
  /**
   * Tells once when the actor at the address ends, also when it is gone already; until `unwatch`, or until this life ends.
   * To watch again what is watched replaces the watcher. Who only leaves memory has not ended.
   */
  readonly watch: (address: Address, watcher: Watcher) => void
  readonly unwatch: (address: Address) => void
  /**
   * Sends a signal to the actor itself, in a while or again and again. A key has one timer: another one of the same key
   * takes its place. What it sends has a place in a full mailbox too. A timer ends with this life, and what it has sent and
   * nobody has looked at is taken back.
   */
  readonly after: <Name extends NameIn<P>>(
    key: string,
    delayMs: number,
    name: Name,
    payload: PayloadIn<P, Name>
  ) => void
  readonly every: <Name extends NameIn<P>>(
    key: string,
    intervalMs: number,
    name: Name,
    payload: PayloadIn<P, Name>
  ) => void
  readonly cancel: (key: string) => void
  /** Puts a signal aside until `unstash`. At the bound it is answered `Overloaded`, and this is false. */
  readonly stash: (envelope: EnvelopeIn<P>) => boolean
  /** What was put aside comes first in the mailbox again, in its order. The end of a life does the same. */
  readonly unstash: () => void
  /** Waits until the children that end with this life have ended, and ends them. */
  readonly childrenEnded: Effect.Effect<void>
  /** While this life is being ended: whether another follows it, which finds what is put back into the mailbox. */
  readonly goesOn: boolean
  /** Whether this life is ended from outside: the actor is stopped, restarted because somebody asked, or leaves memory. */
  readonly isLeaving: boolean
}
