/**
 * Writes a method for each signal, with what its definition says of it, for who has the name in an editor. A mapped type
 * would lose it: the description is a value, not a comment.
 *
 * Owns: how a definition is written as JSDoc. Does not decide: which signals a host sends (host/HostSignals).
 */
import { HOST_SIGNALS, type HostSignal } from "../src/host/HostSignals.ts"
import { SIGNALS } from "../src/signal/Catalogue.ts"
import { ALWAYS_POSSIBLE } from "../src/signal/Errors.ts"
import { traitsOf } from "../src/signal/Signal.ts"

const HEADER = `/**
 * Every signal as a method of its own name, with its description, who may send it, and what it fails with. Beside its own,
 * every signal can fail with ${ALWAYS_POSSIBLE.map((tag) => `\`${tag}\``).join(", ")}.
 *
 * Written by \`npm run generate\` from src/signal: change it there.
 */
import type { Method } from "./HostSignals.ts"

/** Every signal as a method of its own name. */
export interface SignalMethods {
`

const LINE_LENGTH_MAX = 112

/** Lines of words, none longer than fits. */
const wrapped = (text: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length >= LINE_LENGTH_MAX) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

const inCode = (names: ReadonlyArray<string>): string => names.map((name) => `\`${name}\``).join(", ")

const methodOf = (name: HostSignal): string => {
  const { description, roles, fails } = traitsOf(SIGNALS[name])
  const errors = fails.length === 0 ? [] : ["", ...wrapped(`Fails with ${inCode(fails)}.`)]
  const lines = [...wrapped(description), "", ...wrapped(`Roles: ${inCode([...roles, "admin"])}.`), ...errors]
  const comment = lines.map((line) => `   *${line === "" ? "" : ` ${line}`}\n`).join("")
  return `  /**\n${comment}   */\n  readonly ${name}: Method<"${name}">\n`
}

/** The text of src/host/SignalMethods.ts. */
export const methodsFile = (): string => `${HEADER}${HOST_SIGNALS.map(methodOf).join("\n")}}\n`
