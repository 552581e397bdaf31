/** How many overrides there can be, how they are listed page by page, and who sees which. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { Principal } from "../../src/signal/Principal.ts"
import { listOverrides } from "../../src/tokens/OverrideQuery.ts"
import { expireOverrides } from "../../src/tokens/Overrides.ts"
import { Books, keyNamed, TENANT } from "./support/Books.ts"
import { checkInvariants } from "./support/Invariants.ts"

const ANN = keyNamed("ann")
const BOB = keyNamed("bob", ["budget_admin"])

const makeBudget = (
  books: Books,
  fields: { readonly type?: "team" | "user"; readonly entity_id?: string } = {}
) =>
  Effect.map(
    books.ask("create_budget", { name: "b", type: "global", period: "daily", limit: "1000", ...fields }),
    (answer) => Result.getOrThrow(answer).budget_id
  )

const ask = (books: Books, budget_id: string, principal: Principal = ANN) =>
  books.send("request_override", { budget_id, amount: "1", reason: "more" }, principal)

const idOf = (answer: Effect.Success<ReturnType<typeof ask>>): string => Result.getOrThrow(answer).override_id

const failureOf = (answer: Result.Result<unknown, { readonly _tag: string; readonly message: string }>) =>
  Result.isFailure(answer) ? answer.failure : assert.fail("it was not refused")

describe("bounds", () => {
  it.effect("100 of a budget are pending or in force; one that is settled makes room", () =>
    Effect.gen(function* () {
      const books = new Books()
      const budget = yield* makeBudget(books)
      const first = idOf(yield* ask(books, budget))
      for (let count = 1; count < 100; count++) idOf(yield* ask(books, budget))
      const refused = failureOf(yield* ask(books, budget))
      assert.strictEqual(refused._tag, "Overloaded")
      assert.include(refused.message, "list_overrides")
      yield* books.send("decide_override", { override_id: first, decision: "approve" }, BOB)
      assert.strictEqual(failureOf(yield* ask(books, budget))._tag, "Overloaded", "it is in force")
      const second = `override_${(Number.parseInt(first.slice(9), 36) + 1).toString(36)}`
      yield* books.send("decide_override", { override_id: second, decision: "deny" }, BOB)
      idOf(yield* ask(books, budget))
      books.commit()
      checkInvariants(books, "at the bound")
      books.now = Date.parse("2026-03-11T00:00:00Z")
      idOf(yield* ask(books, budget))
    })
  )

  it.effect("10,000 of a tenant; they end together, in one batch", () =>
    Effect.gen(function* () {
      const books = new Books()
      for (let count = 0; count < 100; count++) {
        const budget = yield* makeBudget(books)
        for (let each = 0; each < 100; each++) idOf(yield* ask(books, budget))
        books.commit()
      }
      const another = yield* makeBudget(books)
      assert.strictEqual(failureOf(yield* ask(books, another))._tag, "Overloaded")
      books.now = Date.parse("2026-03-11T00:00:00Z")
      expireOverrides(books.ledger, books.now)
      books.commit()
      assert.isTrue([...books.rows.overrides.values()].every(({ status }) => status === "expired"))
      idOf(yield* ask(books, another))
    })
  )

  it.effect("few of those that are settled stay in memory, and none that is not committed goes", () =>
    Effect.gen(function* () {
      const books = new Books()
      const budget = yield* makeBudget(books)
      const ids: Array<string> = []
      for (let count = 0; count < 1_200; count++) {
        const override_id = idOf(yield* ask(books, budget))
        ids.push(override_id)
        yield* books.send("decide_override", { override_id, decision: "deny" }, BOB)
      }
      const known = () => ids.filter((id) => books.ledger.overrides.get(id) !== undefined).length
      assert.strictEqual(known(), 1_200)
      books.commit()
      assert.strictEqual(known(), 1_000)
      const again = { override_id: ids[0] ?? "", decision: "approve" } as const
      assert.strictEqual(failureOf(yield* books.ask("decide_override", again, BOB))._tag, "Conflict")
    })
  )
})

describe("list_overrides", () => {
  const list = (
    books: Books,
    params: { readonly limit?: number; readonly cursor?: string | null },
    who = BOB
  ) => {
    const { limit = 100, cursor } = params
    const payload = { limit, ...(cursor == null ? {} : { cursor }) }
    return listOverrides(books.store, TENANT, payload, who, books.now)
  }

  it.effect("pages that later requests and decisions neither shift nor repeat", () =>
    Effect.gen(function* () {
      const books = new Books()
      const budget = yield* makeBudget(books)
      const ids: Array<string> = []
      for (let count = 0; count < 5; count++) ids.unshift(idOf(yield* ask(books, budget)))
      books.commit()
      const first = yield* list(books, { limit: 2 })
      yield* books.ask("request_override", { budget_id: budget, amount: "1", reason: "late" }, ANN)
      yield* books.ask("decide_override", { override_id: ids[3] ?? "", decision: "approve" }, BOB)
      const second = yield* list(books, { limit: 2, cursor: first.next_cursor })
      const third = yield* list(books, { limit: 2, cursor: second.next_cursor })
      const pages = [first, second, third].map(({ items }) => items.map(({ id }) => id))
      assert.deepStrictEqual(pages, [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)])
      assert.strictEqual(third.next_cursor, null)
      assert.strictEqual(second.items[1]?.status, "approved")
    })
  )

  it.effect("a cursor belongs to its filter", () =>
    Effect.gen(function* () {
      const books = new Books()
      const budget = yield* makeBudget(books)
      for (let count = 0; count < 3; count++) yield* ask(books, budget)
      books.commit()
      const { next_cursor } = yield* list(books, { limit: 1 })
      const other = { limit: 1, status: "pending", cursor: next_cursor ?? "" } as const
      for (const payload of [other, { limit: 1, cursor: "bm90aGluZw" }, { limit: 1, cursor: "" }]) {
        const refused = yield* Effect.flip(listOverrides(books.store, TENANT, payload, BOB, books.now))
        assert.strictEqual(refused._tag, "InvalidParams")
      }
    })
  )

  it.effect("a key with forced attribution asks for, decides and sees what it covers", () =>
    Effect.gen(function* () {
      const books = new Books()
      const all = yield* makeBudget(books)
      const red = yield* makeBudget(books, { type: "team", entity_id: "red" })
      const blue = yield* makeBudget(books, { type: "team", entity_id: "blue" })
      const ofRed = (who: Principal): Principal => ({ ...who, attribution: { team_id: "red" } })
      for (const budget of [all, blue]) {
        assert.strictEqual(failureOf(yield* ask(books, budget, ofRed(ANN)))._tag, "NotFound")
      }
      const own = idOf(yield* ask(books, red, ofRed(ANN)))
      const others = [idOf(yield* ask(books, all)), idOf(yield* ask(books, blue))]
      books.commit()
      assert.deepStrictEqual(
        (yield* list(books, {}, ofRed(BOB))).items.map(({ id }) => id),
        [own]
      )
      assert.lengthOf((yield* list(books, {})).items, 3)
      const tagged = { ...BOB, attribution: { tags: { env: "prod" } } }
      assert.lengthOf((yield* list(books, {}, tagged)).items, 0)
      for (const override_id of others) {
        const decided = yield* books.ask("decide_override", { override_id, decision: "deny" }, ofRed(BOB))
        assert.strictEqual(failureOf(decided)._tag, "NotFound")
      }
      Result.getOrThrow(
        yield* books.ask("decide_override", { override_id: own, decision: "approve" }, ofRed(BOB))
      )
    })
  )
})
