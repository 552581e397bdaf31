/** Making and changing budgets, and the alerts they send (signals.md, section 4). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { DEFAULT_OVERRIDE_POLICY } from "../../src/signal/Budget.ts"
import { Books, keyNamed } from "./support/Books.ts"
import { stories } from "./support/Story.ts"

stories("create_budget", {
  "what was spent and is held in the current period counts from the start": `
    post r1 10 team=red        -> posted 10
    post r2 5 team=blue        -> posted 5
    hold r3 20 team=red        -> held
    hold r4 3 team=blue        -> held
    budget A limit=100         -> spent 15, held 23
    budget R type=team id=red limit=100 -> spent 10, held 20
    budget T type=team id=red measure=tokens limit=100 -> spent 10, held 20
    budget Q type=team id=red measure=requests limit=100 -> spent 1, held 1
    budget X type=team id=green limit=100 -> spent 0, held 0
    post r3 8                  -> posted 8
    see A                      -> spent 23, held 3, left 74
    see R                      -> spent 18, held 0, left 82
    see Q                      -> spent 2, held 0, left 98
  `,
  "a hold that an attempt has used already counts with what is left of it": `
    hold r1 10                 -> held
    post r1 4 settle=no        -> posted 4
    budget A limit=100         -> spent 4, held 6
    budget T measure=tokens limit=100 -> spent 4, held 6
    budget Q measure=requests limit=100 -> spent 1, held 0
    extend r1 tokens=1         -> held
    see A                      -> spent 4, held 7, left 89
    release r1                 -> released
    see A                      -> spent 4, held 0, left 96
  `,
  "spending of another period does not count": `
    at 2026-03-09T23:59:59.999Z
    post r1 10                 -> posted 10
    hold r2 20 ttl=1h          -> held
    at 2026-03-10T00:00:00Z
    post r3 1                  -> posted 1
    budget D period=daily      -> spent 1, held 0
    budget W period=weekly     -> spent 11, held 20
    budget H period=hourly     -> spent 1, held 0
    budget L period=lifetime   -> spent 11, held 20
  `,
  "holds of models and providers count in budgets about them": `
    hold r1 10 provider=p model=m cost=10 -> held
    hold r2 5 provider= model= cost=5 -> held
    budget P type=provider id=p -> spent 0, held 10
    budget M type=model id=m    -> spent 0, held 10
    budget N type=model id=n    -> spent 0, held 0
  `,
  "thresholds that were reached before are not told": `
    post r1 85                 -> posted 85
    budget A limit=100         -> spent 85, held 0, told 50/80
    post r2 5                  -> posted 5, alerts A:90
    alerts                     -> threshold A 90
  `,
  "what makes no sense is refused": `
    budget A type=team         -> InvalidParams entity_id
    budget A type=global id=x  -> InvalidParams entity_id
    budget A limit=-1          -> InvalidParams limit
    budget A limit=1.5 measure=tokens   -> InvalidParams limit
    budget A limit=1.5 measure=requests -> InvalidParams limit
    budget A alerts=0          -> InvalidParams alert_thresholds.0
    budget A period=fortnightly -> InvalidParams period
    budget A limit=1.5         -> spent 0, held 0
  `,
  "the same command again makes no second budget": `
    budget A limit=10 command=c1 -> spent 0, held 0
    post r1 4                  -> posted 4
    budget A limit=10 command=c1 -> spent 0, held 0
    budget A limit=11 command=c1 -> Conflict request_reused_with_different_content
    see A                      -> spent 4, held 0, left 6
  `
})

stories("update_budget", {
  "lowering a limit revokes no hold": `
    budget A limit=10
    hold r1 8           -> held
    change A limit=5    -> version 2
    see A               -> spent 0, held 8, left -3
    hold r2 1           -> refused A by 4
    post r1 8           -> posted 8, alerts A:50 A:80 A:90 A:100
    see A               -> spent 8, held 0, left -3
  `,
  "a version that has moved on is a conflict": `
    budget A limit=10
    change A limit=11 version=1 -> version 2
    change A limit=12 version=1 -> Conflict version_changed
    change A limit=12 version=2 -> version 3
    see A               -> spent 0, held 0, left 12
    change nowhere limit=1 -> NotFound
  `,
  "a command that is sent again": `
    budget A limit=10
    change A limit=11 command=c1 -> version 2
    change A limit=11 command=c1 -> version 2
    change A limit=12 command=c1 -> Conflict request_reused_with_different_content
    change A limit=12 command=c2 -> version 3
    change A limit=11 command=c1 -> version 2
    see A               -> spent 0, held 0, left 12
  `,
  "a refused command can be sent again": `
    change nowhere limit=1 command=c1 -> NotFound
    budget A limit=10 command=c1 -> spent 0, held 0
    hold r1 5           -> held
    extend r1 tokens=6 command=c2 -> refused A by 1
    change A limit=11   -> version 2
    extend r1 tokens=6 command=c2 -> held
    extend r1 tokens=6 command=c2 -> held
    see A               -> spent 0, held 11, left 0
  `,
  "whole numbers of tokens": `
    budget T limit=10 measure=tokens
    change T limit=1.5  -> InvalidParams updates.limit
    change T limit=12   -> version 2
  `,
  "from soft to hard": `
    budget A limit=10 mode=soft
    hold r1 11          -> held, warns A
    change A mode=hard  -> version 2
    hold r2 1           -> refused A by 2
  `
})

stories("alerts", {
  "once for each threshold and period, the lowest first": `
    budget A limit=100
    post r1 49          -> posted 49
    post r2 1           -> posted 1, alerts A:50
    post r3 29          -> posted 29
    post r4 16          -> posted 16, alerts A:80 A:90
    post r5 5           -> posted 5, alerts A:100
    post r6 50          -> posted 50
    alerts              -> threshold A 50, threshold A 80, threshold A 90, exceeded A 100
    wait 1d
    post r7 50          -> posted 50, alerts A:50
    alerts              -> threshold A 50
  `,
  "a raised limit does not send an alert twice": `
    budget A limit=100
    post r1 85          -> posted 85, alerts A:50 A:80
    change A limit=200  -> version 2
    post r2 30          -> posted 30
    post r3 50          -> posted 50
    post r4 15          -> posted 15, alerts A:90
    alerts              -> threshold A 50, threshold A 80, threshold A 90
  `,
  "exactly at a threshold, and one unit below it": `
    budget A limit=0.000000000010 alerts=50
    hold h1 cost=0.000000000004 -> held
    release h1          -> released
    budget T limit=3 measure=tokens alerts=33/34/67
    post r1 1           -> posted 1, alerts A:50 A:100 T:33
    post r2 1           -> posted 1, alerts T:34
    post r3 1           -> posted 1, alerts T:67 T:100
  `,
  "thresholds past all of it": `
    budget A limit=10 alerts=120/100
    post r1 10          -> posted 10, alerts A:100
    post r2 1           -> posted 1
    post r3 1           -> posted 1, alerts A:120
    alerts              -> exceeded A 100, threshold A 120
  `,
  "no thresholds: only that it is used up": `
    budget A limit=10 alerts=
    post r1 9           -> posted 9
    post r2 1           -> posted 1, alerts A:100
  `,
  "held money sends no alert": `
    budget A limit=10
    hold r1 10          -> held
    alerts              ->
  `,
  "an inactive budget sends none; once active it tells with the next usage": `
    budget A limit=10 mode=inactive
    post r1 6           -> posted 6
    alerts              ->
    change A active=yes -> version 2
    post r2 1           -> posted 1, alerts A:50
  `,
  "late usage alerts in its own period": `
    budget A limit=10
    at 2026-03-11T00:10:00Z
    post r1 6           -> posted 6, alerts A:50
    post r2 6 when=2026-03-10T23:00:00Z -> posted 6, alerts A:50
    post r3 1           -> posted 1
    see A               -> spent 7, held 0, left 3
  `
})

describe("the unpriced alert", () => {
  it.effect("is raised once for each model", () =>
    Effect.gen(function* () {
      const books = new Books()
      const told: Array<number> = []
      for (const [request_id, model] of [
        ["r1", "nameless"],
        ["r2", "nameless"],
        ["r3", "another"],
        ["r4", "another"]
      ] as const) {
        const answer = yield* books.ask("track_usage", {
          request_id,
          provider: "test",
          model,
          prompt_tokens: 1,
          completion_tokens: 1
        })
        told.push(Result.getOrThrow(answer).alerts.length)
      }
      assert.deepStrictEqual(told, [1, 0, 1, 0])
    })
  )
})

describe("get_budget_status", () => {
  const statuses = (books: Books, params: object, principal = keyNamed("reader", ["analyst"])) =>
    Effect.map(
      books.ask("get_budget_status", params, principal),
      (answer) => Result.getOrThrow(answer).budgets
    )

  const someBudgets = Effect.gen(function* () {
    const books = new Books()
    for (const [name, rest] of [
      ["all", { type: "global" }],
      ["red", { type: "team", entity_id: "red" }],
      ["blue", { type: "team", entity_id: "blue" }],
      ["ann", { type: "user", entity_id: "ann", active: false }]
    ] as const) {
      yield* books.ask("create_budget", { name, limit: "100", period: "daily", ...rest })
    }
    return books
  })

  it.effect("lesson 21: every filter, with and without", () =>
    Effect.gen(function* () {
      const books = yield* someBudgets
      const names = (params: object) =>
        Effect.map(statuses(books, params), (found) => found.map(({ name }) => name).join(" "))
      assert.strictEqual(yield* names({}), "all red blue")
      assert.strictEqual(yield* names({ include_inactive: true }), "all red blue ann")
      assert.strictEqual(yield* names({ type: "team" }), "red blue")
      assert.strictEqual(yield* names({ type: "team", entity_id: "blue" }), "blue")
      assert.strictEqual(yield* names({ entity_id: "red" }), "red")
      assert.strictEqual(yield* names({ type: "user" }), "")
      assert.strictEqual(yield* names({ budget_id: "budget_4" }), "ann")
    })
  )

  it.effect("a key with forced attribution sees its own; the others do not exist", () =>
    Effect.gen(function* () {
      const books = yield* someBudgets
      const red = { ...keyNamed("red", ["app"]), attribution: { team_id: "red" } }
      const seen = yield* statuses(books, {}, red)
      assert.deepStrictEqual(
        seen.map(({ name }) => name),
        ["red"]
      )
      const foreign = yield* books.ask("get_budget_status", { budget_id: "budget_3" }, red)
      const never = yield* books.ask("get_budget_status", { budget_id: "budget_99" }, red)
      assert.isTrue(Result.isFailure(foreign) && Result.isFailure(never))
      const errorOf = (answer: typeof foreign, id: string) =>
        Result.isFailure(answer) ? JSON.stringify(answer.failure).replaceAll(id, "ID") : ""
      assert.strictEqual(errorOf(foreign, "budget_3"), errorOf(never, "budget_99"))
    })
  )

  it.effect("says how fast it is spent, when that will be all, and how many holds are open", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* books.ask("create_budget", { name: "a", type: "global", limit: "100", period: "daily" })
      const [idle] = yield* statuses(books, {})
      assert.strictEqual(idle?.projected_exhaustion, null)
      yield* books.ask("track_usage", {
        request_id: "r1",
        provider: "test",
        model: "dollar",
        prompt_tokens: 50,
        completion_tokens: 0
      })
      yield* books.ask("check_budget", { request_id: "r2", estimated_cost: "10" })
      const [budget] = yield* statuses(books, {})
      assert.strictEqual(budget?.burn_rate_per_hour, 5_000_000_000_000n)
      assert.strictEqual(budget?.projected_exhaustion, Date.parse("2026-03-10T18:00:00Z"))
      assert.strictEqual(budget?.open_holds, 1)
      assert.strictEqual(budget?.state, "warning")
    })
  )

  it.effect("an exhaustion beyond the calendar is none", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* books.ask("create_budget", { name: "a", type: "global", limit: "1000000", period: "lifetime" })
      yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "0.01" })
      books.now += 3_600_000
      yield* books.ask("track_usage", {
        request_id: "r2",
        provider: "test",
        model: "dollar",
        prompt_tokens: 1,
        completion_tokens: 0
      })
      for (let day = 0; day < 12; day++) {
        books.now += 30 * 86_400_000
        const [budget] = yield* statuses(books, {})
        assert.isTrue(budget !== undefined, "the status can be written down")
      }
    })
  )
})

describe("an override_policy", () => {
  const DAILY = { name: "a", type: "global", limit: "100", period: "daily" } as const

  it.effect("that says a part of it has the rest from the default, and later from what it was", () =>
    Effect.gen(function* () {
      const books = new Books()
      const create = { ...DAILY, override_policy: { max_override_percentage: 10 } }
      const made = Result.getOrThrow(yield* books.ask("create_budget", create))
      assert.deepStrictEqual(made.budget.override_policy, {
        requires_approval: true,
        approvers: ["budget_admin"],
        max_override_percentage: 10,
        notification_required: true
      })
      const updates = { override_policy: { approvers: ["ann"], requires_approval: false } }
      const { budget_id } = made
      const { budget } = Result.getOrThrow(yield* books.ask("update_budget", { budget_id, updates }))
      assert.deepStrictEqual(budget.override_policy, {
        requires_approval: false,
        approvers: ["ann"],
        max_override_percentage: 10,
        notification_required: true
      })
    })
  )

  it.effect("that says nothing is the default, and changes nothing", () =>
    Effect.gen(function* () {
      const books = new Books()
      const create = { ...DAILY, override_policy: {} }
      const made = Result.getOrThrow(yield* books.ask("create_budget", create))
      assert.deepStrictEqual(made.budget.override_policy, DEFAULT_OVERRIDE_POLICY)
      const updates = { override_policy: {} }
      const { budget_id } = made
      const { budget } = Result.getOrThrow(yield* books.ask("update_budget", { budget_id, updates }))
      assert.deepStrictEqual(budget.override_policy, DEFAULT_OVERRIDE_POLICY)
    })
  )
})
