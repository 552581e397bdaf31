/**
 * What a host can send, typed as it is on the wire.
 *
 * Owns: which signals of the catalogue a host in the same process sends, and what differs from the wire: a call's text
 * is read by `stream`, never by a subscription's id; failures are thrown, never events.
 * Does not decide: any name, field or result; they are the catalogue's.
 */
import type { SignalName, SignalParams, SignalResult } from "../signal/Catalogue.ts"
import { SIGNALS } from "../signal/Catalogue.ts"
import { Kind, type Known, OBJECT, TEXT } from "../signal/KnownOptions.ts"
import type { Completion } from "../signal/Providers.ts"
import type { Event, EventFilter, Topic } from "../signal/Subscriptions.ts"

/** Subscriptions have a door of their own: they are answered with events, not with an id. */
type OverTime = "subscribe" | "unsubscribe"

/** Every signal that a host can send. */
export type HostSignal = Exclude<SignalName, OverTime>

/** What a signal takes. Amounts are decimal strings, times are RFC 3339. */
export type HostParams<Name extends HostSignal> = Name extends "complete"
  ? Omit<SignalParams<"complete">, "stream">
  : SignalParams<Name>

/** What a signal answers. */
export type HostResult<Name extends HostSignal> = Name extends "complete"
  ? typeof Completion.Encoded
  : SignalResult<Name>

export interface SendOptions {
  /** Ends the waiting; of a call to a model that nobody else waits for, the call. It is charged for what it used. */
  readonly signal?: AbortSignal
  /** What this is a part of, as the header `traceparent` of W3C Trace Context has it. */
  readonly traceparent?: string
}

const ABORT_SIGNAL = new Kind("an AbortSignal", (value) => {
  const { aborted, addEventListener } = Object(value) as Partial<AbortSignal>
  return typeof aborted === "boolean" && typeof addEventListener === "function"
})

/** Their options. */
export const SENDING: Known<SendOptions> = { signal: ABORT_SIGNAL, traceparent: TEXT }

/** What a method of a signal takes: its params may be left out where it needs none. */
export type Given<Name extends HostSignal> =
  Record<never, never> extends HostParams<Name>
    ? [params?: HostParams<Name>, options?: SendOptions]
    : [params: HostParams<Name>, options?: SendOptions]

/** Sends one signal, and is fulfilled with its answer. */
export type Method<Name extends HostSignal> = (...given: Given<Name>) => Promise<HostResult<Name>>

/** A part of a call's text; at last the whole answer, with its usage. */
export type StreamPart = { readonly text: string } | { readonly finished: HostResult<"complete"> }

/** What the events of each topic carry. */
interface Carried {
  readonly usage: "usage" | "in_flight"
  readonly alerts: "alert"
  readonly budgets: "budget" | "override"
  readonly signals: "signal"
  readonly actors: "actor"
  readonly workflows: "workflow"
}

type Carrying<Key extends string> = Key extends string ? { readonly [K in Key]: unknown } : never

/** An event of a topic. `gap` stands in place of events that were dropped: how many, or `null` for unknown. */
export type EventOf<T extends Topic> = T extends Topic
  ? Extract<typeof Event.Encoded, Carrying<Carried[T] | "gap">>
  : never

/** An event with the cursor after it: `null` where a topic cannot be resumed. */
export interface TopicEventOf<T extends Topic> {
  readonly cursor: string | null
  readonly event: EventOf<T>
}

export interface SubscribeOptions {
  readonly filter?: typeof EventFilter.Encoded
  /** Goes on after this event. Only `usage`, `alerts` and `workflows` can; the others start now. */
  readonly fromCursor?: string
}

/** Their options; `filter` is the contract's. */
export const SUBSCRIBING: Known<SubscribeOptions> = { filter: OBJECT, fromCursor: TEXT }

const isOverTime = (name: string): name is OverTime => name === "subscribe" || name === "unsubscribe"

const isHostSignal = (name: string): name is HostSignal => Object.hasOwn(SIGNALS, name) && !isOverTime(name)

/** The names of all of them. */
export const HOST_SIGNALS: ReadonlyArray<HostSignal> = Object.keys(SIGNALS).filter(isHostSignal)
