/**
 * What is wrong with the numbers in an actor's options.
 *
 * Owns: the sentence that says which, and what it has to be. A mailbox without room, or a pause that is no number, would
 * only be seen much later, and elsewhere.
 */
import type { AnyOptions } from "./Actor.ts"

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0
const isAtLeastZero = (value: number): boolean => value >= 0
const isAbove = (value: number): boolean => value > 0

type Rule = readonly [
  name: string,
  value: number | undefined,
  isRight: (value: number) => boolean,
  what: string
]

const rulesOf = ({ mailboxCapacity, mailboxPolicy, stashCapacity, supervision }: AnyOptions): Array<Rule> => {
  const rules: Array<Rule> = [
    ["mailboxCapacity", mailboxCapacity, isCount, "a whole number above zero"],
    ["stashCapacity", stashCapacity, isAtLeastZero, "zero or more"]
  ]
  if (mailboxPolicy?.kind === "backpressure")
    rules.push(["mailboxPolicy.sendersMax", mailboxPolicy.sendersMax, isCount, "a whole number above zero"])
  if (supervision !== undefined && "restartsMax" in supervision)
    rules.push(
      ["supervision.restartsMax", supervision.restartsMax, isAtLeastZero, "zero or more"],
      ["supervision.withinMs", supervision.withinMs, isAbove, "above zero, in milliseconds"],
      ["supervision.backoffMs", supervision.backoffMs, isAtLeastZero, "zero or more milliseconds"],
      ["supervision.backoffMaxMs", supervision.backoffMaxMs, isAtLeastZero, "zero or more milliseconds"]
    )
  return rules
}

export const optionsProblem = (options: AnyOptions): string | undefined => {
  for (const [name, value, isRight, what] of rulesOf(options))
    if (value !== undefined && !isRight(value))
      return `${options.address.text} cannot start: ${name} is ${value}, and has to be ${what}`
  return undefined
}
