/**
 * Gives usage that has no price the price that has been set for it.
 *
 * Owns: which usage a new price is for, how much of it at once, and that each attempt is priced once.
 * Does not decide: what the counts cost (Pricing), or how the difference is booked and charged (Adjusting).
 *
 * A price that was set is not enough: whoever sets it says that the past is meant. What was priced before is not touched.
 */
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import { adjust, netOf } from "./Adjusting.ts"
import type { Ledger } from "./Ledger.ts"
import type { UnpricedRow } from "./UnpricedUse.ts"

type Pricing = SignalPayload<"update_pricing">

/** Attempts that one signal prices, the oldest first; it says when some are left. */
export const REPRICED_MAX = 1_000

/** From when on a price is in force: what waits for it the longest says so where the signal does not. */
export const effectiveFromOf = (payload: Pricing, waiting: ReadonlyArray<UnpricedRow>, now: Millis): Millis =>
  payload.effective_from ?? waiting[0]?.bookedAt ?? now

/** Those of `waiting` that a price is for: booked when it is in force, before the next one is. */
export const dueFor = (
  ledger: Ledger,
  { provider, model }: Pricing,
  waiting: ReadonlyArray<UnpricedRow>,
  effectiveFrom: Millis
): ReadonlyArray<UnpricedRow> => {
  const next = ledger.prices.nextStart(provider, model, effectiveFrom) ?? Number.POSITIVE_INFINITY
  return waiting.filter(({ bookedAt }) => bookedAt >= effectiveFrom && bookedAt < next)
}

/** Prices one attempt with all its corrections. `false`: it has a price, or its rows have been cleaned up. */
const repriceOne = (ledger: Ledger, row: UnpricedRow, price: Price, now: Millis): boolean => {
  const request = ledger.request(row.requestId)
  const attempt = request?.attempts.find(({ usageSeq }) => usageSeq === row.usageSeq)
  const rows = attempt && request?.rowsOf(attempt)
  if (request === undefined || attempt === undefined || rows === undefined) return false
  if (rows.some(({ price_id }) => price_id !== null)) return false
  const net = netOf(rows)
  const { currency } = net.first
  const rate = ledger.rate(price.currency, currency, row.bookedAt)
  if (rate === undefined) throw new Error(`the price ${price.id} has no rate into ${currency}`)
  const pricedAt = { price, rate }
  adjust(ledger, request, attempt, { net, counts: net.counts, pricedAt, facts: {} }, now)
  return true
}

export interface Repriced {
  readonly repriced: number
  /** Whether some are left for the next signal. */
  readonly unpriced_left: boolean
}

/** Prices what waits for a price that has just been set. `waiting`: one more than are priced, where there are more. */
export const reprice = (
  ledger: Ledger,
  payload: Pricing,
  price: Price,
  waiting: ReadonlyArray<UnpricedRow>,
  now: Millis
): Repriced => {
  const due = dueFor(ledger, payload, waiting, price.effective_from ?? Number.NEGATIVE_INFINITY)
  let repriced = 0
  for (const row of due.slice(0, REPRICED_MAX)) {
    ledger.unpriced.remove(row)
    if (repriceOne(ledger, row, price, now)) repriced += 1
  }
  return { repriced, unpriced_left: due.length > REPRICED_MAX }
}
