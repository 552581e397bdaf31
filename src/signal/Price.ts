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
  id: Id,
  provider: Id,
  model: Id,
  currency: Currency,
  ...rateFields,
  per_request: optional(NonNegativeDecimal),
  tiers: optional(Schema.Array(PriceTier).check(Schema.isMaxLength(8))),
  service_tiers: optional(ServiceTiers),
  effective_from: Schema.NullOr(Timestamp),
  effective_to: Schema.NullOr(Timestamp),
  source: Schema.Literals(["catalogue", "override"]),
  /** Which catalogue a price of the catalogue is from, and when that one was published. */
  catalogue: optional(Schema.String),
  catalogue_date: optional(Schema.String)
}).annotate({ identifier: "Price" })
export type Price = typeof Price.Type
