/** Between the ledger's loop and the store no refusal is doubled, lost in silence, or in anybody's way. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import { Unavailable } from "../../src/signal/Errors.ts"
import { makeMemoryRefusals } from "../../src/store/MemoryRefusals.ts"
import { RefusalKeeper, WAITING_MAX } from "../../src/tokens/RefusalKeeper.ts"
import { REFUSAL_WINDOW_MS, type RefusalStore } from "../../src/tokens/RefusalStore.ts"
import type { Told } from "../../src/tokens/RefusedCall.ts"

const told = (request_id: string, reason = "no"): Told => ({
  digest: "d",
  request: {
    request_id,
    signal: "check_budget",
    kind: "no_room",
    principal: "key_1",
    owner: "ada",
    attribution: {},
    provider: null,
    model: null,
    estimated_tokens: 0,
    estimated_cost: 1n,
    currency: "USD",
    reason,
    violations: [],
    more_violations: 0,
    retry_at: null,
    alternatives: []
  }
})

const all = (store: RefusalStore, tenant = "acme") => store.page(tenant, { limit: 10_000 })

/** How it is told: `REQUEST COUNT FIRST-LAST REASON`. */
const shown = (store: RefusalStore, tenant?: string) =>
  Effect.map(all(store, tenant), ({ refusals }) =>
    refusals.map(
      ({ count, firstAt, lastAt, request }) =>
        `${request.request_id} ${count} ${firstAt}-${lastAt} ${request.reason}`
    )
  )

const quiet = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

/** Writes when it is open; fails while it is away. */
const fragile = () => {
  const memory = makeMemoryRefusals()
  const open = Latch.makeUnsafe(true)
  const state = { isAway: false, writes: 0 }
  const away = new Unavailable({ message: "away", retry_after_ms: 1 })
  const store: RefusalStore = {
    ...memory,
    add: (tenant, refusals, lost) =>
      Effect.andThen(
        open.await,
        Effect.suspend(() => {
          state.writes += 1
          return state.isAway ? Effect.fail(away) : memory.add(tenant, refusals, lost)
        })
      )
  }
  return { store, memory, open, state }
}

it.effect("the same refusals are one row, before they are written and after", () =>
  Effect.gen(function* () {
    const { store, memory, state } = fragile()
    const keeper = new RefusalKeeper(store)
    for (let at = 1; at <= 1_000; at++) keeper.note("acme", told("r1", `no ${at}`), at)
    keeper.note("acme", told("r2"), 5)
    keeper.note("bolt", told("r1"), 6)
    yield* keeper.page("acme", { limit: 1 })
    assert.strictEqual(state.writes, 1)
    keeper.note("acme", told("r1", "still"), 2_000)
    keeper.note("acme", told("r1", "an hour later"), REFUSAL_WINDOW_MS)
    yield* keeper.flushed
    assert.deepStrictEqual(yield* shown(memory), [
      "r1 1 3600000-3600000 an hour later",
      "r2 1 5-5 no",
      "r1 1001 1-2000 still"
    ])
    assert.deepStrictEqual(yield* shown(memory, "bolt"), ["r1 1 6-6 no"])
  })
)

it.effect("who reads sees all that was answered before, also what is being written", () =>
  Effect.gen(function* () {
    const { store, open } = fragile()
    const keeper = new RefusalKeeper(store)
    yield* Effect.forkScoped(keeper.running)
    open.closeUnsafe()
    keeper.note("acme", told("r1"), 1)
    yield* quiet
    keeper.note("acme", told("r1"), 2)
    for (let n = 0; n < 250; n++) keeper.note("acme", told(`s${n}`), 3)
    const reading = yield* Effect.forkScoped(keeper.page("acme", { limit: 1_000 }))
    yield* quiet
    open.openUnsafe()
    const { refusals } = yield* Fiber.join(reading)
    assert.lengthOf(refusals, 251)
    assert.strictEqual(refusals.at(-1)?.count, 2)
  }).pipe(Effect.scoped)
)

it.effect("while the store is away it waits; what it refused to take is taken once", () =>
  Effect.gen(function* () {
    const { store, memory, state } = fragile()
    const keeper = new RefusalKeeper(store)
    yield* Effect.forkScoped(keeper.running)
    state.isAway = true
    keeper.note("acme", told("r1"), 1)
    keeper.note("acme", told("r2"), 2)
    yield* quiet
    assert.isAbove(state.writes, 0)
    assert.strictEqual((yield* Effect.flip(keeper.page("acme", { limit: 1 })))._tag, "Unavailable")
    keeper.note("acme", told("r1", "again"), 3)
    state.isAway = false
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(yield* shown(memory), ["r2 1 2-2 no", "r1 2 1-3 again"])
  }).pipe(Effect.scoped)
)

it.effect("what the queue cannot take is counted", () =>
  Effect.gen(function* () {
    const { store, memory, state } = fragile()
    state.isAway = true
    const keeper = new RefusalKeeper(store)
    for (let n = 0; n < WAITING_MAX + 7; n++) keeper.note("acme", told(`r${n}`), n)
    keeper.note("acme", told("r0"), 1)
    yield* Effect.flip(keeper.page("acme", { limit: 1 }))
    state.isAway = false
    yield* keeper.flushed
    const { refusals, dropped } = yield* all(memory)
    assert.deepStrictEqual([refusals.length, dropped], [WAITING_MAX, 7])
    assert.strictEqual(refusals.at(-1)?.count, 2)
  })
)

it.effect("each is counted, whatever becomes of it", () =>
  Effect.sync(() => {
    const counted: Array<string> = []
    const keeper = new RefusalKeeper(fragile().store, (signal, kind) => counted.push(`${signal} ${kind}`))
    keeper.note("acme", told("r1"), 1)
    keeper.note("acme", told("r1"), 2)
    assert.deepStrictEqual(counted, ["check_budget no_room", "check_budget no_room"])
  })
)
