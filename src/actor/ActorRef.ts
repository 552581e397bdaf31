/**
 * A live handle to one actor on this node.
 *
 * Owns: ask and tell, what a full or closed mailbox answers, and the record of every answer.
 * Does not decide: what the actor does with a signal (its behaviour).
 */
import { Effect } from "effect"
import type { ActorSignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Overloaded, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Address } from "./Address.ts"
import { type DeadLetters, previewOf } from "./DeadLetters.ts"
import type { Envelope, EnvelopeOf } from "./Envelope.ts"
import type { Inspection } from "./Inspection.ts"
import { Mailbox } from "./Mailbox.ts"

const RETRY_AFTER_MS = 100

/** What all actors of a system share. */
export interface ActorSurroundings {
  readonly inspection: Inspection
  readonly deadLetters: DeadLetters
  /** Milliseconds since 1970, on the runtime's clock. */
  readonly now: () => number
}

type Resume<Name extends ActorSignalName> = (answer: Effect.Effect<SignalSuccess<Name>, SignalError>) => void

class Sent<Name extends ActorSignalName> implements EnvelopeOf<Name> {
  readonly name: Name
  readonly payload: SignalPayload<Name>
  readonly principal: Principal
  readonly #ref: ActorRef
  readonly #resume: Resume<Name> | undefined
  readonly sentAt: number
  readonly #startedMs = performance.now()
  #isAnswered = false

  constructor(
    ref: ActorRef,
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal,
    resume: Resume<Name> | undefined
  ) {
    this.#ref = ref
    this.name = name
    this.payload = payload
    this.principal = principal
    this.#resume = resume
    this.sentAt = ref.surroundings.now()
  }

  succeed(success: SignalSuccess<Name>): void {
    if (this.#isAnswered) return
    this.#record({ success })
    this.#resume?.(Effect.succeed(success))
  }

  fail(error: SignalError): void {
    if (this.#isAnswered) return
    this.#record({ error })
    if (this.#resume !== undefined) this.#resume(Effect.fail(error))
    else this.#ref.letDie(this as unknown as Envelope, error.message)
  }

  #record(answer: { readonly success: unknown } | { readonly error: SignalError }): void {
    this.#isAnswered = true
    this.#ref.signalsHandled += 1
    this.#ref.surroundings.inspection.signal({
      name: this.name,
      payload: this.payload,
      principal: this.principal,
      address: this.#ref.address,
      at: this.sentAt,
      durationMs: performance.now() - this.#startedMs,
      answer
    })
  }
}

export class ActorRef {
  readonly address: Address
  readonly mailbox: Mailbox<Envelope>
  readonly surroundings: ActorSurroundings
  signalsHandled = 0
  #isClosed = false

  constructor(address: Address, capacity: number, surroundings: ActorSurroundings) {
    this.address = address
    this.mailbox = new Mailbox(capacity)
    this.surroundings = surroundings
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Sends a signal and waits for its answer. Fails with `Overloaded` at once when the mailbox is full. */
  ask<Name extends ActorSignalName>(
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal
  ): Effect.Effect<SignalSuccess<Name>, SignalError> {
    return Effect.callback<SignalSuccess<Name>, SignalError>((resume) => {
      this.#send(new Sent(this, name, payload, principal, resume))
    })
  }

  /** Sends a signal and waits for nothing. What fails becomes a dead letter. */
  tell<Name extends ActorSignalName>(name: Name, payload: SignalPayload<Name>, principal: Principal): void {
    this.#send(new Sent(this, name, payload, principal, undefined))
  }

  /** Takes no more signals, and answers those that wait. */
  close(): void {
    this.#isClosed = true
    for (const envelope of this.mailbox.takeNow(Number.POSITIVE_INFINITY)) this.#refuse(envelope)
  }

  letDie({ name, payload, principal }: Envelope, why: string): void {
    const { deadLetters, now } = this.surroundings
    deadLetters.add({
      address: this.address.text,
      signal: name,
      payload: previewOf(payload),
      principal,
      at: now(),
      why
    })
  }

  #send<Name extends ActorSignalName>(sent: Sent<Name>): void {
    const envelope = sent as unknown as Envelope
    if (this.#isClosed) this.#refuse(envelope)
    else if (!this.mailbox.offer(envelope)) {
      envelope.fail(
        new Overloaded({
          message: `${this.address.text} has ${this.mailbox.capacity} signals waiting, which is its bound; send it again later`,
          retry_after_ms: RETRY_AFTER_MS
        })
      )
    }
  }

  #refuse(envelope: Envelope): void {
    envelope.fail(
      new Unavailable({
        message: `${this.address.text} has stopped; send it again`,
        retry_after_ms: RETRY_AFTER_MS
      })
    )
  }
}
