/** Attribution that the configuration requires (signals.md, sections 3 and 7). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import { Books } from "./support/Books.ts"

const call = { provider: "test", model: "dollar" }
const check = (request_id: string, more: Partial<SignalParams<"check_budget">> = {}) => ({
  request_id,
  ...call,
  estimated_prompt_tokens: 1,
  max_completion_tokens: 0,
  ...more
})
const report = (request_id: string, more: Partial<SignalParams<"track_usage">> = {}) => ({
  request_id,
  ...call,
  prompt_tokens: 1,
  completion_tokens: 0,
  ...more
})

const requiring = (...fields: ReadonlyArray<"user_id" | "team_id">) =>
  Effect.gen(function* () {
    const books = new Books()
    const configured = yield* books.ask("configure_manager", { required_attribution: fields })
    assert.deepStrictEqual(Result.getOrThrow(configured).config.required_attribution, fields)
    books.crash()
    return books
  })

describe("required attribution", () => {
  it.effect("a check without it is refused, and names every field that is missing", () =>
    Effect.gen(function* () {
      const books = yield* requiring("user_id", "team_id")
      for (const hold of [true, false]) {
        const answer = yield* books.ask("check_budget", check("r1", { hold }))
        assert.isTrue(Result.isFailure(answer))
        if (Result.isSuccess(answer) || answer.failure._tag !== "InvalidParams") return assert.fail()
        assert.deepStrictEqual(
          answer.failure.issues.map(({ path }) => path),
          [["user_id"], ["team_id"]]
        )
      }
      const half = yield* books.ask("check_budget", check("r1", { user_id: "ann" }))
      assert.isTrue(Result.isFailure(half) && half.failure.message.startsWith("team_id: "))
      const whole = yield* books.ask("check_budget", check("r1", { user_id: "ann", team_id: "red" }))
      assert.isTrue(Result.getOrThrow(whole).allowed)
    })
  )

  it.effect("what was spent is recorded whatever is missing, and told of once for each key", () =>
    Effect.gen(function* () {
      const books = yield* requiring("user_id")
      const alerts = (answer: Effect.Success<ReturnType<typeof track>>) =>
        Result.getOrThrow(answer).alerts.map(({ kind, data }) => [kind, data.missing])
      const track = (params: ReturnType<typeof report>) => books.ask("track_usage", params)
      assert.deepStrictEqual(alerts(yield* track(report("r1"))), [["anomaly", ["user_id"]]])
      assert.deepStrictEqual(alerts(yield* track(report("r2"))), [])
      assert.deepStrictEqual(alerts(yield* track(report("r3", { user_id: "ann" }))), [])
      assert.strictEqual(books.rows.usage.length, 3)
    })
  )

  it.effect("a report has the attribution of its hold; a hold from before it was required goes on", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* books.ask("check_budget", check("r1", { user_id: "ann" }))
      yield* books.ask("check_budget", check("r2"))
      yield* books.ask("configure_manager", { required_attribution: ["user_id"] })
      const again = yield* books.ask("check_budget", check("r2"))
      assert.isTrue(Result.getOrThrow(again).allowed, "an open hold is answered again")
      const first = Result.getOrThrow(yield* books.ask("track_usage", report("r1")))
      assert.deepStrictEqual([first.usage.user_id, first.alerts], ["ann", []])
      const second = Result.getOrThrow(yield* books.ask("track_usage", report("r2")))
      assert.strictEqual(second.usage.cost, 1_000_000_000_000n)
      yield* books.ask("configure_manager", { required_attribution: [] })
      assert.isTrue(Result.getOrThrow(yield* books.ask("check_budget", check("r3"))).allowed)
    })
  )
})
