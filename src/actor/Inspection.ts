/**
 * One stream of facts about actors, and the last of them for whoever comes late.
 *
 * Owns: listeners, and the bounded memory of recent signals.
 * Does not decide: who may look (Authorization), what is left out (Redaction), or how slow readers are treated (the
 * subscriber's buffer).
 *
 * It costs next to nothing when nobody listens: a ring slot per signal, and a fact object per actor event.
 */
import { Effect } from "effect"
import { encodeErrorData } from "../signal/Decode.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import type { ActorFact, SignalRecord } from "../signal/Subscriptions.ts"
import type { Address } from "./Address.ts"
import { discretionOf, redact } from "./Redaction.ts"

const RECENT_SIGNALS = 512

/** A signal that was answered. Rendered into a `SignalRecord` only when somebody reads it. */
export interface AnsweredSignal {
  readonly name: string
  readonly definition: AnySignal | undefined
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

const NOT_KEPT: AnsweredSignal["answer"] = { success: undefined }

/** What is kept and told of a signal: not what would be redacted anyway, so that 512 of them stay small. */
const lightened = (answered: AnsweredSignal): AnsweredSignal => {
  const { lightPayload, lightAnswer } = discretionOf(answered.definition)
  const payload = lightPayload(answered.payload as object)
  const answer = lightAnswerOf(answered.answer, lightAnswer)
  return payload === answered.payload && answer === answered.answer
    ? answered
    : { ...answered, payload, answer }
}

const lightAnswerOf = (
  answer: AnsweredSignal["answer"],
  lighten: ((value: object) => object) | undefined
): AnsweredSignal["answer"] => {
  if ("error" in answer) return answer
  if (lighten === undefined) return NOT_KEPT
  const { success } = answer
  if (typeof success !== "object" || success === null) return answer
  const light = lighten(success)
  return light === success ? answer : { success: light }
}

const outcomeOf = ({
  answer
}: AnsweredSignal): { readonly outcome: string; readonly reason: string | null } => {
  if ("error" in answer) return { outcome: answer.error._tag, reason: answer.error.message }
  const success = answer.success as
    | { readonly allowed?: boolean; readonly reason?: string }
    | null
    | undefined
  return success?.allowed === false
    ? { outcome: "refused", reason: success.reason ?? null }
    : { outcome: "ok", reason: null }
}

const shownAnswer = ({ answer, definition }: AnsweredSignal): SignalRecord["answer"] => {
  if ("error" in answer) return redact(encodeErrorData(answer.error))
  return answer.success === undefined ? null : discretionOf(definition).showAnswer(answer.success)
}

/** A signal as people see it: prompt text, answers' text and secrets are gone. */
export const recordOf = (answered: AnsweredSignal): SignalRecord => {
  const { name, definition, payload } = answered
  const requestId = (payload as { readonly request_id?: string }).request_id
  return {
    signal: name,
    address: answered.address.text,
    principal: answered.principal.keyId,
    request_id: requestId ?? null,
    at: answered.at,
    duration_ms: Math.round(answered.durationMs * 1000) / 1000,
    ...outcomeOf(answered),
    payload: discretionOf(definition).showPayload(payload),
    answer: shownAnswer(answered)
  }
}
