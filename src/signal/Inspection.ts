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
  /** Of the inspection protocol. */
  version,
  /** Its name. */
  signal: Schema.String,
  /** One number for a signal's arrival and its answer; it begins with 1 in each process. */
  signal_id: PositiveCount,
  /** The actor that it was sent to. */
  address: AddressText,
  /** The id of the key that sent it. */
  principal: Schema.String,
  /** What the sender named it; null where it has none. */
  request_id: Schema.NullOr(Schema.String),
  /** When it was sent. */
  at: Timestamp
}

/** A signal that came to an actor's mailbox. Only told where it is asked for: each is told again when it is answered. */
export const SignalReceived = Schema.Struct({
  ...sent,
  /** How many signals waited before it. */
  mailbox_depth: Count
}).annotate({ identifier: "SignalReceived" })
export type SignalReceived = typeof SignalReceived.Type

/** A signal that an actor took and answered; `at` is when it was sent. Prompt text and secrets are redacted. */
export const SignalRecord = Schema.Struct({
  ...sent,
  /** From sending it to its answer. */
  duration_ms: Schema.Finite,
  /** `ok`, `refused`, or the `_tag` of the error. */
  outcome: Schema.String,
  /** Why it was refused or failed; null for `ok`. */
  reason: Schema.NullOr(Schema.String),
  /** The trace of OpenTelemetry that it is a part of, where there is one. */
  trace_id: Schema.NullOr(Schema.String),
  /** What it carried, without prompt text and secrets. */
  payload: Schema.Json,
  /** What was answered: the result, or the error's data; null for a tell. */
  answer: Schema.Json
}).annotate({ identifier: "SignalRecord" })
export type SignalRecord = typeof SignalRecord.Type

/** A fact about an actor: it started, stopped, moved to another state, or its mailbox changed. */
export const ActorFact = Schema.Struct({
  /** Of the inspection protocol. */
  version,
  /** `transition`: its machine is in another state; `mailbox`: more or fewer signals wait. */
  fact: Schema.Literals(["started", "stopped", "restarted", "failed", "transition", "mailbox"]),
  /** When it happened. */
  at: Timestamp,
  /** How it was then. */
  actor: ActorInfo,
  /** The state, or why; null where there is nothing to say. */
  detail: Schema.NullOr(Schema.String)
}).annotate({ identifier: "ActorFact" })
export type ActorFact = typeof ActorFact.Type

/** A signal that nobody could take. */
export const DeadLetterFact = Schema.Struct({
  /** Of the inspection protocol. */
  version,
  /** Its name. */
  signal: Schema.String,
  /** Where it was sent; a notification that never reached an actor stops at the `bridge`. */
  address: Schema.String,
  /** The id of the key that sent it. */
  principal: Schema.String,
  /** When nobody could take it. */
  at: Timestamp,
  /** Why nobody could take it. */
  why: Schema.String,
  /** Its beginning, as text. */
  payload: Schema.String
}).annotate({ identifier: "DeadLetterFact" })
export type DeadLetterFact = typeof DeadLetterFact.Type

const receivedEvent = Schema.Struct({
  /** A signal came to an actor's mailbox; told where the filter has `received: true`. */
  received: SignalReceived
})
const signalEvent = Schema.Struct({
  /** An actor has answered a signal. */
  signal: SignalRecord
})
const actorEvent = Schema.Struct({
  /** An actor started, stopped, or changed. */
  actor: ActorFact
})
const deadLetterEvent = Schema.Struct({
  /** A signal that nobody could take. */
  dead_letter: DeadLetterFact
})

/** The events of the protocol, one member each. */
export const INSPECTION_EVENTS = [receivedEvent, signalEvent, actorEvent, deadLetterEvent] as const

export const InspectionEvent = Schema.Union(INSPECTION_EVENTS).annotate({ identifier: "InspectionEvent" })
export type InspectionEvent = typeof InspectionEvent.Type
