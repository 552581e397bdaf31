/** What turns out to be wrong is corrected by rows of its own, booked where the first row was (signals.md, section 3). */
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import type { LedgerSignal } from "../../src/tokens/Decide.ts"
import { type ADMIN, Books, keyNamed, MORNING } from "./support/Books.ts"
import { stories } from "./support/Story.ts"

stories("a correction", {
  "down, up, and to nothing": `
    budget A limit=100
    budget T limit=100 measure=tokens
    budget Q limit=100 measure=requests
    post r1 10          -> posted 10
    correct r1 4        -> corrected -6
    see A               -> spent 4, held 0, left 96
    correct r1 12 out=3 -> corrected 11
    see A               -> spent 15, held 0, left 85
    see T               -> spent 15, held 0, left 85
    correct r1 0        -> corrected -15
    see A               -> spent 0, held 0, left 100
    see T               -> spent 0, held 0, left 100
    see Q               -> spent 1, held 0, left 99
    correct r1 7        -> corrected 7
    see A               -> spent 7, held 0, left 93
    total               -> requests 1, tokens 7, cost 7
  `,
  "the same again changes nothing, also after another one": `
    budget A limit=100
    post r1 10          -> posted 10
    correct r1 4        -> corrected -6
    correct r1 4        -> again -6
    correct r1 7        -> corrected 3
    correct r1 4        -> again -6
    see A               -> spent 7, held 0, left 93
    correct r1 4 why=really -> corrected -3
    see A               -> spent 4, held 0, left 96
  `,
  "nothing is to change: a success without a row": `
    post r1 10          -> posted 10
    correct r1 10       -> again 10
    correct r1 9        -> corrected -1
    correct r1 9 why=other -> again -1
    total               -> requests 1, tokens 9, cost 9
  `,
  "never changes what a repeat of the report answers": `
    post r1 10          -> posted 10
    correct r1 4        -> corrected -6
    post r1 10          -> again 10
    post r1 4           -> Conflict request_reused_with_different_content
    total               -> requests 1, tokens 4, cost 4
  `,
  "of what nobody reported": `
    correct r1 4        -> NotFound
    hold r2 10          -> held
    correct r2 4        -> NotFound
    post r2 4 attempt=2 -> posted 4
    correct r2 4 attempt=1 -> NotFound
  `,
  "says which attempts there are, where it has to be said": `
    hold r1 20          -> held
    post r1 4 settle=no -> posted 4
    post r1 6 attempt=2 -> posted 6
    correct r1 1        -> InvalidParams attempt
    correct r1 1 attempt=1 -> corrected -3
    correct r1 2 attempt=2 -> corrected -4
    total               -> requests 1, tokens 3, cost 3
  `,
  "of an attempt that failed, or was cancelled": `
    post r1 4 status=error -> posted 4
    correct r1 1        -> corrected -3
    post r2 4 status=cancelled -> posted 4
    correct r2 9        -> corrected 5
    total               -> requests 2, tokens 10, cost 10
  `,
  "leaves an open hold alone": `
    budget A limit=100
    hold r1 20          -> held
    post r1 4 settle=no -> posted 4
    correct r1 9        -> corrected 5
    see A               -> spent 9, held 16, left 75
    post r1 3 attempt=2 -> posted 3
    see A               -> spent 12, held 0, left 88
  `,
  "counts that contradict each other are refused": `
    post r1 10          -> posted 10
    correct r1 4 cached=5 -> InvalidParams usage.prompt_tokens_details.cached_tokens
    correct r1 4 cached=4 -> corrected -6
    correct r1 4        -> corrected 0
  `,
  "tells of a threshold once": `
    budget A limit=100
    post r1 40          -> posted 40
    correct r1 60       -> corrected 20, alerts A:50
    correct r1 30       -> corrected -30
    correct r1 55       -> corrected 25
    correct r1 100      -> corrected 45, alerts A:80 A:90 A:100
    alerts              -> threshold A 50, threshold A 80, threshold A 90, exceeded A 100
  `,
  "gives back room": `
    budget A limit=10
    post r1 10          -> posted 10, alerts A:50 A:80 A:90 A:100
    hold r2 1           -> refused A by 1
    correct r1 9        -> corrected -1
    hold r2 1           -> held
  `,
  "of what has no price stays without one": `
    budget A limit=100
    budget T limit=100 measure=tokens
    post r1 10 model=nameless -> posted 0, unpriced, alerts unpriced
    correct r1 4        -> corrected 0, unpriced
    see A               -> spent 0, held 0, left 100
    see T               -> spent 4, held 0, left 96
  `,
  "is charged at the price of then": `
    budget A limit=100
    post r1 10          -> posted 10
    price dollar 3
    correct r1 4        -> corrected -6
    post r2 1           -> posted 3
    correct r2 2        -> corrected 3
    price dollar 2 from=2026-03-01T00:00:00Z
    correct r2 3        -> corrected 3
    correct r1 5        -> corrected 1
  `
})

stories("a service tier", {
  "stays what it was": `
    budget A limit=1000
    price dollar 2 tiers=batch:0.5/fast:3
    post r1 10 tier=batch -> posted 10
    correct r1 4        -> corrected -6
    correct r1 6 out=2  -> corrected 4
    post r2 10 tier=fast -> posted 60
    correct r2 11       -> corrected 6
    see A               -> spent 74, held 0, left 926
  `,
  "of an estimate is that of its final report, which may leave it out": `
    price dollar 2 tiers=batch:0.5
    post r1 10 tier=batch status=estimated -> posted 10
    correct r1 8        -> corrected -2
    post r1 4           -> adjusted -4
    correct r1 5        -> corrected 1
    post r2 10 status=estimated -> posted 20
    post r2 10 tier=batch -> adjusted -10
    post r2 10 tier=batch -> again -10
    correct r2 4        -> corrected -6
  `,
  "that costs nothing stays free": `
    price dollar 2 tiers=gift:0 sure=yes
    post r1 10 tier=gift -> posted 0, free
    correct r1 4        -> corrected 0, free
  `
})

stories("an estimate and a correction", {
  "of what a final report has replaced": `
    budget A limit=100
    post r1 10 status=estimated -> posted 10
    post r1 4           -> adjusted -6
    correct r1 7        -> corrected 3
    see A               -> spent 7, held 0, left 93
    post r1 4           -> again -6
    post r1 10 status=estimated -> Conflict request_reused_with_different_content
    total               -> requests 1, tokens 7, cost 7
  `,
  "a final report replaces what was corrected before": `
    budget A limit=100
    post r1 10 status=estimated -> posted 10
    correct r1 7        -> corrected -3
    post r1 10 status=estimated -> again 10
    post r1 4           -> adjusted -3
    see A               -> spent 4, held 0, left 96
    post r1 4           -> again -3
    total               -> requests 1, tokens 4, cost 4
  `
})

stories("periods of long ago", {
  "after the period has ended, within 48 hours": `
    budget A limit=100
    post r1 10          -> posted 10
    wait 1d
    post r2 1           -> posted 1
    correct r1 4        -> corrected -6
    see A               -> spent 1, held 0, left 99
    past A 2026-03-10   -> spent 4
  `,
  "after three months, which memory does not have any more": `
    budget A limit=100
    budget M limit=100 period=monthly measure=tokens
    budget L limit=100 period=lifetime
    budget Q limit=100 period=hourly measure=requests
    post r1 10          -> posted 10
    at 2026-06-10T10:00:00Z
    forget
    post r2 1           -> posted 1
    correct r1 4        -> corrected -6
    past A 2026-03-10   -> spent 4
    past M 2026-03-10   -> spent 4
    past Q 2026-03-10T10:00:00Z -> spent 1
    see A               -> spent 1, held 0, left 99
    see M               -> spent 1, held 0, left 99
    see L               -> spent 5, held 0, left 95
    correct r1 5        -> corrected 1
    crash
    correct r1 3        -> corrected -2
    past A 2026-03-10   -> spent 3
    forget
    correct r1 60       -> corrected 57, alerts A:50 M:50 L:50
    past A 2026-03-10   -> spent 60
    past M 2026-03-10   -> spent 60
    see L               -> spent 61, held 0, left 39
    total               -> requests 2, tokens 61, cost 61
  `,
  "several of one period, and of several": `
    budget A limit=100
    post r1 10          -> posted 10
    post r2 10          -> posted 10
    wait 1d
    post r3 10          -> posted 10
    wait 90d
    forget
    correct r1 4        -> corrected -6
    correct r2 5        -> corrected -5
    correct r3 6        -> corrected -4
    correct r1 1        -> corrected -3
    past A 2026-03-10   -> spent 6
    past A 2026-03-11   -> spent 6
  `,
  "a budget that was made later is not charged": `
    post r1 10          -> posted 10
    wait 1d
    budget A limit=100
    budget M limit=100 period=monthly -> spent 10, held 0
    wait 60d
    forget
    correct r1 4        -> corrected -6
    past A 2026-03-10   -> nothing
    past M 2026-03-10   -> spent 4
    see A               -> spent 0, held 0, left 100
    see M               -> spent 0, held 0, left 100
  `,
  "a settled period hands nothing over anew": `
    budget A limit=10 roll=100
    post r1 6           -> posted 6, alerts A:50
    at 2026-03-12T23:59:59.999Z
    see A               -> spent 0, held 0, left 24, carried 14
    correct r1 5        -> corrected -1
    see A               -> spent 0, held 0, left 25, carried 15
    at 2026-03-13T00:00:00Z
    see A               -> spent 0, held 0, left 35, carried 25
    correct r1 1        -> corrected -4
    see A               -> spent 0, held 0, left 35, carried 25
    past A 2026-03-10   -> spent 1
    wait 60d
    forget
    correct r1 8        -> corrected 7, alerts A:80
    correct r1 0        -> corrected -8
    past A 2026-03-10   -> spent 0
    see A               -> spent 0, held 0, left 110, carried 100
  `,
  "nor when what is before it still changes": `
    budget A limit=10 roll=100
    hold r0 5 ttl=24h   -> held
    wait 23h
    post r1 8           -> posted 8, alerts A:50
    extend r0 ttl=24h   -> held
    wait 23h
    extend r0 ttl=24h   -> held
    wait 23h
    extend r0 ttl=24h   -> held
    at 2026-03-14T06:00:00Z
    see A               -> spent 0, held 0, left 37, carried 27
    correct r1 2        -> corrected -6
    see A               -> spent 0, held 0, left 37, carried 27
    release r0          -> released
    see A               -> spent 0, held 0, left 42, carried 32
    past A 2026-03-11   -> spent 2
  `,
  "a period in which nothing was booked yet is opened, and disturbs nothing that is handed over": `
    budget A limit=10 roll=100
    post r0 4           -> posted 4
    at 2026-03-14T10:00:00Z
    post r1 0           -> posted 0
    at 2026-03-18T10:00:00Z
    forget
    past A 2026-03-14   -> nothing
    correct r1 9        -> corrected 9
    past A 2026-03-14   -> spent 9
    crash
    see A               -> spent 0, held 0, left 86, carried 76
    correct r1 3        -> corrected -6
    see A               -> spent 0, held 0, left 86, carried 76
    wait 1d
    see A               -> spent 0, held 0, left 96, carried 86
  `,
  "nor does it where there was a rollover once": `
    budget A limit=10 roll=100
    post r0 4           -> posted 4
    wait 1d
    post r1 0           -> posted 0
    wait 1d
    change A roll=none  -> version 2
    wait 20d
    forget
    correct r1 5        -> corrected 5
    past A 2026-03-11   -> spent 5
    see A               -> spent 0, held 0, left 10
    wait 1d
    see A               -> spent 0, held 0, left 10
  `
})

const post = (request_id: string, more: Partial<SignalParams<"track_usage">> = {}) => ({
  request_id,
  provider: "test",
  model: "dollar",
  prompt_tokens: 10,
  completion_tokens: 0,
  ...more
})

const counts = { prompt_tokens: 4, completion_tokens: 2 }

const told = <Name extends LedgerSignal>(books: Books, name: Name, params: SignalParams<Name>) =>
  Effect.map(books.ask(name, params), Result.getOrThrow)

it.effect("the row says what it adjusts, why, and by how much", () =>
  Effect.gen(function* () {
    const books = new Books()
    const report = post("r1", {
      user_id: "ann",
      tags: { env: "live" },
      latency_ms: 12,
      prompt_tokens_details: { cached_tokens: 6 },
      status: "error"
    })
    const { usage: first } = yield* told(books, "track_usage", report)
    books.now += 1000
    const usage = { ...counts, completion_tokens_details: { reasoning_tokens: 1 } }
    const corrected = yield* told(books, "correct_usage", { request_id: "r1", usage, reason: "It was less" })
    assert.deepInclude(corrected.usage, {
      request_id: "r1",
      attempt: 1,
      user_id: "ann",
      tags: { env: "live" },
      status: "error",
      adjusts: first.id,
      reason: "It was less",
      prompt_tokens: -6,
      completion_tokens: 2,
      total_tokens: -4,
      prompt_tokens_details: { cached_tokens: -6 },
      completion_tokens_details: { reasoning_tokens: 1 },
      booked_at: MORNING,
      recorded_at: MORNING + 1000,
      price_id: first.price_id
    })
    assert.notProperty(corrected.usage, "latency_ms")
    assert.strictEqual(corrected.usage.cost, -4_000_000_000_000n)
    assert.strictEqual(books.rows.usage[1]?.adjustsSeq, 1)
    assert.strictEqual(books.rows.usage[1]?.requests, 0)
  })
)

it.effect("at most a hundred times", () =>
  Effect.gen(function* () {
    const books = new Books()
    yield* told(books, "track_usage", post("r1"))
    const correct = (prompt_tokens: number) =>
      books.ask("correct_usage", {
        request_id: "r1",
        usage: { prompt_tokens, completion_tokens: 0 },
        reason: "again"
      })
    for (let round = 1; round <= 100; round++) yield* correct(10 + round)
    const refused = yield* correct(1)
    assert.isTrue(Result.isFailure(refused))
    if (Result.isFailure(refused)) assert.deepInclude(refused.failure, { reason: "too_many_adjustments" })
    assert.isTrue(Result.isSuccess(yield* correct(110)))
  })
)

it.effect("a key with forced attribution corrects what was used for it, and sees nothing else", () =>
  Effect.gen(function* () {
    const books = new Books()
    yield* told(books, "track_usage", post("r1", { user_id: "ann", tags: { env: "live" } }))
    yield* told(books, "track_usage", post("r2"))
    const by = (attribution: typeof ADMIN.attribution, request_id: string) =>
      Effect.map(
        books.ask(
          "correct_usage",
          { request_id, usage: counts, reason: "it was less" },
          { ...keyNamed("k", ["budget_admin"]), attribution }
        ),
        (answer) => (Result.isSuccess(answer) ? "corrected" : answer.failure._tag)
      )
    assert.strictEqual(yield* by({ user_id: "bob" }, "r1"), "NotFound")
    assert.strictEqual(yield* by({ user_id: "ann", team_id: "red" }, "r1"), "NotFound")
    assert.strictEqual(yield* by({ tags: { env: "test" } }, "r1"), "NotFound")
    assert.strictEqual(yield* by({ user_id: "ann" }, "r2"), "NotFound")
    assert.strictEqual(yield* by({ user_id: "ann", tags: { env: "live" } }, "r1"), "corrected")
    assert.strictEqual(yield* by({}, "r2"), "corrected")
  })
)
