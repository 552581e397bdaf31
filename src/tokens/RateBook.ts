/**
 * A tenant's exchange rates, each from a moment on.
 *
 * Owns: which rate between two currencies holds at a moment: direct or inverse, whichever was told later (direct, where
 * both were told for the same moment), else by way of the tenant's currency. It is rounded half to even to 10⁻¹² before
 * it is used, and that is what a record keeps.
 * Does not decide: what is converted (Converting), or which rates are taken (Currencies).
 *
 * Rates are never deleted, and before the first rate of a pair that first one counts. So between two currencies that
 * ever had a rate there is one at every moment.
 */
import { type Amount, divideHalfEven, UNIT } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"

/** What a unit of `base` is worth in `currency` from `asOf` on. Of two with the same pair and `asOf` the later counts. */
export interface RateRow {
  /** Counts a tenant's rates. */
  readonly seq: number
  readonly base: string
  readonly currency: string
  readonly rate: Amount
  readonly asOf: Millis
  readonly source: string | null
}

/** The rates of one pair, the oldest first. */
class Series {
  readonly #asOf: Array<Millis> = []
  readonly #rates: Array<Amount> = []

  /** Of two from the same moment on, the one that is put later counts. */
  put(asOf: Millis, rate: Amount): void {
    const at = this.#indexAfter(asOf)
    if (this.#asOf[at - 1] === asOf) this.#rates[at - 1] = rate
    else {
      this.#asOf.splice(at, 0, asOf)
      this.#rates.splice(at, 0, rate)
    }
  }

  /** The one in force at `at`, or the first one of all. */
  find(at: Millis, orFirst: boolean): { readonly asOf: Millis; readonly rate: Amount } | undefined {
    const index = Math.max(this.#indexAfter(at) - 1, orFirst ? 0 : -1)
    const asOf = this.#asOf[index]
    const rate = this.#rates[index]
    return asOf === undefined || rate === undefined ? undefined : { asOf, rate }
  }

  #indexAfter(at: Millis): number {
    let low = 0
    let high = this.#asOf.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#asOf[middle] ?? 0) <= at) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** A rate that is not rounded yet. */
interface Fraction {
  readonly numerator: bigint
  readonly denominator: bigint
}

const direct = (rate: Amount): Fraction => ({ numerator: rate, denominator: UNIT })
const inverse = (rate: Amount): Fraction => ({ numerator: UNIT, denominator: rate })

/** `undefined` for a rate so small that it would be nothing. */
const rounded = ({ numerator, denominator }: Fraction): Amount | undefined => {
  const rate = divideHalfEven(numerator * UNIT, denominator)
  return rate === 0n ? undefined : rate
}

const product = (a: Fraction, b: Fraction): Fraction => ({
  numerator: a.numerator * b.numerator,
  denominator: a.denominator * b.denominator
})

export class RateBook {
  readonly #pairs = new Map<string, Series>()
  #size = 0

  /** All rates there ever were, replaced ones too. */
  get size(): number {
    return this.#size
  }

  put({ base, currency, asOf, rate }: RateRow): void {
    this.#size += 1
    const pair = base + currency
    let series = this.#pairs.get(pair)
    if (series === undefined) {
      series = new Series()
      this.#pairs.set(pair, series)
    }
    series.put(asOf, rate)
  }

  /** How many of `to` a unit of `from` is worth at `at`; `undefined` where nobody said. `via` is the tenant's currency. */
  find(from: string, to: string, at: Millis, via: string): Amount | undefined {
    if (from === to) return UNIT
    return this.#between(from, to, at, via, false) ?? this.#between(from, to, at, via, true)
  }

  #between(from: string, to: string, at: Millis, via: string, orFirst: boolean): Amount | undefined {
    const straight = this.#leg(from, to, at, orFirst)
    if (straight !== undefined) return rounded(straight)
    if (from === via || to === via) return undefined
    const first = this.#leg(from, via, at, orFirst)
    const second = this.#leg(via, to, at, orFirst)
    return first && second && rounded(product(first, second))
  }

  #leg(from: string, to: string, at: Millis, orFirst: boolean): Fraction | undefined {
    const there = this.#pairs.get(from + to)?.find(at, orFirst)
    const back = this.#pairs.get(to + from)?.find(at, orFirst)
    if (there === undefined) return back && inverse(back.rate)
    if (back === undefined) return direct(there.rate)
    // Of two that begin later than `at`, the first one counts.
    const isBackNearer = there.asOf > at || back.asOf > at ? back.asOf < there.asOf : back.asOf > there.asOf
    return isBackNearer ? inverse(back.rate) : direct(there.rate)
  }
}
