/**
 * Takes exchange rates, and the tenant's currency.
 *
 * Owns: update_exchange_rates, and when the tenant's currency may be changed.
 * Does not decide: which rate applies (RateBook), or what is converted (Converting).
 */
import { Result } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Conflict, invalidParam, type SignalError } from "../signal/Errors.ts"
import { type Amount, formatAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import { rateUnknown } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"

type Decision<A> = Result.Result<A, SignalError>

/** Rates of one tenant, all that there ever were; more are refused. They are all in memory. */
const RATES_MAX = 200_000

/** A rate this many times away from the one in force is taken for a mistake: mostly for its own inverse. */
const OUTLIER_FACTOR = 10n

const isFar = (rate: Amount, inForce: Amount): boolean =>
  rate > inForce * OUTLIER_FACTOR || rate * OUTLIER_FACTOR < inForce

/** Says what a unit of `base` is worth from `as_of` on. What was converted before keeps its rate. */
export const updateExchangeRates = (
  ledger: Ledger,
  payload: SignalPayload<"update_exchange_rates">,
  now: Millis
): Decision<SignalSuccess<"update_exchange_rates">> => {
  const { base, rates, source, as_of = now } = payload
  const entries = Object.entries(rates)
  if (ledger.rates.size + entries.length > RATES_MAX) {
    return Result.fail(
      invalidParam(
        ["rates"],
        `This tenant has ${ledger.rates.size} exchange rates, and ${RATES_MAX} is the bound: they are kept for ever. Send only the currencies that you use`
      )
    )
  }
  for (const [currency, rate] of entries) {
    const inForce = ledger.rate(base, currency, as_of)
    if (inForce === undefined || payload.confirm_outlier || !isFar(rate, inForce)) continue
    return Result.fail(
      invalidParam(
        ["rates", currency],
        `More than ${OUTLIER_FACTOR} times away from what is in force (${formatAmount(inForce)}). A rate says how many ${currency} a unit of ${base} is worth; send confirm_outlier: true if this one is meant`
      )
    )
  }
  for (const [currency, rate] of entries) {
    const seq = ledger.rates.size + 1
    ledger.addRate({ seq, base, currency, rate, asOf: as_of, source: source ?? null })
  }
  const told = source === undefined ? {} : { source }
  return Result.succeed({ updated: true, base, rates, as_of, ...told })
}

/** Why the tenant's currency cannot become this one, or `undefined`. */
export const currencyProblem = (ledger: Ledger, currency: string, now: Millis): SignalError | undefined => {
  if (currency === ledger.config.currency) return undefined
  if (ledger.usageSeq > 0 || ledger.holds.size > 0) {
    return new Conflict({
      reason: "currency_in_use",
      message: `What was used and is held is counted in ${ledger.config.currency}: the currency can only be changed before the first hold and the first usage. Budgets and prices can be in another one`
    })
  }
  const used = new Set(ledger.prices.currencies)
  for (const { definition } of ledger.budgets.values()) {
    if (definition.measure === "cost") used.add(definition.currency)
  }
  // By way of the currency that it shall be, not of the one that it is.
  for (const other of used) {
    if (ledger.rates.find(other, currency, now, currency) === undefined) return rateUnknown(other, currency)
  }
  return undefined
}
