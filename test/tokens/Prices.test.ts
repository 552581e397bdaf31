/** What calls cost: the catalogue, a tenant's own prices, tiers and cache lifetimes (signals.md, section 5). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import type { SignalError } from "../../src/signal/Errors.ts"
import { formatAmount, parseAmount, UNIT } from "../../src/signal/Money.ts"
import type { Price } from "../../src/signal/Price.ts"
import type { Counts } from "../../src/signal/Usage.ts"
import { outlierIn, PriceBook } from "../../src/tokens/PriceBook.ts"
import { catalogueModels } from "../../src/tokens/PriceCatalogue.ts"
import { isFree, priceCounts } from "../../src/tokens/Pricing.ts"
import { Books, DOLLAR_PRICE } from "./support/Books.ts"

type Asked = SignalParams<"calculate_cost">

const quote = (asked: Asked, books = new Books()) => books.ask("calculate_cost", asked)

const errorOf = <A>(answer: Result.Result<A, SignalError>): string =>
  Result.isFailure(answer) ? answer.failure._tag : "no error"

/** Calls whose cost anybody can work out with a pencil from the providers' price lists. */
const KNOWN: ReadonlyArray<readonly [Asked, string]> = [
  [
    {
      provider: "anthropic",
      model: "claude-sonnet-4-20250514",
      prompt_tokens: 5000,
      completion_tokens: 2000
    },
    "0.045"
  ],
  [
    {
      provider: "anthropic",
      model: "claude-3-5-sonnet-20241022",
      prompt_tokens: 100,
      completion_tokens: 400
    },
    "0.0063"
  ],
  [
    { provider: "anthropic", model: "claude-3-5-sonnet-20241022", prompt_tokens: 0, completion_tokens: 0 },
    "0"
  ],
  [
    { provider: "anthropic", model: "claude-3-5-sonnet-20241022", prompt_tokens: 1, completion_tokens: 0 },
    "0.000003"
  ],
  [{ provider: "openai", model: "gpt-4o", prompt_tokens: 1000, completion_tokens: 1000 }, "0.0125"],
  [{ provider: "openai", model: "gpt-4o-mini", prompt_tokens: 1, completion_tokens: 1 }, "0.00000075"]
]

describe("the catalogue", () => {
  for (const [asked, cost] of KNOWN) {
    it.effect(
      `${asked.prompt_tokens} in and ${asked.completion_tokens} out on ${asked.model} is $${cost}`,
      () =>
        Effect.gen(function* () {
          const quoted = Result.getOrThrow(yield* quote(asked))
          assert.strictEqual(formatAmount(quoted.cost), cost)
          assert.strictEqual(
            quoted.breakdown.reduce((sum, line) => sum + line.cost, 0n),
            quoted.cost
          )
        })
    )
  }

  it.effect("lesson 20: the estimate of a call equals its cost", () =>
    Effect.gen(function* () {
      for (const [{ provider, model, prompt_tokens, completion_tokens }] of KNOWN) {
        const books = new Books()
        const estimated = yield* books.ask("check_budget", {
          request_id: "r1",
          provider,
          model,
          estimated_prompt_tokens: prompt_tokens,
          max_completion_tokens: completion_tokens
        })
        const tracked = yield* books.ask("track_usage", {
          request_id: "r1",
          provider,
          model,
          prompt_tokens,
          completion_tokens
        })
        const { usage } = Result.getOrThrow(tracked)
        assert.strictEqual(Result.getOrThrow(estimated).estimated_cost, usage.cost, model)
        assert.strictEqual(usage.overage, 0n, model)
        assert.strictEqual(usage.cost_status, "priced", model)
      }
    })
  )

  it.effect("lesson 5: an unknown price is an error that names what is near, never a zero", () =>
    Effect.gen(function* () {
      const answer = yield* quote({
        provider: "openai",
        model: "gpt-4oo",
        prompt_tokens: 1,
        completion_tokens: 1
      })
      if (Result.isSuccess(answer) || answer.failure._tag !== "PriceUnknown")
        throw new Error("expected PriceUnknown")
      assert.include(answer.failure.nearest, "gpt-4o")
      assert.strictEqual(
        errorOf(yield* quote({ provider: "nobody", model: "x", prompt_tokens: 1, completion_tokens: 1 })),
        "PriceUnknown"
      )
    })
  )

  it.effect("get_pricing lists what is in force, with and without a filter (lesson 21)", () =>
    Effect.gen(function* () {
      const books = new Books()
      const list = (params: SignalParams<"get_pricing">) =>
        Effect.map(books.ask("get_pricing", params), (answer) => Result.getOrThrow(answer).items)
      const all = yield* list({})
      assert.isTrue(all.length > 100)
      assert.isTrue(all.some(({ model }) => model === "dollar"))
      const anthropic = yield* list({ provider: "anthropic" })
      assert.isTrue(anthropic.length > 0 && anthropic.every(({ provider }) => provider === "anthropic"))
      const one = yield* list({ provider: "anthropic", model: "claude-sonnet-4-20250514" })
      assert.deepStrictEqual(
        one.map(({ model, prompt_per_million }) => [model, formatAmount(prompt_per_million)]),
        [["claude-sonnet-4-20250514", "3"]]
      )
      assert.deepStrictEqual(yield* list({ provider: "nobody" }), [])
    })
  )
})

/** The published price list of a model with a tier at 200,000 prompt tokens and two cache lifetimes. */
const TIERED: Price = {
  ...DOLLAR_PRICE,
  id: "test:tiered",
  model: "tiered",
  prompt_per_million: 3n * UNIT,
  completion_per_million: 15n * UNIT,
  cached_per_million: parseAmount("0.3"),
  cache_write_5m_per_million: parseAmount("3.75"),
  cache_write_1h_per_million: 6n * UNIT,
  tiers: [
    {
      above_prompt_tokens: 200_000,
      prompt_per_million: 6n * UNIT,
      completion_per_million: parseAmount("22.5"),
      cached_per_million: parseAmount("0.6"),
      cache_write_5m_per_million: parseAmount("7.5"),
      cache_write_1h_per_million: 12n * UNIT
    }
  ]
}

const costOf = (price: Price, counts: Counts): string => formatAmount(priceCounts(price, counts).cost)

describe("lesson 9: price tiers and cache lifetimes", () => {
  const written = 1000
  const table: ReadonlyArray<readonly [number, "none" | "5m" | "1h", string]> = [
    // 199,999 × 3 + 10 × 15 = 600,147 millionths
    [199_999, "none", "0.600147"],
    [200_000, "none", "0.60015"],
    // 200,001 × 6 + 10 × 22.5: the tier reprices the whole request
    [200_001, "none", "1.200231"],
    // 198,999 × 3 + 1,000 × 3.75 + 150
    [199_999, "5m", "0.600897"],
    [200_000, "5m", "0.6009"],
    // 199,001 × 6 + 1,000 × 7.5 + 225
    [200_001, "5m", "1.201731"],
    // 198,999 × 3 + 1,000 × 6 + 150
    [199_999, "1h", "0.603147"],
    [200_000, "1h", "0.60315"],
    // 199,001 × 6 + 1,000 × 12 + 225
    [200_001, "1h", "1.206231"]
  ]
  for (const [prompt_tokens, lifetime, cost] of table) {
    it(`${prompt_tokens} prompt tokens, cache write ${lifetime}: $${cost}`, () => {
      const details = lifetime === "none" ? {} : { [`cache_write_${lifetime}_tokens`]: written }
      assert.strictEqual(
        costOf(TIERED, { prompt_tokens, completion_tokens: 10, prompt_tokens_details: details }),
        cost
      )
    })
  }

  it("the highest tier that a request is above counts, however they are listed", () => {
    const at = (above_prompt_tokens: number, dollars: bigint) => ({
      above_prompt_tokens,
      prompt_per_million: dollars * 1_000_000n * UNIT,
      completion_per_million: 0n
    })
    const price: Price = { ...DOLLAR_PRICE, tiers: [at(20, 3n), at(10, 2n), at(30, 4n)] }
    const costs = [10, 11, 20, 21, 30, 31].map((prompt_tokens) =>
      costOf(price, { prompt_tokens, completion_tokens: 0 })
    )
    assert.deepStrictEqual(costs, ["10", "22", "40", "63", "90", "124"])
  })
})

describe("lesson 8: buckets are disjoint, and none is free by silence", () => {
  const PLAIN: Price = { ...DOLLAR_PRICE, prompt_per_million: 2n * UNIT, completion_per_million: 8n * UNIT }
  const million = 1_000_000

  it("cached tokens are paid at their own rate, once", () => {
    const cost = priceCounts(TIERED, {
      prompt_tokens: 1000,
      completion_tokens: 100,
      prompt_tokens_details: { cached_tokens: 600, cache_write_5m_tokens: 200, cache_write_1h_tokens: 100 }
    })
    assert.deepStrictEqual(
      cost.breakdown.map(
        ({ token_type, tokens, cost: line }) => `${tokens} ${token_type} ${formatAmount(line)}`
      ),
      [
        "600 cache_read 0.00018",
        "200 cache_write_5m 0.00075",
        "100 cache_write_1h 0.0006",
        "100 input 0.0003",
        "100 output 0.0015"
      ]
    )
    assert.strictEqual(formatAmount(cost.cost), "0.00333")
  })

  const falling: ReadonlyArray<readonly [string, Partial<Price>, Counts["prompt_tokens_details"], string]> = [
    ["cache reads", {}, { cached_tokens: million }, "2"],
    ["cache writes of 5 minutes", {}, { cache_write_5m_tokens: million }, "2"],
    ["cache writes of an hour", {}, { cache_write_1h_tokens: million }, "2"],
    [
      "cache writes of an hour, where those of 5 minutes have a rate",
      { cache_write_5m_per_million: 3n * UNIT },
      { cache_write_1h_tokens: million },
      "3"
    ],
    ["audio", {}, { audio_tokens: million }, "2"],
    ["images", {}, { image_tokens: million }, "2"],
    ["cache reads that are free by decision", { cached_per_million: 0n }, { cached_tokens: million }, "0"]
  ]
  for (const [what, rates, prompt_tokens_details, cost] of falling) {
    it(`${what} without a rate fall back: $${cost} a million`, () => {
      const counts = { prompt_tokens: million, completion_tokens: 0, prompt_tokens_details }
      assert.strictEqual(costOf({ ...PLAIN, ...rates }, counts as Counts), cost)
    })
  }

  it("reasoning is a part of the output, and is not paid twice", () => {
    const counts: Counts = {
      prompt_tokens: 0,
      completion_tokens: million,
      completion_tokens_details: { reasoning_tokens: 900_000 }
    }
    assert.strictEqual(costOf(PLAIN, counts), "8")
  })

  it("audio output has a rate of its own", () => {
    const counts: Counts = {
      prompt_tokens: 0,
      completion_tokens: million,
      completion_tokens_details: { audio_tokens: 250_000 }
    }
    assert.strictEqual(costOf({ ...PLAIN, audio_completion_per_million: 80n * UNIT }, counts), "26")
  })

  it("a charge per request is paid once", () => {
    const price = { ...PLAIN, per_request: parseAmount("0.005") }
    assert.strictEqual(costOf(price, { prompt_tokens: million, completion_tokens: 0 }), "2.005")
    assert.strictEqual(costOf(price, { prompt_tokens: 0, completion_tokens: 0 }), "0.005")
  })

  it("lines are rounded half to even, once each", () => {
    const price = { ...PLAIN, prompt_per_million: 500_000n, completion_per_million: 1_500_000n }
    // 0.5 of 10⁻¹² rounds to 0, 1.5 to 2: the sum is of rounded lines.
    assert.strictEqual(priceCounts(price, { prompt_tokens: 1, completion_tokens: 1 }).cost, 2n)
  })

  it("a price with any rate is not free", () => {
    const free: Price = { ...DOLLAR_PRICE, prompt_per_million: 0n, completion_per_million: 0n }
    assert.isTrue(isFree(free))
    assert.isFalse(isFree({ ...free, per_request: 1n }))
    assert.isFalse(isFree({ ...free, audio_prompt_per_million: 1n }))
    assert.isFalse(
      isFree({
        ...free,
        tiers: [{ above_prompt_tokens: 1, prompt_per_million: 1n, completion_per_million: 0n }]
      })
    )
  })
})

describe("a tenant's own prices", () => {
  const rates = (prompt: string, completion = prompt) => ({
    prompt_per_million: prompt,
    completion_per_million: completion
  })
  const set = (books: Books, prompt: string, more: Partial<SignalParams<"update_pricing">> = {}) =>
    books.ask("update_pricing", { provider: "test", model: "dollar", pricing: rates(prompt), ...more })
  const costAt = (books: Books, at?: string) =>
    Effect.map(
      quote(
        {
          provider: "test",
          model: "dollar",
          prompt_tokens: 1,
          completion_tokens: 0,
          ...(at === undefined ? {} : { at })
        },
        books
      ),
      (answer) => (Result.isSuccess(answer) ? formatAmount(answer.success.cost) : answer.failure._tag)
    )

  it.effect("hold from effective_from on, over the catalogue's", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* set(books, "3000000", { effective_from: "2026-03-11T00:00:00Z" })
      yield* set(books, "2000000", { effective_from: "2026-03-01T00:00:00Z" })
      const at = (when?: string) => costAt(books, when)
      assert.strictEqual(yield* at(), "2")
      assert.strictEqual(yield* at("2026-02-28T23:59:59.999Z"), "1")
      assert.strictEqual(yield* at("2026-03-01T00:00:00Z"), "2")
      assert.strictEqual(yield* at("2026-03-10T23:59:59.999Z"), "2")
      assert.strictEqual(yield* at("2026-03-11T00:00:00Z"), "3")
      assert.strictEqual(yield* at("1970-01-01T00:00:00Z"), "1")
      books.crash()
      assert.strictEqual(yield* at(), "2")
      const listed = yield* books.ask("get_pricing", { provider: "test", model: "dollar" })
      const [price] = Result.getOrThrow(listed).items
      assert.strictEqual(price?.source, "override")
      assert.strictEqual(price?.effective_to, Date.parse("2026-03-11T00:00:00Z"))
    })
  )

  it("follow one after the other, in whatever order they were set", () => {
    const orders = [
      [1, 2, 3, 4],
      [4, 3, 2, 1],
      [2, 4, 1, 3],
      [3, 1, 3, 4, 2, 4, 1]
    ]
    for (const order of orders) {
      const prices = new PriceBook([], [])
      for (const [index, effective_from] of order.entries())
        prices.put({ ...DOLLAR_PRICE, id: `p${index}`, effective_from })
      for (const at of [1, 2, 3, 4]) {
        const price = prices.find("test", "dollar", at)
        assert.strictEqual(price?.id, `p${order.lastIndexOf(at)}`)
        assert.strictEqual(price?.effective_from, at)
        assert.strictEqual(price?.effective_to, at === 4 ? null : at + 1)
      }
      assert.isUndefined(prices.find("test", "dollar", 0))
    }
  })

  it.effect("of two from the same moment on, the later one counts, also after a restart", () =>
    Effect.gen(function* () {
      const books = new Books()
      for (let count = 0; count < 40; count++) {
        yield* set(books, `${2_000_000 + count}`, { effective_from: "2026-03-01T00:00:00Z" })
      }
      assert.strictEqual(yield* costAt(books), "2.000039")
      books.crash()
      assert.strictEqual(yield* costAt(books), "2.000039")
    })
  )

  it.effect("are in force from now on where nobody says when, and leave the past as it is", () =>
    Effect.gen(function* () {
      const books = new Books()
      const track = (request_id: string) =>
        Effect.map(
          books.ask("track_usage", {
            request_id,
            provider: "test",
            model: "dollar",
            prompt_tokens: 1,
            completion_tokens: 0,
            timestamp: "2026-03-10T09:59:59Z"
          }),
          (answer) => formatAmount(Result.getOrThrow(answer).usage.cost)
        )
      assert.strictEqual(yield* track("r1"), "1")
      yield* set(books, "2000000")
      assert.strictEqual(yield* track("r1"), "1")
      assert.strictEqual(yield* track("r2"), "1")
      assert.strictEqual(yield* costAt(books), "2")
    })
  )

  it.effect("a hold pins the moment of its price", () =>
    Effect.gen(function* () {
      const books = new Books()
      const call = { request_id: "r1", provider: "test", model: "dollar" }
      yield* books.ask("check_budget", { ...call, estimated_prompt_tokens: 10, max_completion_tokens: 0 })
      books.now += 60_000
      yield* set(books, "2000000")
      const tracked = yield* books.ask("track_usage", { ...call, prompt_tokens: 10, completion_tokens: 0 })
      assert.strictEqual(formatAmount(Result.getOrThrow(tracked).usage.cost), "10")
    })
  )

  it.effect("lesson 18: a rate more than 100 times away is refused unless confirmed", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [string, boolean]> = [
        ["100000000", true],
        ["100000000.000000000001", false],
        ["10000", true],
        ["9999.999999999999", false],
        ["1", false],
        ["0", false]
      ]
      for (const [rate, isTaken] of table) {
        const books = new Books()
        const answer = yield* set(books, rate)
        assert.strictEqual(Result.isSuccess(answer), isTaken, rate)
        if (!isTaken) assert.strictEqual(errorOf(answer), "InvalidParams")
        const sure = yield* set(books, rate, { confirm_outlier: true })
        assert.isTrue(Result.isSuccess(sure), rate)
      }
    })
  )

  it("the names that are offered for an unknown model are made once, not for every question", () => {
    assert.isNotEmpty(catalogueModels("openai"))
    assert.strictEqual(catalogueModels("openai"), catalogueModels("openai"))
    assert.deepStrictEqual(catalogueModels("nobody"), [])
  })

  it("lesson 18: every rate is guarded, tiers and the charge per request too", () => {
    const far = (more: Partial<Price>) =>
      outlierIn({ ...TIERED, ...more }, { ...TIERED, per_request: UNIT })?.path.join(".")
    assert.strictEqual(far({}), undefined)
    assert.strictEqual(far({ completion_per_million: 1n }), "completion_per_million")
    assert.strictEqual(far({ cached_per_million: 1n }), "cached_per_million")
    assert.strictEqual(far({ cache_write_5m_per_million: 1n }), "cache_write_5m_per_million")
    assert.strictEqual(far({ cache_write_1h_per_million: 1n }), "cache_write_1h_per_million")
    assert.strictEqual(far({ per_request: 101n * UNIT }), "per_request")
    const [tier] = TIERED.tiers ?? []
    if (tier === undefined) throw new Error("no tier")
    assert.strictEqual(far({ tiers: [{ ...tier, prompt_per_million: 1n }] }), "tiers.0.prompt_per_million")
  })

  it.effect("a model that nobody priced takes any price", () =>
    Effect.gen(function* () {
      const books = new Books()
      const answer = yield* books.ask("update_pricing", {
        provider: "mine",
        model: "own",
        pricing: { ...rates("0.000001"), tiers: [{ above_prompt_tokens: 10, ...rates("0.000002") }] }
      })
      assert.strictEqual(Result.getOrThrow(answer).price.source, "override")
      const quoted = yield* quote(
        { provider: "mine", model: "own", prompt_tokens: 11, completion_tokens: 0 },
        books
      )
      assert.strictEqual(formatAmount(Result.getOrThrow(quoted).cost), "0.000000000022")
    })
  )
})
