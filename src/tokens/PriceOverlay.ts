/**
 * Prices that the catalogue lacks, and what it says of prices in words alone.
 *
 * Owns: prices of our own, used only where the catalogue has none; reading the factors of service tiers out of the
 * catalogue's comments.
 * Does not decide: which price applies (PriceBook).
 */
import { type Amount, parseAmount, UNIT } from "../signal/Money.ts"
import type { Price, ServiceTiers } from "../signal/Price.ts"

/** Which list this is, and when its prices were last looked at. */
const OVERLAY = { catalogue: "bursar", catalogue_date: "2026-11-25" } as const

const overlaid = (provider: string, model: string, prompt: string, completion: string): Price => ({
  id: `overlay:${provider}/${model}`,
  provider,
  model,
  currency: "USD",
  prompt_per_million: parseAmount(prompt),
  completion_per_million: parseAmount(completion),
  effective_from: null,
  effective_to: null,
  source: "catalogue",
  ...OVERLAY
})

/** In USD per million tokens. The names of Groq's are aliases that its clients use. */
const PRICES: ReadonlyArray<Price> = [
  overlaid("cerebras", "llama3.1-70b", "0.60", "0.60"),
  overlaid("groq", "groq-llama-70b", "0.70", "0.90"),
  overlaid("groq", "groq-llama-8b", "0.20", "0.20")
]

/** The price of a model that the catalogue lacks; `model` in lower case. */
export const overlayVersions = (provider: string, model: string): ReadonlyArray<Price> =>
  PRICES.filter((price) => price.provider === provider && price.model === model)

export const overlayModels = (provider: string): ReadonlyArray<string> =>
  PRICES.filter((price) => price.provider === provider).map(({ model }) => model)

// --- service tiers

/** A discount on input and output alone is no factor of every line, so it does not count. */
const DISCOUNT =
  /\b(?<names>Batch(?: and Flex)?) (?:API|tiers?) offers? (?:an? )?(?<percent>[1-9][0-9]?)% discount(?! on)/u
const MULTIPLE = /\bPriority tier is (?<times>[0-9]+(?:\.[0-9]{1,2})?)x/u

/**
 * The factors that the catalogue names for a model; it has no field for them, only the price's comment:
 * "Batch and Flex tiers offer 50% discount, Priority tier is 1.8x". What is worded otherwise is not guessed at.
 */
export const serviceTiersIn = (comment: string | undefined): ServiceTiers | undefined => {
  const tiers: { [name: string]: Amount } = {}
  const discount = comment?.match(DISCOUNT)?.groups
  if (discount !== undefined) {
    const factor = ((100n - BigInt(discount.percent ?? "0")) * UNIT) / 100n
    for (const name of (discount.names ?? "").toLowerCase().split(" and ")) tiers[name] = factor
  }
  const times = comment?.match(MULTIPLE)?.groups?.times
  if (times !== undefined) tiers.priority = parseAmount(times)
  return Object.keys(tiers).length === 0 ? undefined : tiers
}
