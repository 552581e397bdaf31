/**
 * What a call is expected to use, before it is made.
 *
 * Owns: filling in what the caller left open. Does not decide: whether there is room (Holding).
 */
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { Amount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import type { Ledger } from "./Ledger.ts"
import { costOfEstimate } from "./Pricing.ts"

export interface Estimate {
  readonly tokens: number
  readonly cost: Amount
  /** `unknown`: no cost was given, and there is no price to work one out. */
  readonly costBasis: "given" | "priced" | "unknown"
}

type Asked = Pick<
  SignalPayload<"check_budget">,
  | "provider"
  | "model"
  | "service_tier"
  | "estimated_prompt_tokens"
  | "max_completion_tokens"
  | "estimated_tokens"
  | "estimated_cost"
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

/** What the same call costs at another price. */
export const costAt = (ledger: Ledger, price: Price, asked: Asked): Amount =>
  costOf(price, asked, splitOf(asked, ledger.config.default_completion_tokens))

export const estimate = (ledger: Ledger, asked: Asked, now: Millis): Estimate => {
  const split = splitOf(asked, ledger.config.default_completion_tokens)
  if (asked.estimated_cost !== undefined) {
    return { tokens: split.total, cost: asked.estimated_cost, costBasis: "given" }
  }
  const { provider, model } = asked
  const price =
    provider !== undefined && model !== undefined ? ledger.prices.find(provider, model, now) : undefined
  if (price === undefined) return { tokens: split.total, cost: 0n, costBasis: "unknown" }
  return { tokens: split.total, cost: costOf(price, asked, split), costBasis: "priced" }
}
