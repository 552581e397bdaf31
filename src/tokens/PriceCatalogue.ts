/**
 * The prices that come with the product, from `@pydantic/genai-prices`.
 *
 * Owns: turning the catalogue's data into dated, exact `Price`s. Rates are taken as they are written; the
 * multiplying is done by Pricing, exactly.
 * Does not decide: which price applies (PriceBook overlays this one).
 */
import {
  findProvider,
  type ModelInfo,
  type ModelPrice,
  type Provider,
  type TieredPrices
} from "@pydantic/genai-prices"
import { type Amount, parseAmount } from "../signal/Money.ts"
import type { Price, Rates, ServiceTiers } from "../signal/Price.ts"
import { overlayModels, overlayVersions, serviceTiersIn } from "./PriceOverlay.ts"

/** Which release of the catalogue this is, and when it was published. */
export const CATALOGUE_RELEASE = { version: "0.1.8", date: "2026-09-23" } as const

/** Our field for each of the catalogue's rates per million tokens. Rates that are not about tokens are left out. */
const RATE_FIELDS = {
  input_mtok: "prompt_per_million",
  output_mtok: "completion_per_million",
  cache_read_mtok: "cached_per_million",
  cache_write_mtok: "cache_write_5m_per_million",
  cache_write_1h_mtok: "cache_write_1h_per_million",
  input_audio_mtok: "audio_prompt_per_million",
  output_audio_mtok: "audio_completion_per_million",
  input_image_mtok: "image_prompt_per_million"
} as const satisfies Record<string, keyof Rates>

type Rate = number | TieredPrices

const exact = (rate: number): Amount => parseAmount(rate.toFixed(9).replace(/0+$/u, "").replace(/\.$/u, ""))

const isTiered = (rate: Rate): rate is TieredPrices => typeof rate === "object"

/** The rates that hold above `start` prompt tokens; `start` 0 is the base. */
const ratesAbove = (modelPrice: ModelPrice, start: number): Rates => {
  const rates: { -readonly [Field in keyof Rates]?: Amount } = {}
  for (const [name, field] of Object.entries(RATE_FIELDS)) {
    const rate = modelPrice[name]
    if (rate === undefined) continue
    if (!isTiered(rate)) rates[field] = exact(rate)
    else {
      const tier = rate.tiers.filter((candidate) => candidate.start <= start).at(-1)
      rates[field] = exact(start === 0 || tier === undefined ? rate.base : tier.price)
    }
  }
  return { prompt_per_million: 0n, completion_per_million: 0n, ...rates }
}

const tierStarts = (modelPrice: ModelPrice): ReadonlyArray<number> => {
  const starts = new Set<number>()
  for (const name of Object.keys(RATE_FIELDS)) {
    const rate = modelPrice[name]
    if (rate !== undefined && isTiered(rate)) for (const tier of rate.tiers) starts.add(tier.start)
  }
  return [...starts].sort((a, b) => a - b)
}

/** A model that the catalogue prices only by the page, the hour or the search has no price per token here. */
const hasTokenRates = (modelPrice: ModelPrice): boolean =>
  modelPrice.input_mtok !== undefined || modelPrice.output_mtok !== undefined

interface DatedPrice {
  readonly from: number | null
  readonly modelPrice: ModelPrice
}

/** Prices by their first day. Prices that hold at certain hours of the day only are left out. */
const datedPrices = (prices: ModelInfo["prices"]): ReadonlyArray<DatedPrice> => {
  if (!Array.isArray(prices)) return [{ from: null, modelPrice: prices }]
  const dated: Array<DatedPrice> = []
  for (const { constraint, prices: modelPrice } of prices) {
    if (constraint === undefined) dated.push({ from: null, modelPrice })
    else if (constraint.type === "start_date")
      dated.push({ from: Date.parse(constraint.start_date), modelPrice })
  }
  return dated.sort((a, b) => (a.from ?? 0) - (b.from ?? 0))
}

const toPrice = (
  provider: string,
  model: string,
  dated: DatedPrice,
  to: number | null,
  serviceTiers: ServiceTiers | undefined
): Price => {
  const { modelPrice, from } = dated
  const perThousandRequests = modelPrice.requests_kcount
  const tiers = tierStarts(modelPrice).map((start) => ({
    above_prompt_tokens: start,
    ...ratesAbove(modelPrice, start)
  }))
  return {
    id: `catalogue:${provider}/${model}${from === null ? "" : `@${new Date(from).toISOString().slice(0, 10)}`}`,
    provider,
    model,
    currency: "USD",
    ...ratesAbove(modelPrice, 0),
    ...(typeof perThousandRequests === "number" ? { per_request: exact(perThousandRequests) / 1000n } : {}),
    ...(tiers.length > 0 ? { tiers } : {}),
    ...(serviceTiers === undefined ? {} : { service_tiers: serviceTiers }),
    effective_from: from,
    effective_to: to,
    source: "catalogue",
    catalogue: `@pydantic/genai-prices ${CATALOGUE_RELEASE.version}`,
    catalogue_date: CATALOGUE_RELEASE.date
  }
}

const matches = (match: ModelInfo["match"], name: string): boolean => {
  if ("or" in match) return match.or.some((inner) => matches(inner, name))
  if ("and" in match) return match.and.every((inner) => matches(inner, name))
  if ("equals" in match) return name === match.equals
  if ("starts_with" in match) return name.startsWith(match.starts_with)
  if ("ends_with" in match) return name.endsWith(match.ends_with)
  if ("contains" in match) return name.includes(match.contains)
  return new RegExp(match.regex, "u").test(name)
}

const versionsOf = (provider: string, model: string, info: ModelInfo): ReadonlyArray<Price> => {
  const dated = datedPrices(info.prices).filter(({ modelPrice }) => hasTokenRates(modelPrice))
  const serviceTiers = serviceTiersIn(info.price_comments)
  return dated.map((version, index) =>
    toPrice(provider, model, version, dated[index + 1]?.from ?? null, serviceTiers)
  )
}

/** Other names that are in use for the catalogue's providers. */
const ALIASES = new Map([["gemini", "google"]])

/** By its exact name: the catalogue's own search also finds names that only contain one. */
const providerOf = (provider: string): Provider | undefined => {
  const id = ALIASES.get(provider) ?? provider
  const found = findProvider({ providerId: id })
  return found?.id === id ? found : undefined
}

/** The dated prices of a model as a provider calls it, the oldest first; empty where nobody has any. */
export const catalogueVersions = (provider: string, model: string): ReadonlyArray<Price> => {
  const name = model.toLowerCase()
  const info = providerOf(provider)?.models.find((candidate) => matches(candidate.match, name))
  const versions = info === undefined ? [] : versionsOf(provider, model, info)
  return versions.length > 0
    ? versions
    : overlayVersions(provider, name).map((price) => ({ ...price, model }))
}

const namesOf = (provider: Provider): ReadonlyArray<string> => [
  ...new Set([
    ...provider.models
      .filter((info) => versionsOf(provider.id, info.id, info).length > 0)
      .map((info) => info.id),
    ...overlayModels(provider.id)
  ])
]

/** The catalogue never changes: each provider's names are made once, there are few providers. */
const namesByProvider = new Map<Provider, ReadonlyArray<string>>()

/** The names of the models that the catalogue prices for a provider. */
export const catalogueModels = (provider: string): ReadonlyArray<string> => {
  const found = providerOf(provider)
  if (found === undefined) return []
  const known = namesByProvider.get(found) ?? namesOf(found)
  namesByProvider.set(found, known)
  return known
}

/** The providers whose prices the catalogue is asked for when nobody names one. */
export const CATALOGUE_PROVIDERS = [
  "anthropic",
  "openai",
  "google",
  "groq",
  "cerebras",
  "together",
  "mistral",
  "deepseek"
]
