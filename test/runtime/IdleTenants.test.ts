/** TokenManagers of idle tenants leave memory, and nobody who asks them notices; above all no hold. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { IdleMs } from "../../src/actor/Passivation.ts"
import { makeTokenManagers } from "../../src/runtime/TokenManagers.ts"
import type { SignalName, SignalParams } from "../../src/signal/Catalogue.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import { settle } from "../../src/testing.ts"
import { ADMIN, MORNING, TEST_PRICES } from "../tokens/support/Books.ts"
import { openAllGates, ScriptedStore, unreachable } from "../tokens/support/ScriptedStore.ts"

const IDLE_MS = 60_000
const ADDRESS = `token_manager/${ADMIN.tenant}`

const idle = (isObserved = () => false) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const script = new ScriptedStore()
    const managers = makeTokenManagers(system, {
      store: script.store,
      builtInPrices: TEST_PRICES,
      version: "test",
      observer: { isObserved, committed: () => undefined, reset: () => undefined }
    })
    const ask = <Name extends SignalName>(name: Name, params: SignalParams<Name>) =>
      managers.ask(name, Result.getOrThrow(decodePayload(name, params)), ADMIN)
    const hold = (request_id: string, hold_ttl_ms: number) =>
      ask("check_budget", {
        request_id,
        provider: "test",
        model: "dollar",
        estimated_prompt_tokens: 3,
        max_completion_tokens: 0,
        hold_ttl_ms
      })
    const isThere = () => system.entry(ADDRESS) !== undefined
    yield* ask("create_budget", { name: "all", type: "global", period: "daily", limit: "10" })
    return { system, script, ask, hold, isThere, claims: () => script.asked.get("claim") ?? 0 }
  })

const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), settle)

const told = <A, E>(test: Effect.Effect<A, E, Layer.Success<typeof layer>>): Effect.Effect<A, E> =>
  Effect.andThen(
    TestClock.setTime(MORNING),
    Effect.provide(Effect.ensuring(test, openAllGates), Layer.provide(layer, Layer.succeed(IdleMs, IDLE_MS)))
  )

describe("an idle tenant", () => {
  it.effect("leaves memory, and is loaded again when it is asked, with all that it had", () =>
    Effect.gen(function* () {
      const { ask, isThere, claims } = yield* idle()
      yield* ask("track_usage", {
        request_id: "r1",
        provider: "test",
        model: "dollar",
        prompt_tokens: 4,
        completion_tokens: 0
      })
      yield* pass(IDLE_MS - 1)
      assert.isTrue(isThere())
      yield* pass(IDLE_MS)
      assert.isFalse(isThere())
      const { budgets } = yield* ask("get_budget_status", {})
      assert.strictEqual(budgets[0]?.spent, 4_000_000_000_000n)
      assert.strictEqual(claims(), 2)
    }).pipe(told)
  )

  it.effect("stays while a hold is open: its end is nobody's ask", () =>
    Effect.gen(function* () {
      const { script, hold, isThere, ask } = yield* idle()
      yield* hold("r1", 10 * IDLE_MS)
      yield* pass(9 * IDLE_MS)
      assert.isTrue(isThere())
      yield* pass(IDLE_MS)
      assert.strictEqual(script.rows.holdStateOf("r1"), "expired")
      yield* pass(2 * IDLE_MS)
      assert.isFalse(isThere())
      const { budgets } = yield* ask("get_budget_status", {})
      assert.strictEqual(budgets[0]?.held, 0n)
    }).pipe(told)
  )

  it.effect("stays while an override has an end of its own", () =>
    Effect.gen(function* () {
      const { ask, isThere } = yield* idle()
      const { budgets } = yield* ask("get_budget_status", {})
      const expires_at = new Date(MORNING + 5 * IDLE_MS).toISOString()
      const budget_id = budgets[0]?.id as string
      yield* ask("request_override", { budget_id, amount: "1", reason: "a test", expires_at })
      yield* pass(4 * IDLE_MS)
      assert.isTrue(isThere())
      yield* pass(4 * IDLE_MS)
      assert.isFalse(isThere())
    }).pipe(told)
  )

  for (const [what, prepare, isWatched] of [
    ["somebody watches its budgets", undefined, true],
    ['it admits without the store ("allow")', { on_store_down: "allow" }, false]
  ] as const) {
    it.effect(`stays while ${what}`, () =>
      Effect.gen(function* () {
        const { ask, isThere } = yield* idle(() => isWatched)
        if (prepare !== undefined) yield* ask("configure_manager", prepare)
        yield* pass(5 * IDLE_MS)
        assert.isTrue(isThere())
      }).pipe(told)
    )
  }

  it.effect("stays while it could not be loaded", () =>
    Effect.gen(function* () {
      const { script, ask, isThere } = yield* idle()
      yield* pass(2 * IDLE_MS)
      assert.isFalse(isThere())
      script.always("claim", unreachable)
      const asked = yield* Effect.forkDetach(Effect.flip(ask("get_budget_status", {})), {
        startImmediately: true
      })
      yield* pass(3 * IDLE_MS)
      assert.strictEqual((yield* Fiber.join(asked))._tag, "Unavailable")
      assert.isTrue(isThere())
      script.always("claim")
      yield* pass(10_000)
      assert.strictEqual((yield* ask("get_budget_status", {})).budgets.length, 1)
      yield* pass(2 * IDLE_MS)
      assert.isFalse(isThere())
    }).pipe(told)
  )

  it.effect("that is stopped comes back with the next ask", () =>
    Effect.gen(function* () {
      const { system, ask, isThere } = yield* idle()
      const address = system.entry(ADDRESS)?.address
      if (address === undefined) throw new Error("it is there")
      yield* system.stop(address)
      assert.isFalse(isThere())
      assert.strictEqual((yield* ask("get_budget_status", {})).budgets.length, 1)
    }).pipe(told)
  )
})
