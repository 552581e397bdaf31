/** Cheaper models in a refusal (signals.md, section 4). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import { formatAmount } from "../../src/signal/Money.ts"
import { Books } from "./support/Books.ts"

const dear = { provider: "anthropic", model: "claude-opus-4-1" }

const alternativesOf = (books: Books, params: Partial<SignalParams<"check_budget">> = {}) =>
  Effect.map(
    books.ask("check_budget", {
      request_id: "r1",
      ...dear,
      estimated_prompt_tokens: 10_000,
      max_completion_tokens: 1_000,
      ...params
    }),
    (answer) => {
      const approval = Result.getOrThrow(answer)
      assert.isFalse(approval.allowed)
      return approval.allowed ? [] : approval.alternatives
    }
  )

const budget = (books: Books, limit: string, more: Partial<SignalParams<"create_budget">> = {}) =>
  books.ask("create_budget", { name: limit, type: "global", period: "daily", limit, ...more })

describe("alternatives", () => {
  it.effect("are of the same provider first, cheaper than the call, and would be admitted", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* budget(books, "0.1")
      const found = yield* alternativesOf(books)
      assert.strictEqual(found.length, 3)
      assert.strictEqual(found[0]?.provider, "anthropic")
      for (const { provider, model, estimated_cost } of found) {
        const instead = { estimated_prompt_tokens: 10_000, max_completion_tokens: 1_000 }
        const checked = yield* books.ask("check_budget", {
          request_id: model,
          provider,
          model,
          ...instead,
          hold: false
        })
        const approval = Result.getOrThrow(checked)
        assert.isTrue(approval.allowed, model)
        assert.strictEqual(approval.estimated_cost, estimated_cost, model)
      }
      const costs = found.filter(({ provider }) => provider === "anthropic").map((it) => it.estimated_cost)
      assert.deepStrictEqual(
        costs,
        costs.toSorted((a, b) => (a < b ? -1 : 1))
      )
      books.crash()
      assert.deepStrictEqual(yield* alternativesOf(books), found, "the same after an activation")
    })
  )

  it.effect("are none where no model would fit, or the call is not priced", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* budget(books, "0")
      assert.deepStrictEqual(yield* alternativesOf(books), [])
      const tokens = new Books()
      yield* budget(tokens, "100", { measure: "tokens" })
      assert.deepStrictEqual(yield* alternativesOf(tokens), [])
      const given = new Books()
      yield* budget(given, "0.1")
      assert.deepStrictEqual(yield* alternativesOf(given, { estimated_cost: "5" }), [])
    })
  )

  it.effect("fit into the budgets that apply to them", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* budget(books, "0.01", { type: "model", entity_id: dear.model })
      const [first] = yield* alternativesOf(books)
      assert.strictEqual(first?.provider, "anthropic")
      yield* budget(books, "0", { type: "model", entity_id: first?.model ?? "" })
      const [second] = yield* alternativesOf(books)
      assert.notStrictEqual(second?.model, first?.model)
      yield* budget(books, "0", { type: "provider", entity_id: "anthropic" })
      const others = yield* alternativesOf(books)
      assert.isAbove(others.length, 0)
      assert.isTrue(others.every(({ provider }) => provider !== "anthropic"))
    })
  )

  it.effect("follow the tenant's own prices", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* budget(books, "0.1")
      const before = yield* alternativesOf(books)
      const own = { provider: "anthropic", model: "claude-ours" }
      const pricing = { prompt_per_million: "0.1", completion_per_million: "0.1" }
      yield* books.ask("update_pricing", { ...own, pricing })
      const [first, ...rest] = yield* alternativesOf(books)
      assert.deepStrictEqual(
        { ...first, estimated_cost: formatAmount(first?.estimated_cost ?? 0n) },
        { ...own, estimated_cost: "0.0011" }
      )
      assert.deepStrictEqual(rest, before.slice(0, 2))
    })
  )
})
