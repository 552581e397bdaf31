/**
 * What a price looks like. All rates are per million tokens, in the price's currency.
 *
 * Owns: the shape. Does not decide: which price applies (PriceBook).
 */
import { Schema } from "effect"
import { Currency } from "./Currency.ts"
import { NonNegativeDecimal } from "./Money.ts"
import { Id, isForbiddenKey, optional, PositiveCount, Timestamp } from "./Text.ts"

/** Rates; one that is absent falls back as PriceBook says, and is never free by silence. */
export const rateFields = {
  /** A million tokens of input, in the price's currency. */
  prompt_per_million: NonNegativeDecimal,
  /** A million tokens of output, in the price's currency. */
  completion_per_million: NonNegativeDecimal,
  /** Input read from a cache; default: as `prompt_per_million`. */
  cached_per_million: optional(NonNegativeDecimal),
  /** Input written into a cache for 5 minutes; default: as `prompt_per_million`. */
  cache_write_5m_per_million: optional(NonNegativeDecimal),
  /** Input written into a cache for an hour; default: as for 5 minutes. */
  cache_write_1h_per_million: optional(NonNegativeDecimal),
  /** Audio input; default: as `prompt_per_million`. */
  audio_prompt_per_million: optional(NonNegativeDecimal),
  /** Audio output; default: as `completion_per_million`. */
  audio_completion_per_million: optional(NonNegativeDecimal),
  /** Image input; default: as `prompt_per_million`. */
  image_prompt_per_million: optional(NonNegativeDecimal)
}
export const Rates = Schema.Struct(rateFields)
export type Rates = typeof Rates.Type

/** Rates for requests with more than `above_prompt_tokens` of input; they reprice the whole request. */
export const PriceTier = Schema.Struct({
  /**
   * The tier holds for requests with more input than this, and reprices the whole request. The highest that fits
   * counts.
   */
  above_prompt_tokens: PositiveCount,
  ...rateFields
}).annotate({
  identifier: "PriceTier"
})
export type PriceTier = typeof PriceTier.Type

/** Service tiers that one price knows. */
const SERVICE_TIERS_MAX = 16

/**
 * What a provider's service tiers cost: `{batch: "0.5", priority: "1.8"}` multiplies every line of a cost, the charge
 * per request too. A tier that is not named is charged at the plain price.
 */
export const ServiceTiers = Schema.Record(Id, NonNegativeDecimal).check(
  Schema.makeFilter((tiers: { readonly [name: string]: bigint }) => {
    const names = Object.keys(tiers)
    const forbidden = names.find(isForbiddenKey)
    if (forbidden !== undefined) return `Expected no key named ${forbidden}`
    return names.length <= SERVICE_TIERS_MAX || `Expected at most ${SERVICE_TIERS_MAX} service tiers`
  })
)
export type ServiceTiers = typeof ServiceTiers.Type

export const Price = Schema.Struct({
  /** What `price_id` of a usage refers to. */
  id: Id,
  /** As calls name it. */
  provider: Id,
  /** As calls name it. */
  model: Id,
  /** Of all its rates. */
  currency: Currency,
  ...rateFields,
  /** Charged once per attempt, beside the tokens. */
  per_request: optional(NonNegativeDecimal),
  /** Rates for requests with much input. */
  tiers: optional(Schema.Array(PriceTier).check(Schema.isMaxLength(8))),
  /** Factors by the provider's service tier; each multiplies every line, `per_request` too. */
  service_tiers: optional(ServiceTiers),
  /** From when on it holds; null: from ever. */
  effective_from: Schema.NullOr(Timestamp),
  /** Until when; null: until another one takes its place. */
  effective_to: Schema.NullOr(Timestamp),
  /** `catalogue` came with this version; `override` was set by `update_pricing`, and goes first. */
  source: Schema.Literals(["catalogue", "override"]),
  /** Which catalogue a price of the catalogue is from. */
  catalogue: optional(Schema.String),
  /** When that catalogue was published. */
  catalogue_date: optional(Schema.String)
}).annotate({ identifier: "Price" })
export type Price = typeof Price.Type
