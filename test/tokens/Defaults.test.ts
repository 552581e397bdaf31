/** Default budgets (`entity_id: "*"`): one definition, and a standing of its own for every entity (signals.md, section 4). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Books, keyNamed } from "./support/Books.ts"
import { stories } from "./support/Story.ts"

stories("default budgets", {
  "every entity has a standing of its own": `
    budget D type=user id=* limit=10 -> spent 0, held 0
    hold r1 6 user=ann         -> held
    hold r2 6 user=bob         -> held
    hold r3 5 user=ann         -> refused D by 1
    hold r4 4 user=ann         -> held
    hold r5 100                -> held
    post r1 2                  -> posted 2
    see D ann                  -> spent 2, held 4, left 4
    see D bob                  -> spent 0, held 6, left 4
    see D carol                -> spent 0, held 0, left 10
    see D                      -> spent 0, held 0, left 10
    release r4                 -> released
    see D ann                  -> spent 2, held 0, left 8
  `,
  "entities may have any name": `
    budget D type=project id=* limit=10
    hold r1 6 project=a/b/*     -> held
    hold r2 6 project=a        -> held
    hold r3 5 project=a/b/*     -> refused D by 1
    see D a/b/*                -> spent 0, held 6, left 4
    see D a/b                  -> spent 0, held 0, left 10
  `,
  "who has a budget of that type and period has no standing": `
    budget D type=user id=* limit=10
    budget M type=user id=* limit=30 period=monthly
    budget A type=user id=ann limit=20
    hold r1 15 user=ann        -> held
    hold r2 15 user=bob        -> refused D by 5
    see D ann                  -> nothing
    see M ann                  -> spent 0, held 15, left 15
    see A                      -> spent 0, held 15, left 5
  `,
  "an inactive budget of its own takes the default's place as well": `
    budget D type=user id=* limit=10
    budget A type=user id=ann limit=20 mode=inactive
    hold r1 50 user=ann        -> held
    see A                      -> spent 0, held 50, left -30
  `,
  "what an entity spends counts in its own budget as soon as it gets one": `
    budget D type=user id=* limit=10
    hold r1 5 user=ann         -> held
    post r2 3 user=ann         -> posted 3
    budget A type=user id=ann limit=8 -> spent 3, held 5
    post r3 100 user=ann       -> posted 100, alerts A:50 A:80 A:90 A:100
    extend r1 tokens=1         -> refused A by 101
    change A limit=1000        -> version 2
    extend r1 tokens=10        -> held
    see A                      -> spent 103, held 15, left 882
    post r1 5                  -> posted 5
    see A                      -> spent 108, held 0, left 892
    see D ann                  -> nothing
  `,
  "what was spent and is held in the current period counts from the start, for each": `
    post r1 4 user=ann         -> posted 4
    post r2 3 user=bob         -> posted 3
    post r3 50                 -> posted 50
    hold r4 2 user=ann         -> held
    hold r5 9 user=carol       -> held
    budget O type=user id=bob limit=100 -> spent 3, held 0
    budget D type=user id=* limit=10 -> spent 0, held 0
    see D ann                  -> spent 4, held 2, left 4
    see D carol                -> spent 0, held 9, left 1
    see D bob                  -> nothing
    hold r6 5 user=ann         -> refused D by 1
    post r5 9                  -> posted 9, alerts D:50 D:80 D:90
    budget T type=user id=* limit=10 measure=tokens period=monthly
    budget Q type=user id=* limit=10 measure=requests period=monthly
    see T ann                  -> spent 4, held 2, left 4
    see Q ann                  -> spent 1, held 1, left 8
  `,
  "thresholds that were reached before are not told, others are, with the entity": `
    post r1 8 user=ann         -> posted 8
    budget D type=user id=* limit=10
    post r2 1 user=ann         -> posted 1, alerts D:90
    post r3 5 user=bob         -> posted 5, alerts D:50
  `,
  "a change of the default changes all": `
    budget D type=user id=* limit=10
    hold r1 6 user=ann         -> held
    change D limit=5           -> version 2
    hold r2 1 user=ann         -> refused D by 2
    hold r3 6 user=bob         -> refused D by 1
    change D limit=20 alerts=30 -> version 3
    hold r2 14 user=ann        -> held
    post r1 6                  -> posted 6, alerts D:30
    change D mode=soft         -> version 4
    hold r4 100 user=ann       -> held, warns D
    change D active=no         -> version 5
    hold r5 1 user=ann         -> held
    see D ann                  -> spent 6, held 115, left -101
  `,
  "a standing is reset with its period": `
    budget D type=user id=* limit=10
    post r1 10 user=ann        -> posted 10, alerts D:50 D:80 D:90 D:100
    retry r2 1 user=ann        -> 2026-03-11
    at 2026-03-11
    hold r2 10 user=ann        -> held
    wait 3d
    forget
    see D ann                  -> spent 0, held 0, left 10
    hold r3 10 user=ann        -> held
  `,
  "each standing carries over what it has left": `
    budget D type=user id=* limit=10 roll=15
    post r1 4 user=ann         -> posted 4
    at 2026-03-11
    hold r2 16 user=ann        -> held
    hold r3 11 user=bob        -> refused D by 1
    see D ann                  -> spent 0, held 16, left 0, carried 6
    release r2                 -> released
    at 2026-03-12
    see D ann                  -> spent 0, held 0, left 25, carried 15
    change D roll=none         -> version 2
    at 2026-03-13
    see D ann                  -> spent 0, held 0, left 10
  `,
  "a standing that was long idle carries over still": `
    budget D type=user id=* limit=10 roll=100
    post r1 4 user=ann         -> posted 4
    at 2026-03-14T12:00:00Z
    forget
    crash
    see D ann                  -> spent 0, held 0, left 46, carried 36
    change D limit=20          -> version 2
    at 2026-03-15
    see D ann                  -> spent 0, held 0, left 76, carried 56
  `,
  "a rollover that comes when a standing was forgotten holds for it as well": `
    budget D type=user id=* limit=10
    post r1 4 user=ann         -> posted 4
    at 2026-03-15T12:00:00Z
    forget
    change D roll=100          -> version 2
    post r2 3 user=ann         -> posted 3
    at 2026-03-16T12:00:00Z
    see D ann                  -> spent 0, held 0, left 17, carried 7
  `,
  "to look, or to be refused, leaves nothing behind": `
    budget D type=user id=* limit=10 roll=100
    hold r1 5 user=ann look=yes -> may
    hold r2 11 user=ann        -> refused D by 1
    at 2026-03-11
    see D ann                  -> spent 0, held 0, left 10
  `,
  "a lifetime for each": `
    budget D type=conversation id=* period=lifetime limit=5
    post r1 4 conversation=c1  -> posted 4, alerts D:50 D:80
    wait 400d
    forget
    hold r2 2 conversation=c1  -> refused D by 1
    hold r3 2 conversation=c2  -> held
  `,
  "what makes no sense": `
    budget D type=global id=*  -> InvalidParams entity_id
  `
})

const call = { provider: "test", model: "dollar", max_completion_tokens: 0 }
const makeDefault = (books: Books) =>
  books.ask("create_budget", { name: "each", type: "user", entity_id: "*", period: "daily", limit: "10" })

describe("default budgets", () => {
  it.effect("at the bound a hard default admits nobody new, and usage is counted all the same", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* makeDefault(books)
      books.ledger.index.defaults.sizeMax = 1
      const check = (request_id: string, user_id: string) =>
        books.ask("check_budget", { request_id, ...call, estimated_prompt_tokens: 1, user_id })
      const isAllowed = function* (request_id: string, user_id: string) {
        return Result.getOrThrow(yield* check(request_id, user_id)).allowed
      }
      assert.isTrue(yield* isAllowed("r1", "ann"))
      assert.isTrue(yield* isAllowed("r2", "ann"))
      const refused = Result.getOrThrow(yield* check("r3", "bob"))
      assert.isFalse(refused.allowed)
      if (!refused.allowed) assert.match(refused.reason, /1 entities stand in default budgets/u)
      const usage = {
        request_id: "r4",
        provider: "test",
        model: "dollar",
        prompt_tokens: 4,
        completion_tokens: 0
      }
      const tracked = Result.getOrThrow(yield* books.ask("track_usage", { ...usage, user_id: "bob" }))
      assert.strictEqual(tracked.budgets[0]?.spent, 4_000_000_000_000n)
      assert.isTrue(yield* isAllowed("r5", "bob"), "whoever is in memory goes on")
      yield* books.ask("create_budget", {
        name: "carol",
        type: "user",
        entity_id: "carol",
        period: "daily",
        limit: "10"
      })
      assert.isTrue(yield* isAllowed("r6", "carol"), "a budget of its own admits an entity")
    })
  )

  it.effect("get_budget_status shows a default itself, where one stands in it, or all that do", () =>
    Effect.gen(function* () {
      const books = new Books()
      const { budget_id } = Result.getOrThrow(yield* makeDefault(books))
      const report = { provider: "test", model: "dollar", prompt_tokens: 1, completion_tokens: 0 }
      for (const user_id of ["ann", "bob"]) {
        yield* books.ask("track_usage", { request_id: user_id, ...report, user_id })
      }
      const own = { name: "bob", type: "user", entity_id: "bob", period: "daily", limit: "1" } as const
      yield* books.ask("create_budget", own)
      const shown = (params: object, principal?: ReturnType<typeof keyNamed>) =>
        Effect.map(books.ask("get_budget_status", params, principal), (answer) =>
          Result.isFailure(answer)
            ? answer.failure._tag
            : answer.success.budgets.map((it) => `${it.id === budget_id ? "default" : "own"} ${it.entity_id}`)
        )
      assert.deepStrictEqual(yield* shown({}), ["default *", "own bob"])
      assert.deepStrictEqual(yield* shown({ type: "user", entity_id: "*" }), ["default *"])
      assert.deepStrictEqual(yield* shown({ type: "user", entity_id: "ann" }), ["default ann"])
      assert.deepStrictEqual(yield* shown({ type: "user", entity_id: "carol" }), ["default carol"])
      assert.deepStrictEqual(yield* shown({ type: "user", entity_id: "bob" }), ["own bob"])
      assert.deepStrictEqual(yield* shown({ entity_id: "ann" }), ["default ann"])
      assert.deepStrictEqual(yield* shown({ entity_id: "carol" }), [])
      assert.deepStrictEqual(yield* shown({ budget_id }), ["default *", "default ann"])
      assert.deepStrictEqual(yield* shown({ budget_id, entity_id: "carol" }), ["default carol"])
      const forced = (attribution: object) => ({ ...keyNamed("k"), attribution })
      const ann = forced({ user_id: "ann" })
      assert.deepStrictEqual(yield* shown({}, ann), ["default ann"])
      assert.deepStrictEqual(yield* shown({ budget_id }, ann), ["default ann"])
      assert.deepStrictEqual(yield* shown({ budget_id, entity_id: "bob" }, ann), [])
      assert.deepStrictEqual(yield* shown({ type: "user", entity_id: "carol" }, ann), [])
      assert.deepStrictEqual(yield* shown({}, forced({ user_id: "bob" })), ["own bob"])
      assert.strictEqual(yield* shown({ budget_id }, forced({ team_id: "red" })), "NotFound")
    })
  )

  it.effect("an alert of a standing names the entity", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* makeDefault(books)
      const report = {
        request_id: "r1",
        provider: "test",
        model: "dollar",
        prompt_tokens: 5,
        completion_tokens: 0
      }
      const { alerts } = Result.getOrThrow(yield* books.ask("track_usage", { ...report, user_id: "ann" }))
      assert.strictEqual(alerts[0]?.message, 'Budget "each" of user ann has reached 50 %: 5 of 10 USD spent')
      assert.strictEqual(alerts[0]?.data.entity_id, "ann")
    })
  )

  it.effect("standings whose periods are over are forgotten", () =>
    Effect.gen(function* () {
      const books = new Books()
      yield* makeDefault(books)
      const check = { ...call, estimated_prompt_tokens: 1, hold_ttl_ms: 60_000 }
      const report = { provider: "test", model: "dollar", prompt_tokens: 1, completion_tokens: 0 }
      for (let user = 0; user < 100; user++) {
        yield* books.ask("check_budget", { request_id: `r${user}`, ...check, user_id: `user ${user}` })
      }
      assert.strictEqual(books.ledger.index.defaults.size, 100)
      books.now += 4 * 86_400_000
      for (let commit = 0; commit < 1_030; commit++) {
        yield* books.ask("track_usage", { request_id: `s${commit}`, ...report, user_id: "somebody else" })
      }
      assert.strictEqual(books.ledger.index.defaults.size, 1)
    })
  )
})
