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
