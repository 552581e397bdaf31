/**
 * What is said to who asks an actor a signal that it does not have: in TypeScript it does not compile, in JavaScript it comes.
 *
 * Owns: the sentence, with what the actor does answer.
 */
import { UnknownSignal } from "../signal/Errors.ts"
import { nearestFew } from "../signal/Nearest.ts"

const NAMES_MAX = 10

/** `known`: what it answers; of many, the nearest are named. */
export const doesNotAnswer = (address: string, signal: string, known: object): UnknownSignal => {
  const all = Object.keys(known)
  const names = nearestFew(signal, all, NAMES_MAX)
  const more = all.length > names.length ? `, and ${all.length - names.length} more` : ""
  const answers = names.length === 0 ? "no signal" : `${names.join(", ")}${more}`
  return new UnknownSignal({
    signal,
    message: `${address} does not answer ${signal}: it answers ${answers}`
  })
}
