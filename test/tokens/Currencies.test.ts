/** Budgets, prices and calls in several currencies (signals.md, section 5). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams, SignalSuccess } from "../../src/signal/Catalogue.ts"
import type { SignalError } from "../../src/signal/Errors.ts"
import { type Amount, formatAmount } from "../../src/signal/Money.ts"
import { Books } from "./support/Books.ts"
import { checkInvariants } from "./support/Invariants.ts"

type Rates = { readonly [currency: string]: string }
type Pricing = SignalParams<"update_pricing">["pricing"]

const failureOf = <A>(answer: Result.Result<A, SignalError>): SignalError => {
  if (Result.isSuccess(answer)) throw new Error("expected a failure")
  return answer.failure
}

/** `RateUnknown EUR→USD`, or the tag alone. */
const nameOf = <A>(answer: Result.Result<A, SignalError>): string => {
  if (Result.isSuccess(answer)) return "taken"
  const { failure } = answer
  return failure._tag === "RateUnknown" ? `RateUnknown ${failure.base}→${failure.currency}` : failure._tag
}

const show = (amount: Amount | null | undefined): string => (amount == null ? "none" : formatAmount(amount))

class Tale {
  readonly books = new Books()
  #requests = 0

  rates(base: string, rates: Rates, more: Partial<SignalParams<"update_exchange_rates">> = {}) {
    return this.books.ask("update_exchange_rates", { base, rates, ...more })
  }

  price(model: string, pricing: Pricing, more: Partial<SignalParams<"update_pricing">> = {}) {
    return this.books.ask("update_pricing", { provider: "test", model, pricing, ...more })
  }

  budget(currency: string | undefined, limit: string, more: Partial<SignalParams<"create_budget">> = {}) {
    return Effect.map(
      this.books.ask("create_budget", {
        name: currency ?? "ours",
        type: "global",
        period: "monthly",
        limit,
        ...(currency === undefined ? {} : { currency }),
        ...more
      }),
      (answer) => Result.getOrThrow(answer).budget
    )
  }

  check(params: Partial<SignalParams<"check_budget">>) {
    this.#requests += 1
    return this.books.ask("check_budget", { request_id: `check ${this.#requests}`, ...params })
  }

  /** 10 tokens, or as many as are asked for. */
  track(model: string, params: Partial<SignalParams<"track_usage">> = {}) {
    this.#requests += 1
    return Effect.map(
      this.books.ask("track_usage", {
        request_id: `track ${this.#requests}`,
        provider: "test",
        model,
        prompt_tokens: 10,
        completion_tokens: 0,
        ...params
      }),
      Result.getOrThrow
    )
  }

  /** `EUR 9.2 spent, 0 held`, a budget after the other. */
  readonly standings = Effect.gen({ self: this }, function* () {
    const answer = Result.getOrThrow(yield* this.books.ask("get_budget_status", {}))
    return answer.budgets.map(
      ({ currency, spent, held }) => `${currency} ${show(spent)} spent, ${show(held)} held`
    )
  })

  /** All memory is lost and read again; everything must be as it was. */
  reload(): void {
    checkInvariants(this.books, "before a reload")
    this.books.crash()
    checkInvariants(this.books, "after a reload")
  }
}

const perMillion = (dollars: string, currency?: string): Pricing => ({
  prompt_per_million: `${dollars}000000`,
  completion_per_million: `${dollars}000000`,
  ...(currency === undefined ? {} : { currency })
})

const told = ({ usage }: SignalSuccess<"track_usage">) =>
  `${show(usage.cost)} ${usage.currency} at ${usage.price_currency} × ${show(usage.exchange_rate)}`

describe("update_exchange_rates", () => {
  it.effect("answers what is stored, and keeps it", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      const { books } = tale
      const answer = yield* tale.rates("EUR", { USD: "1.1", JPY: "160" }, { source: "a bank" })
      const { rates, ...rest } = Result.getOrThrow(answer)
      assert.deepStrictEqual(rest, { updated: true, base: "EUR", as_of: books.now, source: "a bank" })
      assert.deepStrictEqual(
        Object.entries(rates).map(([name, rate]) => `${name} ${show(rate)}`),
        ["USD 1.1", "JPY 160"]
      )
      yield* tale.rates("EUR", { USD: "1.2" }, { as_of: "2026-03-01T00:00:00Z" })
      assert.deepStrictEqual(
        books.rows.rates.map(({ seq, base, currency, rate, asOf, source }) => [
          seq,
          `${base}/${currency} ${show(rate)}`,
          new Date(asOf).toISOString().slice(0, 10),
          source
        ]),
        [
          [1, "EUR/USD 1.1", "2026-03-10", "a bank"],
          [2, "EUR/JPY 160", "2026-03-10", "a bank"],
          [3, "EUR/USD 1.2", "2026-03-01", null]
        ]
      )
      tale.reload()
      assert.strictEqual(show(books.ledger.rate("USD", "EUR", books.now)), "0.909090909091")
    })
  )

  const refused: ReadonlyArray<readonly [why: string, base: string, rates: Rates, path: string]> = [
    ["zero", "EUR", { USD: "0" }, "rates.USD"],
    ["negative", "EUR", { USD: "-1.1" }, "rates.USD"],
    ["absurdly high", "EUR", { USD: "10000000.000000000001" }, "rates.USD"],
    ["absurdly low", "EUR", { USD: "0.000000099999" }, "rates.USD"],
    ["the base itself", "EUR", { EUR: "1" }, "rates.EUR"],
    ["a base that is no currency", "ABC", { USD: "1" }, "base"],
    ["a currency that is withdrawn", "EUR", { DEM: "1.95583" }, "rates.DEM"],
    ["a currency in lower case", "EUR", { usd: "1.1" }, "rates.usd"],
    ["more than ten times away from the one in force", "USD", { JPY: "0.00625" }, "rates.JPY"],
    ["more than ten times away from its inverse", "JPY", { USD: "160" }, "rates.USD"]
  ]
  for (const [why, base, rates, path] of refused) {
    it.effect(`refuses ${why}, and takes nothing of it`, () =>
      Effect.gen(function* () {
        const tale = new Tale()
        yield* tale.rates("USD", { JPY: "160" })
        const failure = failureOf(yield* tale.rates(base, { GBP: "0.8", ...rates }))
        if (failure._tag !== "InvalidParams") throw new Error(failure._tag)
        const paths = failure.issues.map((issue) => issue.path.join("."))
        assert.deepStrictEqual(paths, [path], failure.message)
        assert.strictEqual(tale.books.ledger.rates.size, 1)
      })
    )
  }

  it.effect("refuses to be sent without a rate", () =>
    Effect.gen(function* () {
      assert.strictEqual(nameOf(yield* new Tale().rates("EUR", {})), "InvalidParams")
    })
  )

  it.effect("takes an outlier that is confirmed, and what is exactly ten times away", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { JPY: "100" })
      assert.strictEqual(nameOf(yield* tale.rates("USD", { JPY: "1000" })), "taken")
      assert.strictEqual(nameOf(yield* tale.rates("USD", { JPY: "100" })), "taken")
      assert.strictEqual(nameOf(yield* tale.rates("USD", { JPY: "9.9" })), "InvalidParams")
      assert.strictEqual(nameOf(yield* tale.rates("USD", { JPY: "9.9" }, { confirm_outlier: true })), "taken")
    })
  )

  it.effect("the same request again is answered the same, and stores nothing", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      const once = yield* tale.rates("USD", { EUR: "0.9" }, { request_id: "r" })
      tale.books.now += 1_000
      assert.deepStrictEqual(yield* tale.rates("USD", { EUR: "0.9" }, { request_id: "r" }), once)
      assert.strictEqual(nameOf(yield* tale.rates("USD", { EUR: "0.8" }, { request_id: "r" })), "Conflict")
      assert.strictEqual(tale.books.rows.rates.length, 1)
    })
  )
})

describe("a missing rate is RateUnknown, where a command needs one", () => {
  it.effect("and is none any more once it is told, in whichever direction", () =>
    Effect.gen(function* () {
      for (const direction of [
        ["USD", "EUR"],
        ["EUR", "USD"]
      ] as const) {
        const tale = new Tale()
        const { books } = tale
        const all = Effect.gen(function* () {
          return [
            yield* books.ask("create_budget", {
              name: "b",
              type: "global",
              period: "daily",
              limit: "1000",
              currency: "EUR"
            }),
            yield* tale.price("euro", perMillion("1", "EUR")),
            yield* tale.check({ estimated_cost: "1", currency: "EUR" }),
            yield* books.ask("calculate_cost", {
              provider: "test",
              model: "dollar",
              prompt_tokens: 1,
              completion_tokens: 0,
              currency: "EUR"
            })
          ]
        }).pipe(Effect.map((answers) => answers.map((answer) => nameOf<unknown>(answer))))
        assert.deepStrictEqual(yield* all, [
          "RateUnknown USD→EUR",
          "RateUnknown EUR→USD",
          "RateUnknown EUR→USD",
          "RateUnknown USD→EUR"
        ])
        assert.strictEqual(books.ledger.budgets.size, 0)
        yield* tale.rates(direction[0], { [direction[1]]: "0.9" })
        assert.deepStrictEqual(yield* all, ["taken", "taken", "taken", "taken"])
      }
    })
  )

  it.effect("a rate that is told for later counts for now: usage never lacks one", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("EUR", { USD: "1.5" }, { as_of: "2026-06-01T00:00:00Z" })
      yield* tale.price("euro", perMillion("1", "EUR"), { effective_from: "2026-01-01T00:00:00Z" })
      yield* tale.budget("EUR", "1000")
      const late = yield* tale.track("euro", { timestamp: "2026-03-08T12:00:00Z" })
      assert.strictEqual(told(late), "15 USD at EUR × 1.5")
      // 15 × 0.666666666667
      assert.deepStrictEqual(yield* tale.standings, ["EUR 10.000000000005 spent, 0 held"])
      tale.reload()
    })
  )
})

describe("a price in another currency", () => {
  it.effect("has its lines in that currency, and its cost in the tenant's", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("EUR", { USD: "1.1" })
      yield* tale.price("euro", { ...perMillion("2", "EUR"), per_request: "0.5" })
      const tracked = yield* tale.track("euro")
      // (10 × 2 + 0.5) × 1.1
      assert.strictEqual(told(tracked), "22.55 USD at EUR × 1.1")
      assert.deepStrictEqual(
        tracked.usage.cost_breakdown.map(({ token_type, cost }) => `${token_type} ${show(cost)}`),
        ["input 20", "request 0.5"]
      )
      assert.isUndefined(tracked.usage.budget_rates)
      const quote = (currency?: string) =>
        Effect.map(
          tale.books.ask("calculate_cost", {
            provider: "test",
            model: "euro",
            prompt_tokens: 10,
            completion_tokens: 0,
            ...(currency === undefined ? {} : { currency })
          }),
          (answer) => {
            const { cost, currency: shown, price_currency, exchange_rate } = Result.getOrThrow(answer)
            return `${show(cost)} ${shown} at ${price_currency} × ${show(exchange_rate)}`
          }
        )
      assert.strictEqual(yield* quote(), "22.55 USD at EUR × 1.1")
      assert.strictEqual(yield* quote("EUR"), "20.5 EUR at EUR × 1")
      yield* tale.rates("USD", { JPY: "150" })
      assert.strictEqual(yield* quote("JPY"), "3382.5 JPY at EUR × 165")
      tale.reload()
    })
  )

  it.effect("lesson 20: the estimate of a call equals its cost", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("EUR", { USD: "1.123456789012" })
      yield* tale.price("euro", perMillion("3", "EUR"))
      yield* tale.budget("EUR", "1000")
      const call = { request_id: "r", provider: "test", model: "euro" }
      const held = yield* tale.check({ ...call, estimated_prompt_tokens: 7, max_completion_tokens: 5 })
      const { usage } = yield* tale.track("euro", { ...call, prompt_tokens: 7, completion_tokens: 5 })
      assert.strictEqual(Result.getOrThrow(held).estimated_cost, usage.cost)
      assert.strictEqual(usage.overage, 0n)
      assert.strictEqual(usage.estimated_cost, usage.cost)
    })
  )

  it.effect("the rate is the one of the booking", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("EUR", { USD: "1.1" }, { as_of: "2026-03-01T00:00:00Z" })
      yield* tale.price("euro", perMillion("1", "EUR"), { effective_from: "2026-01-01T00:00:00Z" })
      yield* tale.rates("EUR", { USD: "1.2" }, { as_of: "2026-03-10T00:00:00Z" })
      const at = (timestamp: string) => Effect.map(tale.track("euro", { timestamp }), told)
      assert.strictEqual(yield* at("2026-03-09T23:59:59Z"), "11 USD at EUR × 1.1")
      assert.strictEqual(yield* at("2026-03-10T00:00:00Z"), "12 USD at EUR × 1.2")
    })
  )

  it.effect("lesson 18: is compared with the price in force in its own currency", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { JPY: "150" })
      // The dollar's 1,000,000 a million are 150,000,000 yen.
      assert.strictEqual(nameOf(yield* tale.price("dollar", perMillion("14000", "JPY"))), "taken")
      assert.strictEqual(nameOf(yield* tale.price("dollar", perMillion("1", "JPY"))), "InvalidParams")
    })
  )
})

describe("a budget in another currency", () => {
  it.effect("is held and charged in it, shown in it, and refuses in it", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.9" })
      yield* tale.budget("EUR", "18", { alert_thresholds: [50] })
      yield* tale.budget(undefined, "1000")
      const call = { provider: "test", model: "dollar", max_completion_tokens: 0 }
      const held = yield* tale.check({ ...call, request_id: "r", estimated_prompt_tokens: 20 })
      assert.deepStrictEqual([nameOf(held), Result.getOrThrow(held).currency], ["taken", "USD"])
      assert.deepStrictEqual(yield* tale.standings, ["EUR 0 spent, 18 held", "USD 0 spent, 20 held"])
      const no = Result.getOrThrow(yield* tale.check({ ...call, estimated_prompt_tokens: 1 }))
      if (no.allowed) throw new Error("allowed")
      assert.match(no.reason, /has 0 EUR left of 18 EUR, and the call asks for 0\.9 EUR/u)
      assert.deepStrictEqual(
        no.violations.map(({ currency, requested, shortfall }) => [
          currency,
          show(requested),
          show(shortfall)
        ]),
        [["EUR", "0.9", "0.9"]]
      )
      const tracked = yield* tale.track("dollar", { request_id: "r", prompt_tokens: 11 })
      assert.strictEqual(told(tracked), "11 USD at USD × 1")
      assert.deepStrictEqual(tracked.usage.budget_rates, { EUR: 900_000_000_000n })
      assert.deepStrictEqual(yield* tale.standings, ["EUR 9.9 spent, 0 held", "USD 11 spent, 0 held"])
      assert.deepStrictEqual(
        tracked.alerts.filter(({ kind }) => kind === "threshold").map(({ message }) => message),
        ['Budget "EUR" has reached 50 %: 9.9 of 18 EUR spent']
      )
      tale.reload()
      assert.deepStrictEqual(yield* tale.standings, ["EUR 9.9 spent, 0 held", "USD 11 spent, 0 held"])
    })
  )

  it.effect("counts what was spent and is held before from the start, at the rate of then", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.9" }, { as_of: "2026-03-01T00:00:00Z" })
      yield* tale.track("dollar")
      const call = { request_id: "r", provider: "test", model: "dollar" }
      yield* tale.check({ ...call, estimated_prompt_tokens: 5, max_completion_tokens: 0 })
      tale.books.now += 60_000
      yield* tale.rates("USD", { EUR: "0.8" })
      const made = yield* tale.budget("EUR", "1000")
      const definition = tale.books.ledger.budgets.get(made.id)?.definition
      assert.deepStrictEqual([definition?.sinceSeq, show(definition?.openingRate)], [1, "0.8"])
      // 10 × 0.8 spent; what is held is booked where its hold is: 5 × 0.9.
      assert.deepStrictEqual(yield* tale.standings, ["EUR 8 spent, 4.5 held"])
      tale.reload()
      yield* tale.track("dollar", { ...call, prompt_tokens: 5 })
      assert.deepStrictEqual(yield* tale.standings, ["EUR 12.5 spent, 0 held"])
      tale.reload()
    })
  )

  it.effect("takes an expected cost in any currency", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("EUR", { USD: "1.5", JPY: "150" })
      yield* tale.budget("EUR", "1000")
      const held = Result.getOrThrow(yield* tale.check({ estimated_cost: "10", currency: "EUR" }))
      assert.deepStrictEqual([show(held.estimated_cost), held.currency], ["15", "USD"])
      // 15 × 0.666666666667: a conversion there and one back.
      assert.deepStrictEqual(yield* tale.standings, ["EUR 0 spent, 10.000000000005 held"])
      tale.reload()
    })
  )

  it.effect("a hold that grows, shrinks and ends stays at its rate", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.9" })
      yield* tale.budget("EUR", "1000")
      const call = { request_id: "r", provider: "test", model: "dollar" }
      const held = Result.getOrThrow(
        yield* tale.check({ ...call, estimated_prompt_tokens: 10, max_completion_tokens: 0 })
      )
      if (!held.allowed || held.hold_id === undefined) throw new Error("no hold")
      const { hold_id } = held
      tale.books.now += 1
      yield* tale.rates("USD", { EUR: "0.5" })
      tale.reload()
      yield* tale.books.ask("extend_hold", { hold_id, by: { tokens: 10 } })
      assert.deepStrictEqual(yield* tale.standings, ["EUR 0 spent, 18 held"])
      yield* tale.track("dollar", { ...call, prompt_tokens: 4, settle: false, status: "error" })
      assert.deepStrictEqual(yield* tale.standings, ["EUR 3.6 spent, 14.4 held"])
      tale.reload()
      yield* tale.books.ask("release_hold", { hold_id })
      assert.deepStrictEqual(yield* tale.standings, ["EUR 3.6 spent, 0 held"])
      yield* tale.track("dollar", { prompt_tokens: 4 })
      assert.deepStrictEqual(yield* tale.standings, ["EUR 5.6 spent, 0 held"])
      tale.reload()
    })
  )

  it.effect("an estimate that is replaced is replaced at its own price and rates", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.9" }, { as_of: "2026-03-01T00:00:00Z" })
      yield* tale.budget("EUR", "1000")
      yield* tale.track("dollar", { request_id: "r", status: "estimated" })
      yield* tale.rates("USD", { EUR: "0.5" }, { as_of: "2026-03-02T00:00:00Z" })
      yield* tale.price("dollar", perMillion("7"), { effective_from: "2026-03-02T00:00:00Z" })
      const final = yield* tale.track("dollar", { request_id: "r", prompt_tokens: 4 })
      assert.strictEqual(show(final.usage.cost), "-6")
      assert.deepStrictEqual(yield* tale.standings, ["EUR 3.6 spent, 0 held"])
      tale.reload()
    })
  )

  it.effect("a budget of tokens or requests has no currency", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.9" })
      const make = (currency: string) =>
        tale.books.ask("create_budget", {
          name: "t",
          type: "global",
          period: "daily",
          limit: "100",
          measure: "tokens",
          currency
        })
      assert.strictEqual(nameOf(yield* make("EUR")), "InvalidParams")
      assert.strictEqual(nameOf(yield* make("USD")), "taken")
      assert.isFalse(tale.books.ledger.hasForeignBudgets)
    })
  )
})

describe("a hold pins its price and its rates", () => {
  const held = Effect.gen(function* () {
    const tale = new Tale()
    yield* tale.rates("EUR", { USD: "1.1", JPY: "160" }, { as_of: "2026-03-01T00:00:00Z" })
    yield* tale.price("euro", perMillion("2", "EUR"), { effective_from: "2026-03-01T00:00:00Z" })
    yield* tale.budget("EUR", "10000")
    const call = { provider: "test", max_completion_tokens: 0, estimated_prompt_tokens: 10 }
    for (const model of ["euro", "dollar"]) {
      const answer = yield* tale.check({ ...call, model, request_id: model })
      assert.strictEqual(nameOf(answer), "taken")
    }
    // Told later, of an earlier moment.
    const earlier = { effective_from: "2026-03-02T00:00:00Z" }
    yield* tale.price("euro", perMillion("5", "EUR"), earlier)
    yield* tale.price("euro", perMillion("3", "EUR"), { effective_from: "2026-03-01T00:00:00Z" })
    yield* tale.price("dollar", perMillion("7"), earlier)
    yield* tale.rates("EUR", { USD: "2" }, { as_of: "2026-03-02T00:00:00Z" })
    return tale
  })

  for (const isReloaded of [false, true]) {
    it.effect(`which nothing that is told later changes${isReloaded ? ", also after a restart" : ""}`, () =>
      Effect.gen(function* () {
        const tale = yield* held
        if (isReloaded) tale.reload()
        const before = yield* tale.standings
        // (20 × 1.1 + 10) × 0.909090909091
        assert.deepStrictEqual(before, ["EUR 0 spent, 29.090909090912 held"])
        const euro = yield* tale.track("euro", { request_id: "euro" })
        assert.strictEqual(told(euro), "22 USD at EUR × 1.1")
        assert.deepStrictEqual([euro.usage.overage, euro.usage.cost_status], [0n, "priced"])
        assert.strictEqual(told(yield* tale.track("dollar", { request_id: "dollar" })), "10 USD at USD × 1")
        assert.deepStrictEqual(yield* tale.standings, ["EUR 29.090909090912 spent, 0 held"])
        // Without a hold, what is told now counts.
        assert.strictEqual(told(yield* tale.track("euro")), "100 USD at EUR × 2")
        assert.strictEqual(told(yield* tale.track("dollar")), "70 USD at USD × 1")
        tale.reload()
      })
    )
  }

  it.effect("for the model that it was made for; another one has its own price", () =>
    Effect.gen(function* () {
      const tale = yield* held
      assert.strictEqual(told(yield* tale.track("dollar", { request_id: "euro" })), "70 USD at USD × 1")
    })
  )

  it.effect("also where it has expired before the report came", () =>
    Effect.gen(function* () {
      const tale = yield* held
      tale.books.now += 3_600_000
      tale.books.commit()
      const late = yield* tale.track("euro", { request_id: "euro" })
      assert.strictEqual(told(late), "22 USD at EUR × 1.1")
    })
  )

  it.effect("its service tier too, when it grows", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.price("tiered", { ...perMillion("2"), service_tiers: { batch: "0.5" } })
      yield* tale.budget(undefined, "100")
      const answer = yield* tale.check({
        provider: "test",
        model: "tiered",
        service_tier: "batch",
        estimated_prompt_tokens: 10,
        max_completion_tokens: 0
      })
      const approval = Result.getOrThrow(answer)
      if (!approval.allowed || approval.hold_id === undefined) throw new Error("no hold")
      tale.reload()
      yield* tale.books.ask("extend_hold", { hold_id: approval.hold_id, by: { tokens: 4 } })
      assert.deepStrictEqual(yield* tale.standings, ["USD 0 spent, 14 held"])
    })
  )
})

describe("the tenant's currency", () => {
  const become = (tale: Tale, currency: string) => tale.books.ask("configure_manager", { currency })

  it.effect("can be changed before the first hold and the first usage", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.5" })
      assert.strictEqual(Result.getOrThrow(yield* become(tale, "EUR")).config.currency, "EUR")
      tale.reload()
      yield* tale.budget(undefined, "100")
      yield* tale.budget("USD", "100")
      const tracked = yield* tale.track("dollar")
      assert.strictEqual(told(tracked), "5 EUR at USD × 0.5")
      assert.deepStrictEqual(yield* tale.standings, ["EUR 5 spent, 0 held", "USD 10 spent, 0 held"])
      tale.reload()
      const failure = failureOf(yield* become(tale, "USD"))
      assert.deepStrictEqual(
        [failure._tag, failure._tag === "Conflict" && failure.reason],
        ["Conflict", "currency_in_use"]
      )
      assert.strictEqual(nameOf(yield* become(tale, "EUR")), "taken")
      assert.strictEqual(nameOf(yield* become(tale, "XYZ")), "InvalidParams")
    })
  )

  it.effect("an open hold is reason enough", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.5" })
      yield* tale.check({ estimated_cost: "1", request_id: "r" })
      assert.strictEqual(nameOf(yield* become(tale, "EUR")), "Conflict")
    })
  )

  it.effect("budgets and own prices that are there must have a rate to it", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.5" })
      yield* tale.price("euro", perMillion("1", "EUR"))
      yield* tale.rates("USD", { JPY: "100" })
      assert.strictEqual(nameOf(yield* become(tale, "JPY")), "RateUnknown EUR→JPY")
      yield* tale.rates("EUR", { JPY: "200" })
      yield* tale.rates("USD", { GBP: "0.8" })
      yield* tale.budget("GBP", "100")
      assert.strictEqual(nameOf(yield* become(tale, "JPY")), "RateUnknown GBP→JPY")
      yield* tale.rates("JPY", { GBP: "0.005" })
      assert.strictEqual(nameOf(yield* become(tale, "JPY")), "taken")
      assert.isTrue(tale.books.ledger.hasForeignBudgets)
      assert.strictEqual(told(yield* tale.track("euro")), "2000 JPY at EUR × 200")
      assert.deepStrictEqual(yield* tale.standings, ["GBP 10 spent, 0 held"])
      tale.reload()
    })
  )

  it.effect("a hold that ended before the change pins nothing of it", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      yield* tale.rates("USD", { EUR: "0.5" })
      const call = { request_id: "r", provider: "test", model: "dollar" }
      const held = Result.getOrThrow(yield* tale.check({ ...call, estimated_prompt_tokens: 10 }))
      if (!held.allowed || held.hold_id === undefined) throw new Error("no hold")
      yield* tale.books.ask("release_hold", { hold_id: held.hold_id })
      assert.strictEqual(nameOf(yield* become(tale, "EUR")), "taken")
      tale.reload()
      const tracked = yield* tale.track("dollar", call)
      assert.strictEqual(told(tracked), "5 EUR at USD × 0.5")
      assert.isNull(tracked.usage.estimated_cost)
    })
  )

  it.effect("where the catalogue's prices have no rate to it, usage is recorded unpriced, and told", () =>
    Effect.gen(function* () {
      const tale = new Tale()
      assert.strictEqual(nameOf(yield* become(tale, "EUR")), "taken")
      const { usage, alerts } = yield* tale.track("dollar")
      assert.deepStrictEqual([usage.cost_status, usage.cost, usage.currency], ["unpriced", 0n, "EUR"])
      assert.deepStrictEqual(
        alerts.map(({ kind, data }) => [kind, data.base, data.currency]),
        [["unpriced", "USD", "EUR"]]
      )
      const asked = { provider: "test", model: "dollar" }
      assert.strictEqual(nameOf(yield* tale.check(asked)), "taken")
      yield* tale.budget(undefined, "100")
      assert.strictEqual(nameOf(yield* tale.check(asked)), "RateUnknown USD→EUR")
      assert.strictEqual(nameOf(yield* tale.check({ ...asked, estimated_cost: "1" })), "taken")
      yield* tale.rates("USD", { EUR: "0.5" })
      assert.strictEqual(told(yield* tale.track("dollar")), "5 EUR at USD × 0.5")
      tale.reload()
    })
  )
})
