/** The ledger of a tenant that anonymises its users takes none of their own ids, whatever the doors know. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import { pseudonymOf } from "../../src/signal/Pseudonym.ts"
import type { LedgerSignal } from "../../src/tokens/Decide.ts"
import { ADMIN, Books, keyNamed } from "./support/Books.ts"

const ANON = pseudonymOf("0123456789abcdef".repeat(3))
const CALL = { provider: "test", model: "dollar" }
const ESTIMATE = { estimated_prompt_tokens: 1, max_completion_tokens: 0 }
const COUNTS = { prompt_tokens: 1, completion_tokens: 0 }
const BUDGET = { name: "n", period: "daily", limit: "10" } as const

type Named = { readonly [Name in LedgerSignal]?: (user: string) => SignalParams<Name> }

/** What names a user: each is refused with an own id, and answered with a pseudonym. */
const NAMES_USER: Named = {
  check_budget: (user_id) => ({ request_id: "r1", ...CALL, ...ESTIMATE, user_id }),
  track_usage: (user_id) => ({ request_id: "r2", ...CALL, ...COUNTS, user_id }),
  create_budget: (entity_id) => ({ ...BUDGET, type: "user", entity_id }),
  get_budget_status: (entity_id) => ({ type: "user", entity_id }),
  request_override: (entity_id) => ({ budget_id: "budget_1", entity_id, amount: "1", reason: "more" })
}

/** What does not, though it looks similar. */
const NAMES_NOBODY: ReadonlyArray<readonly [LedgerSignal, object]> = [
  ["create_budget", { ...BUDGET, type: "team", entity_id: "ann" }],
  ["create_budget", { ...BUDGET, type: "user", entity_id: "*" }],
  ["get_budget_status", { type: "team", entity_id: "ann" }],
  ["get_budget_status", {}],
  ["check_budget", { request_id: "r3", ...CALL, ...ESTIMATE, team_id: "ann", agent: "ann" }],
  ["track_usage", { request_id: "r4", ...CALL, ...COUNTS }]
]

const anonymising = Effect.gen(function* () {
  const books = new Books()
  yield* books.ask("create_budget", { ...BUDGET, type: "user", entity_id: "*" })
  yield* books.ask("configure_manager", { anonymize_users: true })
  return books
})

const outcome = (answer: Result.Result<unknown, { readonly _tag: string }>): string =>
  Result.isSuccess(answer) ? "ok" : answer.failure._tag

describe("in a tenant that anonymises its users", () => {
  for (const [name, paramsOf] of Object.entries(NAMES_USER) as unknown as ReadonlyArray<
    [LedgerSignal, (user: string) => never]
  >) {
    it.effect(`${name} is refused for a user's own id, and answered for a pseudonym`, () =>
      Effect.gen(function* () {
        const books = yield* anonymising
        const before = books.ledger.head
        const refused = yield* books.ask(name, paramsOf("ann"))
        assert.strictEqual(outcome(refused), "Unavailable")
        assert.deepStrictEqual(books.ledger.head, before)
        assert.strictEqual(outcome(yield* books.ask(name, paramsOf(ANON))), "ok")
        const { usage, open, budgets, periods } = books.rows
        const kept = [usage, ...[open, budgets, periods].map((rows) => [...rows])]
        assert.notInclude(JSON.stringify(kept, bigints), '"ann"')
      })
    )
  }

  for (const [name, params] of NAMES_NOBODY) {
    it.effect(`${name} ${JSON.stringify(params)} names no user`, () =>
      Effect.gen(function* () {
        const books = yield* anonymising
        assert.strictEqual(outcome(yield* books.ask(name, params as never)), "ok")
      })
    )
  }

  it.effect("a key that is forced to a user's own id is refused, whatever it asks", () =>
    Effect.gen(function* () {
      const books = yield* anonymising
      const forced = { ...keyNamed("k", ["admin"]), attribution: { user_id: "ann" } }
      assert.strictEqual(outcome(yield* books.ask("get_pricing", {}, forced)), "Unavailable")
      const disguised = { ...forced, attribution: { user_id: ANON } }
      assert.strictEqual(outcome(yield* books.ask("get_pricing", {}, disguised)), "ok")
    })
  )

  it.effect("nothing changes this again, also after a restart", () =>
    Effect.gen(function* () {
      const books = yield* anonymising
      books.crash()
      const back = yield* books.ask("configure_manager", { anonymize_users: false })
      assert.isTrue(Result.isFailure(back) && back.failure._tag === "Conflict")
      assert.isTrue(
        Result.isFailure(back) && "reason" in back.failure && back.failure.reason === "users_are_anonymised"
      )
      assert.strictEqual(outcome(yield* books.ask("configure_manager", { anonymize_users: true })), "ok")
      assert.isTrue(books.ledger.config.anonymize_users)
    })
  )
})

describe("anonymising cannot begin", () => {
  const table: ReadonlyArray<readonly [string, LedgerSignal, object]> = [
    ["a user has a budget", "create_budget", { ...BUDGET, type: "user", entity_id: "ann" }],
    ["a user stands in a default", "track_usage", { request_id: "r1", ...CALL, ...COUNTS, user_id: "ann" }],
    ["a hold is open for a user", "check_budget", { request_id: "r1", ...CALL, ...ESTIMATE, user_id: "ann" }]
  ]
  for (const [when, name, params] of table) {
    it.effect(`while ${when} under an own id, which would not count for the pseudonym`, () =>
      Effect.gen(function* () {
        const books = new Books()
        if (name === "track_usage")
          yield* books.ask("create_budget", { ...BUDGET, type: "user", entity_id: "*" })
        assert.strictEqual(outcome(yield* books.ask(name, params as never)), "ok")
        const answer = yield* books.ask("configure_manager", { anonymize_users: true }, ADMIN)
        assert.strictEqual(outcome(answer), "Conflict")
        assert.isFalse(books.ledger.config.anonymize_users)
      })
    )
  }
})

const bigints = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}` : value)
