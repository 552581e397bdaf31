/**
 * A live handle to one actor on this node.
 *
 * Owns: ask and tell, what a full or closed mailbox answers, and the record of every answer.
 * Does not decide: what the actor does with a signal (its behaviour).
 */
import { Effect } from "effect"
import type { ActorSignals } from "../signal/Catalogue.ts"
import { Overloaded, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal, NameIn, PayloadIn, Protocol, SuccessIn } from "../signal/Protocol.ts"
import { isNotAnonymised } from "../signal/Pseudonym.ts"
import type { Address } from "./Address.ts"
import { type DeadLetters, previewOf } from "./DeadLetters.ts"
import type { AnyEnvelope, EnvelopeIn } from "./Envelope.ts"
import type { Inspection } from "./Inspection.ts"
import { Mailbox } from "./Mailbox.ts"
import { discretionOf } from "./Redaction.ts"
import type { ParentSpan, Tracing } from "./Tracing.ts"

const RETRY_AFTER_MS = 100

/** What all actors of a system share. */
export interface ActorSurroundings {
  readonly inspection: Inspection
  readonly deadLetters: DeadLetters
  /** Milliseconds since 1970, on the runtime's clock. */
  readonly now: () => number
  /** `undefined` where nobody wants traces. */
  readonly tracing?: Tracing | undefined
}

type Resume = (answer: Effect.Effect<unknown, SignalError>) => void

class Sent implements AnyEnvelope {
  readonly name: string
  readonly payload: unknown
  readonly principal: Principal
  readonly #ref: AnyRef
  readonly #resume: Resume | undefined
  readonly sentAt: number
  readonly span: ParentSpan | undefined
  readonly #startedMs = performance.now()
  #signalId: number | undefined
  #isAnswered = false

  constructor(
    ref: AnyRef,
    name: string,
    payload: unknown,
    principal: Principal,
    resume: Resume | undefined,
    span: ParentSpan | undefined
  ) {
    this.#ref = ref
    this.name = name
    this.payload = payload
    this.principal = principal
    this.#resume = resume
    this.sentAt = ref.surroundings.now()
    this.span = span
  }

  get definition(): AnySignal | undefined {
    const { protocol } = this.#ref
    return Object.hasOwn(protocol, this.name) ? protocol[this.name] : undefined
  }

  /** Tells that it has come, to whoever wants to know. */
  tellArrival(mailboxDepth: number): void {
    const { inspection } = this.#ref.surroundings
    this.#signalId = inspection.nextSignalId()
    inspection.arrival({
      signalId: this.#signalId,
      name: this.name,
      payload: this.payload,
      principal: this.principal,
      address: this.#ref.address,
      at: this.sentAt,
      mailboxDepth
    })
  }

  succeed(success: unknown): void {
    if (this.#isAnswered) return
    this.#record({ success })
    this.#resume?.(Effect.succeed(success))
  }

  fail(error: SignalError): void {
    if (this.#isAnswered) return
    this.#record({ error })
    if (this.#resume !== undefined) this.#resume(Effect.fail(error))
    else this.#ref.letDie(this, error)
  }

  #record(answer: { readonly success: unknown } | { readonly error: SignalError }): void {
    this.#isAnswered = true
    this.#ref.signalsHandled += 1
    const { inspection } = this.#ref.surroundings
    inspection.signal({
      signalId: this.#signalId ?? inspection.nextSignalId(),
      name: this.name,
      definition: this.definition,
      payload: this.payload,
      principal: this.principal,
      address: this.#ref.address,
      at: this.sentAt,
      durationMs: performance.now() - this.#startedMs,
      traceId: this.span?.traceId,
      answer
    })
  }
}

/** What a signal needs of the actor that it was sent to. */
interface AnyRef {
  readonly address: Address
  readonly protocol: Protocol
  readonly surroundings: ActorSurroundings
  signalsHandled: number
  readonly letDie: (envelope: AnyEnvelope, error: SignalError) => void
}

export class ActorRef<P extends Protocol = ActorSignals> {
  readonly address: Address
  readonly protocol: P
  readonly mailbox: Mailbox<EnvelopeIn<P>>
  readonly surroundings: ActorSurroundings
  signalsHandled = 0
  #isClosed = false

  constructor(address: Address, protocol: P, capacity: number, surroundings: ActorSurroundings) {
    this.address = address
    this.protocol = protocol
    this.mailbox = new Mailbox(capacity)
    this.surroundings = surroundings
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Sends a signal and waits for its answer. Fails with `Overloaded` at once when the mailbox is full. */
  ask<Name extends NameIn<P>>(
    name: Name,
    payload: PayloadIn<P, Name>,
    principal: Principal
  ): Effect.Effect<SuccessIn<P, Name>, SignalError> {
    const { tracing } = this.surroundings
    return tracing === undefined
      ? this.#ask(name, payload, principal, undefined)
      : tracing.ask(this.address, name, payload, principal, (span) =>
          this.#ask(name, payload, principal, span)
        )
  }

  #ask<Name extends NameIn<P>>(
    name: Name,
    payload: PayloadIn<P, Name>,
    principal: Principal,
    span: ParentSpan | undefined
  ): Effect.Effect<SuccessIn<P, Name>, SignalError> {
    return Effect.callback<SuccessIn<P, Name>, SignalError>((resume) => {
      this.#send(new Sent(this, name, payload, principal, resume as Resume, span))
    })
  }

  /** Sends a signal and waits for nothing. What fails becomes a dead letter. */
  tell<Name extends NameIn<P>>(name: Name, payload: PayloadIn<P, Name>, principal: Principal): void {
    this.#send(new Sent(this, name, payload, principal, undefined, undefined))
  }

  /** Takes no more signals, and answers those that wait. */
  close(): void {
    this.#isClosed = true
    for (const envelope of this.mailbox.takeNow(Number.POSITIVE_INFINITY)) this.#refuse(envelope)
  }

  letDie({ name, definition, payload, principal }: AnyEnvelope, error: SignalError): void {
    const { deadLetters, now } = this.surroundings
    deadLetters.add({
      address: this.address.text,
      signal: name,
      payload: isNotAnonymised(error) ? "" : previewOf(payload, discretionOf(definition).hidden),
      principal,
      at: now(),
      why: error.message
    })
  }

  #send(sent: Sent): void {
    if (this.surroundings.inspection.hearsArrivals) sent.tellArrival(this.mailbox.depth)
    if (this.#isClosed) this.#refuse(sent)
    // Its name and payload are of this protocol: ask and tell take no others.
    else if (!this.mailbox.offer(sent as AnyEnvelope as EnvelopeIn<P>)) {
      sent.fail(
        new Overloaded({
          message: `${this.address.text} has ${this.mailbox.capacity} signals waiting, which is its bound; send it again later`,
          retry_after_ms: RETRY_AFTER_MS
        })
      )
    }
  }

  #refuse(envelope: AnyEnvelope): void {
    envelope.fail(
      new Unavailable({
        message: `${this.address.text} has stopped; send it again`,
        retry_after_ms: RETRY_AFTER_MS
      })
    )
  }
}
