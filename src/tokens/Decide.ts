/**
 * The TokenManager's behaviour: one signal, one answer.
 *
 * Owns: which rule answers which signal, answering a command that is sent again, and that what changes the rules is
 * audited.
 * Does not decide: the rules themselves. Pure: a ledger, a signal and a time in; an answer out, entries in the ledger.
 */
import { Result } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import {
  ACTOR_SIGNALS,
  type ActorSignalName,
  type SignalPayload,
  type SignalSuccess
} from "../signal/Catalogue.ts"
import { decodeSuccess, encodeSuccess } from "../signal/Decode.ts"
import { Conflict, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { ManagerConfig } from "../signal/Management.ts"
import type { Principal } from "../signal/Principal.ts"
import { notAnonymised } from "../signal/Pseudonym.ts"
import { traitsOf } from "../signal/Signal.ts"
import type { Millis } from "../signal/Text.ts"
import { changeRecipients } from "./AlertRecipients.ts"
import { anonymityProblem, namesUserOf } from "./Anonymity.ts"
import { AUDITORS, type Auditor } from "./Auditing.ts"
import { createBudget, getBudgetStatus, updateBudget } from "./BudgetChanges.ts"
import { cleanUsage, recordCleanup } from "./Cleaning.ts"
import { correctUsage } from "./Correcting.ts"
import { calculateCost, getPricing, updatePricing } from "./Costing.ts"
import { currencyProblem, updateExchangeRates } from "./Currencies.ts"
import { contentDigest } from "./Digest.ts"
import { checkBudget } from "./Holding.ts"
import { extendHold, releaseHold } from "./HoldLife.ts"
import type { Beforehand } from "./KnownBefore.ts"
import type { Ledger } from "./Ledger.ts"
import { decideOverride, expireOverrides, requestOverride } from "./Overrides.ts"
import { trackUsage } from "./Posting.ts"
import { findAttempt, findRequest } from "./RequestState.ts"
import { settleHold } from "./SettledHold.ts"

/** The signals that a ledger decides. */
export const LEDGER_SIGNALS = [
  "track_usage",
  "correct_usage",
  "check_budget",
  "extend_hold",
  "release_hold",
  "create_budget",
  "update_budget",
  "get_budget_status",
  "request_override",
  "decide_override",
  "calculate_cost",
  "get_pricing",
  "update_pricing",
  "update_exchange_rates",
  "configure_manager",
  "record_audit",
  "clean_usage",
  "record_cleanup",
  "raise_alert",
  "find_request",
  "find_attempt",
  "settle_hold",
  "forget_step",
  "record_forgetting"
] as const satisfies ReadonlyArray<ActorSignalName>
export type LedgerSignal = (typeof LEDGER_SIGNALS)[number]

/** Each says whether it is audited: a new one that does not is a type error here. */
const AUDITOR_OF: { readonly [Name in LedgerSignal]: Auditor<Name> | null } = AUDITORS

type Decided = Result.Result<SignalSuccess<LedgerSignal>, SignalError>

/** Only what is named changes. What this version refuses has been refused by the schema. */
const configure = (ledger: Ledger, changes: SignalPayload<"configure_manager">, now: Millis): Decided => {
  const { request_id: _, alert_channels, ...named } = changes
  const problem = named.currency === undefined ? undefined : currencyProblem(ledger, named.currency, now)
  if (problem !== undefined) return Result.fail(problem)
  const anonymity = anonymityProblem(ledger, named.anonymize_users ?? ledger.config.anonymize_users)
  if (anonymity !== undefined) return Result.fail(anonymity)
  const channels = alert_channels && changeRecipients(ledger, alert_channels)
  if (channels !== undefined && Result.isFailure(channels)) return Result.fail(channels.failure)
  const shown = channels === undefined ? {} : { alert_channels: channels.success }
  ledger.configure({ ...ledger.config, ...(named as Partial<ManagerConfig>), ...shown })
  return Result.succeed({ config: ledger.config })
}

/** What another part of the runtime has done. */
const record = (
  ledger: Ledger,
  { action, subject, before, after }: SignalPayload<"record_audit">,
  principal: Principal,
  now: Millis
): Decided => {
  ledger.audit({ principal, action, subject, before, after, at: now })
  return Result.succeed({ recorded: true })
}

/** An alert that another part of the runtime raises. */
const raise = (
  ledger: Ledger,
  { request_id: _, ...told }: SignalPayload<"raise_alert">,
  now: Millis
): Decided => Result.succeed({ alert: ledger.raiseAlert({ ...told, at: now }) })

/** That a user was forgotten, and nothing of who it was. */
const recordForgetting = (
  ledger: Ledger,
  { forgotten, answers }: SignalPayload<"record_forgetting">,
  principal: Principal,
  now: Millis
): Decided => {
  const { tenant: subject } = ledger
  ledger.audit({ principal, action: "forget_user", subject, before: null, after: { ...forgotten }, at: now })
  if (answers !== null) {
    const { request_id: requestId, digest, result } = answers
    ledger.rememberCommand({ signal: "forget_user", requestId, digest, result })
  }
  return Result.succeed({ recorded: true })
}

const isForgetting = (): Unavailable =>
  new Unavailable({
    message:
      "A user is being forgotten: make a budget about users when that has ended, or go on with forget_user",
    retry_after_ms: 1_000
  })

/** `before`: what the store was asked for it alone. */
const apply = (
  ledger: Ledger,
  envelope: Envelope<LedgerSignal>,
  before: Beforehand,
  now: Millis
): Decided => {
  const { principal } = envelope
  switch (envelope.name) {
    case "track_usage":
      return trackUsage(ledger, envelope.payload, principal, now)
    case "correct_usage":
      return correctUsage(ledger, envelope.payload, principal, now)
    case "check_budget":
      return checkBudget(ledger, envelope.payload, principal, now)
    case "extend_hold":
      return extendHold(ledger, envelope.payload, principal, now)
    case "release_hold":
      return releaseHold(ledger, envelope.payload, principal)
    case "create_budget":
      // What was spent before is summed up by names, of which some are changing.
      if (ledger.renamings.length > 0 && envelope.payload.type === "user") return Result.fail(isForgetting())
      return createBudget(ledger, envelope.payload, before.spent, now)
    case "update_budget":
      return updateBudget(ledger, envelope.payload, now)
    case "get_budget_status":
      return getBudgetStatus(ledger, envelope.payload, principal, now)
    case "request_override":
      return requestOverride(ledger, envelope.payload, principal, now)
    case "decide_override":
      return decideOverride(ledger, envelope.payload, principal, now)
    case "calculate_cost":
      return calculateCost(ledger, envelope.payload, now)
    case "get_pricing":
      return getPricing(ledger, envelope.payload, now)
    case "update_pricing":
      return updatePricing(ledger, envelope.payload, before.unpriced, now)
    case "update_exchange_rates":
      return updateExchangeRates(ledger, envelope.payload, now)
    case "configure_manager":
      return configure(ledger, envelope.payload, now)
    case "record_audit":
      return record(ledger, envelope.payload, principal, now)
    case "clean_usage":
      return cleanUsage(ledger, envelope.payload)
    case "record_cleanup":
      return recordCleanup(ledger, envelope.payload, principal, now)
    case "raise_alert":
      return raise(ledger, envelope.payload, now)
    case "find_request":
      return Result.succeed(findRequest(ledger, envelope.payload))
    case "find_attempt":
      return Result.succeed(findAttempt(ledger, envelope.payload))
    case "settle_hold":
      return settleHold(ledger, envelope.payload, principal, now)
    case "forget_step":
      throw new Error("a step of forgetting is done by the shift, while nothing is on its way")
    case "record_forgetting":
      return recordForgetting(ledger, envelope.payload, principal, now)
  }
}

/** What has changed the rules is noted, whichever command it was. */
const applyAudited = (
  ledger: Ledger,
  envelope: Envelope<LedgerSignal>,
  before: Beforehand,
  now: Millis
): Decided => {
  const auditor = AUDITOR_OF[envelope.name] as Auditor<LedgerSignal> | null
  if (auditor === null) return apply(ledger, envelope, before, now)
  const changed = auditor(ledger, envelope.payload, now, before)
  const decided = apply(ledger, envelope, before, now)
  const change = Result.isSuccess(decided) ? changed(decided.success) : null
  if (change !== null) {
    ledger.audit({ principal: envelope.principal, action: envelope.name, ...change, at: now })
  }
  return decided
}

/** These are made unique by the request itself, not by the command log. */
const REQUEST_SIGNALS: ReadonlySet<ActorSignalName> = new Set([
  "track_usage",
  "check_budget",
  "correct_usage"
])

/** The id under which a command's result is remembered, or `undefined`. */
export const commandIdOf = (envelope: Envelope): string | undefined => {
  if (REQUEST_SIGNALS.has(envelope.name) || traitsOf(ACTOR_SIGNALS[envelope.name]).kind === "query")
    return undefined
  return (envelope.payload as { readonly request_id?: string }).request_id
}

/** The content of a command. The same words of keys that are forced to different attributions are different commands. */
const digestOf = ({ payload, principal: { attribution } }: Envelope<LedgerSignal>): string =>
  contentDigest(Object.keys(attribution).length === 0 ? payload : { payload, attribution })

const repeatedCommand = (
  ledger: Ledger,
  envelope: Envelope<LedgerSignal>,
  requestId: string
): Decided | undefined => {
  const row = ledger.command(envelope.name, requestId)
  if (row === undefined) return undefined
  if (row.digest === digestOf(envelope)) return Result.succeed(decodeSuccess(envelope.name, row.result))
  return Result.fail(
    new Conflict({
      reason: "request_reused_with_different_content",
      message: `The request_id ${requestId} was used for another ${envelope.name}; take a new one`
    })
  )
}

const isRefusal = (success: SignalSuccess<LedgerSignal>): boolean => "allowed" in success && !success.allowed

/** Decides one signal. The answer must not leave before the ledger's entries are committed. */
export const decide = (
  ledger: Ledger,
  envelope: Envelope<LedgerSignal>,
  before: Beforehand,
  now: Millis
): Decided => {
  if (ledger.config.anonymize_users && namesUserOf(ledger, envelope)) return Result.fail(notAnonymised())
  // By the clock of each signal: what has expired is no room for it.
  expireOverrides(ledger, now)
  const requestId = commandIdOf(envelope)
  if (requestId === undefined) return applyAudited(ledger, envelope, before, now)
  const repeated = repeatedCommand(ledger, envelope, requestId)
  if (repeated !== undefined) return repeated
  const decided = applyAudited(ledger, envelope, before, now)
  if (Result.isSuccess(decided) && !isRefusal(decided.success)) {
    ledger.rememberCommand({
      signal: envelope.name,
      requestId,
      digest: digestOf(envelope),
      result: encodeSuccess(envelope.name, decided.success as never) as never
    })
  }
  return decided
}
