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
  fails: ["PriceUnknown", "RateUnknown"],
  payload: {
    /** As the price book names it. */
    provider: Id,
    /** As the price book names it. */
    model: Id,
    ...countFields,
    /** The provider's tier, where the price has a factor for it. */
    service_tier: optional(Id),
    /** At the price that was in force then; default: now. */
    at: optional(Timestamp),
    /** Of the answer; default: the tenant's. */
    currency: optional(CurrencyInForce)
  },
  rule: countsProblem,
  success: Schema.Struct({
    /** In `currency`, with all digits. */
    cost: Decimal,
    /** The one that was asked for, or the tenant's. */
    currency: Currency,
    /** Of the price and of `breakdown`. */
    price_currency: Currency,
    /** What a unit of `price_currency` is in `currency`. */
    exchange_rate: Decimal,
    /** The price that was used. */
    price_id: Id,
    /** Line by line, in `price_currency`; each is rounded once. */
    breakdown: Schema.Array(CostLine)
  })
})

export const GetPricing = query("get_pricing", {
  family: "cost",
  roles: ["app", "analyst", "budget_admin"],
  description: "Lists the prices in force, of the catalogue and of this tenant.",
  payload: {
    /** Only of this provider. */
    provider: optional(Id),
    /** Only of this model. */
    model: optional(Id),
    /** Those that were in force then; default: now. */
    at: optional(Timestamp)
  },
  success: Schema.Struct({
    /** One price per model. */
    items: Schema.Array(Price)
  })
})

export const UpdateExchangeRates = command("update_exchange_rates", {
  family: "cost",
  roles: ["budget_admin"],
  description:
    "Says what a unit of one currency is worth in others, from a moment on. Rates are kept for ever, and what was converted before stays.",
  payload: {
    /** The currency of which one unit is worth so much in the others. */
    base: CurrencyInForce,
    /** Units of each currency for one unit of `base`: `{"EUR": "0.92"}`. The base itself is left out. */
    rates: ToldRates,
    /** From when on they hold; default: now. What was converted before stays. */
    as_of: optional(Timestamp),
    /** Where they are from, for people. */
    source: optional(Name),
    /** Takes a rate more than 10 times away from the one in force; otherwise it is refused, because it is most often a slip. */
    confirm_outlier: withDefault(Schema.Boolean, false)
  },
  rule: ratesProblem,
  success: Schema.Struct({
    /** The rates are kept. */
    updated: Schema.Literal(true),
    /** As it was given. */
    base: Currency,
    /** As they are kept. */
    rates: ExchangeRates,
    /** From when on they hold. */
    as_of: Timestamp,
    /** As it was given. */
    source: optional(Name)
  })
})

export const UpdatePricing = command("update_pricing", {
  family: "cost",
  roles: ["budget_admin"],
  description: "Sets this tenant's price of a model. Usage that was priced before keeps its price.",
  fails: ["RateUnknown"],
  payload: {
    /** As calls name it. */
    provider: Id,
    /** As calls name it. */
    model: Id,
    /** The whole price: what is left out falls back, and never to zero. */
    pricing: Schema.Struct({
      ...rateFields,
      /** Charged once per attempt, beside the tokens; default: nothing. */
      per_request: optional(NonNegativeDecimal),
      /** Rates for requests with much input; at most 8. */
      tiers: optional(Schema.Array(PriceTier).check(Schema.isMaxLength(8))),
      /**
       * Factors by the provider's service tier: `{"batch": "0.5"}` halves every line, `per_request` too. At most
       * 16.
       */
      service_tiers: optional(ServiceTiers),
      /** Of the rates; default: the tenant's. Another one needs an exchange rate. */
      currency: optional(CurrencyInForce)
    }),
    /** From when on; default: now, or with `reprice_unpriced` the earliest use that has no price. */
    effective_from: optional(Timestamp),
    /** Why, for the audit trail. */
    reason: optional(Sentence),
    /** Also prices what was recorded without a price, each attempt in the period in which it was booked. */
    reprice_unpriced: withDefault(Schema.Boolean, false),
    /**
     * Takes a rate more than 100 times away from the one in force; otherwise it is refused, because it is most
     * often a slip.
     */
    confirm_outlier: withDefault(Schema.Boolean, false)
  },
  success: Schema.Struct({
    /** The price is kept. */
    updated: Schema.Literal(true),
    /** As it is kept. */
    price: Price,
    /** Attempts that had no price and have this one now. */
    repriced: Count,
    /**
     * With `reprice_unpriced`: whether there are more of them than are priced at once; send it again, as a new
     * request.
     */
    unpriced_left: optional(Schema.Boolean)
  })
})
