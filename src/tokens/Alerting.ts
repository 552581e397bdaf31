/**
 * Alerts that usage causes.
 *
 * Owns: once per threshold and period, once per unpriced model; their wording.
 * Does not decide: who is told (subscriptions).
 */
import type { Alert } from "../signal/Budget.ts"
import { formatAmount } from "../signal/Money.ts"
import { type Millis, toSentence } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import { ALL_OF_IT, type BudgetRecord, totalOf } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"

const thresholdAlert = (
  budget: BudgetRecord,
  period: PeriodRecord,
  percent: number,
  at: Millis
): Omit<Alert, "id"> => {
  const { id, name, currency, measure } = budget.definition
  const isExceeded = percent === ALL_OF_IT
  const unit = measure === "cost" ? currency : measure
  const total = formatAmount(totalOf(budget, period))
  const amounts = `${formatAmount(period.spent)} of ${total} ${unit}`
  return {
    kind: isExceeded ? "exceeded" : "threshold",
    severity: isExceeded ? "critical" : "warning",
    message: toSentence(
      `Budget "${name}" ${isExceeded ? "is used up" : `has reached ${percent} %`}: ${amounts} spent`
    ),
    budget_id: id,
    at,
    data: { threshold: percent, spent: formatAmount(period.spent), limit: total }
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

/** Says once per model, until the next activation, that it has no price. */
export const raiseUnpricedAlert = (ledger: Ledger, usage: TokenUsage, at: Millis): ReadonlyArray<Alert> => {
  if (usage.cost_status !== "unpriced") return []
  const model = `${usage.provider}/${usage.model}`
  if (ledger.unpricedTold.has(model) || ledger.unpricedTold.size >= UNPRICED_TOLD_MAX) return []
  ledger.unpricedTold.add(model)
  return [
    ledger.raiseAlert({
      kind: "unpriced",
      severity: "critical",
      message: toSentence(
        `${model} has no price: its usage is recorded without a cost. Set one with update_pricing`
      ),
      at,
      data: { provider: usage.provider, model: usage.model, request_id: usage.request_id }
    })
  ]
}
