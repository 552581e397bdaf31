/**
 * At which price and rates a call is charged.
 *
 * Owns: that a hold pins them. What is told later of an earlier moment (a price, a rate) changes nothing of a call that
 * was admitted before; nor does it change what an attempt that is recorded was charged at.
 * Does not decide: what counts cost (Pricing), or which price is in force (PriceBook).
 */
import type { ExchangeRates } from "../signal/ExchangeRates.ts"
import { type Amount, UNIT } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import type { Ledger } from "./Ledger.ts"
import type { HoldRecord } from "./RequestRecord.ts"

/** The price of a call to this model: the hold's, if it was made for it, else the one in force at `at`. */
export const priceOf = (
  ledger: Ledger,
  hold: HoldRecord | null,
  provider: string,
  model: string,
  at: Millis
): Price | undefined => {
  const { prices } = ledger
  // A price of the hold that is gone was of a catalogue that has been renewed since.
  const pinned =
    hold !== null && hold.priceId !== null && hold.provider === provider && hold.model === model
      ? prices.byId(provider, model, hold.priceId)
      : undefined
  return pinned ?? prices.find(provider, model, at)
}

/** From a price's currency into the tenant's: the hold's rate, if the price is the hold's, else the one at `at`. */
export const exchangeRateOf = (
  ledger: Ledger,
  hold: HoldRecord | null,
  price: Price,
  at: Millis
): Amount | undefined => {
  const ours = ledger.config.currency
  if (price.currency === ours) return UNIT
  const isPinned = hold !== null && hold.priceId === price.id && hold.currency === ours
  return isPinned ? hold.exchangeRate : ledger.rate(price.currency, ours, at)
}

/** The rates into the currencies of budgets that a hold pins. */
export const pinnedRates = (ledger: Ledger, hold: HoldRecord | null): ExchangeRates | null =>
  hold === null || hold.currency !== ledger.config.currency ? null : hold.rates
