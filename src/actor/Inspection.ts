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
import {
  ActorFact,
  type DeadLetterFact,
  INSPECTION_VERSION,
  type SignalReceived,
  type SignalRecord
} from "../signal/Inspection.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import { isNotAnonymised } from "../signal/Pseudonym.ts"
import type { Address } from "./Address.ts"
import type { Complain } from "./Complaint.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import { contentOf, discretionOf, redact } from "./Redaction.ts"

const RECENT_SIGNALS = 512

interface InspectedSignal {
  /** The same for its arrival and its answer. */
  readonly signalId: number
  readonly name: string
  readonly payload: unknown
  readonly principal: Principal
  readonly address: Address
  /** When it was sent, in milliseconds since 1970. */
  readonly at: number
}

/** A signal that came to a mailbox. */
export interface ArrivedSignal extends InspectedSignal {
  /** How many waited before it. */
  readonly mailboxDepth: number
}

/** A signal that was answered. Rendered into a `SignalRecord` only when somebody reads it. */
export interface AnsweredSignal extends InspectedSignal {
  readonly definition: AnySignal | undefined
  readonly durationMs: number
  readonly traceId?: string | undefined
  readonly answer: { readonly success: unknown } | { readonly error: SignalError }
}

export interface InspectionListener {
  readonly onSignal?: (signal: AnsweredSignal) => void
  readonly onArrival?: (signal: ArrivedSignal) => void
  readonly onFact?: (fact: ActorFact, address: Address) => void
  /** Of which facts it is told. Default: of all. */
  readonly facts?: ReadonlyArray<ActorFact["fact"]>
  readonly onDeadLetter?: (letter: DeadLetter) => void
  /** Whether it is given signals whole, with prompt text and answers. Default: without. */
  readonly wantsContent?: boolean
}

export class Inspection {
  readonly #listeners = new Set<InspectionListener>()
  readonly #recent: Array<AnsweredSignal> = []
  #next = 0
  #lastSignalId = 0
  #hearsArrivals = false
  #heard: ReadonlySet<ActorFact["fact"]> = new Set()
  #onMailboxesHeard: (() => void) | undefined
  readonly #complain: Complain
  readonly #complainedOf = new WeakSet<InspectionListener>()

  constructor(complain: Complain) {
    this.#complain = complain
  }

  /** Waits until somebody wants to know of mailboxes. One waits at a time. */
  readonly mailboxesHeard: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const wake = () => {
      this.#onMailboxesHeard = undefined
      resume(Effect.void)
    }
    if (this.hears("mailbox")) wake()
    else this.#onMailboxesHeard = wake
  })

  /** Whether anybody wants to know of such a fact. */
  hears(fact: ActorFact["fact"]): boolean {
    return this.#heard.has(fact)
  }

  /** Whether anybody wants to know of signals when they come. */
  get hearsArrivals(): boolean {
    return this.#hearsArrivals
  }

  nextSignalId(): number {
    this.#lastSignalId += 1
    return this.#lastSignalId
  }

  /** Calls back on every fact until the returned function is called. A listener must be quick. What one throws disturbs nobody, and is logged for its first time. */
  listen(listener: InspectionListener): () => void {
    this.#listeners.add(listener)
    this.#listenersChanged()
    if (this.hears("mailbox")) this.#onMailboxesHeard?.()
    return () => {
      this.#listeners.delete(listener)
      this.#listenersChanged()
    }
  }

  #listenersChanged(): void {
    const listeners = [...this.#listeners]
    this.#hearsArrivals = listeners.some(({ onArrival }) => onArrival !== undefined)
    this.#heard = new Set(
      listeners.flatMap(({ onFact, facts = ActorFact.fields.fact.literals }) =>
        onFact === undefined ? [] : facts
      )
    )
  }

  arrival(signal: ArrivedSignal): void {
    for (const listener of this.#listeners) {
      try {
        listener.onArrival?.(signal)
      } catch (error) {
        this.#threw(listener, error)
      }
    }
  }

  signal(whole: AnsweredSignal): void {
    const answered = lightened(whole)
    this.#recent[this.#next] = answered
    this.#next = (this.#next + 1) % RECENT_SIGNALS
    for (const listener of this.#listeners) {
      try {
        listener.onSignal?.(listener.wantsContent === true ? whole : answered)
      } catch (error) {
        this.#threw(listener, error)
      }
    }
  }

  fact(fact: ActorFact, address: Address): void {
    for (const listener of this.#listeners) {
      const { facts } = listener
      if (facts !== undefined && !facts.includes(fact.fact)) continue
      try {
        listener.onFact?.(fact, address)
      } catch (error) {
        this.#threw(listener, error)
      }
    }
  }

  deadLetter(letter: DeadLetter): void {
    for (const listener of this.#listeners) {
      try {
        listener.onDeadLetter?.(letter)
      } catch (error) {
        this.#threw(listener, error)
      }
    }
  }

  /** It may throw with each signal: once says it all. */
  #threw(listener: InspectionListener, error: unknown): void {
    if (this.#complainedOf.has(listener)) return
    this.#complainedOf.add(listener)
    this.#complain(
      "A listener of the inspection threw; it is told on, and what else it throws is not logged",
      error
    )
  }

  /** The last signals, the oldest first. */
  recentSignals(): ReadonlyArray<AnsweredSignal> {
    return [...this.#recent.slice(this.#next), ...this.#recent.slice(0, this.#next)]
  }
}

const NOT_KEPT: AnsweredSignal["answer"] = { success: undefined }

/** What is kept and told of a signal: not what would be redacted anyway, so that 512 of them stay small. */
const lightened = (answered: AnsweredSignal): AnsweredSignal => {
  // It names a user where nobody may be named, and comes again without.
  if ("error" in answered.answer && isNotAnonymised(answered.answer.error))
    return { ...answered, payload: {} }
  const { lightPayload, lightAnswer } = discretionOf(answered.definition)
  const payload = lightPayload(answered.payload as object)
  const answer = lightAnswerOf(answered.answer, lightAnswer)
  return payload === answered.payload && answer === answered.answer
    ? answered
    : { ...answered, payload, answer }
}

/** A stack that nobody has read holds on to all that was being done: a ledger, the life of an actor that crashed. */
const withoutStack = (error: SignalError): SignalError =>
  Object.defineProperties(Object.create(Object.getPrototypeOf(error)), {
    ...Object.getOwnPropertyDescriptors({ ...error }),
    message: { value: error.message, enumerable: true }
  })

const lightAnswerOf = (
  answer: AnsweredSignal["answer"],
  lighten: ((value: object) => object) | undefined
): AnsweredSignal["answer"] => {
  if ("error" in answer) return { error: withoutStack(answer.error) }
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

const sentOf = ({ name, signalId, address, principal, payload, at }: InspectedSignal) => ({
  version: INSPECTION_VERSION,
  signal: name,
  signal_id: signalId,
  address: address.text,
  principal: principal.keyId,
  request_id: (payload as { readonly request_id?: string }).request_id ?? null,
  at
})

/** A signal as people see it: prompt text, answers' text and secrets are gone; with `content`, only secrets are. */
export const recordOf = (answered: AnsweredSignal, content = false): SignalRecord => {
  const { definition, payload, answer } = answered
  const { showPayload, showAnswer, hidden } = (content ? contentOf : discretionOf)(definition)
  const shownAnswer = () => {
    if ("error" in answer) return redact(encodeErrorData(answer.error), hidden)
    return answer.success === undefined ? null : showAnswer(answer.success)
  }
  return {
    ...sentOf(answered),
    duration_ms: Math.round(answered.durationMs * 1000) / 1000,
    ...outcomeOf(answered),
    trace_id: answered.traceId ?? null,
    payload: showPayload(payload),
    answer: shownAnswer()
  }
}

export const arrivalOf = (arrived: ArrivedSignal): SignalReceived => ({
  ...sentOf(arrived),
  mailbox_depth: arrived.mailboxDepth
})

export const deadLetterOf = ({
  signal,
  address,
  principal,
  at,
  why,
  payload
}: DeadLetter): DeadLetterFact => ({
  version: INSPECTION_VERSION,
  signal,
  address,
  principal: principal.keyId,
  at,
  why,
  payload
})
