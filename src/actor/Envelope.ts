/**
 * A signal on its way to an actor.
 *
 * Owns: the routing facts beside the payload, and how the answer finds its way back.
 */
import type { ActorSignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"

export interface EnvelopeOf<Name extends ActorSignalName> {
  readonly name: Name
  readonly payload: SignalPayload<Name>
  readonly principal: Principal
  /** When it was sent, in milliseconds since 1970. */
  readonly sentAt: number
  /** Answers whoever asked. The first answer counts; for a tell it is only recorded. */
  succeed(success: SignalSuccess<Name>): void
  fail(error: SignalError): void
}

/** One signal of those named, discriminated by `name`. */
export type Envelope<Name extends ActorSignalName = ActorSignalName> = { [N in Name]: EnvelopeOf<N> }[Name]
