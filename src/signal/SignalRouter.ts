/**
 * The port through which a signal reaches whoever answers it.
 *
 * Owns: the interface between the doors (bridge, embedding host) and the actors behind them.
 * Does not decide: where an actor lives. A door decodes and authorizes before it sends.
 */
import { Context, Effect, type Stream } from "effect"
import type { SignalName, SignalPayload, SignalSuccess } from "./Catalogue.ts"
import type { Forbidden, InvalidParams, SignalError } from "./Errors.ts"
import type { Principal } from "./Principal.ts"
import type { Event, EventFilter, Topic } from "./Subscriptions.ts"

/** Signals that belong to the connection itself. */
export type DoorSignal = "subscribe" | "unsubscribe" | "create_key" | "list_keys" | "revoke_key"
export type RoutedSignal = Exclude<SignalName, DoorSignal>

/** An event with the cursor after it. `cursor` is `null` where a topic cannot be resumed. */
export interface TopicEvent {
  readonly cursor: string | null
  readonly event: Event
}

/** An open subscription: where it starts, and what happens from there on. */
export interface OpenTopic {
  readonly cursor: string | null
  readonly events: Stream.Stream<TopicEvent, SignalError>
}

export interface SignalRouter {
  /** Asks, and waits for the answer. A call that streams is answered with its text as events. */
  readonly ask: <Name extends RoutedSignal>(
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<Name>, SignalError>
  /** A call that streams its text: events `text`, at the end `finished` or `failed`. Interrupting it cancels the call. */
  readonly stream: (
    payload: SignalPayload<"complete">,
    principal: Principal
  ) => Effect.Effect<OpenTopic, SignalError>
  readonly subscribe: (
    topic: Topic,
    filter: EventFilter,
    fromCursor: string | undefined,
    principal: Principal
  ) => Effect.Effect<OpenTopic, SignalError | InvalidParams | Forbidden>
  /**
   * Hears of what a door has refused by itself, so that nobody was asked. `method` is as it came; empty where nobody could
   * read it. Absent where nobody wants to hear of it.
   */
  readonly refused?: (method: string, principal: Principal, error: SignalError) => Effect.Effect<void>
  /** Puts what a door answers by itself under a span, as what is asked has one. Absent where nobody traces. */
  readonly traced?: <A>(
    name: DoorSignal,
    payload: unknown,
    principal: Principal,
    answered: Effect.Effect<A, SignalError>
  ) => Effect.Effect<A, SignalError>
}

/** Fails, after the router has heard of it if it wants to. */
export const refuse = (
  { refused }: SignalRouter,
  method: string,
  principal: Principal,
  error: SignalError
): Effect.Effect<never, SignalError> =>
  refused === undefined
    ? Effect.fail(error)
    : Effect.andThen(refused(method, principal, error), Effect.fail(error))

export const SignalRouter = Context.Service<SignalRouter>("bursar/signal/SignalRouter")
