/**
 * What a machine has sent and nobody takes, as a dead letter.
 *
 * Owns: what of it is shown and kept. Does not decide: when a signal is given up (MachineOutbox, MachineTelling).
 */
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import { isNotAnonymised } from "../signal/Pseudonym.ts"
import type { Millis } from "../signal/Text.ts"
import { previewOf, type WholeLetter } from "./DeadLetters.ts"
import { paramsOnWire } from "./LetterKeeper.ts"
import type { OutgoingSignal } from "./MachineStore.ts"
import { discretionOf } from "./Redaction.ts"

/** `definition`: what it is to its receiver, where that is known: else nobody can say what of it may be kept. */
export const undelivered = (
  { to, signal, params }: OutgoingSignal,
  error: SignalError,
  about: { readonly principal: Principal; readonly definition: AnySignal | undefined; readonly at: Millis }
): WholeLetter => {
  const isKept = !isNotAnonymised(error)
  const { principal, definition, at } = about
  return {
    address: to,
    signal,
    payload: isKept ? previewOf(params, discretionOf(definition).hidden) : "",
    principal,
    at,
    why: `${error._tag}: ${error.message}`,
    whole: () => (isKept ? paramsOnWire(definition, params) : null)
  }
}
