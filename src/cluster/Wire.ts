/**
 * What goes from node to node.
 *
 * Owns: how an ask, its answer and an event are written between two nodes: by the signal's own schemas, as JSON text.
 * Does not decide: how they travel (Channel), or where to (Cluster).
 */
import { Schema } from "effect"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"
import type { TopicRequest } from "../actor/Placement.ts"
import { Attribution } from "../signal/Attribution.ts"
import {
  ACTOR_SIGNALS,
  type ActorSignalName,
  type SignalPayload,
  type SignalSuccess
} from "../signal/Catalogue.ts"
import { decodeSuccess, encodeEvent, encodeSuccess } from "../signal/Decode.ts"
import { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { Role } from "../signal/Signal.ts"
import type { TopicEvent } from "../signal/SignalRouter.ts"
import { Event, EventFilter, Topic } from "../signal/Subscriptions.ts"

const Text = Schema.String

/** What every node understands of every kind of address. Answers are text, so that neither end looks at them twice. */
const Ask = Rpc.make("ask", {
  payload: { name: Text, payload: Text, principal: Text, traceparent: Schema.optionalKey(Text) },
  success: Text
})
const Follow = Rpc.make("follow", {
  payload: { request: Text, principal: Text },
  success: Text,
  stream: true
})
  // It never ends by itself, and an address that moves does not wait for it.
  .annotate(ClusterSchema.InterruptOnTermination, true)

/** The addresses of one kind, as the cluster knows them. Nothing that is sent to them is stored. */
export const entityOf = (kind: string) =>
  Entity.make(kind, [Ask, Follow])
    .annotateRpcs(ClusterSchema.Persisted, false)
    .annotateRpcs(ClusterSchema.ClientTracingEnabled, false)

/** Both ends are ours: what was checked when it came in is not checked again. */
const UNCHECKED = { disableChecks: true } as const

const lazily = <A>(make: (name: ActorSignalName) => A) => {
  const made = new Map<ActorSignalName, A>()
  return (name: ActorSignalName): A => {
    const known = made.get(name) ?? make(name)
    made.set(name, known)
    return known
  }
}

const codecOf = (schema: Schema.Top) => schema as Schema.Codec<unknown, unknown>

const payloadEncoder = lazily((name) =>
  Schema.encodeUnknownSync(codecOf(ACTOR_SIGNALS[name].payloadSchema), UNCHECKED)
)
const payloadDecoder = lazily((name) =>
  Schema.decodeUnknownSync(codecOf(ACTOR_SIGNALS[name].payloadSchema), UNCHECKED)
)

export const writePayload = <Name extends ActorSignalName>(
  name: Name,
  payload: SignalPayload<Name>
): string => JSON.stringify(payloadEncoder(name)(payload))

export const readPayload = <Name extends ActorSignalName>(name: Name, text: string): SignalPayload<Name> =>
  payloadDecoder(name)(JSON.parse(text)) as SignalPayload<Name>

/** A name that another node sent; `undefined` where this one does not know it: it may be of another version. */
export const readName = (name: string): ActorSignalName | undefined =>
  Object.hasOwn(ACTOR_SIGNALS, name) ? (name as ActorSignalName) : undefined

const Sender = Schema.Struct({
  keyId: Schema.String,
  owner: Schema.String,
  tenant: Schema.String,
  roles: Schema.Array(Role),
  attribution: Attribution,
  isInstallation: Schema.Boolean
})
const decodeSender = Schema.decodeUnknownSync(Sender, UNCHECKED)

export const writePrincipal = (principal: Principal): string => JSON.stringify(principal)
export const readPrincipal = (text: string): Principal => decodeSender(JSON.parse(text))

const Requested = Schema.Struct({
  topic: Topic,
  filter: EventFilter,
  fromCursor: Schema.optionalKey(Text),
  from: Text
})
const decodeRequested = Schema.decodeUnknownSync(Requested)

export const writeRequest = (request: TopicRequest): string => JSON.stringify(request)
export const readRequest = (text: string): TopicRequest => {
  const { topic, filter, fromCursor, from } = decodeRequested(JSON.parse(text))
  return { topic, filter, fromCursor, from }
}

// --- answers

const encodeError = Schema.encodeSync(SignalError)
const decodeError = Schema.decodeUnknownSync(SignalError)

/** What a node answers. `moved`: the address does not live there any more, and nothing was done. */
export type Answer<A> =
  | { readonly _tag: "success"; readonly success: A }
  | { readonly _tag: "error"; readonly error: SignalError }
  | { readonly _tag: "moved" }

export const MOVED = JSON.stringify({ moved: true })

export const writeSuccess = <Name extends ActorSignalName>(
  name: Name,
  success: SignalSuccess<Name>
): string => JSON.stringify({ success: encodeSuccess(name, success) })

export const writeError = (error: SignalError): string => JSON.stringify({ error: encodeError(error) })

const readAnswer = <A>(text: string, read: (value: unknown) => A): Answer<A> => {
  const answer = JSON.parse(text) as Record<string, unknown>
  if ("success" in answer) return { _tag: "success", success: read(answer.success) }
  return "error" in answer ? { _tag: "error", error: decodeError(answer.error) } : { _tag: "moved" }
}

export const readSuccess = <Name extends ActorSignalName>(
  name: Name,
  text: string
): Answer<SignalSuccess<Name>> => readAnswer(text, (value) => decodeSuccess(name, value))

// --- events

const decodeEvent = Schema.decodeUnknownSync(Event)

/** The first thing that comes of a topic: where it starts. */
export const writeOpened = (cursor: string | null): string => JSON.stringify({ success: cursor })
export const readOpened = (text: string): Answer<string | null> =>
  readAnswer(text, (value) => value as string | null)

export const writeEvent = ({ cursor, event }: TopicEvent): string =>
  JSON.stringify({ success: { cursor, event: encodeEvent(event) } })

export const readEvent = (text: string): Answer<TopicEvent> =>
  readAnswer(text, (value) => {
    const { cursor, event } = value as { readonly cursor: string | null; readonly event: unknown }
    return { cursor, event: decodeEvent(event) }
  })
