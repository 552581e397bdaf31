/**
 * A tenant's dated prices: its own over the catalogue's.
 *
 * Owns: which price of a model is in force at a moment, and the guard against mistaken units.
 * Does not decide: what counts cost at a price (Pricing).
 */
import { type Amount, UNIT } from "../signal/Money.ts"
import { nearest, nearestFew } from "../signal/Nearest.ts"
import { type Price, type Rates, rateFields } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import { CATALOGUE_PROVIDERS, catalogueModels, catalogueVersions } from "./PriceCatalogue.ts"
import { factorOf, ratesFor } from "./Pricing.ts"

/** Models whose catalogue prices are kept at hand. */
const CACHED_MODELS_MAX = 4096

/** A rate this many times away from the one in force is taken for a mistake of units. */
const OUTLIER_FACTOR = 100n

const keyOf = (provider: string, model: string): string => `${provider}\n${model}`

/** The last version that is in force at `at`. Versions are sorted, the oldest first. */
const inForce = (versions: ReadonlyArray<Price>, at: Millis): Price | undefined => {
  for (let index = versions.length - 1; index >= 0; index--) {
    const version = versions[index]
    if (version !== undefined && (version.effective_from === null || version.effective_from <= at))
      return version
  }
  return undefined
}

/** As they were made: of two prices from the same moment on, the later one counts. */
export const inOrderOfIds = (prices: ReadonlyArray<Price>): ReadonlyArray<Price> =>
  prices.toSorted((a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1))

export class PriceBook {
  /** Counts the tenant's own prices: another one may be in force when it has changed. */
  revision = 0
  readonly #overrides = new Map<string, Array<Price>>()
  /** All prices of the tenant's own there ever were. */
  readonly #byId = new Map<string, Price>()
  readonly #catalogue = new Map<string, ReadonlyArray<Price>>()
  /** Prices of built-in providers that no catalogue has. */
  readonly #builtIn: ReadonlyMap<string, ReadonlyArray<Price>>
  #lastKey = { provider: "", model: "", key: keyOf("", "") }

  constructor(builtIn: ReadonlyArray<Price>, overrides: ReadonlyArray<Price>) {
    const byModel = new Map<string, Array<Price>>()
    for (const price of builtIn) {
      const key = keyOf(price.provider, price.model)
      byModel.set(key, [...(byModel.get(key) ?? []), price])
    }
    this.#builtIn = byModel
    for (const price of overrides) this.put(price)
  }

  /** The price in force at `at`, or `undefined` where nobody knows one. */
  find(provider: string, model: string, at: Millis): Price | undefined {
    const key = this.#keyOf(provider, model)
    const override = this.#overrides.get(key)
    return (override && inForce(override, at)) ?? inForce(this.#versions(key, provider, model), at)
  }

  /** A price of a model by its id, also one that a later price from the same moment on has replaced. */
  byId(provider: string, model: string, id: string): Price | undefined {
    const own = this.#byId.get(id)
    if (own !== undefined) return own
    const versions = this.#versions(this.#keyOf(provider, model), provider, model)
    for (const version of versions) if (version.id === id) return version
    return undefined
  }

  /** The currencies of the tenant's own prices. */
  get currencies(): ReadonlySet<string> {
    return new Set(Array.from(this.#byId.values(), ({ currency }) => currency))
  }

  /** The key of the model that was asked for last is kept: a call asks for its model twice. */
  #keyOf(provider: string, model: string): string {
    const last = this.#lastKey
    if (last.provider === provider && last.model === model) return last.key
    const key = keyOf(provider, model)
    this.#lastKey = { provider, model, key }
    return key
  }

  /** Adds a price of the tenant's own, from its `effective_from` on. */
  put(price: Price): void {
    this.revision += 1
    this.#byId.set(price.id, price)
    const key = keyOf(price.provider, price.model)
    const known = this.#overrides.get(key)
    const versions = known ?? []
    if (known === undefined) this.#overrides.set(key, versions)
    // From the end: mostly the new one is the last, and an activation puts all there ever were.
    const from = price.effective_from ?? 0
    let next = versions.length
    while (next > 0 && (versions[next - 1]?.effective_from ?? 0) > from) next -= 1
    const isReplaced = next > 0 && versions[next - 1]?.effective_from === price.effective_from
    const at = isReplaced ? next - 1 : next
    const before = versions[at - 1]
    if (before !== undefined) versions[at - 1] = { ...before, effective_to: price.effective_from }
    const effective_to = versions[next]?.effective_from ?? null
    versions.splice(at, isReplaced ? 1 : 0, { ...price, effective_to })
  }

  /** When the tenant's own price that is next after `at` begins. */
  nextStart(provider: string, model: string, at: Millis): Millis | undefined {
    const starts = this.#overrides
      .get(keyOf(provider, model))
      ?.map(({ effective_from }) => effective_from ?? 0)
    return starts?.find((start) => start > at)
  }

  /** The prices in force at `at`, of everything that fits. */
  list(provider: string | undefined, model: string | undefined, at: Millis): ReadonlyArray<Price> {
    const found = new Map<string, Price>()
    for (const [name, models] of this.#names(provider, model)) {
      for (const candidate of models) {
        const price = this.find(name, candidate, at)
        if (price !== undefined) found.set(keyOf(name, candidate), price)
      }
    }
    return [...found.values()]
  }

  /** The names nearest to a model that has no price. */
  nearestNames(provider: string, model: string): ReadonlyArray<string> {
    const names = this.#names(provider, undefined).flatMap(([, models]) => models)
    return nearestFew(model, [...new Set(names)], 3)
  }

  /** The provider with prices that a misspelt one was probably meant to be. */
  nearestProvider(provider: string): string | undefined {
    const names = this.#names(undefined, undefined).map(([name]) => name)
    return nearest(provider, [...new Set(names)])
  }

  #names(
    provider: string | undefined,
    model: string | undefined
  ): ReadonlyArray<[string, ReadonlyArray<string>]> {
    const own = [...this.#overrides.values(), ...this.#builtIn.values()].flatMap((prices) =>
      prices.slice(0, 1)
    )
    const providers = new Set(
      provider === undefined ? [...CATALOGUE_PROVIDERS, ...own.map((p) => p.provider)] : [provider]
    )
    return [...providers].map((name) => {
      if (model !== undefined) return [name, [model]]
      const models = own.filter((price) => price.provider === name).map((price) => price.model)
      return [name, [...new Set([...models, ...catalogueModels(name)])]]
    })
  }

  #versions(key: string, provider: string, model: string): ReadonlyArray<Price> {
    const known = this.#builtIn.get(key) ?? this.#catalogue.get(key)
    if (known !== undefined) return known
    const versions = catalogueVersions(provider, model)
    if (this.#catalogue.size >= CACHED_MODELS_MAX) this.#catalogue.clear()
    this.#catalogue.set(key, versions)
    return versions
  }
}

/** Free in place of a price is as far as it gets; what was free may cost anything. */
const isFar = (rate: Amount, inForceRate: Amount): boolean =>
  inForceRate > 0n && (rate > inForceRate * OUTLIER_FACTOR || rate * OUTLIER_FACTOR < inForceRate)

export interface Outlier {
  readonly path: ReadonlyArray<string>
  readonly inForce: Amount
}

const RATE_FIELDS = Object.keys(rateFields) as ReadonlyArray<keyof Rates>

const farRate = (rates: Rates, current: Rates): Outlier | undefined => {
  for (const field of RATE_FIELDS) {
    const rate = rates[field]
    const inForce = current[field]
    if (rate !== undefined && inForce !== undefined && isFar(rate, inForce)) return { path: [field], inForce }
  }
  return undefined
}

/** The first rate that is more than 100 times away from the one in force, or `undefined`. */
export const outlierIn = (
  pricing: Pick<Price, keyof Rates | "per_request" | "tiers" | "service_tiers">,
  current: Price
): Outlier | undefined => {
  const { per_request } = pricing
  if (per_request !== undefined && isFar(per_request, current.per_request ?? 0n)) {
    return { path: ["per_request"], inForce: current.per_request ?? 0n }
  }
  const base = farRate(pricing, current)
  if (base !== undefined) return base
  for (const [index, tier] of (pricing.tiers ?? []).entries()) {
    const far = farRate(tier, ratesFor(current, tier.above_prompt_tokens + 1))
    if (far !== undefined) return { ...far, path: ["tiers", `${index}`, ...far.path] }
  }
  for (const [name, factor] of Object.entries(pricing.service_tiers ?? {})) {
    const inForce = factorOf(current, name) ?? UNIT
    if (isFar(factor, inForce)) return { path: ["service_tiers", name], inForce }
  }
  return undefined
}
