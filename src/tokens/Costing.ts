/**
 * Answers what things cost, and takes new prices.
 *
 * Owns: calculate_cost, get_pricing, update_pricing.
 * Does not decide: what was charged before: past usage keeps its price; what has none gets one by Repricing.
 */
import { Result } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { invalidParam, PriceUnknown, type SignalError } from "../signal/Errors.ts"
import { convert, formatAmount, UNIT } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import { rateUnknown } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"
import { outlierIn } from "./PriceBook.ts"
import { priceCounts, priceTimes } from "./Pricing.ts"
import { effectiveFromOf, reprice } from "./Repricing.ts"
import type { UnpricedRow } from "./UnpricedUse.ts"

type Decision<A> = Result.Result<A, SignalError>

/** What may have been meant: `; nearest known: …`, or nothing. */
export const priceHint = (ledger: Ledger, provider: string, model: string): string => {
  const near = ledger.prices.nearestNames(provider, model)
  if (near.length > 0) return `; nearest known: ${near.join(", ")}`
  const other = ledger.prices.nearestProvider(provider)
  if (other === undefined) return ""
  return `; no model of ${provider} has one, nearest is ${other} with ${ledger.prices.nearestNames(other, model).join(", ")}`
}

export const priceUnknown = (ledger: Ledger, provider: string, model: string): PriceUnknown => {
  const near = ledger.prices.nearestNames(provider, model)
  const hint = priceHint(ledger, provider, model)
  return new PriceUnknown({
    provider,
    model,
    nearest: near,
    message: `${provider}/${model} has no price: set one with update_pricing${hint}`
  })
}

export const calculateCost = (
  ledger: Ledger,
  payload: SignalPayload<"calculate_cost">,
  now: Millis
): Decision<SignalSuccess<"calculate_cost">> => {
  const { provider, model, at = now, currency = ledger.config.currency } = payload
  const price = ledger.prices.find(provider, model, at)
  if (price === undefined) return Result.fail(priceUnknown(ledger, provider, model))
  const rate = ledger.rate(price.currency, currency, at)
  if (rate === undefined) return Result.fail(rateUnknown(price.currency, currency))
  const { cost, breakdown } = priceCounts(price, payload, payload.service_tier)
  return Result.succeed({
    cost: convert(cost, rate),
    currency,
    price_currency: price.currency,
    exchange_rate: rate,
    price_id: price.id,
    breakdown
  })
}

export const getPricing = (
  ledger: Ledger,
  payload: SignalPayload<"get_pricing">,
  now: Millis
): Decision<SignalSuccess<"get_pricing">> =>
  Result.succeed({ items: ledger.prices.list(payload.provider, payload.model, payload.at ?? now) })

/** Sets the tenant's own price of a model, from `effective_from` on; and prices what waits for it, where that is asked. */
export const updatePricing = (
  ledger: Ledger,
  payload: SignalPayload<"update_pricing">,
  unpriced: ReadonlyArray<UnpricedRow>,
  now: Millis
): Decision<SignalSuccess<"update_pricing">> => {
  const { provider, model } = payload
  const { currency = ledger.config.currency, ...rates } = payload.pricing
  const effectiveFrom = effectiveFromOf(payload, unpriced, now)
  if (ledger.rate(currency, ledger.config.currency, effectiveFrom) === undefined) {
    return Result.fail(rateUnknown(currency, ledger.config.currency))
  }
  const current = ledger.prices.find(provider, model, effectiveFrom)
  const toCurrency = current && ledger.rate(current.currency, currency, effectiveFrom)
  const outlier =
    current === undefined || toCurrency === undefined || payload.confirm_outlier
      ? undefined
      : outlierIn(rates, toCurrency === UNIT ? current : priceTimes(current, toCurrency))
  if (outlier !== undefined) {
    return Result.fail(
      invalidParam(
        ["pricing", ...outlier.path],
        `More than 100 times away from what is in force (${formatAmount(outlier.inForce)} ${currency}). Rates are per million tokens; send confirm_outlier: true if this one is meant`
      )
    )
  }
  const price: Price = {
    id: ledger.nextId("price"),
    provider,
    model,
    currency,
    ...rates,
    effective_from: effectiveFrom,
    effective_to: null,
    source: "override"
  }
  ledger.addPrice(price)
  const repriced = payload.reprice_unpriced ? reprice(ledger, payload, price, unpriced, now) : { repriced: 0 }
  return Result.succeed({ updated: true, price, ...repriced })
}
