/** When a refused call may ask again: soon where money is only held, at the next period where it is spent, never where waiting does not help. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Books } from "./support/Books.ts"

const DAILY = { name: "day", type: "global", period: "daily", limit: "0.05" } as const
const SOON_MS = 5_000

const refusedOf = (books: Books, request_id: string, estimated_cost: string) =>
  Effect.map(books.ask("check_budget", { request_id, estimated_cost }), (answer) => {
    const approval = Result.getOrThrow(answer)
    if (approval.allowed) throw new Error("it was allowed")
    return approval
  })

describe("retry_at", () => {
  it.effect("is soon where what is held by others would be enough, and the reason says how much", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* books.ask("create_budget", DAILY)
      yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "0.045" })
      const held = yield* refusedOf(books, "r2", "0.045")
      assert.strictEqual(held.retry_at, books.now + SOON_MS)
      assert.include(held.reason, "0.045 USD is held by calls on their way")
    })
  )

  it.effect("is not later than the end of the period", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* books.ask("create_budget", DAILY)
      const midnight = Math.ceil(books.now / 86_400_000) * 86_400_000
      books.now = midnight - 1_000
      yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "0.045" })
      assert.strictEqual((yield* refusedOf(books, "r2", "0.045")).retry_at, midnight)
    })
  )

  it.effect("is soon in a budget that never begins anew, and late where another one is spent", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* books.ask("create_budget", { ...DAILY, period: "lifetime" })
      yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "0.045" })
      assert.strictEqual((yield* refusedOf(books, "r2", "0.01")).retry_at, books.now + SOON_MS)
      yield* books.ask("create_budget", { ...DAILY, limit: "0.01" })
      assert.isNull((yield* refusedOf(books, "r2", "0.02")).retry_at)
    })
  )

  it.effect("is never where a call asks for more than there is in all, and the reason says so", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* books.ask("create_budget", DAILY)
      yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "0.045" })
      const never = yield* refusedOf(books, "r2", "0.051")
      assert.isNull(never.retry_at)
      assert.include(never.reason, "waiting does not help")
      assert.notInclude(never.reason, "on their way")
    })
  )

  it.effect(
    "of a refused extension is soon where others hold what is missing, and never where no others do",
    () =>
      Effect.gen(function* () {
        const books = new Books()
        yield* books.ask("create_budget", DAILY)
        const own = Result.getOrThrow(
          yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "0.03", hold_ttl_ms: 60_000 })
        )
        if (!own.allowed || own.hold_id === undefined) throw new Error("no hold")
        const { hold_id } = own
        const extend = Effect.map(books.ask("extend_hold", { hold_id, by: { cost: "0.03" } }), (answer) => {
          const approval = Result.getOrThrow(answer)
          if (approval.allowed) throw new Error("it was allowed")
          return approval
        })
        const alone = yield* extend
        assert.isNull(alone.retry_at)
        assert.notInclude(alone.reason, "on their way")
        yield* books.ask("check_budget", { request_id: "r2", estimated_cost: "0.01" })
        assert.isNull((yield* extend).retry_at, "all that others hold would not be enough")
        yield* books.ask("release_hold", { hold_id })
        const second = yield* books.ask("check_budget", { request_id: "r3", estimated_cost: "0.01" })
        const held = Result.getOrThrow(second)
        if (!held.allowed || held.hold_id === undefined) throw new Error("no hold")
        yield* books.ask("check_budget", { request_id: "r4", estimated_cost: "0.03" })
        const more = { hold_id: held.hold_id, by: { cost: "0.02" } }
        const soon = Result.getOrThrow(yield* books.ask("extend_hold", more))
        assert.deepInclude(soon, { allowed: false, retry_at: books.now + SOON_MS })
        assert.include(soon.allowed ? "" : soon.reason, "0.04 USD is held by calls on their way")
        books.now += 600_000 - SOON_MS
        const late = Result.getOrThrow(yield* books.ask("extend_hold", more))
        assert.deepInclude(late, { allowed: false, retry_at: null }, "its own hold has ended by then")
      })
  )
})
