/** The signals about prices (signals.md, section 5). */
import { Schema } from "effect"
import { Currency, CurrencyInForce } from "./Currency.ts"
import { ExchangeRates, ratesProblem, ToldRates } from "./ExchangeRates.ts"
import { Decimal, NonNegativeDecimal } from "./Money.ts"
import { Price, PriceTier, rateFields, ServiceTiers } from "./Price.ts"
import { command, query } from "./Signal.ts"
import { Count, Id, Name, optional, Sentence, Timestamp, withDefault } from "./Text.ts"
import { CostLine, countFields, countsProblem } from "./Usage.ts"

export const CalculateCost = query("calculate_cost", {
  family: "cost",
  roles: ["app", "analyst", "budget_admin"],
  description: "Says what these counts cost, line by line. Nothing is recorded.",
  payload: {
    provider: Id,
    model: Id,
    ...countFields,
    service_tier: optional(Id),
    at: optional(Timestamp),
    currency: optional(CurrencyInForce)
  },
  rule: countsProblem,
  success: Schema.Struct({
    cost: Decimal,
    currency: Currency,
    price_currency: Currency,
    exchange_rate: Decimal,
    price_id: Id,
    breakdown: Schema.Array(CostLine)
  })
})

export const GetPricing = query("get_pricing", {
  family: "cost",
  roles: ["app", "analyst", "budget_admin"],
  description: "Lists the prices in force, of the catalogue and of this tenant.",
  payload: { provider: optional(Id), model: optional(Id), at: optional(Timestamp) },
  success: Schema.Struct({ items: Schema.Array(Price) })
})

export const UpdateExchangeRates = command("update_exchange_rates", {
  family: "cost",
  roles: ["budget_admin"],
  description:
    "Says what a unit of one currency is worth in others, from a moment on. Rates are kept for ever, and what was converted before stays.",
  payload: {
    base: CurrencyInForce,
    rates: ToldRates,
    as_of: optional(Timestamp),
    source: optional(Name),
    confirm_outlier: withDefault(Schema.Boolean, false)
  },
  rule: ratesProblem,
  success: Schema.Struct({
    updated: Schema.Literal(true),
    base: Currency,
    rates: ExchangeRates,
    as_of: Timestamp,
    source: optional(Name)
  })
})

export const UpdatePricing = command("update_pricing", {
  family: "cost",
  roles: ["budget_admin"],
  description: "Sets this tenant's price of a model. Usage that was priced before keeps its price.",
  payload: {
    provider: Id,
    model: Id,
    pricing: Schema.Struct({
      ...rateFields,
      per_request: optional(NonNegativeDecimal),
      tiers: optional(Schema.Array(PriceTier).check(Schema.isMaxLength(8))),
      service_tiers: optional(ServiceTiers),
      currency: optional(CurrencyInForce)
    }),
    effective_from: optional(Timestamp),
    reason: optional(Sentence),
    reprice_unpriced: withDefault(Schema.Boolean, false),
    confirm_outlier: withDefault(Schema.Boolean, false)
  },
  success: Schema.Struct({
    updated: Schema.Literal(true),
    price: Price,
    /** Attempts that had no price and have this one now. */
    repriced: Count,
    /** With `reprice_unpriced`: whether there are more of them than are priced at once; send it again, as a new request. */
    unpriced_left: optional(Schema.Boolean)
  })
})
