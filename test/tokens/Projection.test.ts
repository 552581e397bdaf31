/** Alerts that a budget will be used up before its period ends (signals.md, section 4). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import { Books } from "./support/Books.ts"
import { checkInvariants } from "./support/Invariants.ts"

const DAY = Date.parse("2026-03-10T00:00:00Z")
const HOUR_MS = 3_600_000

const open = (more: Partial<SignalParams<"create_budget">> = {}) =>
  Effect.gen(function* () {
    const books = new Books()
    books.now = DAY
    yield* books.ask("create_budget", { name: "b", type: "global", period: "daily", limit: "100", ...more })
    let requests = 0
    /** Spends `tokens` at an hour of the day; answers what was projected. */
    const spend = (hour: number, tokens: number, user_id = "ann") =>
      Effect.gen(function* () {
        books.now = DAY + hour * HOUR_MS
        const usage = {
          provider: "test",
          model: "dollar",
          prompt_tokens: tokens,
          completion_tokens: 0,
          user_id
        }
        const tracked = yield* books.ask("track_usage", { request_id: `r${++requests}`, ...usage })
        checkInvariants(books, `after ${hour} h`)
        return Result.getOrThrow(tracked).alerts.filter(({ kind }) => kind === "projected")
      })
    return { books, spend }
  })

describe("projected", () => {
  it.effect("is raised once in a period, with when it will be", () =>
    Effect.gen(function* () {
      const { books, spend } = yield* open()
      assert.deepStrictEqual(yield* spend(6, 25), [], "just enough for the day")
      const [alert] = yield* spend(6, 25)
      assert.deepStrictEqual(alert?.data, {
        projected_exhaustion: "2026-03-10T12:00:00.000Z",
        period_end: "2026-03-11T00:00:00.000Z",
        burn_rate_per_hour: "8.333333333333",
        spent: "50",
        limit: "100"
      })
      assert.strictEqual(alert?.severity, "warning")
      books.crash()
      assert.deepStrictEqual(yield* spend(7, 30), [], "it was told")
      const status = Result.getOrThrow(yield* books.ask("get_budget_status", {}))
      assert.deepStrictEqual(status.budgets[0]?.alerts_sent, [50, 80], "it is no threshold")
      assert.strictEqual((yield* spend(24 + 12, 60)).length, 1, "a new day")
    })
  )

  it.effect("says nothing before a tenth of the period has passed or a quarter of it is spent", () =>
    Effect.gen(function* () {
      const early = yield* open()
      assert.deepStrictEqual(yield* early.spend(2.3, 90), [])
      assert.strictEqual((yield* early.spend(2.4, 1)).length, 1)
      const little = yield* open()
      assert.deepStrictEqual(yield* little.spend(3, 24), [])
      assert.strictEqual((yield* little.spend(3, 1)).length, 1)
    })
  )

  it.effect("says nothing of what is used up, of a lifetime, or of an inactive budget", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* (yield* open()).spend(6, 100), [])
      assert.deepStrictEqual(yield* (yield* open({ period: "lifetime" })).spend(6, 50), [])
      assert.deepStrictEqual(yield* (yield* open({ active: false })).spend(6, 50), [])
    })
  )

  it.effect("counts tokens and requests as well, and every standing of a default by itself", () =>
    Effect.gen(function* () {
      const tokens = yield* open({ measure: "tokens" })
      assert.match((yield* tokens.spend(6, 50))[0]?.message ?? "", /50 of 100 tokens spent/u)
      const requests = yield* open({ measure: "requests", limit: "4" })
      assert.deepStrictEqual(yield* requests.spend(6, 1000), [])
      assert.strictEqual((yield* requests.spend(6, 1000)).length, 1)
      const each = yield* open({ type: "user", entity_id: "*" })
      assert.strictEqual((yield* each.spend(6, 50, "ann"))[0]?.data.entity_id, "ann")
      assert.strictEqual((yield* each.spend(6, 50, "bob"))[0]?.data.entity_id, "bob")
    })
  )

  it.effect("get_budget_status says the same of tokens and requests", () =>
    Effect.gen(function* () {
      for (const measure of ["tokens", "requests"] as const) {
        const { books, spend } = yield* open({ measure, limit: "4" })
        yield* spend(6, 1)
        yield* spend(6, 1)
        const { budgets } = Result.getOrThrow(yield* books.ask("get_budget_status", {}))
        assert.strictEqual(budgets[0]?.burn_rate_per_hour, 333_333_333_333n, measure)
        // A burn rate is rounded, and so is when it all ends.
        const at = (budgets[0]?.projected_exhaustion ?? 0) - (DAY + 12 * HOUR_MS)
        assert.isBelow(Math.abs(at), 1_000, measure)
      }
    })
  )
})
