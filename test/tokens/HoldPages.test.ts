/** Pages of open holds: dropped when nothing open is in them, and never kept alive for long by a few. */
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Books } from "./support/Books.ts"
import { checkInvariants } from "./support/Invariants.ts"

const DAY_MS = 86_400_000

/** Opens a hold of a day, not yet written. */
const hold = (books: Books, request_id: string) =>
  Effect.map(
    books.send("check_budget", { request_id, estimated_tokens: 1, hold_ttl_ms: DAY_MS }),
    (answer) => (Result.isSuccess(answer) && answer.success.allowed && answer.success.hold_id) || ""
  )

it.effect("a page goes with its last hold", () =>
  Effect.gen(function* () {
    const books = new Books()
    const ids = [yield* hold(books, "r1"), yield* hold(books, "r2")]
    books.commit()
    for (const [index, hold_id] of ids.entries()) {
      assert.strictEqual(books.rows.pages.size, 1, `before release ${index}`)
      yield* books.ask("release_hold", { hold_id })
    }
    assert.strictEqual(books.rows.pages.size, 0)
    checkInvariants(books, "at the end")
  })
)

it.effect("a hold of a day does not keep what was opened and ended beside it", () =>
  Effect.gen(function* () {
    const books = new Books()
    yield* books.ask("create_budget", {
      name: "B",
      type: "global",
      period: "monthly",
      limit: "1000000",
      measure: "tokens"
    })
    for (let batch = 0; batch < 40; batch++) {
      const ids: Array<string> = []
      for (let n = 0; n < 500; n++) ids.push(yield* hold(books, `r${batch}.${n}`))
      books.commit()
      for (const hold_id of ids.slice(1)) yield* books.send("release_hold", { hold_id })
      books.commit()
    }
    assert.strictEqual(books.ledger.holds.size, 40)
    checkInvariants(books, "with one open hold of each batch")
    const written = [...books.rows.pages.values()].reduce((sum, holds) => sum + holds, 0)
    assert.isAtMost(written, 8_192 + 4 * 40 + 500, "20,000 were written, 40 are open")
  })
)
