/**
 * The inspection protocol: what is told of actors and of the signals that they take. docs/inspection.md has an example
 * of each event.
 *
 * Owns: the shapes, and their version. The topics `signals` and `actors`, and a recording, have the same events.
 * Does not decide: who may look (Authorization), or what is left out (actor/Redaction).
 */
import { Schema } from "effect"
import { ActorInfo, AddressText } from "./Actors.ts"
import { Count, PositiveCount, Timestamp } from "./Text.ts"

/** It grows where an event changes so that a reader of the version before would misread it; new fields may come without. */
export const INSPECTION_VERSION = 1 as const
const version = Schema.Literal(INSPECTION_VERSION)

const sent = {
  version,
  signal: Schema.String,
  /** One number for a signal's arrival and its answer; it begins with 1 in each process. */
  signal_id: PositiveCount,
  address: AddressText,
  principal: Schema.String,
  request_id: Schema.NullOr(Schema.String),
  at: Timestamp
}

/** A signal that came to an actor's mailbox. Only told where it is asked for: each is told again when it is answered. */
export const SignalReceived = Schema.Struct({
  ...sent,
  mailbox_depth: Count.annotate({ description: "how many signals waited before it" })
}).annotate({ identifier: "SignalReceived" })
export type SignalReceived = typeof SignalReceived.Type

/** A signal that an actor took and answered; `at` is when it was sent. Prompt text and secrets are redacted. */
export const SignalRecord = Schema.Struct({
  ...sent,
  duration_ms: Schema.Finite,
  outcome: Schema.String.annotate({ description: '"ok", "refused", or the _tag of the error' }),
  reason: Schema.NullOr(Schema.String),
  trace_id: Schema.NullOr(Schema.String).annotate({
    description: "the trace of OpenTelemetry that it is a part of, where there is one"
  }),
  payload: Schema.Json,
  answer: Schema.Json.annotate({
    description: "what was answered: the result, or the error's data; null for a tell"
  })
}).annotate({ identifier: "SignalRecord" })
export type SignalRecord = typeof SignalRecord.Type

/** A fact about an actor: it started, stopped, moved to another state, or its mailbox changed. */
export const ActorFact = Schema.Struct({
  version,
  fact: Schema.Literals(["started", "stopped", "restarted", "failed", "transition", "mailbox"]),
  at: Timestamp,
  actor: ActorInfo,
  detail: Schema.NullOr(Schema.String)
}).annotate({ identifier: "ActorFact" })
export type ActorFact = typeof ActorFact.Type

/** A signal that nobody could take. */
export const DeadLetterFact = Schema.Struct({
  version,
  signal: Schema.String,
  address: Schema.String.annotate({
    description: "where it was sent; a notification that never reached an actor stops at the `bridge`"
  }),
  principal: Schema.String,
  at: Timestamp,
  why: Schema.String,
  payload: Schema.String.annotate({ description: "its beginning, as text" })
}).annotate({ identifier: "DeadLetterFact" })
export type DeadLetterFact = typeof DeadLetterFact.Type

const receivedEvent = Schema.Struct({ received: SignalReceived })
const signalEvent = Schema.Struct({ signal: SignalRecord })
const actorEvent = Schema.Struct({ actor: ActorFact })
const deadLetterEvent = Schema.Struct({ dead_letter: DeadLetterFact })

/** The events of the protocol, one member each. */
export const INSPECTION_EVENTS = [receivedEvent, signalEvent, actorEvent, deadLetterEvent] as const

export const InspectionEvent = Schema.Union(INSPECTION_EVENTS).annotate({ identifier: "InspectionEvent" })
export type InspectionEvent = typeof InspectionEvent.Type
