/**
 * What each command leaves in the audit trail.
 *
 * Owns: which commands are audited, what each is about, and what is shown of before and after.
 * Does not decide: how entries are chained (AuditChain).
 *
 * A command that changes what the rules are leaves an entry. What is asked and reported for each call does not: the
 * call's own rows are its record.
 */
import type { Schema } from "effect"
import type { ActorSignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { encoderOf } from "../signal/Encode.ts"
import { ManagerConfig } from "../signal/Management.ts"
import { type Amount, formatAmount } from "../signal/Money.ts"
import { Override } from "../signal/Overrides.ts"
import { Price } from "../signal/Price.ts"
import { formatTimestamp, type Millis } from "../signal/Text.ts"
import { Counts } from "../signal/Usage.ts"
import { type Net, netOf } from "./Adjusting.ts"
import type { AuditNote } from "./AuditChain.ts"
import type { Beforehand } from "./KnownBefore.ts"
import type { Ledger } from "./Ledger.ts"
import type { BudgetDefinition } from "./LedgerStore.ts"
import { overrideOf } from "./Overrides.ts"
import { effectiveFromOf } from "./Repricing.ts"

type Change = Pick<AuditNote, "subject" | "before" | "after">

/** Looks at what is there before a command, and tells after it what it has changed; `null` where that is nothing. */
export type Auditor<Name extends ActorSignalName> = (
  ledger: Ledger,
  payload: SignalPayload<Name>,
  now: Millis,
  beforehand: Beforehand
) => (success: SignalSuccess<Name>) => Change | null

/** A command without an entry, and a query. */
const NOT_AUDITED = null

const encodeOverride = encoderOf(Override)
const encodeCounts = encoderOf(Counts) as (counts: Counts) => { readonly [field: string]: Schema.Json }
const encodePrice = encoderOf(Price)
const encodeConfig = encoderOf(ManagerConfig)

const SHOWN_NAMES: { readonly [field: string]: string } = { isActive: "active" }

const shownName = (field: string): string =>
  SHOWN_NAMES[field] ?? field.replace(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`)

const shownValue = (field: string, value: unknown): Schema.Json => {
  if (typeof value === "bigint") return formatAmount(value)
  if (typeof value === "number" && field.endsWith("At")) return formatTimestamp(value)
  if (Array.isArray(value)) return value.map((inner) => shownValue("", inner))
  return typeof value === "object" && value !== null ? shownFields(value) : (value as Schema.Json)
}

/** Every field under its name on the wire: one that is added later is shown without anybody thinking of it. */
const shownFields = (value: object): Schema.Json =>
  Object.fromEntries(
    Object.entries(value).map(([field, inner]) => [shownName(field), shownValue(field, inner)])
  )

/** A budget's definition: its counters change with every call, and are no rule. */
export const shownDefinition = (definition: BudgetDefinition | undefined): Schema.Json =>
  definition === undefined ? null : shownFields(definition)

const shownBudget = (ledger: Ledger, id: string): Schema.Json =>
  shownDefinition(ledger.budgets.get(id)?.definition)

const auditCreateBudget: Auditor<"create_budget"> =
  (ledger) =>
  ({ budget_id }) => ({ subject: budget_id, before: null, after: shownBudget(ledger, budget_id) })

const auditUpdateBudget: Auditor<"update_budget"> = (ledger, { budget_id }) => {
  const before = shownBudget(ledger, budget_id)
  return () => ({ subject: budget_id, before, after: shownBudget(ledger, budget_id) })
}

/** Before is the price that was in force when the new one begins. */
const auditUpdatePricing: Auditor<"update_pricing"> = (ledger, payload, now, { unpriced }) => {
  const { provider, model, reason, reprice_unpriced } = payload
  const before = ledger.prices.find(provider, model, effectiveFromOf(payload, unpriced, now))
  return ({ price, repriced }) => ({
    subject: `${provider}/${model}`,
    before: before === undefined ? null : (encodePrice(before) as Schema.Json),
    after: {
      ...(encodePrice(price) as { readonly [field: string]: Schema.Json }),
      ...(reprice_unpriced ? { repriced } : {}),
      ...(reason === undefined ? {} : { reason })
    }
  })
}

const shownOverride = (override: Override): Schema.Json => encodeOverride(override) as Schema.Json

const auditRequestOverride: Auditor<"request_override"> =
  () =>
  ({ override }) => ({ subject: override.id, before: null, after: shownOverride(override) })

const auditDecideOverride: Auditor<"decide_override"> = (ledger, { override_id }) => {
  const row = ledger.overrides.get(override_id)
  const before = row === undefined ? null : shownOverride(overrideOf(row))
  return ({ override }) => ({ subject: override_id, before, after: shownOverride(override) })
}

/** What an attempt amounts to, as far as a correction can change it. */
const shownNet = ({ counts, cost }: Net): { readonly [field: string]: Schema.Json } => ({
  ...encodeCounts(counts),
  cost: formatAmount(cost)
})

/** A correction that was there already has changed nothing. */
const auditCorrectUsage: Auditor<"correct_usage"> =
  (ledger, { reason }) =>
  ({ usage: { request_id, attempt: number }, duplicate }) => {
    const request = ledger.request(request_id)
    const attempt = request?.attempts.find((row) => row.attempt === number)
    const [first, ...adjustments] = (attempt && request?.rowsOf(attempt)) ?? []
    if (duplicate || first === undefined) return null
    return {
      subject: `${request_id}/${number}`,
      before: shownNet(netOf([first, ...adjustments.slice(0, -1)])),
      after: { ...shownNet(netOf([first, ...adjustments])), reason }
    }
  }

/** What a unit of `base` is worth in these currencies, as a Decimal each; without those of which nobody said. */
const shownRates = (
  base: string,
  currencies: ReadonlyArray<string>,
  rateOf: (currency: string) => Amount | undefined
): Schema.Json => {
  const rates: { [currency: string]: string } = {}
  for (const currency of currencies) {
    const rate = rateOf(currency)
    if (rate !== undefined) rates[currency] = formatAmount(rate)
  }
  return Object.keys(rates).length === 0 ? null : { base, rates }
}

/** Before are the rates that were in force at the moment from which the new ones hold. */
const auditExchangeRates: Auditor<"update_exchange_rates"> = (ledger, { base, rates, as_of }, now) => {
  const currencies = Object.keys(rates)
  const before = shownRates(base, currencies, (currency) => ledger.rate(base, currency, as_of ?? now))
  return (success) => ({
    subject: base,
    before,
    after: {
      ...(shownRates(base, currencies, (currency) => rates[currency]) as {
        readonly [name: string]: Schema.Json
      }),
      as_of: formatTimestamp(success.as_of),
      source: success.source ?? null
    }
  })
}

/** Secrets are not in it: a channel is shown without its secret. */
const auditConfigure: Auditor<"configure_manager"> = (ledger) => {
  const before = encodeConfig(ledger.config) as Schema.Json
  return ({ config }) => ({ subject: ledger.tenant, before, after: encodeConfig(config) as Schema.Json })
}

/** Decide takes an auditor, or a word that there is none, for each signal that a ledger decides. */
export const AUDITORS = {
  create_budget: auditCreateBudget,
  update_budget: auditUpdateBudget,
  request_override: auditRequestOverride,
  decide_override: auditDecideOverride,
  update_pricing: auditUpdatePricing,
  update_exchange_rates: auditExchangeRates,
  configure_manager: auditConfigure,
  correct_usage: auditCorrectUsage,
  // It is an entry itself.
  record_audit: NOT_AUDITED,
  // The cleanup whose steps they are is one entry.
  clean_usage: NOT_AUDITED,
  record_cleanup: NOT_AUDITED,
  raise_alert: NOT_AUDITED,
  find_request: NOT_AUDITED,
  find_attempt: NOT_AUDITED,
  settle_hold: NOT_AUDITED,
  forget_step: NOT_AUDITED,
  record_forgetting: NOT_AUDITED,
  track_usage: NOT_AUDITED,
  check_budget: NOT_AUDITED,
  extend_hold: NOT_AUDITED,
  release_hold: NOT_AUDITED,
  get_budget_status: NOT_AUDITED,
  calculate_cost: NOT_AUDITED,
  get_pricing: NOT_AUDITED
} as const satisfies { readonly [Name in ActorSignalName]?: Auditor<Name> | null }
