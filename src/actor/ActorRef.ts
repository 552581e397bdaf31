/**
 * A live handle to one actor on this node.
 *
 * Owns: ask and tell, what a full or closed mailbox answers, and the record of every answer.
 * Does not decide: what the actor does with a signal (its behaviour).
 */
import { Effect } from "effect"
import type { ActorSignals } from "../signal/Catalogue.ts"
import { NotFound, Overloaded, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal, NameIn, PayloadIn, Protocol, SuccessIn } from "../signal/Protocol.ts"
import { isNotAnonymised } from "../signal/Pseudonym.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import type { Address } from "./Address.ts"
import type { Complain } from "./Complaint.ts"
import { type DeadLetters, previewOf } from "./DeadLetters.ts"
import type { AnyEnvelope, EnvelopeIn } from "./Envelope.ts"
import type { Inspection } from "./Inspection.ts"
import { paramsOf } from "./LetterKeeper.ts"
import type { OutgoingSignal } from "./MachineStore.ts"
import { Mailbox } from "./Mailbox.ts"
import { sendingProblem } from "./PayloadCheck.ts"
import { discretionOf } from "./Redaction.ts"
import type { ParentSpan, Tracing } from "./Tracing.ts"

/**
 * What a full mailbox does. `refuse`: whoever sends is `Overloaded` at once. `backpressure`: up to `sendersMax` senders wait
 * for room, in the order of their coming; more are refused. `drop_oldest`: the oldest signal is `Overloaded`, and the new
 * one takes its place. What was told and refused or dropped is a dead letter. Signals of the actor's own timers have a place
 * in each of them: there is one for each timer at most, and a full mailbox must not take a deadline away.
 */
export type MailboxPolicy =
  | { readonly kind: "refuse" }
  | { readonly kind: "backpressure"; readonly sendersMax: number }
  | { readonly kind: "drop_oldest" }

const REFUSE: MailboxPolicy = { kind: "refuse" }

/** What all actors of a system share. */
export interface ActorSurroundings {
  readonly inspection: Inspection
  readonly deadLetters: DeadLetters
  readonly complain: Complain
  /** Milliseconds since 1970, on the runtime's clock. */
  readonly now: () => number
  /** `undefined` where nobody wants traces. */
  readonly tracing?: Tracing | undefined
  /** Who answers for an address whose actor has left memory; `undefined` where nobody can be made. */
  readonly wake: (address: Address) => ActorRef<Protocol> | undefined
  /** Whether somebody answers at the address of an actor that was stopped, or will when it is asked. */
  readonly comesBack: (address: Address) => boolean
  /** Who brings signals to where the actor lives; `undefined` where that is here, as far as is known. */
  readonly carrierTo?: (address: Address) => Carry | undefined
  /** Brings what a machine in memory tells to others; absent where nobody does. */
  readonly tells?: (from: Address, outgoing: OutgoingSignal) => void
}

/** A signal on its way to an actor on another node. */
export interface CarriedSignal extends AnyEnvelope {
  /** Whether somebody waits for the answer: what nobody waits for keeps its order. */
  readonly isAsked: boolean
  succeed(success: unknown): void
}

/** Brings one there and answers it; `onPlace` is called before it is answered well. Returns how its sender stops waiting. */
export type Carry = (signal: CarriedSignal, onPlace: (() => void) | undefined) => () => void

type Resume = (answer: Effect.Effect<unknown, SignalError>) => void

class Sent implements CarriedSignal {
  readonly name: string
  readonly payload: unknown
  readonly principal: Principal
  #ref: AnyRef
  readonly #resume: Resume | undefined
  readonly sentAt: number
  readonly span: ParentSpan | undefined
  readonly #startedMs = performance.now()
  #signalId: number | undefined
  #isAnswered = false
  #isCarried = false

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

  get isAsked(): boolean {
    return this.#resume !== undefined
  }

  /** The node that answers it tells of it, and not this one. */
  carried(): this {
    this.#isCarried = true
    return this
  }

  /** Another ref takes it over. */
  movedTo(ref: AnyRef): void {
    this.#ref = ref
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
    else this.unheard(error)
  }

  /** Nobody waits for the answer. */
  protected unheard(error: SignalError): void {
    this.#ref.letDie(this, error)
  }

  #record(answer: { readonly success: unknown } | { readonly error: SignalError }): void {
    this.#isAnswered = true
    this.#ref.signalsHandled += 1
    if (this.#isCarried) return
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

/** A signal whose sender waits for its place, and no longer. */
class Pushed extends Sent {
  readonly #resume: (place: Effect.Effect<void, SignalError>) => void
  #hasPlace = false

  constructor(
    ref: AnyRef,
    name: string,
    payload: unknown,
    principal: Principal,
    resume: (place: Effect.Effect<void, SignalError>) => void
  ) {
    super(ref, name, payload, principal, undefined, undefined)
    this.#resume = resume
  }

  readonly placed = (): void => {
    this.#hasPlace = true
    this.#resume(Effect.void)
  }

  /** Who still waits for a place is told; after that it is a tell like any other. */
  protected override unheard(error: SignalError): void {
    if (this.#hasPlace) super.unheard(error)
    else this.#resume(Effect.fail(error))
  }
}

/** A signal of an actor's own timer. */
class Reminder extends Sent {}

const mayBeDropped = (envelope: unknown): boolean => !(envelope instanceof Reminder)

/** What a signal needs of the actor that it was sent to. */
interface AnyRef {
  readonly address: Address
  readonly protocol: Protocol
  readonly surroundings: ActorSurroundings
  signalsHandled: number
  readonly letDie: (envelope: AnyEnvelope, error: SignalError) => void
}

/** How often a mailbox was full, and what it did. */
interface MailboxCounts {
  refused: number
  dropped: number
  waited: number
}

/**
 * A handle stays with its actor: through restarts, where an idle one leaves memory and comes back, and where a durable machine moves
 * to another node. An actor that was stopped answers no more through it: who comes after it at its address is found there
 * (`find`, `refOf`).
 */
export class ActorRef<P extends Protocol = ActorSignals> {
  readonly address: Address
  readonly protocol: P
  readonly mailbox: Mailbox<EnvelopeIn<P>>
  readonly policy: MailboxPolicy
  readonly surroundings: ActorSurroundings
  signalsSent = 0
  signalsHandled = 0
  readonly counts: MailboxCounts = { refused: 0, dropped: 0, waited: 0 }
  #isClosed = false
  #isAsleep = false
  #isBegunAnew: (() => boolean) | undefined
  readonly #isRemade: boolean
  readonly #checksPayloads: boolean

  constructor(
    address: Address,
    protocol: P,
    mailbox: { readonly capacity: number; readonly policy?: MailboxPolicy },
    surroundings: ActorSurroundings,
    {
      isRemade = false,
      checksPayloads = false
    }: { readonly isRemade?: boolean | undefined; readonly checksPayloads?: boolean | undefined } = {}
  ) {
    this.address = address
    this.protocol = protocol
    this.mailbox = new Mailbox(mailbox.capacity)
    this.policy = mailbox.policy ?? REFUSE
    this.surroundings = surroundings
    this.#isRemade = isRemade
    this.#checksPayloads = checksPayloads
  }

  /** A handle to an actor that lives on another node. */
  static elsewhere<P extends Protocol>(
    address: Address,
    protocol: P,
    surroundings: ActorSurroundings
  ): ActorRef<P> {
    const ref = new ActorRef(address, protocol, { capacity: 1 }, surroundings)
    ref.sleep()
    return ref
  }

  /** Whether it takes nothing itself: its actor was stopped, has left memory, or lives on another node. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Signals that were sent and are not answered yet. */
  get unanswered(): number {
    return this.signalsSent - this.signalsHandled
  }

  /**
   * Sends a signal and waits for its answer, for as long as it takes: a deadline is `Effect.timeout` around it. Who gives up takes
   * nothing back: what has its place in the mailbox is done all the same. A full mailbox does what its policy says. Of a machine on
   * another node the answer is waited for 15 seconds while it moves, then it is `Unavailable`; a command without a
   * `request_id` gets one, since it may be sent there twice.
   */
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
      const leave = this.#send(new Sent(this, name, payload, principal, resume as Resume, span))
      return leave === undefined ? undefined : Effect.sync(leave)
    })
  }

  /**
   * Sends a signal and waits for nothing: at most once, and lost with the process before the actor has taken it (a durable
   * machine: before it has committed it). What fails becomes a dead letter.
   */
  tell<Name extends NameIn<P>>(name: Name, payload: PayloadIn<P, Name>, principal: Principal): void {
    this.#send(new Sent(this, name, payload, principal, undefined, undefined))
  }

  /**
   * Tells, and waits until the signal has its place in the mailbox, on another node until it is answered: with
   * `backpressure`, a sender is as slow as who reads. Where it gets no place, it fails.
   */
  push<Name extends NameIn<P>>(
    name: Name,
    payload: PayloadIn<P, Name>,
    principal: Principal
  ): Effect.Effect<void, SignalError> {
    return Effect.callback<void, SignalError>((resume) => {
      const sent = new Pushed(this, name, payload, principal, resume)
      const leave = this.#send(sent, sent.placed)
      if (leave !== undefined) return Effect.sync(leave)
      sent.placed()
      return undefined
    })
  }

  /**
   * Tells the actor on its own behalf, also where its mailbox is full: whoever does this keeps count. The returned function
   * takes the signal back, if nobody has looked at it yet.
   */
  remind(name: string, payload: unknown, principal: Principal): () => void {
    const sent = new Reminder(this, name, payload, principal, undefined, undefined)
    this.#send(sent)
    return () => {
      if (this.mailbox.remove(sent as AnyEnvelope as EnvelopeIn<P>)) this.signalsSent -= 1
    }
  }

  /** Takes no more signals, and answers those that wait. `isBegunAnew`: whether somebody brings back who lived here. */
  close(isBegunAnew?: () => boolean): void {
    this.#isClosed = true
    this.#isBegunAnew = isBegunAnew
    const carry = this.surroundings.carrierTo?.(this.address)
    // Where it only moves, what it has not begun goes on to where it lives next, and so does what comes later.
    if (carry !== undefined) this.#isAsleep = true
    for (const envelope of this.mailbox.drain()) {
      if (carry === undefined || !(envelope instanceof Sent)) this.#refuse(envelope)
      else carry(envelope.carried(), undefined)
    }
  }

  /** The actor has left memory with nothing to do: whatever is sent from now on goes to its next life. */
  sleep(): void {
    this.#isClosed = true
    this.#isAsleep = true
  }

  letDie({ name, definition, payload, principal }: AnyEnvelope, error: SignalError): void {
    const { deadLetters, now } = this.surroundings
    deadLetters.add({
      address: this.address.text,
      signal: name,
      payload: isNotAnonymised(error) ? "" : previewOf(payload, discretionOf(definition).hidden),
      principal,
      at: now(),
      why: error.message,
      // What names a user where nobody may be named is kept nowhere.
      whole: () => (isNotAnonymised(error) ? null : paramsOf(definition, payload))
    })
  }

  /** Where the sender has to wait for room, how it stops waiting is what is returned. */
  #send(sent: Sent, onPlace?: () => void): (() => void) | undefined {
    this.signalsSent += 1
    if (this.#isClosed) return this.#sendOn(sent, onPlace)
    if (this.surroundings.inspection.hearsArrivals) sent.tellArrival(this.mailbox.depth)
    if (this.#checksPayloads && this.#refusesPayload(sent)) return undefined
    // Its name and payload are of this protocol: ask and tell take no others.
    if (this.mailbox.offer(sent as AnyEnvelope as EnvelopeIn<P>)) return undefined
    return this.#sendToFull(sent as AnyEnvelope as EnvelopeIn<P>, onPlace)
  }

  #refusesPayload(sent: Sent): boolean {
    const problem = sendingProblem(sent)
    if (problem !== undefined) sent.fail(problem)
    return problem !== undefined
  }

  #sendOn(sent: Sent, onPlace: (() => void) | undefined): (() => void) | undefined {
    const { inspection, carrierTo, wake } = this.surroundings
    const carry = carrierTo?.(this.address)
    if (carry !== undefined) return carry(sent.carried(), onPlace)
    const next = this.#isAsleep ? wake(this.address) : undefined
    if (next === undefined || next.isClosed) {
      if (inspection.hearsArrivals) sent.tellArrival(this.mailbox.depth)
      this.#refuse(sent)
      return undefined
    }
    this.signalsSent -= 1
    sent.movedTo(next)
    return next.#send(sent, onPlace)
  }

  #sendToFull(envelope: EnvelopeIn<P>, onPlace: (() => void) | undefined): (() => void) | undefined {
    const { mailbox, counts, policy } = this
    if (envelope instanceof Reminder) {
      mailbox.put(envelope)
      return undefined
    }
    if (policy.kind === "backpressure" && mailbox.waiting < policy.sendersMax) {
      counts.waited += 1
      const leave = mailbox.wait(envelope, onPlace)
      return () => {
        if (leave()) this.signalsSent -= 1
      }
    }
    const oldest = policy.kind === "drop_oldest" ? mailbox.takeFirst(mayBeDropped) : undefined
    if (oldest !== undefined) {
      mailbox.put(envelope)
      counts.dropped += 1
      oldest.fail(this.#overloaded("newer ones have taken its place"))
      return undefined
    }
    counts.refused += 1
    envelope.fail(this.#overloaded("send it again later"))
    return undefined
  }

  #overloaded(what: string): Overloaded {
    const { policy, mailbox } = this
    const senders = policy.kind === "backpressure" ? ` and ${policy.sendersMax} senders` : ""
    return new Overloaded({
      message: `${this.address.text} has ${mailbox.capacity} signals${senders} waiting, which is its bound; ${what}`,
      retry_after_ms: SOON_MS
    })
  }

  /** To send again helps only where somebody comes back. */
  #refuse(envelope: AnyEnvelope): void {
    const { text } = this.address
    const comesBack =
      this.#isRemade || this.#isBegunAnew?.() === true || this.surroundings.comesBack(this.address)
    envelope.fail(
      comesBack
        ? new Unavailable({
            message: `${text} has stopped; send it again to its address, where another one may live, and not through this handle`,
            retry_after_ms: SOON_MS
          })
        : new NotFound({
            kind: "actor",
            id: text,
            message: `${text} was stopped, and nothing brings it back by itself: spawn it again, and send this through the new handle`
          })
    )
  }
}
