/** The doors of a process: which tenants anonymise, who has which pseudonym, and what happens while the store is away. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Result } from "effect"
import type { LetterUse } from "../../src/bridge/UserDisguise.ts"
import { Disguise } from "../../src/runtime/Disguise.ts"
import { Pseudonyms } from "../../src/runtime/Pseudonyms.ts"
import { Unavailable } from "../../src/signal/Errors.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { isPseudonym, notAnonymised } from "../../src/signal/Pseudonym.ts"
import { makeMemoryPseudonyms } from "../../src/store/MemoryPseudonyms.ts"
import type { PseudonymStore } from "../../src/tokens/PseudonymStore.ts"

const ACME = installationPrincipal("acme")
const FORCED: Principal = { ...ACME, attribution: { user_id: "ann" } }
const away = Effect.fail(new Unavailable({ message: "away", retry_after_ms: 1 }))

/** A process, over a store that can go away and that counts what it is asked. */
const makeDoor = (stored: PseudonymStore = makeMemoryPseudonyms(new Set(["acme"])), isAlone = true) => {
  const state = { isAway: false, asked: 0, now: 0 }
  const asking = <A>(answer: Effect.Effect<A, Unavailable>) =>
    Effect.suspend(() => {
      state.asked += 1
      return state.isAway ? away : answer
    })
  const store: PseudonymStore = {
    isAnonymising: (tenant) => asking(stored.isAnonymising(tenant)),
    find: (tenant, user) => asking(stored.find(tenant, user)),
    assign: (tenant, user, fresh) => asking(stored.assign(tenant, user, fresh))
  }
  const disguise = new Disguise(
    new Pseudonyms(store, { secret: Redacted.make("a secret of tests") }, () => state.now),
    { isAlone }
  )
  const sent: Array<{ readonly payload: object; readonly principal: Principal }> = []
  const ask = (
    name: "check_budget" | "get_usage",
    payload: { readonly user_id?: string },
    principal = ACME
  ) =>
    Effect.result(
      disguise.ask(name, payload, principal, (shown, who) => {
        sent.push({ payload: shown, principal: who })
        return Effect.succeed(shown.user_id)
      })
    )
  return { state, disguise, ask, sent, stored }
}

const pseudonymIn = (answer: Result.Result<string | undefined, unknown>): string => {
  const user = Result.getOrThrow(answer)
  assert.isTrue(user !== undefined && isPseudonym(user), user)
  return user as string
}

describe("a door", () => {
  it.effect("asks the store once for a tenant, and once for a user, until that is old", () =>
    Effect.gen(function* () {
      const { state, ask } = makeDoor()
      const first = pseudonymIn(yield* ask("check_budget", { user_id: "ann" }))
      assert.strictEqual(state.asked, 2)
      assert.strictEqual(pseudonymIn(yield* ask("check_budget", { user_id: "ann" })), first)
      assert.strictEqual(pseudonymIn(yield* ask("get_usage", { user_id: first })), first)
      assert.strictEqual(state.asked, 2)
      state.now += 30_000
      assert.strictEqual(pseudonymIn(yield* ask("check_budget", { user_id: "ann" })), first)
      assert.strictEqual(state.asked, 3)
    })
  )

  it.effect("gives nobody a pseudonym who is only looked for", () =>
    Effect.gen(function* () {
      const { disguise, ask, stored } = makeDoor()
      const looked = pseudonymIn(yield* ask("get_usage", { user_id: "ann" }))
      assert.isUndefined(yield* stored.find("acme", disguise.pseudonyms.keyOf("acme", "ann")))
      assert.notStrictEqual(pseudonymIn(yield* ask("check_budget", { user_id: "ann" })), looked)
    })
  )

  it.effect("lets nothing through as it is while the store is away, but what it knows already", () =>
    Effect.gen(function* () {
      const { state, ask, sent } = makeDoor()
      state.isAway = true
      const unknownTenant = yield* ask("check_budget", { user_id: "ann" })
      assert.isTrue(Result.isFailure(unknownTenant) && unknownTenant.failure._tag === "Unavailable")
      state.isAway = false
      const ann = pseudonymIn(yield* ask("check_budget", { user_id: "ann" }))
      state.isAway = true
      state.now += 3_600_000
      const unknownUser = yield* ask("check_budget", { user_id: "bob" })
      assert.isTrue(Result.isFailure(unknownUser) && unknownUser.failure._tag === "Unavailable")
      assert.strictEqual(pseudonymIn(yield* ask("check_budget", { user_id: "ann" })), ann)
      assert.isTrue(Result.isSuccess(yield* ask("check_budget", {})))
      assert.notInclude(JSON.stringify(sent), '"bob"')
    })
  )

  it.effect("replaces the user of a key with the user of what it sends", () =>
    Effect.gen(function* () {
      const { ask, sent } = makeDoor()
      const ann = pseudonymIn(yield* ask("check_budget", { user_id: "ann" }, FORCED))
      assert.deepStrictEqual(sent, [
        { payload: { user_id: ann }, principal: { ...FORCED, attribution: { user_id: ann } } }
      ])
      for (const user_id of ["bob", `anon_${"0".repeat(48)}`]) {
        const foreign = yield* ask("check_budget", { user_id }, FORCED)
        assert.isTrue(Result.isFailure(foreign) && foreign.failure._tag === "Forbidden")
      }
      assert.lengthOf(sent, 1)
    })
  )

  it.effect("of a tenant that does not anonymise lets all pass, as it is, after one look", () =>
    Effect.gen(function* () {
      const { state, ask, sent } = makeDoor(makeMemoryPseudonyms())
      const payload = { user_id: "ann" }
      for (let count = 0; count < 3; count++) yield* ask("check_budget", payload, FORCED)
      assert.strictEqual(state.asked, 1)
      for (const one of sent) {
        assert.strictEqual(one.payload, payload)
        assert.strictEqual(one.principal, FORCED)
      }
    })
  )

  it.effect("that has missed that the tenant began is told by the ledger, and sends it once more", () =>
    Effect.gen(function* () {
      const stored = new Set<string>()
      const { disguise } = makeDoor(makeMemoryPseudonyms(stored), false)
      assert.isFalse(yield* disguise.pseudonyms.isAnonymising("acme"))
      stored.add("acme")
      const seen: Array<string> = []
      const ledger = ({ user_id }: { readonly user_id: string }) => {
        seen.push(user_id)
        return isPseudonym(user_id) ? Effect.succeed(user_id) : Effect.fail(notAnonymised())
      }
      const answer = yield* disguise.ask("check_budget", { user_id: "ann" }, ACME, ledger)
      assert.isTrue(isPseudonym(answer))
      assert.deepStrictEqual(seen, ["ann", answer])
      assert.strictEqual(yield* disguise.ask("check_budget", { user_id: "ann" }, ACME, ledger), answer)
      assert.deepStrictEqual(seen, ["ann", answer, answer])
    })
  )

  it.effect("believes what was committed, not what it read before", () =>
    Effect.gen(function* () {
      const { disguise } = makeDoor(makeMemoryPseudonyms())
      const { pseudonyms } = disguise
      assert.isFalse(yield* pseudonyms.isAnonymising("acme"))
      assert.isTrue(pseudonyms.isPlain("acme"))
      yield* pseudonyms.turning(
        "acme",
        Effect.sync(() => {
          assert.isFalse(pseudonyms.isPlain("acme"))
          // A commit of before is told meanwhile.
          pseudonyms.configured("acme", false)
          assert.isFalse(pseudonyms.isPlain("acme"))
          pseudonyms.configured("acme", true)
        })
      )
      assert.isTrue(yield* pseudonyms.isAnonymising("acme"))
      assert.isFalse(pseudonyms.isPlain("acme"))
    })
  )

  const letters: ReadonlyArray<readonly [string, object, LetterUse, (text: string) => boolean]> = [
    [
      "what was decoded stays, without its users",
      { request_id: "r", user_id: "ann" },
      "command",
      (kept) => kept.includes('"r"')
    ],
    [
      "a filter and a key's attribution too",
      { filter: { user_id: "ann" }, attribution: { user_id: "ann" } },
      "shown",
      () => true
    ],
    ["an entity, which may be a user", { type: "user", entity_id: "ann" }, "command", () => true],
    ["an entity of which nobody says what it is", { entity_id: "ann" }, "command", () => true],
    [
      "what nobody could make out is hidden",
      { usr_id: "ann", n: [1] },
      "unread",
      (kept) => kept === '{"usr_id":"hidden","n":"hidden"}'
    ]
  ]
  for (const [title, params, use, isRight] of letters) {
    it.effect(`keeps of a failed notification: ${title}`, () =>
      Effect.gen(function* () {
        const kept = yield* makeDoor().disguise.letter(FORCED, params, use)
        assert.notInclude(JSON.stringify(kept), "ann")
        assert.isTrue(isRight(JSON.stringify(kept.params)))
        const { state, disguise } = makeDoor()
        state.isAway = true
        const away = yield* disguise.letter(FORCED, params, use)
        assert.notInclude(JSON.stringify(away), "ann")
        assert.isFalse(away.isWhole, "what says hidden is not what was sent")
        const plain = yield* makeDoor(makeMemoryPseudonyms()).disguise.letter(FORCED, params, use)
        assert.deepStrictEqual(plain, { principal: FORCED, params, isWhole: use === "command" })
      })
    )
  }

  it.effect("keeps a command under the pseudonym that its user goes on to have", () =>
    Effect.gen(function* () {
      const { disguise, ask } = makeDoor()
      for (const [named, params] of [
        ["user_id", { user_id: "ann" }],
        ["entity_id", { type: "user", entity_id: "bob" }]
      ] as const) {
        const kept = yield* disguise.letter(ACME, params, "command")
        assert.isTrue(kept.isWhole)
        const user_id = Object.hasOwn(params, "user_id") ? "ann" : "bob"
        const pseudonym = pseudonymIn(yield* ask("check_budget", { user_id }))
        assert.strictEqual((kept.params as Record<string, string>)[named], pseudonym)
      }
    })
  )

  const nobodys: ReadonlyArray<readonly [string, object, LetterUse, boolean]> = [
    ["a query about somebody", { user_id: "ann" }, "query", false],
    ["a query about nobody", { provider: "p" }, "query", true],
    ["a command about nobody", { hold_id: "h" }, "command", true],
    ["an entity that may be a user", { budget_id: "b", entity_id: "ann" }, "command", false],
    ["an entity that is none", { type: "team", entity_id: "ann" }, "command", true],
    ["a default for all users", { type: "user", entity_id: "*" }, "command", true],
    ["what a connection takes", { user_id: "ann" }, "shown", false]
  ]
  for (const [title, params, use, isWhole] of nobodys) {
    it.effect(`sends nothing again in the name of who does not exist: ${title}`, () =>
      Effect.gen(function* () {
        const { disguise, stored } = makeDoor()
        const kept = yield* disguise.letter(ACME, params, use)
        assert.strictEqual(kept.isWhole, isWhole)
        if (isWhole) assert.strictEqual(kept.params, params)
        assert.isUndefined(yield* stored.find("acme", disguise.pseudonyms.keyOf("acme", "ann")))
      })
    )
  }
})
