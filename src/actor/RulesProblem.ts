/**
 * What is wrong with what is given for each signal of a protocol.
 *
 * Owns: the sentence that says for which signal there is nothing, what is for none, or is not what it has to be. In
 * TypeScript it would not compile; in JavaScript it would be seen when the signal comes, or never.
 */
import { nearest } from "../signal/Nearest.ts"

/** `what`: such as `signals`. `wrong` says what one has to be, where it is something else. */
export const rulesProblem = (
  what: string,
  protocol: object,
  rules: object,
  wrong: (rule: unknown) => string | undefined
): string | undefined => {
  const names = Object.keys(protocol)
  for (const [name, rule] of Object.entries(rules)) {
    if (!Object.hasOwn(protocol, name)) {
      const guess = nearest(name, names)
      const hint =
        guess === undefined ? `It has: ${names.join(", ")}` : `Did you mean ${JSON.stringify(guess)}?`
      return `${what}.${name}: The protocol has no such signal. ${hint}`
    }
    const problem = wrong(rule)
    if (problem !== undefined) return `${what}.${name}: ${problem}`
  }
  const missing = names.find((name) => !Object.hasOwn(rules, name))
  return missing === undefined
    ? undefined
    : `${what}: There is nothing for ${missing}, which the protocol has: add it, or take the signal out`
}

/** A rule of a machine has an `answer`, and mostly an `event`. */
const machineRuleProblem = (rule: unknown): string | undefined => {
  const { event, answer } = Object(rule) as { readonly event?: unknown; readonly answer?: unknown }
  if (typeof answer !== "function") return "Expected an answer, a function that makes it"
  return event === undefined || typeof event === "function" ? undefined : "Expected event to be a function"
}

/** What is wrong with the rules of a machine. */
export const machineRulesProblem = (protocol: object, signals: object): string | undefined =>
  rulesProblem("signals", protocol, signals, machineRuleProblem)

/** What is wrong with the handlers of a behaviour. */
export const handlersProblem = (protocol: object, handlers: object): string | undefined =>
  rulesProblem("handlers", protocol, handlers, (handler) =>
    typeof handler === "function" ? undefined : "Expected a function"
  )
