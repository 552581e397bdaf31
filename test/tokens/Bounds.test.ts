/** What one tenant can ask of the writer's own time, and what it cannot set. */
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { decodePayload } from "../../src/signal/Decode.ts"
import { Books } from "./support/Books.ts"

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
