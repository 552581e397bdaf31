/**
 * What a price looks like. All rates are per million tokens, in the price's currency.
 *
 * Owns: the shape. Does not decide: which price applies (PriceBook).
 */
import { Schema } from "effect"
import { Currency } from "./Budget.ts"
import { NonNegativeDecimal } from "./Money.ts"
import { Id, optional, PositiveCount, Timestamp } from "./Text.ts"

/** Rates; one that is absent falls back as PriceBook says, and is never free by silence. */
export const rateFields = {
  prompt_per_million: NonNegativeDecimal,
  completion_per_million: NonNegativeDecimal,
  cached_per_million: optional(NonNegativeDecimal),
  cache_write_5m_per_million: optional(NonNegativeDecimal),
  cache_write_1h_per_million: optional(NonNegativeDecimal),
  audio_prompt_per_million: optional(NonNegativeDecimal),
  audio_completion_per_million: optional(NonNegativeDecimal),
  image_prompt_per_million: optional(NonNegativeDecimal)
}
export const Rates = Schema.Struct(rateFields)
export type Rates = typeof Rates.Type

/** Rates for requests with more than `above_prompt_tokens` of input; they reprice the whole request. */
export const PriceTier = Schema.Struct({ above_prompt_tokens: PositiveCount, ...rateFields }).annotate({
  identifier: "PriceTier"
})
export type PriceTier = typeof PriceTier.Type

export const Price = Schema.Struct({
  id: Id,
  provider: Id,
  model: Id,
  currency: Currency,
  ...rateFields,
  per_request: optional(NonNegativeDecimal),
  tiers: optional(Schema.Array(PriceTier).check(Schema.isMaxLength(8))),
  effective_from: Schema.NullOr(Timestamp),
  effective_to: Schema.NullOr(Timestamp),
  source: Schema.Literals(["catalogue", "override"]),
  catalogue_date: optional(Schema.String)
}).annotate({ identifier: "Price" })
export type Price = typeof Price.Type
