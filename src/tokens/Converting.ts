/**
 * Amounts in the currencies of budgets and prices.
 *
 * Owns: which rates a hold or a usage needs, and converting with them, once for each budget.
 * Does not decide: what a rate is (RateBook).
 *
 * Everything that a call costs is counted in the tenant's currency; a price may be in another one, and so may a budget.
 * A rate into a budget's currency is never missing: create_budget refuses a currency that has none, the tenant's
 * currency can only be changed to one that has a rate to that of every budget, rates are never deleted, and a pair that
 * has a rate has one at every moment. So usage cannot be refused for the lack of one.
 */
import { RateUnknown } from "../signal/Errors.ts"
import type { ExchangeRates } from "../signal/ExchangeRates.ts"
import { type Amount, convert } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import { type BudgetRecord, isForeign } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"

export const rateUnknown = (base: string, currency: string): RateUnknown =>
  new RateUnknown({
    base,
    currency,
    message: `There is no exchange rate between ${base} and ${currency}: set one with update_exchange_rates`
  })

/**
 * The rates from the tenant's currency into those of these budgets, as they were pinned, else as they were at `at`;
 * `null` where all are in the tenant's currency.
 */
export const ratesInto = (
  ledger: Ledger,
  budgets: ReadonlyArray<BudgetRecord>,
  at: Millis,
  pinned: ExchangeRates | null | undefined
): ExchangeRates | null => {
  if (!ledger.hasForeignBudgets) return null
  let rates: { [currency: string]: Amount } | null = null
  for (const budget of budgets) {
    const { id, currency } = budget.definition
    if (!isForeign(budget, ledger.config.currency) || rates?.[currency] !== undefined) continue
    const rate = pinned?.[currency] ?? ledger.rate(ledger.config.currency, currency, at)
    if (rate === undefined) throw new Error(`the budget ${id} has no rate into ${currency}`)
    rates ??= {}
    rates[currency] = rate
  }
  return rates
}

/** An amount of the tenant's currency in another one, by rates of `ratesInto`. */
export const inCurrency = (amount: Amount, currency: string, rates: ExchangeRates | null): Amount => {
  const rate = rates?.[currency]
  return rate === undefined ? amount : convert(amount, rate)
}
