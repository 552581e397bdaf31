/**
 * The prices in force, the cheapest first.
 *
 * Owns: the list, made once and kept for as long as its prices are in force.
 * Does not decide: who is told of which (Alternatives).
 */
import type { Amount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import type { PriceBook } from "./PriceBook.ts"

/** How many are looked at for one refusal, of the same provider and of others. */
const LOOKED_AT_MAX = 16
/** New models appear in a list at the latest after this. */
const KEPT_MS = 3_600_000

/** What a call of three parts input and one part output costs, which is what the list is sorted by. */
const blended = (price: Price): Amount => 3n * price.prompt_per_million + price.completion_per_million

/** A model that is paid for input alone (it embeds, or judges) cannot take a call over. */
const answers = (price: Price): boolean =>
  price.completion_per_million > 0n || (price.prompt_per_million === 0n && price.source === "override")

const byCost = (a: Price, b: Price): number => {
  const [first, second] = [blended(a), blended(b)]
  if (first !== second) return first < second ? -1 : 1
  return `${a.provider}\n${a.model}` < `${b.provider}\n${b.model}` ? -1 : 1
}

interface Kept {
  readonly revision: number
  readonly from: Millis
  readonly until: Millis
  readonly all: ReadonlyArray<Price>
  readonly byProvider: ReadonlyMap<string, ReadonlyArray<Price>>
}

const keep = (prices: PriceBook, now: Millis): Kept => {
  const all = prices.list(undefined, undefined, now).filter(answers).toSorted(byCost)
  const byProvider = Map.groupBy(all, ({ provider }) => provider)
  let until = now + KEPT_MS
  for (const { effective_to } of all) if (effective_to !== null) until = Math.min(until, effective_to)
  return { revision: prices.revision, from: now, until, all, byProvider }
}

/** The prices in force, the cheapest first; made anew when one of them is not in force any more. */
export class CheapestPrices {
  readonly #prices: PriceBook
  #kept: Kept | undefined

  constructor(prices: PriceBook) {
    this.#prices = prices
  }

  #at(now: Millis): Kept {
    const kept = this.#kept
    if (kept !== undefined && kept.revision === this.#prices.revision && now >= kept.from && now < kept.until)
      return kept
    this.#kept = keep(this.#prices, now)
    return this.#kept
  }

  /** A few of the cheapest: of `provider`, and of all others. */
  *near(provider: string, now: Millis): Generator<Price, undefined> {
    const { all, byProvider } = this.#at(now)
    yield* (byProvider.get(provider) ?? []).slice(0, LOOKED_AT_MAX)
    let others = 0
    for (const price of all) {
      if (price.provider === provider) continue
      if (others === LOOKED_AT_MAX) return undefined
      others += 1
      yield price
    }
    return undefined
  }
}
