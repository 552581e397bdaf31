/** What a price can say beside its rates: service tiers, charges per request, and where it comes from. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams, SignalSuccess } from "../../src/signal/Catalogue.ts"
import { formatAmount, parseAmount, UNIT } from "../../src/signal/Money.ts"
import type { Price } from "../../src/signal/Price.ts"
import { outlierIn } from "../../src/tokens/PriceBook.ts"
import { CATALOGUE_RELEASE, catalogueVersions } from "../../src/tokens/PriceCatalogue.ts"
import { serviceTiersIn } from "../../src/tokens/PriceOverlay.ts"
import { costOfEstimate, isFree, priceCounts } from "../../src/tokens/Pricing.ts"
import { Books, DOLLAR_PRICE } from "./support/Books.ts"

const quote = (asked: SignalParams<"calculate_cost">, books = new Books()) =>
  Effect.map(books.ask("calculate_cost", asked), Result.getOrThrow)

const million = 1_000_000

describe("what the catalogue lacks", () => {
  const table: ReadonlyArray<readonly [string, string, number, number, string]> = [
    ["cerebras", "llama3.1-70b", 1500, 3500, "0.003"],
    ["groq", "groq-llama-70b", million, million, "1.6"],
    ["groq", "groq-llama-8b", million, million, "0.4"]
  ]
  for (const [provider, model, prompt_tokens, completion_tokens, cost] of table) {
    it.effect(`${prompt_tokens} in and ${completion_tokens} out on ${model} of ${provider} is $${cost}`, () =>
      Effect.gen(function* () {
        const quoted = yield* quote({ provider, model, prompt_tokens, completion_tokens })
        assert.strictEqual(formatAmount(quoted.cost), cost)
        assert.strictEqual(quoted.price_id, `overlay:${provider}/${model}`)
      })
    )
  }

  it.effect("says which list it is from and of when; the catalogue says its own", () =>
    Effect.gen(function* () {
      const books = new Books()
      const originOf = (provider: string, model: string) =>
        Effect.map(books.ask("get_pricing", { provider, model }), (answer) => {
          const [price] = Result.getOrThrow(answer).items
          return [price?.source, price?.catalogue, price?.catalogue_date]
        })
      assert.deepStrictEqual(yield* originOf("groq", "groq-llama-8b"), ["catalogue", "bursar", "2026-11-25"])
      assert.deepStrictEqual(yield* originOf("groq", "llama-3.1-8b-instant"), [
        "catalogue",
        `@pydantic/genai-prices ${CATALOGUE_RELEASE.version}`,
        CATALOGUE_RELEASE.date
      ])
      const groq = Result.getOrThrow(yield* books.ask("get_pricing", { provider: "groq" })).items
      assert.includeMembers(
        groq.map(({ model }) => model),
        ["groq-llama-70b", "groq-llama-8b", "llama-3.1-8b-instant"]
      )
    })
  )

  it("is of one provider, whatever the case of the model's name, and hides nothing of the catalogue", () => {
    assert.strictEqual(catalogueVersions("cerebras", "Llama3.1-70B")[0]?.model, "Llama3.1-70B")
    assert.deepStrictEqual(catalogueVersions("openai", "groq-llama-8b"), [])
    assert.match(catalogueVersions("cerebras", "llama3.1-8b")[0]?.id ?? "", /^catalogue:/u)
  })
})

describe("what the catalogue says of service tiers in words", () => {
  const table: ReadonlyArray<readonly [string, object | undefined]> = [
    [
      "Batch and Flex tiers offer 50% discount, Priority tier is 1.8x.",
      { batch: "0.5", flex: "0.5", priority: "1.8" }
    ],
    ["Standard pricing shown; Batch and Flex tiers offer 50% discount. More.", { batch: "0.5", flex: "0.5" }],
    ["The Batch API offers a 33% discount. More.", { batch: "0.67" }],
    ["Priority tier is 2x.", { priority: "2" }],
    ["Batch API offers 50% discount on input/output.", undefined],
    ["OpenAI reduced prices by 80%", undefined],
    ["Cache writes are billed at 1.25x the uncached input rate.", undefined],
    ["", undefined]
  ]
  for (const [comment, tiers] of table) {
    it(`"${comment}"`, () => {
      const found = serviceTiersIn(comment)
      const shown =
        found && Object.fromEntries(Object.entries(found).map(([name, it]) => [name, formatAmount(it)]))
      assert.deepStrictEqual(shown, tiers)
    })
  }

  it("is found in the catalogue that is shipped", () => {
    const tiersOf = (model: string) => catalogueVersions("google", model)[0]?.service_tiers
    assert.deepStrictEqual(tiersOf("gemini-3.8-flash"), {
      batch: UNIT / 2n,
      flex: UNIT / 2n,
      priority: parseAmount("1.8")
    })
    assert.isUndefined(tiersOf("gemini-3.5-flash"))
  })
})

const TIERED: Price = {
  ...DOLLAR_PRICE,
  prompt_per_million: 3n * UNIT,
  completion_per_million: 15n * UNIT,
  cached_per_million: parseAmount("0.3"),
  cache_write_5m_per_million: parseAmount("3.75"),
  cache_write_1h_per_million: 6n * UNIT,
  audio_prompt_per_million: 40n * UNIT,
  audio_completion_per_million: 80n * UNIT,
  per_request: parseAmount("0.01"),
  tiers: [
    {
      above_prompt_tokens: 200_000,
      prompt_per_million: 6n * UNIT,
      completion_per_million: parseAmount("22.5"),
      cache_write_5m_per_million: parseAmount("7.5"),
      cache_write_1h_per_million: 12n * UNIT
    }
  ],
  service_tiers: { batch: UNIT / 2n, priority: parseAmount("1.8"), gift: 0n }
}

describe("service tiers", () => {
  it("multiply every line, and say so on it", () => {
    const counts = {
      prompt_tokens: 1000,
      completion_tokens: 200,
      prompt_tokens_details: {
        cached_tokens: 400,
        cache_write_5m_tokens: 100,
        cache_write_1h_tokens: 100,
        audio_tokens: 100
      },
      completion_tokens_details: { audio_tokens: 100 }
    }
    const shown = (tier?: string) =>
      priceCounts(TIERED, counts, tier).breakdown.map(
        ({ token_type, factor, cost }) =>
          `${token_type}${factor === undefined ? "" : ` × ${formatAmount(factor)}`} ${formatAmount(cost)}`
      )
    assert.deepStrictEqual(shown(), [
      "cache_read 0.00012",
      "cache_write_5m 0.000375",
      "cache_write_1h 0.0006",
      "input_audio 0.004",
      "input 0.0009",
      "output_audio 0.008",
      "output 0.0015",
      "request 0.01"
    ])
    assert.deepStrictEqual(shown("batch"), [
      "cache_read × 0.5 0.00006",
      "cache_write_5m × 0.5 0.0001875",
      "cache_write_1h × 0.5 0.0003",
      "input_audio × 0.5 0.002",
      "input × 0.5 0.00045",
      "output_audio × 0.5 0.004",
      "output × 0.5 0.00075",
      "request × 0.5 0.005"
    ])
    // Also a name that every object has.
    for (const unknown of ["flex", "constructor", "standard"]) assert.deepStrictEqual(shown(unknown), shown())
  })

  it("come on top of the tier by the prompt's size", () => {
    const cost = (prompt_tokens: number) =>
      formatAmount(priceCounts(TIERED, { prompt_tokens, completion_tokens: 0 }, "priority").cost)
    // 200,000 × 3 × 1.8 + 0.018; 200,001 × 6 × 1.8 + 0.018
    assert.strictEqual(cost(200_000), "1.098")
    assert.strictEqual(cost(200_001), "2.1780108")
  })

  it("round half to even once a line, not once for the rate and once for the line", () => {
    const price: Price = {
      ...DOLLAR_PRICE,
      prompt_per_million: 3n,
      completion_per_million: 1n,
      service_tiers: { half: UNIT / 2n, third: UNIT / 3n }
    }
    const cost = (prompt_tokens: number, tier: string) =>
      priceCounts(price, { prompt_tokens, completion_tokens: 0 }, tier).cost
    // 1.5 of 10⁻¹² a million: 1.5 rounds to 2, 4.5 to 4, 7.5 to 8; the rate alone would have become 2.
    assert.deepStrictEqual(
      [million, 3 * million, 5 * million].map((tokens) => cost(tokens, "half")),
      [2n, 4n, 8n]
    )
    assert.strictEqual(cost(million, "third"), 1n)
  })

  it("lesson 20: the estimate of a call equals its cost in every tier", () => {
    for (const tier of [undefined, "batch", "priority", "gift", "nobody's"]) {
      for (const [prompt_tokens, completion_tokens] of [
        [0, 0],
        [1, 1],
        [199_999, 7],
        [200_001, 33]
      ] as const) {
        assert.strictEqual(
          costOfEstimate(TIERED, prompt_tokens, completion_tokens, tier),
          priceCounts(TIERED, { prompt_tokens, completion_tokens }, tier).cost
        )
      }
    }
  })

  it("lesson 18: a factor that is far from the one in force, or from 1, is refused unless confirmed", () => {
    const far = (service_tiers: Price["service_tiers"]) =>
      outlierIn({ ...TIERED, ...(service_tiers && { service_tiers }) }, TIERED)?.path.join(".")
    assert.isUndefined(far({ batch: UNIT / 200n, flex: 100n * UNIT }))
    assert.strictEqual(far({ batch: UNIT / 201n }), "service_tiers.batch")
    assert.strictEqual(far({ priority: 181n * UNIT }), "service_tiers.priority")
    assert.strictEqual(far({ flex: 101n * UNIT }), "service_tiers.flex")
    assert.strictEqual(far({ flex: 0n }), "service_tiers.flex")
    assert.isUndefined(far({ gift: 5n * UNIT }))
  })

  it("a tier that costs nothing is free by decision", () => {
    assert.isTrue(isFree(TIERED, "gift"))
    assert.isFalse(isFree(TIERED, "batch"))
    assert.isFalse(isFree(TIERED))
  })
})

describe("lesson 9: cache lifetimes at the edge of a price tier, in every service tier", () => {
  const table: ReadonlyArray<readonly [number, "5m" | "1h", string, string]> = [
    // (198,999 × 3 + 1,000 × 3.75) millionths + 0.01, and half of it
    [199_999, "5m", "0.610747", "0.3053735"],
    [200_000, "5m", "0.61075", "0.305375"],
    // (199,001 × 6 + 1,000 × 7.5) millionths + 0.01
    [200_001, "5m", "1.211506", "0.605753"],
    [199_999, "1h", "0.612997", "0.3064985"],
    [200_000, "1h", "0.613", "0.3065"],
    [200_001, "1h", "1.216006", "0.608003"]
  ]
  for (const [prompt_tokens, lifetime, plain, batch] of table) {
    it(`${prompt_tokens} prompt tokens, cache write ${lifetime}: $${plain}, in a batch $${batch}`, () => {
      const counts = {
        prompt_tokens,
        completion_tokens: 0,
        prompt_tokens_details: { [`cache_write_${lifetime}_tokens`]: 1000 }
      }
      assert.strictEqual(formatAmount(priceCounts(TIERED, counts).cost), plain)
      assert.strictEqual(formatAmount(priceCounts(TIERED, counts, "batch").cost), batch)
    })
  }
})

describe("a tenant's own service tiers", () => {
  const priced = Effect.gen(function* () {
    const books = new Books()
    const answer = yield* books.ask("update_pricing", {
      provider: "test",
      model: "dollar",
      pricing: {
        prompt_per_million: "1000000",
        completion_per_million: "1000000",
        per_request: "1",
        service_tiers: { batch: "0.5", priority: "2" }
      }
    })
    assert.deepStrictEqual(Result.getOrThrow(answer).price.service_tiers, {
      batch: UNIT / 2n,
      priority: 2n * UNIT
    })
    return books
  })
  const track = (books: Books, request_id: string, service_tier?: string) =>
    Effect.map(
      books.ask("track_usage", {
        request_id,
        provider: "test",
        model: "dollar",
        prompt_tokens: 6,
        completion_tokens: 3,
        ...(service_tier === undefined ? {} : { service_tier })
      }),
      Result.getOrThrow
    )
  const told = ({ alerts }: SignalSuccess<"track_usage">) =>
    alerts.map(({ kind, severity, data }) => [kind, severity, data.service_tier])

  it.effect("are charged, in a hold and in the end, also after a restart", () =>
    Effect.gen(function* () {
      const books = yield* priced
      books.crash()
      for (const [tier, cost] of [
        ["batch", "5"],
        ["priority", "20"],
        ["standard", "10"]
      ] as const) {
        const held = yield* books.ask("check_budget", {
          request_id: tier,
          provider: "test",
          model: "dollar",
          service_tier: tier,
          estimated_prompt_tokens: 6,
          max_completion_tokens: 3
        })
        assert.strictEqual(formatAmount(Result.getOrThrow(held).estimated_cost), cost)
        const { usage } = yield* track(books, tier, tier)
        assert.deepStrictEqual([formatAmount(usage.cost), usage.overage], [cost, 0n])
        const quoted = yield* quote(
          { provider: "test", model: "dollar", prompt_tokens: 6, completion_tokens: 3, service_tier: tier },
          books
        )
        assert.deepStrictEqual([quoted.cost, quoted.breakdown], [usage.cost, usage.cost_breakdown])
      }
    })
  )

  it.effect("a tier that the price does not know is charged at the plain price, and told once", () =>
    Effect.gen(function* () {
      const books = yield* priced
      const first = yield* track(books, "r1", "flex")
      assert.strictEqual(formatAmount(first.usage.cost), "10")
      assert.strictEqual(first.usage.service_tier, "flex")
      assert.deepStrictEqual(told(first), [["unpriced", "warning", "flex"]])
      assert.deepStrictEqual(told(yield* track(books, "r2", "flex")), [])
      assert.deepStrictEqual(told(yield* track(books, "r3", "turbo")), [["unpriced", "warning", "turbo"]])
      for (const known of ["batch", "standard", "default", undefined])
        assert.deepStrictEqual(told(yield* track(books, `of ${known}`, known)), [])
    })
  )

  it.effect("are bounded, and have names that are safe to look up", () =>
    Effect.gen(function* () {
      const books = new Books()
      const set = (service_tiers: { readonly [name: string]: string }) =>
        Effect.map(
          books.ask("update_pricing", {
            provider: "mine",
            model: "own",
            pricing: { prompt_per_million: "1", completion_per_million: "1", service_tiers }
          }),
          Result.isSuccess
        )
      const tiers = (count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, at) => [`t${at}`, "1"]))
      assert.isTrue(yield* set(tiers(16)))
      assert.isFalse(yield* set(tiers(17)))
      assert.isFalse(yield* set({ constructor: "1" }))
      assert.isFalse(yield* set({ batch: "-0.5" }))
      assert.isFalse(yield* set({ "": "1" }))
    })
  )
})
