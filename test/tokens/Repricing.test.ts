/** Usage that had no price is priced by update_pricing, where it was booked (signals.md, section 5). */
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import { formatAmount, UNIT } from "../../src/signal/Money.ts"
import type { LedgerSignal } from "../../src/tokens/Decide.ts"
import { REPRICED_MAX } from "../../src/tokens/Repricing.ts"
import { Books, MORNING } from "./support/Books.ts"
import { checkInvariants } from "./support/Invariants.ts"
import { stories } from "./support/Story.ts"

stories("a price for what had none", {
  "is charged to every budget, and counts neither requests nor tokens again": `
    budget A limit=100
    budget T limit=100 measure=tokens
    budget Q limit=100 measure=requests
    post r1 10 model=nameless
    post r2 4 model=nameless
    post r3 1           -> posted 1
    see A               -> spent 1, held 0, left 99
    price nameless 2 reprice=yes -> repriced 2
    see A               -> spent 29, held 0, left 71
    see T               -> spent 15, held 0, left 85
    see Q               -> spent 3, held 0, left 97
    total               -> requests 3, tokens 15, cost 29
    post r4 1 model=nameless -> posted 2
  `,
  "is given once": `
    budget A limit=100
    post r1 10 model=nameless
    price nameless 2 reprice=yes -> repriced 1
    price nameless 3 reprice=yes -> repriced 0
    price nameless 3 reprice=yes from=2026-03-01T00:00:00Z -> repriced 0
    see A               -> spent 20, held 0, left 80
  `,
  "the same request_id answers the first result": `
    post r1 10 model=nameless
    price nameless 2 reprice=yes command=p1 -> repriced 1
    post r2 10 model=nameless when=2026-03-10T09:00:00Z
    price nameless 2 reprice=yes command=p1 -> repriced 1
    price nameless 3 reprice=yes command=p1 -> Conflict request_reused_with_different_content
    total               -> requests 2, tokens 20, cost 20
    price nameless 2 reprice=yes command=p2 -> repriced 1
    total               -> requests 2, tokens 20, cost 40
  `,
  "is not given unless it is asked for": `
    post r1 10 model=nameless
    price nameless 2 from=2026-03-01T00:00:00Z
    total               -> requests 1, tokens 10, cost 0
    price nameless 3 from=2026-03-01T00:00:00Z reprice=yes -> repriced 1
    total               -> requests 1, tokens 10, cost 30
  `,
  "of what was booked when it is in force, and not after the next one begins": `
    post r1 1 model=nameless when=2026-03-09T10:00:00Z
    post r2 2 model=nameless when=2026-03-09T12:00:00Z
    post r3 4 model=nameless when=2026-03-10T06:00:00Z
    post r4 8 model=nameless when=2026-03-10T07:00:00Z
    price nameless 1 from=2026-03-10T06:00:00Z
    price nameless 1 from=2026-03-09T12:00:00Z reprice=yes -> repriced 1
    total               -> requests 4, tokens 15, cost 2
    price nameless 1 from=2026-03-10T06:00:00Z reprice=yes -> repriced 2
    total               -> requests 4, tokens 15, cost 14
    price nameless 1 reprice=yes -> repriced 1
    total               -> requests 4, tokens 15, cost 15
  `,
  "of another model, or another provider, is left alone": `
    post r1 1 model=nameless
    post r2 2 model=unheard
    post r3 4 model=nameless provider=other
    price nameless 1 reprice=yes -> repriced 1
    total               -> requests 3, tokens 7, cost 1
  `,
  "where there is nothing, is in force from now on": `
    price nameless 2 reprice=yes -> repriced 0
    post r1 1 model=nameless -> posted 2
    post r2 1 model=nameless when=2026-03-10T09:00:00Z
  `,
  "what comes late afterwards waits for the next": `
    post r1 1 model=nameless
    wait 1h
    price nameless 2 reprice=yes -> repriced 1
    post r2 1 model=nameless -> posted 2
    post r3 1 model=nameless when=2026-03-10T09:59:59Z
    price nameless 3 reprice=yes -> repriced 1
    total               -> requests 3, tokens 3, cost 7
    post r4 1 model=nameless -> posted 2
  `,
  "with all its corrections": `
    budget A limit=100
    post r1 10 model=nameless
    correct r1 4 out=2  -> corrected 0, unpriced
    price nameless 2 reprice=yes -> repriced 1
    see A               -> spent 12, held 0, left 88
    correct r1 5        -> corrected -2
    correct r1 4 out=2  -> again 0, unpriced
    see A               -> spent 10, held 0, left 90
  `,
  "of an estimate, which a final report replaces then": `
    budget A limit=100
    post r1 10 model=nameless status=estimated
    price nameless 2 reprice=yes -> repriced 1
    post r1 4 model=nameless -> adjusted -12
    see A               -> spent 8, held 0, left 92
    post r2 10 when=2026-03-10T09:00:00Z model=nameless status=estimated
    post r2 4 model=nameless -> adjusted 0, unpriced
    price nameless 3 reprice=yes -> repriced 1
    see A               -> spent 20, held 0, left 80
    post r2 4 model=nameless -> again 0, unpriced
  `,
  "that is nothing: it was free": `
    post r1 10 model=nameless
    price nameless 0 reprice=yes -> repriced 1
    correct r1 4        -> corrected 0, free
    price nameless 2 reprice=yes -> repriced 0
  `,
  "in its service tier": `
    post r1 10 model=nameless tier=batch
    price nameless 2 tiers=batch:0.5 reprice=yes -> repriced 1
    total               -> requests 1, tokens 10, cost 10
    correct r1 4        -> corrected -6
  `,
  "attempt by attempt, and an open hold is left alone": `
    budget A limit=100
    hold r1 20 model=nameless cost=20 -> held
    post r1 4 model=nameless settle=no
    post r1 5 model=nameless settle=no attempt=2
    price nameless 2 reprice=yes -> repriced 2
    see A               -> spent 18, held 20, left 62
    post r1 1 model=nameless attempt=3 -> posted 2
    see A               -> spent 20, held 0, left 80
  `,
  "tells of what it reaches": `
    budget A limit=100
    budget B limit=20
    post r1 10 model=nameless
    post r2 20 model=nameless
    alerts
    price nameless 2 reprice=yes -> repriced 2
    alerts              -> threshold B 50, threshold B 80, threshold B 90, exceeded B 100, threshold A 50
  `
})

stories("a price for periods of long ago", {
  "which memory does not have any more": `
    budget A limit=100
    budget M limit=100 period=monthly
    budget L limit=100 period=lifetime
    post r1 10 model=nameless
    wait 1d
    post r2 5 model=nameless
    at 2026-06-10T10:00:00Z
    forget
    post r3 1           -> posted 1
    post r4 2 model=nameless
    price nameless 2 reprice=yes -> repriced 3
    past A 2026-03-10   -> spent 20
    past A 2026-03-11   -> spent 10
    past M 2026-03-10   -> spent 30
    see A               -> spent 5, held 0, left 95
    see L               -> spent 35, held 0, left 65
    forget
    see L               -> spent 35, held 0, left 65
  `,
  "a budget that was made later is not charged": `
    post r1 10 model=nameless
    wait 1d
    budget A limit=100
    budget M limit=100 period=monthly -> spent 0, held 0
    wait 60d
    forget
    price nameless 2 reprice=yes -> repriced 1
    past A 2026-03-10   -> nothing
    past M 2026-03-10   -> spent 20
  `,
  "hands nothing over anew": `
    budget A limit=10 roll=100
    post r1 6 model=nameless
    wait 10d
    see A               -> spent 0, held 0, left 110, carried 100
    forget
    price nameless 1 reprice=yes -> repriced 1
    past A 2026-03-10   -> spent 6
    see A               -> spent 0, held 0, left 110, carried 100
  `
})

const told = <Name extends LedgerSignal>(books: Books, name: Name, params: SignalParams<Name>) =>
  Effect.map(books.ask(name, params), Result.getOrThrow)

const NAMELESS = { provider: "test", model: "nameless" }

const post = (books: Books, request_id: string, more: Partial<SignalParams<"track_usage">> = {}) =>
  told(books, "track_usage", { request_id, ...NAMELESS, prompt_tokens: 10, completion_tokens: 0, ...more })

const price = (books: Books, more: Partial<SignalParams<"update_pricing">> = {}) =>
  told(books, "update_pricing", {
    ...NAMELESS,
    pricing: { prompt_per_million: "1000000", completion_per_million: "1000000" },
    reprice_unpriced: true,
    ...more
  })

it.effect("the row has no counts, says what it adjusts, and all lines of what it costs", () =>
  Effect.gen(function* () {
    const books = new Books()
    const { usage: first } = yield* post(books, "r1", {
      user_id: "ann",
      prompt_tokens_details: { cached_tokens: 4 },
      latency_ms: 12
    })
    books.now += 60_000
    const answer = yield* price(books, { reason: "It is known now" })
    assert.deepStrictEqual([answer.repriced, answer.unpriced_left], [1, false])
    assert.strictEqual(answer.price.effective_from, MORNING)
    const row = books.rows.usage[1]
    assert.deepInclude(row, { requests: 0, adjustsSeq: 1 })
    assert.deepInclude(row?.usage, {
      request_id: "r1",
      user_id: "ann",
      adjusts: first.id,
      prompt_tokens: 0,
      completion_tokens: 0,
      total_tokens: 0,
      cost: 10n * UNIT,
      cost_status: "priced",
      price_id: answer.price.id,
      booked_at: MORNING,
      recorded_at: MORNING + 60_000
    })
    assert.deepStrictEqual(
      row?.usage.cost_breakdown.map(({ token_type, tokens }) => [token_type, tokens]),
      [
        ["cache_read", 4],
        ["input", 6]
      ]
    )
    assert.notProperty(row?.usage, "latency_ms")
  })
)

it.effect("the trail says how many it priced, and why", () =>
  Effect.gen(function* () {
    const books = new Books()
    yield* post(books, "r1")
    yield* price(books, { reason: "It is known now" })
    const entry = JSON.parse(books.rows.audit.at(-1)?.body ?? "")
    assert.strictEqual(books.rows.audit.at(-1)?.action, "update_pricing")
    assert.deepInclude(entry.after, { repriced: 1, reason: "It is known now", model: "nameless" })
    assert.isNull(entry.before)
  })
)

it.effect("a thousand at once, the oldest first; it says when more are left", () =>
  Effect.gen(function* () {
    const books = new Books()
    yield* told(books, "create_budget", { name: "A", type: "global", period: "monthly", limit: "100000" })
    const count = REPRICED_MAX + 2
    for (let index = 0; index < count; index++) {
      const timestamp = new Date(MORNING - index * 1000).toISOString()
      yield* books.send("track_usage", {
        request_id: `r${index}`,
        ...NAMELESS,
        prompt_tokens: 1,
        completion_tokens: 0,
        timestamp
      })
    }
    books.commit()
    const first = yield* price(books)
    assert.deepStrictEqual([first.repriced, first.unpriced_left], [REPRICED_MAX, true])
    assert.deepStrictEqual(
      books.rows.unpriced.map(({ requestId }) => requestId),
      ["r0", "r1"]
    )
    checkInvariants(books, "after the first thousand")
    books.crash()
    const second = yield* price(books)
    assert.deepStrictEqual([second.repriced, second.unpriced_left], [2, false])
    assert.strictEqual(books.rows.head.cost, BigInt(count) * UNIT)
    checkInvariants(books, "after all")
  })
)

it.effect("exactly a thousand: none is left", () =>
  Effect.gen(function* () {
    const books = new Books()
    for (let index = 0; index < REPRICED_MAX; index++) {
      const counts = { prompt_tokens: 1, completion_tokens: 0 }
      yield* books.send("track_usage", { request_id: `r${index}`, ...NAMELESS, ...counts })
    }
    books.commit()
    const { repriced, unpriced_left } = yield* price(books)
    assert.deepStrictEqual([repriced, unpriced_left], [REPRICED_MAX, false])
  })
)

it.effect("in another currency: at the rates of when it was booked, which its corrections keep", () =>
  Effect.gen(function* () {
    const books = new Books()
    const rates = (eur: string, gbp: string, as_of: number) =>
      told(books, "update_exchange_rates", {
        base: "USD",
        rates: { EUR: eur, GBP: gbp },
        as_of: new Date(as_of).toISOString()
      })
    const budget = (currency: string) =>
      told(books, "create_budget", {
        name: currency,
        type: "global",
        period: "monthly",
        limit: "1000",
        currency
      })
    const spent = function* () {
      checkInvariants(books, "a step")
      books.crash()
      const { budgets } = yield* told(books, "get_budget_status", {})
      return [...budgets.map((it) => formatAmount(it.spent)), formatAmount(books.ledger.cost)].join(" ")
    }
    yield* rates("0.5", "0.4", MORNING - 1000)
    yield* budget("EUR")
    yield* post(books, "r1")
    books.now += 3_600_000
    yield* rates("0.8", "0.7", books.now)
    const pricing = { prompt_per_million: "1000000", completion_per_million: "1000000", currency: "EUR" }
    yield* price(books, { pricing })
    assert.deepInclude(books.rows.usage[1]?.usage, {
      cost: 20n * UNIT,
      exchange_rate: 2n * UNIT,
      price_currency: "EUR",
      budget_rates: { EUR: UNIT / 2n }
    })
    assert.strictEqual(yield* spent(), "10 20")
    const correct = (prompt_tokens: number) =>
      told(books, "correct_usage", {
        request_id: "r1",
        usage: { prompt_tokens, completion_tokens: 0 },
        reason: `It was ${prompt_tokens}`
      })
    yield* budget("GBP")
    assert.strictEqual(yield* spent(), "10 14 20")
    yield* correct(4)
    assert.strictEqual(yield* spent(), "4 9.2 8")
    // What is told of the past later on does not change what was charged.
    yield* rates("0.6", "0.5", MORNING - 500)
    yield* correct(10)
    assert.strictEqual(yield* spent(), "10 14 20")
  })
)
