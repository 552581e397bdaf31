/**
 * Rates by currency: what a unit of one currency is worth in others.
 *
 * Owns: their shape, and which rates can be meant at all.
 * Does not decide: which rate applies (RateBook).
 */
import { Schema } from "effect"
import { Currency, CurrencyInForce } from "./Currency.ts"
import { Decimal, formatAmount, UNIT } from "./Money.ts"

export const ExchangeRates = Schema.Record(Currency, Decimal)

/** Rates that a caller tells. */
export const ToldRates = Schema.Record(CurrencyInForce, Decimal)
export type ExchangeRates = typeof ExchangeRates.Type

/**
 * No currency is worth ten million of another. Within these bounds neither an inverse nor a cross rate is too large
 * for a `Decimal`, and an inverse is never rounded to nothing.
 */
const RATE_MAX = 10_000_000n * UNIT
const RATE_MIN = UNIT / 10_000_000n

interface Problem {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** Why these rates cannot be meant, or `undefined`. */
export const ratesProblem = ({
  base,
  rates
}: {
  readonly base: string
  readonly rates: ExchangeRates
}): Problem | undefined => {
  const entries = Object.entries(rates)
  if (entries.length === 0) return { path: ["rates"], message: "Expected at least one rate" }
  for (const [currency, rate] of entries) {
    const path = ["rates", currency]
    if (currency === base) {
      return { path, message: `A unit of the base is always 1 of it: leave ${base} out` }
    }
    if (rate <= 0n) return { path, message: "Expected a rate that is more than zero" }
    if (rate < RATE_MIN || rate > RATE_MAX) {
      return {
        path,
        message: `Expected a rate between ${formatAmount(RATE_MIN)} and ${formatAmount(RATE_MAX)}: how many ${currency} a unit of ${base} is worth`
      }
    }
  }
  return undefined
}
