/**
 * Where an actor lives, when there are several nodes, and how it is asked there.
 *
 * Owns: the port between what finds actors (runtime/) and what spreads them over nodes (cluster/). Without a cluster
 * nobody has one: every actor is here.
 * Does not decide: on which node an actor lives, or what it answers.
 */
import { Context, type Effect, type Scope } from "effect"
import type { ActorSignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { OpenTopic } from "../signal/SignalRouter.ts"
import type { EventFilter, Topic } from "../signal/Subscriptions.ts"
import type { Address } from "./Address.ts"

/** A topic as somebody on another node opens it. */
export interface TopicRequest {
  readonly topic: Topic
  readonly filter: EventFilter
  readonly fromCursor: string | undefined
  /** The node that asks. What it sees for itself need not be sent to it. */
  readonly from: string
}

/** How an actor that lives on some node is reached. */
interface Reach {
  readonly ask: <Name extends ActorSignalName>(
    address: Address,
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<Name>, SignalError>
  readonly follow: (
    address: Address,
    request: TopicRequest,
    principal: Principal
  ) => Effect.Effect<OpenTopic, SignalError>
}

/**
 * Actors of one kind that are spread over nodes: what a node does for the addresses that live on it. Its `ask` starts the
 * actor where it is not there yet; its `follow` opens a topic as this node sees it.
 */
export interface Resident extends Reach {
  /** The kind in their addresses. */
  readonly kind: string
  /** The address moves away: stops its actor in order. Nobody else has it before this has ended. */
  readonly leave: (address: Address) => Effect.Effect<void>
}

/** This node among the others. */
export interface NodeStatus {
  /** Where the other nodes reach it: `HOST:PORT`. */
  readonly node: string
  /** How many of all shards are here. */
  readonly shards: number
  readonly shardsOfAll: number
}

/**
 * The nodes, as one of them sees them. `ask` goes to the node where the actor lives, this one or another, and waits,
 * bounded, while it moves. `follow` opens a topic there; its events end when the address moves.
 */
export interface Placement extends Reach {
  /** Serves addresses of a kind on this node until the scope closes; then they move to the other nodes. */
  readonly host: (resident: Resident) => Effect.Effect<void, never, Scope.Scope>
  /** Whether an address lives here now. It looks at memory only, so that it can be asked for every signal. */
  readonly isHere: (address: Address) => boolean
  /**
   * Whether what is asked here is still decided here: it lives here, or it is on its way to another node and what it has
   * begun has not come to its end. So what ends here can still be recorded.
   */
  readonly isServed: (address: Address) => boolean
  /** Until addresses have come here since this was waited for last. */
  readonly arrived: Effect.Effect<void>
  readonly status: () => NodeStatus
}

export const Placement = Context.Service<Placement>("bursar/actor/Placement")
