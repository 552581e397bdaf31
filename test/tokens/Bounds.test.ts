/** What one tenant can ask of the writer's own time, and what it cannot set. */
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { decodePayload } from "../../src/signal/Decode.ts"
import { HOLDS_OF_KEY_MAX } from "../../src/tokens/Holding.ts"
import { Books, keyNamed } from "./support/Books.ts"

it("a call is always held for some output", () => {
  assert.isTrue(Result.isFailure(decodePayload("configure_manager", { default_completion_tokens: 0 })))
  assert.isTrue(Result.isSuccess(decodePayload("configure_manager", { default_completion_tokens: 1 })))
})

it.effect("a thousand budgets are answered; one more has to be asked for by name", () =>
  Effect.gen(function* () {
    const books = new Books()
    const make = (entity_id: string) =>
      books.ask("create_budget", { name: "B", type: "user", entity_id, period: "daily", limit: "1" })
    for (let user = 0; user < 1_000; user++) yield* make(`u${user}`)
    const all = yield* books.ask("get_budget_status", {})
    assert.lengthOf(Result.isSuccess(all) ? all.success.budgets : [], 1_000)
    yield* make("one more")
    const tooMany = yield* books.ask("get_budget_status", { type: "user" })
    assert.strictEqual(Result.isFailure(tooMany) ? tooMany.failure._tag : "answered", "InvalidParams")
    const named = yield* books.ask("get_budget_status", { type: "user", entity_id: "one more" })
    assert.lengthOf(Result.isSuccess(named) ? named.success.budgets : [], 1)
  })
)

it.effect("one key has no more than so many open holds, also after an activation; others go on", () =>
  Effect.gen(function* () {
    const books = new Books()
    const check = { provider: "test", model: "free", estimated_prompt_tokens: 1, max_completion_tokens: 0 }
    const hold = (request_id: string, key: string) =>
      books.send("check_budget", { request_id, ...check }, keyNamed(key))
    for (let count = 0; count < HOLDS_OF_KEY_MAX; count++) yield* hold(`r${count}`, "greedy")
    books.commit()
    for (const isReloaded of [false, true]) {
      if (isReloaded) books.crash()
      const refused = yield* hold("one more", "greedy")
      assert.isTrue(Result.isFailure(refused) && refused.failure._tag === "Overloaded")
      assert.isTrue(Result.isSuccess(yield* hold("r7", "greedy")), "what is held is answered again")
      assert.isTrue(Result.isSuccess(yield* hold(`other ${isReloaded}`, "modest")))
      books.commit()
    }
    const counts = { provider: "test", model: "free", prompt_tokens: 1, completion_tokens: 0 }
    yield* books.ask("track_usage", { request_id: "r7", ...counts }, keyNamed("greedy"))
    assert.isTrue(Result.isSuccess(yield* hold("one more", "greedy")))
  })
)
