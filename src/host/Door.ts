/**
 * The way in for a host in the same process: signals as they are on the wire, sent as Effects.
 *
 * Owns: that a host's signals pass the checks of any other (strict decoding, roles, forced attribution), that events of
 * failure become failures, and what a defect looks like.
 * Does not decide: for whom (Identity), or what a signal does (SignalRouter).
 */
import { randomBytes } from "node:crypto"
import { Cause, Effect, Redacted, Result, Stream } from "effect"
import { reportIncident } from "../actor/Incident.ts"
import type { InstallationSecret } from "../bridge/InstallationSecret.ts"
import type { KeyAudit } from "../bridge/KeyAudit.ts"
import { askKeys, type Credentials, isKeySignal, makeCredentials } from "../bridge/KeySignals.ts"
import type { KeyStore } from "../bridge/KeyStore.ts"
import type { KnownKeys } from "../bridge/KnownKeys.ts"
import type { SessionStore } from "../bridge/SessionStore.ts"
import type { UserDisguise } from "../bridge/UserDisguise.ts"
import { authorize, authorizeSubscription } from "../signal/Authorization.ts"
import type { SignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { decodeError, decodePayload, encodeEvent, encodeSuccess, findSignal } from "../signal/Decode.ts"
import {
  type Forbidden,
  type InvalidParams,
  invalidParam,
  type SignalError,
  UnknownSignal
} from "../signal/Errors.ts"
import { optionsRefused } from "../signal/KnownOptions.ts"
import type { Principal } from "../signal/Principal.ts"
import {
  type OpenTopic,
  type RoutedSignal,
  refuse,
  SignalRouter,
  type TopicEvent
} from "../signal/SignalRouter.ts"
import type { Topic } from "../signal/Subscriptions.ts"
import {
  type EventOf,
  type HostParams,
  type HostResult,
  type HostSignal,
  type StreamPart,
  SUBSCRIBING,
  type SubscribeOptions,
  type TopicEventOf
} from "./HostSignals.ts"
import { hostPrincipal, type Identity, narrow } from "./Identity.ts"

/** An open subscription. Its events have to be run, or its scope closed: until then they wait, in bounded memory. */
export interface OpenEvents<T extends Topic> {
  /** Where it begins; `null` where the topic cannot be resumed. */
  readonly cursor: string | null
  readonly events: Stream.Stream<TopicEventOf<T>, SignalError>
}

export interface Door {
  /** Sends a signal and waits for its answer. */
  readonly send: <Name extends HostSignal>(
    name: Name,
    params: HostParams<Name>
  ) => Effect.Effect<HostResult<Name>, SignalError>
  /** A call whose text is read as it comes. It holds its money once this answers; leaving the stream cancels it. */
  readonly stream: (
    params: HostParams<"complete">
  ) => Effect.Effect<Stream.Stream<StreamPart, SignalError>, SignalError>
  readonly subscribe: <T extends Topic>(
    topic: T,
    options?: SubscribeOptions
  ) => Effect.Effect<OpenEvents<T>, SignalError>
  /** The same door for somebody with narrower rights. */
  readonly as: (identity: Identity) => Result.Result<Door, Forbidden | InvalidParams>
}

const NO_SIGNAL_HERE: { readonly [name: string]: string } = {
  subscribe: "A host subscribes by subscribe(topic), whose events are read in a loop",
  unsubscribe: "A host ends a subscription by leaving its loop, or by closing it"
}

/** Checks a signal as any other door does. */
const admit = <Name extends SignalName>(
  name: Name,
  params: unknown,
  principal: Principal
): Result.Result<SignalPayload<Name>, SignalError> =>
  findSignal(name).pipe(
    Result.flatMap(() => decodePayload(name, params)),
    Result.flatMap((payload) => authorize(name, payload, principal))
  )

const byStream = invalidParam(
  ["stream"],
  "A host reads a call's text by stream(), not by this field; leave it out"
)

/** A defect is told as an incident; whoever is interrupted stays so. */
const withoutDefects = <A>(
  name: string,
  effect: Effect.Effect<A, SignalError>
): Effect.Effect<A, SignalError> =>
  Effect.catchCause(effect, (cause) =>
    Cause.hasDies(cause)
      ? Effect.flatMap(reportIncident(`The signal ${name}`, cause), Effect.fail)
      : Effect.failCause(cause)
  )

const streamWithoutDefects = <A>(name: string, events: Stream.Stream<A, SignalError>) =>
  Stream.catchCause(events, (cause) =>
    Stream.fromEffect(withoutDefects(name, Effect.failCause(cause) as Effect.Effect<never, SignalError>))
  )

const partOf = ({ event }: TopicEvent): Effect.Effect<StreamPart, SignalError> => {
  if ("text" in event) return Effect.succeed({ text: event.text })
  if ("failed" in event) return Effect.fail(decodeError(event.failed as never))
  if ("finished" in event) {
    return Effect.succeed({ finished: event.finished.completion as unknown as HostResult<"complete"> })
  }
  return Effect.die(new Error("a call's text tells of nothing else"))
}

const eventsOf = <T extends Topic>({ cursor, events }: OpenTopic): OpenEvents<T> => ({
  cursor,
  events: streamWithoutDefects(
    "subscribe",
    Stream.map(events, (told) => ({ cursor: told.cursor, event: encodeEvent(told.event) as EventOf<T> }))
  )
})

const subscriptionParams = (topic: Topic, { filter, fromCursor }: SubscribeOptions) => ({
  topic,
  ...(filter === undefined ? {} : { filter }),
  ...(fromCursor === undefined ? {} : { from_cursor: fromCursor })
})

const doorOf = (router: SignalRouter, credentials: Credentials, principal: Principal): Door => {
  const ask = (name: SignalName, payload: unknown): Effect.Effect<unknown, SignalError> =>
    isKeySignal(name)
      ? askKeys(credentials, router, name, payload as never, principal)
      : router.ask(name as RoutedSignal, payload as never, principal)

  const refused = (name: string, error: SignalError) => refuse(router, name, principal, error)

  /** What was checked here; what it was refused for is told like any other refusal. */
  const checked = <A>(name: string, result: Result.Result<A, SignalError>): Effect.Effect<A, SignalError> =>
    Result.isFailure(result) ? refused(name, result.failure) : Effect.succeed(result.success)

  const send = (name: SignalName, params: unknown): Effect.Effect<unknown, SignalError> =>
    Effect.suspend(() => {
      const elsewhere = NO_SIGNAL_HERE[name]
      if (elsewhere !== undefined)
        return refused(name, new UnknownSignal({ signal: name, message: elsewhere }))
      const payload = admit(name, params, principal)
      if (Result.isFailure(payload)) return refused(name, payload.failure)
      if ("stream" in payload.success && payload.success.stream === true) return refused(name, byStream)
      return Effect.map(ask(name, payload.success), (success) =>
        encodeSuccess(name, success as SignalSuccess<SignalName>)
      )
    })

  return {
    send: (name, params) => withoutDefects(name, send(name, params)) as Effect.Effect<never, SignalError>,
    stream: (params) =>
      withoutDefects(
        "complete",
        Effect.gen(function* () {
          const payload = yield* checked(
            "complete",
            admit("complete", { ...params, stream: true }, principal)
          )
          const { events } = yield* router.stream(payload, principal)
          return streamWithoutDefects("complete", Stream.mapEffect(events, partOf))
        })
      ),
    subscribe: (topic, options = {}) =>
      withoutDefects(
        "subscribe",
        Effect.gen(function* () {
          const wrong = optionsRefused(options, SUBSCRIBING)
          if (wrong !== undefined) return yield* refused("subscribe", wrong)
          const asked = yield* checked(
            "subscribe",
            decodePayload("subscribe", subscriptionParams(topic, options))
          )
          const filter = yield* checked("subscribe", authorizeSubscription(asked, principal))
          return eventsOf(yield* router.subscribe(topic, filter, asked.from_cursor, principal))
        })
      ),
    as: (identity) =>
      Result.map(narrow(identity, principal), (narrower) => doorOf(router, credentials, narrower))
  }
}

/** A key that nobody knows: where no bridge listens, there is no installation's key to be verified. */
const nobodysKey = (): Redacted.Redacted<string> => Redacted.make(randomBytes(32).toString("base64url"))

/** What a door needs around it. */
export type DoorServices =
  | SignalRouter
  | KeyAudit
  | KeyStore
  | KnownKeys
  | SessionStore
  | InstallationSecret
  | UserDisguise

export interface DoorOptions {
  /** The tenant that the host speaks for. Default: `default`. */
  readonly tenant?: string
  /** Those of the bridge, where one listens: whoever revokes a key here ends its connections there. */
  readonly credentials?: Credentials
}

/** The host's own door, with all rights in its tenant. `as` makes narrower ones of it. */
export const makeDoor = Effect.fnUntraced(function* ({ tenant, credentials }: DoorOptions = {}) {
  const router = yield* SignalRouter
  const principal = yield* Effect.fromResult(hostPrincipal(tenant))
  return doorOf(router, credentials ?? (yield* makeCredentials(nobodysKey())), principal)
})
