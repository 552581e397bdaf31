/**
 * What is wrong with an actor's options.
 *
 * Owns: the sentence that says which, and what it has to be. A mailbox without room, a pause that is no number, or an option
 * that is misspelt, would only be seen much later, and elsewhere.
 */
import { FUNCTION, Kind, type Known, OBJECT, oneOf, optionsRefused, SWITCH } from "../signal/KnownOptions.ts"
import type { Protocol } from "../signal/Protocol.ts"
import type { AnyOptions } from "./Actor.ts"
import type { ActorOptions } from "./ActorContext.ts"
import { isAddress } from "./Address.ts"
import { isFinal, type SupervisionPolicy } from "./Supervision.ts"

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0
const isAtLeastZero = (value: number): boolean => value >= 0
const isAbove = (value: number): boolean => value > 0

type Rule = readonly [
  name: string,
  value: number | undefined,
  isRight: (value: number) => boolean,
  what: string,
  isNeeded?: "needed"
]

/** What a number has to be is said by the rules. */
const NUMERIC = new Kind("a number", (value) => typeof value === "number")
const ADDRESS = new Kind("an address, made by tenantAddress, scopedAddress or sharedAddress", isAddress)

const KNOWN: Known<ActorOptions<Protocol>> = {
  address: ADDRESS,
  protocol: OBJECT,
  parent: ADDRESS,
  mailboxCapacity: NUMERIC,
  checksPayloads: SWITCH,
  mailboxPolicy: OBJECT,
  stashCapacity: NUMERIC,
  supervision: OBJECT,
  behaviour: FUNCTION,
  insight: FUNCTION,
  mayPassivate: FUNCTION,
  isDurable: SWITCH,
  isRemade: SWITCH
}
const POLICY = { kind: oneOf("refuse", "backpressure", "drop_oldest"), sendersMax: NUMERIC }
const SUPERVISION = {
  strategy: oneOf("restart", "stop", "escalate"),
  children: oneOf("stop", "keep"),
  restartsMax: NUMERIC,
  withinMs: NUMERIC,
  backoffMs: NUMERIC,
  backoffMaxMs: NUMERIC
}

const within = (name: string, given: object | undefined, known: Known<object>): string | undefined => {
  const refused = given === undefined ? undefined : optionsRefused(given, known)
  return refused === undefined ? undefined : `${name}.${refused.message}`
}

const policyRules = (policy: AnyOptions["mailboxPolicy"]): ReadonlyArray<Rule> =>
  policy?.kind === "backpressure"
    ? [["mailboxPolicy.sendersMax", policy.sendersMax, isCount, "a whole number above zero", "needed"]]
    : []

const supervisionRules = (policy: SupervisionPolicy | undefined): ReadonlyArray<Rule> =>
  policy === undefined || isFinal(policy)
    ? []
    : [
        ["supervision.restartsMax", policy.restartsMax, isAtLeastZero, "zero or more", "needed"],
        ["supervision.withinMs", policy.withinMs, isAbove, "above zero, in milliseconds", "needed"],
        ["supervision.backoffMs", policy.backoffMs, isAtLeastZero, "zero or more milliseconds", "needed"],
        [
          "supervision.backoffMaxMs",
          policy.backoffMaxMs,
          isAtLeastZero,
          "zero or more milliseconds",
          "needed"
        ]
      ]

const numberProblem = (options: AnyOptions): string | undefined => {
  const rules: ReadonlyArray<Rule> = [
    ["mailboxCapacity", options.mailboxCapacity, isCount, "a whole number above zero"],
    ["stashCapacity", options.stashCapacity, isAtLeastZero, "zero or more"],
    ...policyRules(options.mailboxPolicy),
    ...supervisionRules(options.supervision)
  ]
  const wrong = rules.find(([, value, isRight, , isNeeded]) =>
    value === undefined ? isNeeded !== undefined : !isRight(value)
  )
  return wrong === undefined ? undefined : `${wrong[0]} is ${wrong[1]}, and has to be ${wrong[3]}`
}

const problemOf = (options: AnyOptions): string | undefined =>
  optionsRefused(options, KNOWN)?.message ??
  (options.behaviour === undefined ? "behaviour: It is needed, and was left out" : undefined) ??
  within("mailboxPolicy", options.mailboxPolicy, POLICY) ??
  within("supervision", options.supervision, SUPERVISION) ??
  numberProblem(options)

export const optionsProblem = (options: AnyOptions): string | undefined => {
  const problem = problemOf(options)
  return problem === undefined ? undefined : `${options.address?.text ?? "An actor"} cannot start: ${problem}`
}
