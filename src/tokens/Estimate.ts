/**
 * What a call is expected to use, before it is made, in the tenant's currency.
 *
 * Owns: filling in what the caller left open. Does not decide: whether there is room (Holding).
 */
import { Result } from "effect"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { RateUnknown } from "../signal/Errors.ts"
import { type Amount, convert, UNIT } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import { rateUnknown } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"
import { costOfEstimate } from "./Pricing.ts"

export interface Estimate {
  readonly tokens: number
  readonly cost: Amount
  /** `unknown`: no cost was given, and there is no price to work one out. */
  readonly costBasis: "given" | "priced" | "unknown"
  /** The price that its call is charged at, and the rate from the price's currency. */
  readonly priceId: string | null
  readonly exchangeRate: Amount
  /** The currency of a price, from which there is no rate: with one, the cost would be known. */
  readonly missing?: string
}

type Asked = Pick<
  SignalPayload<"check_budget">,
  | "provider"
  | "model"
  | "service_tier"
  | "estimated_prompt_tokens"
  | "max_completion_tokens"
  | "estimated_tokens"
>

interface Split {
  readonly prompt: number
  readonly completion: number
  readonly total: number
}

/** A missing output estimate is the configured default, unless a total says otherwise. */
const splitOf = (asked: Asked, defaultCompletion: number): Split => {
  const total = asked.estimated_tokens
  if (total === undefined) {
    const prompt = asked.estimated_prompt_tokens ?? 0
    const completion = asked.max_completion_tokens ?? defaultCompletion
    return { prompt, completion, total: prompt + completion }
  }
  const prompt = asked.estimated_prompt_tokens ?? Math.max(0, total - (asked.max_completion_tokens ?? total))
  const completion = asked.max_completion_tokens ?? Math.max(0, total - prompt)
  return { prompt, completion, total: Math.max(total, prompt + completion) }
}

/** A total alone may all be input or all be output: the dearer of the two is held. */
const costOf = (price: Price, asked: Asked, { prompt, completion, total }: Split): Amount => {
  const tier = asked.service_tier
  const cost = costOfEstimate(price, prompt, completion, tier)
  if (asked.estimated_prompt_tokens !== undefined || asked.max_completion_tokens !== undefined) return cost
  if (asked.estimated_tokens === undefined) return cost
  const asInput = costOfEstimate(price, total, 0, tier)
  return asInput > cost ? asInput : cost
}

/** What the same call costs at another price, in the price's currency. */
export const costAt = (ledger: Ledger, price: Price, asked: Asked): Amount =>
  costOf(price, asked, splitOf(asked, ledger.config.default_completion_tokens))

const NOT_GIVEN = Result.succeed(undefined)

/** The cost that the caller expects, in the tenant's currency. */
export const givenCost = (
  ledger: Ledger,
  { estimated_cost, currency }: SignalPayload<"check_budget">,
  now: Millis
): Result.Result<Amount | undefined, RateUnknown> => {
  const ours = ledger.config.currency
  if (currency === undefined || currency === ours) {
    return estimated_cost === undefined ? NOT_GIVEN : Result.succeed(estimated_cost)
  }
  const rate = ledger.rate(currency, ours, now)
  if (rate === undefined) return Result.fail(rateUnknown(currency, ours))
  return estimated_cost === undefined ? NOT_GIVEN : Result.succeed(convert(estimated_cost, rate))
}

/** `given`: the cost that the caller expects, in the tenant's currency. */
export const estimate = (ledger: Ledger, asked: Asked, given: Amount | undefined, now: Millis): Estimate => {
  const split = splitOf(asked, ledger.config.default_completion_tokens)
  const tokens = split.total
  const { provider, model } = asked
  const price =
    provider !== undefined && model !== undefined ? ledger.prices.find(provider, model, now) : undefined
  const ours = ledger.config.currency
  const exchangeRate =
    price === undefined || price.currency === ours ? UNIT : ledger.rate(price.currency, ours, now)
  const priceId = price === undefined || exchangeRate === undefined ? null : price.id
  if (given !== undefined) {
    return { tokens, cost: given, costBasis: "given", priceId, exchangeRate: exchangeRate ?? UNIT }
  }
  if (price === undefined) return { tokens, cost: 0n, costBasis: "unknown", priceId, exchangeRate: UNIT }
  if (exchangeRate === undefined) {
    const missing = price.currency
    return { tokens, cost: 0n, costBasis: "unknown", priceId, exchangeRate: UNIT, missing }
  }
  const cost = costOf(price, asked, split)
  return {
    tokens,
    cost: exchangeRate === UNIT ? cost : convert(cost, exchangeRate),
    costBasis: "priced",
    priceId,
    exchangeRate
  }
}
