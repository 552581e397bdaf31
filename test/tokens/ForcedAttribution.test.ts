/** A key that always has its own attribution neither settles nor sees what was held for another. */
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Books, keyNamed } from "./support/Books.ts"

const forced = (keyId: string, user_id: string) => ({ ...keyNamed(keyId), attribution: { user_id } })

it.effect("a report under somebody else's request changes nothing, and shows nothing", () =>
  Effect.gen(function* () {
    const books = new Books()
    const model = { provider: "test", model: "dollar" }
    yield* books.ask("create_budget", {
      name: "Ann",
      type: "user",
      entity_id: "ann",
      period: "daily",
      limit: "10"
    })
    const estimate = { estimated_prompt_tokens: 6, max_completion_tokens: 0 }
    yield* books.ask(
      "check_budget",
      { request_id: "r1", ...model, ...estimate, user_id: "ann" },
      forced("k1", "ann")
    )
    const counts = { prompt_tokens: 2, completion_tokens: 0 }
    const report = { request_id: "r1", ...model, ...counts }
    const foreign = yield* books.ask("track_usage", { ...report, user_id: "bob" }, forced("k2", "bob"))
    assert.isTrue(Result.isFailure(foreign))
    if (Result.isFailure(foreign)) {
      assert.strictEqual(foreign.failure._tag, "Conflict")
      assert.notInclude(foreign.failure.message, "ann")
    }
    const own = yield* books.ask("track_usage", { ...report, user_id: "ann" }, forced("k1", "ann"))
    assert.isTrue(Result.isSuccess(own))
  })
)

const DOLLAR = { provider: "test", model: "dollar" }

const failureOf = (answer: Result.Result<unknown, { readonly _tag: string; readonly message: string }>) =>
  Result.isFailure(answer) ? answer.failure : assert.fail("it was not refused")

it.effect("what was held for nobody in particular is not settled by a key that is forced to somebody", () =>
  Effect.gen(function* () {
    const books = new Books()
    const estimate = { estimated_prompt_tokens: 6, max_completion_tokens: 0 }
    yield* books.ask("check_budget", { request_id: "r1", ...DOLLAR, ...estimate }, keyNamed("service"))
    const report = { request_id: "r1", ...DOLLAR, prompt_tokens: 2, completion_tokens: 0 }
    const foreign = yield* books.ask("track_usage", { ...report, user_id: "bob" }, forced("k2", "bob"))
    assert.strictEqual(failureOf(foreign)._tag, "Conflict")
    assert.strictEqual(books.ledger.request("r1")?.hold?.state, "held")
    const own = yield* books.ask("track_usage", report, keyNamed("service"))
    assert.isTrue(Result.isSuccess(own))
  })
)

it.effect(
  "a command of the same words from a key that is forced to somebody else is not answered with the first",
  () =>
    Effect.gen(function* () {
      const books = new Books()
      const made = yield* books.ask("create_budget", {
        name: "everybody",
        type: "user",
        entity_id: "*",
        period: "daily",
        limit: "10"
      })
      const { budget_id } = Result.getOrThrow(made)
      const wish = { request_id: "q1", budget_id, amount: "2", reason: "more" }
      const first = Result.getOrThrow(yield* books.ask("request_override", wish, forced("k1", "ann")))
      for (const isReloaded of [false, true]) {
        if (isReloaded) books.crash()
        const foreign = failureOf(yield* books.ask("request_override", wish, forced("k2", "bob")))
        assert.strictEqual(foreign._tag, "Conflict")
        assert.notInclude(foreign.message, "ann")
        const again = yield* books.ask("request_override", wish, forced("k3", "ann"))
        assert.deepStrictEqual(Result.getOrThrow(again), first)
      }
      const own = yield* books.ask("request_override", { ...wish, request_id: "q2" }, forced("k2", "bob"))
      assert.strictEqual(Result.getOrThrow(own).override.entity_id, "bob")
    })
)

it.effect(
  "a request that was used for somebody else is neither held for nor reported again, in any attempt",
  () =>
    Effect.gen(function* () {
      const books = new Books()
      const made = {
        name: "bob",
        type: "user",
        entity_id: "bob",
        period: "daily",
        measure: "requests"
      } as const
      yield* books.ask("create_budget", { ...made, limit: "1" })
      const report = { request_id: "r1", ...DOLLAR, prompt_tokens: 2, completion_tokens: 0 }
      const held = yield* books.ask("check_budget", { request_id: "r1", ...DOLLAR, user_id: "ann" })
      const answer = Result.getOrThrow(held)
      const hold_id = answer.allowed ? (answer.hold_id ?? "") : assert.fail("it was refused")
      yield* books.ask("track_usage", { ...report, user_id: "ann", settle: false })
      yield* books.ask("release_hold", { hold_id })
      const bob = forced("k2", "bob")
      // Otherwise its calls would be attempts of a request that counts already.
      const again = yield* books.ask("check_budget", { request_id: "r1", ...DOLLAR, user_id: "bob" }, bob)
      assert.strictEqual(failureOf(again)._tag, "Conflict")
      yield* books.ask("track_usage", { ...report, request_id: "r2", user_id: "ann" })
      for (const request_id of ["r1", "r2"]) {
        const second = { ...report, request_id, attempt: 2, user_id: "bob" }
        assert.strictEqual(failureOf(yield* books.ask("track_usage", second, bob))._tag, "Conflict")
      }
      const own = yield* books.ask(
        "track_usage",
        { ...report, attempt: 2, user_id: "ann" },
        forced("k1", "ann")
      )
      assert.isTrue(Result.isSuccess(own))
    })
)
