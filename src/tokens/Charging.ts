/**
 * Adds what was used to the budgets that it counts in.
 *
 * Owns: what a usage adds to a budget by its measure, in which period, and the alerts that this causes.
 * Does not decide: what a usage costs (Pricing), or when it is booked (Posting, Adjusting).
 */
import type { Alert } from "../signal/Budget.ts"
import type { ExchangeRates } from "../signal/ExchangeRates.ts"
import { type Amount, amountOfCount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { raiseBudgetAlerts } from "./Alerting.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import { inCurrency, ratesInto } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"
import { raiseProjectedAlert } from "./Projection.ts"

/** What a usage adds to a budget, by the budget's measure. */
export const chargeOf = (budget: BudgetRecord, usage: TokenUsage, requests: number): Amount => {
  switch (budget.definition.measure) {
    case "cost":
      return inCurrency(usage.cost, budget.definition.currency, usage.budget_rates ?? null)
    case "tokens":
      return amountOfCount(usage.total_tokens)
    case "requests":
      return amountOfCount(requests)
  }
}

/** A usage with the rates into the currencies of the budgets that it is charged to, where they are others. */
export const withRates = (
  ledger: Ledger,
  usage: TokenUsage,
  budgets: ReadonlyArray<BudgetRecord>,
  pinned: ExchangeRates | null | undefined
): TokenUsage => {
  const rates = ratesInto(ledger, budgets, usage.booked_at, pinned)
  return rates === null ? usage : { ...usage, budget_rates: rates }
}

/** Adds a usage to every budget that matches it, in the period of its booking. */
export const charge = (
  ledger: Ledger,
  budgets: ReadonlyArray<BudgetRecord>,
  usage: TokenUsage,
  requests: number,
  now: Millis
): ReadonlyArray<Alert> => {
  const alerts: Array<Alert> = []
  for (const budget of budgets) {
    const amount = chargeOf(budget, usage, requests)
    if (amount === 0n || !budget.counts(usage.booked_at)) continue
    ledger.adopt(budget)
    const period = budget.periodAt(usage.booked_at)
    period.spent += amount
    // Only an adjustment is ever booked that far back.
    if (usage.adjusts !== undefined && period.isSettled(now)) period.spentAfterwards += amount
    ledger.changePeriod(period)
    if (amount <= 0n) continue
    raiseBudgetAlerts(ledger, budget, period, now, alerts)
    raiseProjectedAlert(ledger, budget, period, now, alerts)
  }
  return alerts
}
