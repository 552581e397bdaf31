/**
 * What a signal may answer by its definition (`fails` of src/signal), held against what it answers in tests.
 *
 * Owns: which errors are documented of a signal. Every test that asks over a wire, and every story of a ledger, looks here.
 */
import { SIGNALS, type SignalName } from "../../src/signal/Catalogue.ts"
import { findSignal } from "../../src/signal/Decode.ts"
import { ALWAYS_POSSIBLE, type SignalError } from "../../src/signal/Errors.ts"
import { traitsOf } from "../../src/signal/Signal.ts"

/** Of a message that is no signal, or of a door that carries no streams. */
const OF_DOORS: ReadonlyArray<string> = ["ParseError", "InvalidRequest", "UnknownSignal"]

/** What a signal can fail with by itself. */
export const ownErrorsOf = (name: SignalName): ReadonlyArray<SignalError["_tag"]> =>
  traitsOf(SIGNALS[name]).fails

/** Why this error should not have come: `undefined` where the signal's definition names it. */
export const undocumented = (method: string, tag: string): string | undefined => {
  const found = findSignal(method)
  if (found._tag === "Failure") return undefined
  const known: ReadonlyArray<string> = [...ALWAYS_POSSIBLE, ...OF_DOORS, ...ownErrorsOf(found.success)]
  return known.includes(tag) ? undefined : `${method} has answered ${tag}, which its definition does not name`
}
