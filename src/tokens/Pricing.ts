/**
 * What counts cost at a price.
 *
 * Owns: the disjoint buckets, which rate each is paid at, the rules of both kinds of tiers (by the prompt's size, by the
 * provider's service), and rounding once per line.
 * Does not decide: which price applies (PriceBook).
 */
import { type Amount, convert, costOfTokens, costOfTokensTimes } from "../signal/Money.ts"
import { type Price, type PriceTier, type Rates, rateFields } from "../signal/Price.ts"
import type { CostLine, Counts, TokenType } from "../signal/Usage.ts"

const ONE_MILLION = 1_000_000n

/** The factor of a service tier; `undefined` is the plain price, which also a tier pays that the price does not know. */
export const factorOf = (price: Price, serviceTier: string | undefined): Amount | undefined =>
  serviceTier === undefined || price.service_tiers === undefined
    ? undefined
    : Object.hasOwn(price.service_tiers, serviceTier)
      ? price.service_tiers[serviceTier]
      : undefined

export const costAt = (tokens: number, perMillion: Amount, factor: Amount | undefined): Amount =>
  factor === undefined ? costOfTokens(tokens, perMillion) : costOfTokensTimes(tokens, perMillion, factor)

export interface Cost {
  readonly cost: Amount
  readonly breakdown: ReadonlyArray<CostLine>
}

/** The rates for a request of this size: the highest tier that it is above reprices the whole request. */
export const ratesFor = (price: Price, promptTokens: number): Rates => {
  let highest: PriceTier | undefined
  for (const tier of price.tiers ?? []) {
    const isAbove = promptTokens > tier.above_prompt_tokens
    if (isAbove && tier.above_prompt_tokens >= (highest?.above_prompt_tokens ?? 0)) highest = tier
  }
  return highest ?? price
}

/** Lines as they are added up. */
class Bill implements Cost {
  cost: Amount = 0n
  readonly breakdown: Array<CostLine> = []
  readonly #factor: Amount | undefined

  constructor(factor: Amount | undefined) {
    this.#factor = factor
  }

  add(token_type: TokenType, tokens: number, price_per_million: Amount): void {
    if (tokens === 0) return
    const factor = this.#factor
    const cost = costAt(tokens, price_per_million, factor)
    this.cost += cost
    this.breakdown.push(
      factor === undefined
        ? { token_type, tokens, price_per_million, cost }
        : { token_type, tokens, price_per_million, factor, cost }
    )
  }
}

/**
 * Prices counts line by line. A rate that the price lacks falls back to the one it is a part of (cache reads
 * and writes, audio and images to the prompt's), so that nothing is free by silence.
 */
export const priceCounts = (price: Price, counts: Counts, serviceTier?: string): Cost => {
  const rates = ratesFor(price, counts.prompt_tokens)
  const bill = new Bill(factorOf(price, serviceTier))
  let prompt = counts.prompt_tokens
  const input = rates.prompt_per_million
  const details = counts.prompt_tokens_details
  if (details !== undefined) {
    const take = (tokens: number | undefined): number => {
      const taken = Math.min(tokens ?? 0, prompt)
      prompt -= taken
      return taken
    }
    const write5m = rates.cache_write_5m_per_million ?? input
    bill.add("cache_read", take(details.cached_tokens), rates.cached_per_million ?? input)
    bill.add("cache_write_5m", take(details.cache_write_5m_tokens), write5m)
    bill.add(
      "cache_write_1h",
      take(details.cache_write_1h_tokens),
      rates.cache_write_1h_per_million ?? write5m
    )
    bill.add("input_audio", take(details.audio_tokens), rates.audio_prompt_per_million ?? input)
    bill.add("input_image", take(details.image_tokens), rates.image_prompt_per_million ?? input)
  }
  bill.add("input", prompt, input)
  const audio = counts.completion_tokens_details?.audio_tokens ?? 0
  const output = rates.completion_per_million
  bill.add("output_audio", audio, rates.audio_completion_per_million ?? output)
  bill.add("output", counts.completion_tokens - audio, output)
  if (price.per_request !== undefined) bill.add("request", 1, price.per_request * ONE_MILLION)
  return bill
}

/** What that many tokens of input and output cost, without the lines: the same sum as `priceCounts`. */
export const costOfEstimate = (
  price: Price,
  promptTokens: number,
  completionTokens: number,
  serviceTier?: string
): Amount => {
  const rates = ratesFor(price, promptTokens)
  const factor = factorOf(price, serviceTier)
  const { per_request } = price
  return (
    costAt(promptTokens, rates.prompt_per_million, factor) +
    costAt(completionTokens, rates.completion_per_million, factor) +
    (per_request === undefined ? 0n : costAt(1, per_request * ONE_MILLION, factor))
  )
}

const RATE_FIELDS = Object.keys(rateFields) as ReadonlyArray<keyof Rates>

const ratesTimes = <Of extends Rates>(rates: Of, rate: Amount): Of => {
  const converted: { [field: string]: Amount } = {}
  for (const field of RATE_FIELDS) {
    const amount = rates[field]
    if (amount !== undefined) converted[field] = convert(amount, rate)
  }
  return { ...rates, ...converted }
}

/** A price in another currency, to be compared with one of that currency; nothing is ever charged at it. */
export const priceTimes = (price: Price, rate: Amount): Price => ({
  ...ratesTimes(price, rate),
  ...(price.per_request === undefined ? {} : { per_request: convert(price.per_request, rate) }),
  ...(price.tiers === undefined ? {} : { tiers: price.tiers.map((tier) => ratesTimes(tier, rate)) })
})

const isFreeByRates = (price: Price): boolean =>
  (price.per_request ?? 0n) === 0n &&
  [price, ...(price.tiers ?? [])].every((rates) => RATE_FIELDS.every((field) => (rates[field] ?? 0n) === 0n))

const freeness = new WeakMap<Price, boolean>()

/** Whether every rate of a price is zero, or what the service tier multiplies it by. */
export const isFree = (price: Price, serviceTier?: string): boolean => {
  if (factorOf(price, serviceTier) === 0n) return true
  const known = freeness.get(price)
  if (known !== undefined) return known
  const free = isFreeByRates(price)
  freeness.set(price, free)
  return free
}
