/**
 * A signal on its way to an actor.
 *
 * Owns: the routing facts beside the payload, and how the answer finds its way back.
 */
import type { ActorSignalName, ActorSignals } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal, NameIn, PayloadIn, Protocol, SuccessIn } from "../signal/Protocol.ts"
import type { ParentSpan } from "./Tracing.ts"

/** What is known of a signal on its way whatever its protocol. */
export interface AnyEnvelope {
  readonly name: string
  /** From it come redaction, and how the signal is written; `undefined` where the actor's protocol has no such signal. */
  readonly definition: AnySignal | undefined
  readonly payload: unknown
  readonly principal: Principal
  /** When it was sent, in milliseconds since 1970. */
  readonly sentAt: number
  /** Its part of a trace, where there is one: what is done for it is told under it. */
  readonly span: ParentSpan | undefined
  fail(error: SignalError): void
}

interface OneEnvelope<P extends Protocol, Name extends NameIn<P>> extends AnyEnvelope {
  readonly name: Name
  readonly payload: PayloadIn<P, Name>
  /** Answers whoever asked. The first answer counts; for a tell it is only recorded. */
  succeed(success: SuccessIn<P, Name>): void
}

/** A signal of a protocol, discriminated by `name`. */
export type EnvelopeIn<P extends Protocol, Name extends NameIn<P> = NameIn<P>> = {
  [N in Name]: OneEnvelope<P, N>
}[Name]

export type EnvelopeOf<Name extends ActorSignalName> = OneEnvelope<ActorSignals, Name>

/** A signal of the product's own protocol. */
export type Envelope<Name extends ActorSignalName = ActorSignalName> = EnvelopeIn<ActorSignals, Name>
