/**
 * Alerts that usage causes.
 *
 * Owns: once per threshold and period, once per unpriced model or service tier; their wording.
 * Does not decide: who is told (subscriptions).
 */
import type { Alert } from "../signal/Budget.ts"
import { formatAmount } from "../signal/Money.ts"
import { type Millis, toSentence } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import { ALL_OF_IT, type BudgetRecord, titleOf, totalOf } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"

const thresholdAlert = (
  budget: BudgetRecord,
  period: PeriodRecord,
  percent: number,
  at: Millis
): Omit<Alert, "id"> => {
  const { id, currency, measure } = budget.definition
  const isExceeded = percent === ALL_OF_IT
  const unit = measure === "cost" ? currency : measure
  const total = formatAmount(totalOf(budget, period))
  const amounts = `${formatAmount(period.spent)} of ${total} ${unit}`
  return {
    kind: isExceeded ? "exceeded" : "threshold",
    severity: isExceeded ? "critical" : "warning",
    message: toSentence(
      `Budget ${titleOf(budget)} ${isExceeded ? "is used up" : `has reached ${percent} %`}: ${amounts} spent`
    ),
    budget_id: id,
    at,
    data: {
      threshold: percent,
      spent: formatAmount(period.spent),
      limit: total,
      ...(budget.isStanding ? { entity_id: budget.entityId } : {})
    }
  }
}

/** Raises what has been reached and was not told in this period, the lowest first. */
export const raiseBudgetAlerts = (
  ledger: Ledger,
  budget: BudgetRecord,
  period: PeriodRecord,
  at: Millis,
  raised: Array<Alert>
): void => {
  if (!budget.definition.isActive) return
  for (const alarm of budget.alarmsOf(period)) {
    if (period.spent < alarm.at) return
    if (period.alertsSent.includes(alarm.percent)) continue
    period.alertsSent = [...period.alertsSent, alarm.percent].sort((a, b) => a - b)
    raised.push(ledger.raiseAlert(thresholdAlert(budget, period, alarm.percent, at)))
  }
}

const UNPRICED_TOLD_MAX = 10_000

/** Whether this is said for the first time since the last activation. */
const isNew = (ledger: Ledger, what: string): boolean => {
  if (ledger.unpricedTold.has(what) || ledger.unpricedTold.size >= UNPRICED_TOLD_MAX) return false
  ledger.unpricedTold.add(what)
  return true
}

/** What providers call the tier that has no factor because it is the plain one. */
const PLAIN_TIERS: ReadonlySet<string> = new Set(["standard", "default", "auto", "on_demand"])

/** Says once per model and service tier, until the next activation, that the price does not know the tier. */
const raiseTierAlert = (ledger: Ledger, usage: TokenUsage, at: Millis): ReadonlyArray<Alert> => {
  const { service_tier, provider, model, request_id } = usage
  if (service_tier === undefined || PLAIN_TIERS.has(service_tier) || usage.cost_status === "free") return []
  const isPlain = usage.cost_breakdown.some(({ factor }) => factor === undefined)
  if (!isPlain || !isNew(ledger, `${provider}/${model} ${service_tier}`)) return []
  return [
    ledger.raiseAlert({
      kind: "unpriced",
      severity: "warning",
      message: toSentence(
        `The price of ${provider}/${model} has no factor for the service tier ${service_tier}: it is charged at the plain price. Set service_tiers with update_pricing`
      ),
      at,
      data: { provider, model, service_tier, request_id }
    })
  ]
}

/** Says once per model, until the next activation, that it has no price, or none for a service tier. */
export const raiseUnpricedAlert = (ledger: Ledger, usage: TokenUsage, at: Millis): ReadonlyArray<Alert> => {
  if (usage.cost_status !== "unpriced") return raiseTierAlert(ledger, usage, at)
  const { provider, model, request_id } = usage
  const price = ledger.prices.find(provider, model, usage.booked_at)
  const missing = price === undefined ? {} : { base: price.currency, currency: ledger.config.currency }
  if (!isNew(ledger, `${provider}/${model} ${price?.currency ?? ""}`)) return []
  const why =
    price === undefined
      ? `${provider}/${model} has no price: its usage is recorded without a cost. Set one with update_pricing`
      : `There is no exchange rate between ${price.currency}, in which ${provider}/${model} is priced, and ${ledger.config.currency}: its usage is recorded without a cost. Set one with update_exchange_rates`
  return [
    ledger.raiseAlert({
      kind: "unpriced",
      severity: "critical",
      message: toSentence(why),
      at,
      data: { provider, model, request_id, ...missing }
    })
  ]
}
