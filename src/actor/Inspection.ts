/**
 * One stream of facts about actors, and the last of them for whoever comes late.
 *
 * Owns: listeners, the bounded memory of recent signals, redaction.
 * Does not decide: who may look (Authorization), or how slow readers are treated (the subscriber's buffer).
 *
 * It costs next to nothing when nobody listens: a ring slot per signal, and a fact object per actor event.
 */
import { Effect, Schema, SchemaAST } from "effect"
import { ACTOR_SIGNALS, type ActorSignalName } from "../signal/Catalogue.ts"
import { encodeErrorData } from "../signal/Decode.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { traitsOf } from "../signal/Signal.ts"
import type { ActorFact, SignalRecord } from "../signal/Subscriptions.ts"
import { TokenUsage } from "../signal/Usage.ts"
import type { Address } from "./Address.ts"

const RECENT_SIGNALS = 512

/** A signal that was answered. Rendered into a `SignalRecord` only when somebody reads it. */
export interface AnsweredSignal {
  readonly name: ActorSignalName
  readonly payload: unknown
  readonly principal: Principal
  readonly address: Address
  /** When it was sent, in milliseconds since 1970. */
  readonly at: number
  readonly durationMs: number
  readonly answer: { readonly success: unknown } | { readonly error: SignalError }
}

export interface InspectionListener {
  readonly onSignal?: (signal: AnsweredSignal) => void
  readonly onFact?: (fact: ActorFact, address: Address) => void
}

export class Inspection {
  readonly #listeners = new Set<InspectionListener>()
  readonly #recent: Array<AnsweredSignal> = []
  #next = 0
  #onObserved: (() => void) | undefined

  /** Waits until somebody listens. One waits at a time. */
  readonly observed: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const wake = () => {
      this.#onObserved = undefined
      resume(Effect.void)
    }
    if (this.isObserved) wake()
    else this.#onObserved = wake
  })

  get isObserved(): boolean {
    return this.#listeners.size > 0
  }

  /** Calls back on every fact until the returned function is called. A listener must be quick and must not throw. */
  listen(listener: InspectionListener): () => void {
    this.#listeners.add(listener)
    this.#onObserved?.()
    return () => this.#listeners.delete(listener)
  }

  signal(whole: AnsweredSignal): void {
    const answered = lightened(whole)
    this.#recent[this.#next] = answered
    this.#next = (this.#next + 1) % RECENT_SIGNALS
    for (const listener of this.#listeners) listener.onSignal?.(answered)
  }

  fact(fact: ActorFact, address: Address): void {
    for (const listener of this.#listeners) listener.onFact?.(fact, address)
  }

  /** The last signals, the oldest first. */
  recentSignals(): ReadonlyArray<AnsweredSignal> {
    return [...this.#recent.slice(this.#next), ...this.#recent.slice(0, this.#next)]
  }
}

/** Fields that hold prompt text, answers or secrets. */
const REDACTED_FIELDS = new Set([
  "messages",
  "system",
  "tools",
  "raw_usage",
  "metadata",
  "content",
  "tool_calls",
  "secret",
  "alert_channels"
])

const redact = (value: unknown): Schema.Json => {
  if (typeof value !== "object" || value === null) return value as Schema.Json
  if (Array.isArray(value)) return value.map(redact)
  const shown: Record<string, Schema.Json> = {}
  for (const [field, inner] of Object.entries(value)) {
    shown[field] = REDACTED_FIELDS.has(field) ? "[redacted]" : redact(inner)
  }
  return shown
}

/** Which of a schema's own fields are redacted. */
const redactedIn = ({ ast }: Schema.Top): ReadonlyArray<string> =>
  SchemaAST.isObjects(ast)
    ? ast.propertySignatures.map(({ name }) => String(name)).filter((name) => REDACTED_FIELDS.has(name))
    : [...REDACTED_FIELDS]

/** By signal, for its payload: nearly always few, so that little is asked of each. */
const REDACTED_IN_PAYLOAD = new Map(
  (Object.keys(ACTOR_SIGNALS) as ReadonlyArray<ActorSignalName>).map((name) => [
    name,
    redactedIn(ACTOR_SIGNALS[name].payloadSchema)
  ])
)
const REDACTED_IN_USAGE = redactedIn(TokenUsage)

/** The value itself where it has none of these fields. */
const without = (value: object, fields: ReadonlyArray<string>): object => {
  for (const field of fields) {
    if (field in value)
      return Object.fromEntries(Object.entries(value).filter(([name]) => !fields.includes(name)))
  }
  return value
}

const isQuery = (name: ActorSignalName): boolean => traitsOf(ACTOR_SIGNALS[name]).kind === "query"
const QUERIES: ReadonlySet<ActorSignalName> = new Set(
  (Object.keys(ACTOR_SIGNALS) as ReadonlyArray<ActorSignalName>).filter(isQuery)
)

/** Of an answer: nothing of a query's, which may be large, nor of a call's text; a report without what is redacted. */
const lightAnswer = (name: ActorSignalName, answer: AnsweredSignal["answer"]): AnsweredSignal["answer"] => {
  if ("error" in answer) return answer
  if (QUERIES.has(name) || name === "complete") return NOT_KEPT
  if (name !== "track_usage") return answer
  const success = answer.success as { readonly usage: object }
  const usage = without(success.usage, REDACTED_IN_USAGE)
  return usage === success.usage ? answer : { success: { ...success, usage } }
}

const NOT_KEPT: AnsweredSignal["answer"] = { success: undefined }

/** What is kept and told of a signal: not what would be redacted anyway, so that 512 of them stay small. */
const lightened = (answered: AnsweredSignal): AnsweredSignal => {
  const payload = without(answered.payload as object, REDACTED_IN_PAYLOAD.get(answered.name) ?? [])
  const answer = lightAnswer(answered.name, answered.answer)
  return payload === answered.payload && answer === answered.answer
    ? answered
    : { ...answered, payload, answer }
}

type Encode = (value: unknown) => unknown
const encoders = new Map<Schema.Top, Encode>()

/** A value that its schema cannot write is left out: what is shown must never disturb what is done. */
const encode = (schema: Schema.Top, value: unknown): unknown => {
  let encoder = encoders.get(schema)
  if (encoder === undefined) {
    encoder = Schema.encodeUnknownSync(schema as Schema.Codec<unknown, unknown>)
    encoders.set(schema, encoder)
  }
  try {
    return encoder(value)
  } catch {
    return "[cannot be shown]"
  }
}

const outcomeOf = ({
  answer
}: AnsweredSignal): { readonly outcome: string; readonly reason: string | null } => {
  if ("error" in answer) return { outcome: answer.error._tag, reason: answer.error.message }
  const success = answer.success as { readonly allowed?: boolean; readonly reason?: string } | undefined
  return success?.allowed === false
    ? { outcome: "refused", reason: success.reason ?? null }
    : { outcome: "ok", reason: null }
}

/** A call's payload is plain JSON, and has lost its messages, which its schema requires. */
const payloadOf = (name: ActorSignalName, payload: unknown): unknown =>
  name === "complete"
    ? { ...(payload as object), messages: "[redacted]" }
    : encode(ACTOR_SIGNALS[name].payloadSchema, payload)

const answerOf = (name: ActorSignalName, answer: AnsweredSignal["answer"]): unknown => {
  if ("error" in answer) return encodeErrorData(answer.error)
  return answer.success === undefined ? null : encode(ACTOR_SIGNALS[name].successSchema, answer.success)
}

/** A signal as people see it: prompt text, answers' text and secrets are gone. */
export const recordOf = (answered: AnsweredSignal): SignalRecord => {
  const { name, payload, answer } = answered
  const requestId = (payload as { readonly request_id?: string }).request_id
  return {
    signal: name,
    address: answered.address.text,
    principal: answered.principal.keyId,
    request_id: requestId ?? null,
    at: answered.at,
    duration_ms: Math.round(answered.durationMs * 1000) / 1000,
    ...outcomeOf(answered),
    payload: redact(payloadOf(name, payload)),
    answer: redact(answerOf(name, answer))
  }
}
