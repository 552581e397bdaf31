/**
 * A million random costs in three currencies: what is charged, and what budgets in three currencies count, is the exact
 * sum of lines and conversions that were each rounded once.
 *
 * Everything is worked out again here in whole numbers of 10⁻²⁴, without the product's own arithmetic.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { SignalPayload } from "../../src/signal/Catalogue.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import { DEFAULT_MANAGER_CONFIG } from "../../src/signal/Management.ts"
import { UNIT } from "../../src/signal/Money.ts"
import type { TokenUsage } from "../../src/signal/Usage.ts"
import { createBudget } from "../../src/tokens/BudgetChanges.ts"
import { NOTHING_SPENT } from "../../src/tokens/BudgetStart.ts"
import { updatePricing } from "../../src/tokens/Costing.ts"
import { updateExchangeRates } from "../../src/tokens/Currencies.ts"
import { Ledger } from "../../src/tokens/Ledger.ts"
import { trackUsage } from "../../src/tokens/Posting.ts"
import { Random } from "../simulation/Random.ts"
import { ADMIN, MORNING, TENANT } from "./support/Books.ts"
import { Rows } from "./support/Rows.ts"

const COSTS = 1_000_000
const BATCH = 2_000
const CURRENCIES = ["USD", "EUR", "JPY"] as const

/** How far a rounded quotient is from the exact one, times the divisor. Throws where it is not the nearest, or of two the even one. */
const errorOf = (numerator: bigint, divisor: bigint, rounded: bigint): bigint => {
  const error = rounded * divisor - numerator
  const twice = 2n * (error < 0n ? -error : error)
  // An assertion each would take longer than the rest.
  if (twice > divisor || (twice === divisor && rounded % 2n !== 0n))
    throw new Error(`${numerator} / ${divisor} is not ${rounded}`)
  return error
}

class Sums {
  readonly #ledger = new Ledger(
    TENANT,
    { ...new Rows().snapshot(0), config: { ...DEFAULT_MANAGER_CONFIG, currency: "USD" } },
    [],
    () => "salt"
  )
  readonly #random = new Random(20_261_125)
  /** Costs in USD, and what each currency's budget got, as the rows say. */
  #cost = 0n
  readonly #charged = new Map<string, bigint>([
    ["EUR", 0n],
    ["JPY", 0n]
  ])
  /** Lines and conversions as they are exactly, and by how much their rounded sums differ; in 10⁻²⁴. */
  #exactCost = 0n
  #costError = 0n
  ties = 0

  constructor() {
    this.#told("update_exchange_rates", { base: "USD", rates: { EUR: "0.9", JPY: "150" } })
    for (const currency of CURRENCIES) {
      this.#told("update_pricing", {
        provider: "p",
        model: currency,
        pricing: { ...this.#rates(), cached_per_million: "0.123456789012", currency }
      })
      this.#told("create_budget", {
        name: currency,
        type: "global",
        period: "lifetime",
        limit: "1",
        currency
      })
    }
  }

  /** Prices with all their twelve digits; some so that halves come out. */
  #rates() {
    const rate = () =>
      this.#random.isLikely(0.3)
        ? "0.0000005"
        : `${this.#random.int(0, 20)}.${String(this.#random.int(0, 999_999_999_999)).padStart(12, "0")}`
    return { prompt_per_million: rate(), completion_per_million: rate() }
  }

  #told(name: "update_exchange_rates" | "update_pricing" | "create_budget", params: object): void {
    const payload = Result.getOrThrow(decodePayload(name, params as never))
    const now = MORNING
    const rules = {
      update_exchange_rates: () => updateExchangeRates(this.#ledger, payload as never, now),
      update_pricing: () => updatePricing(this.#ledger, payload as never, [], now),
      create_budget: () => createBudget(this.#ledger, payload as never, NOTHING_SPENT, now)
    }
    Result.getOrThrow(rules[name]() as Result.Result<unknown, unknown>)
  }

  run(): void {
    for (let batch = 0; batch < COSTS / BATCH; batch++) {
      for (let index = 0; index < BATCH; index++) this.#track(`${batch} ${index}`)
      const { usage } = this.#ledger.seal(`${batch}`)
      assert.strictEqual(usage.length, BATCH)
      for (const row of usage) this.#add(row.usage)
      this.#ledger.committed(MORNING)
      this.#change()
    }
    assert.strictEqual(this.#ledger.cost, this.#cost, "the tenant's cost is the sum of its rows")
    assert.strictEqual(
      this.#cost * UNIT,
      this.#exactCost + this.#costError,
      "and differs from the exact sum by its roundings"
    )
    for (const budget of this.#ledger.budgets.values()) {
      const { currency } = budget.definition
      const expected = currency === "USD" ? this.#cost : this.#charged.get(currency)
      assert.strictEqual(budget.periodAt(MORNING).spent, expected, `what is spent in ${currency}`)
    }
  }

  #track(request_id: string): void {
    const cached = this.#random.int(0, 50)
    const report: SignalPayload<"track_usage"> = {
      request_id,
      attempt: 1,
      provider: "p",
      model: this.#random.pick(CURRENCIES),
      prompt_tokens: cached + this.#random.int(0, 100_000),
      completion_tokens: this.#random.int(0, 5_000),
      prompt_tokens_details: { cached_tokens: cached },
      settle: true,
      status: "success"
    }
    Result.getOrThrow(trackUsage(this.#ledger, report, ADMIN, MORNING))
  }

  #add(usage: TokenUsage): void {
    let lines = 0n
    for (const { tokens, price_per_million, cost } of usage.cost_breakdown) {
      errorOf(BigInt(tokens) * price_per_million, 1_000_000n, cost)
      lines += cost
    }
    const exact = lines * usage.exchange_rate
    const error = errorOf(exact, UNIT, usage.cost)
    if (2n * error === UNIT || 2n * error === -UNIT) this.ties += 1
    this.#exactCost += exact
    this.#costError += error
    this.#cost += usage.cost
    for (const [currency, charged] of this.#charged) {
      const rate = usage.budget_rates?.[currency] ?? 0n
      const [quotient, rest] = [(usage.cost * rate) / UNIT, (usage.cost * rate) % UNIT]
      const isUp = 2n * rest > UNIT || (2n * rest === UNIT && quotient % 2n === 1n)
      this.#charged.set(currency, charged + quotient + (isUp ? 1n : 0n))
    }
  }

  /** Rates move, and a price. */
  #change(): void {
    const rate = (base: number) => (base * (0.5 + this.#random.next())).toFixed(12)
    this.#told("update_exchange_rates", {
      base: "USD",
      rates: this.#random.isLikely(0.2) ? { EUR: "0.5", JPY: "100" } : { EUR: rate(0.9), JPY: rate(150) }
    })
    const currency = this.#random.pick(CURRENCIES)
    this.#told("update_pricing", {
      provider: "p",
      model: currency,
      pricing: { ...this.#rates(), currency },
      confirm_outlier: true
    })
  }
}

describe("a million costs in three currencies", () => {
  it("add up to the exact sum of what was rounded, once a line and once a conversion", {
    timeout: 300_000
  }, () => {
    const sums = new Sums()
    sums.run()
    assert.isAbove(sums.ties, 0, "halves came out, and went to the even side")
  })
})
