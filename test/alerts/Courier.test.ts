/**
 * Couriers under virtual time: again and again, then never; nobody waits for a dead channel; nothing is lost (lessons
 * 12 and 19), nothing is sent twice after a restart (lesson 23) or by several processes (lesson 16).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { DeliveryStore } from "../../src/alerts/DeliveryStore.ts"
import { Unavailable } from "../../src/signal/Errors.ts"
import { MemoryDeliveries, memoryDeliveryStore } from "../../src/store/MemoryDeliveries.ts"
import { makeMemoryLedgerStore } from "../../src/store/MemoryLedgerStore.ts"
import { pass, settle } from "../../src/testing.ts"
import { courier, gate, hanging, LEASE_MS, Owing, recipient, refused, ScriptedSend } from "./support/Owing.ts"

const NOON = Date.UTC(2026, 2, 1, 12)
const MINUTE = 60_000

const open = Effect.fnUntraced(function* () {
  yield* TestClock.setTime(NOON)
  const rows = new MemoryDeliveries()
  const ledger = makeMemoryLedgerStore({ deliveries: rows })
  const store = memoryDeliveryStore(rows)
  return { rows, ledger, store, send: new ScriptedSend(), tenant: new Owing(ledger, "acme") }
})

/** How many milliseconds after noon each message went out. */
const timed = (send: ScriptedSend) => {
  const times: Array<number> = []
  const timing = new ScriptedSend()
  const original = send.send
  Object.assign(timing, {
    send: (message: Parameters<typeof original>[0]) =>
      Effect.andThen(
        Effect.clockWith((clock) => Effect.sync(() => times.push(clock.currentTimeMillisUnsafe() - NOON))),
        original(message)
      )
  })
  return { times, timing }
}

describe("a delivery", () => {
  it.effect("goes out as soon as it is told of, one after the other for each recipient", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      const wake = yield* courier(store, send)
      yield* settle
      yield* tenant.recipients(recipient("a"), recipient("b"))
      yield* tenant.raise(3, "a", "b")
      assert.deepStrictEqual(send.log, [])
      wake()
      yield* settle
      const of = (name: string) => send.log.filter((line) => line.startsWith(name))
      assert.deepStrictEqual(of("a"), ["a alert_1", "a alert_2", "a alert_3"])
      assert.deepStrictEqual(of("b"), ["b alert_1", "b alert_2", "b alert_3"])
      assert.deepStrictEqual(yield* store.counts("acme"), { pending: 0, deadLetters: 0 })
    })
  )

  it.effect("that fails is tried again, later and later, and then arrives", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* tenant.raise(1, "a")
      let tries = 0
      send.turns.set("https://a.test/", () => (++tries < 4 ? refused : Effect.void))
      const { times, timing } = timed(send)
      yield* courier(store, timing)
      yield* settle
      for (let minute = 0; minute < 30; minute++) yield* pass(MINUTE)
      assert.deepStrictEqual(times, [0, 15_000, 75_000, 315_000])
      assert.strictEqual(new Set(send.sent.map(({ id }) => id)).size, 1, "under the same id each time")
      assert.deepStrictEqual(yield* store.counts("acme"), { pending: 0, deadLetters: 0 })
    })
  )

  it.effect("is given up after eight tries, kept as a dead letter, and never tried again", () =>
    Effect.gen(function* () {
      const { rows, store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* tenant.raise(1, "a")
      send.turns.set("https://a.test/", () => refused)
      yield* courier(store, send)
      yield* settle
      for (let hour = 0; hour < 48; hour++) for (let part = 0; part < 4; part++) yield* pass(15 * MINUTE)
      assert.lengthOf(send.sent, 8)
      assert.deepStrictEqual(yield* store.counts("acme"), { pending: 0, deadLetters: 1 })
      assert.deepStrictEqual(rows.owed, [])
      const { letters } = yield* rows.letters.page("acme", { limit: 9 })
      assert.lengthOf(letters, 1)
      assert.deepInclude(letters[0], {
        address: "alerts",
        why: "It did not arrive in 8 tries: it answered 500",
        preview:
          '{channel:"webhook",to:"https://a.test/",alert:"alert_1",kind:"threshold",severity:"warning",message:"m"}'
      })
    })
  )

  it.effect("whose sending breaks is tried again like any other", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* tenant.raise(1, "a")
      let tries = 0
      send.turns.set("https://a.test/", () => {
        if (++tries === 1) throw new Error("a bug of ours")
        return tries === 2 ? Effect.die(new Error("another")) : Effect.void
      })
      yield* courier(store, send)
      yield* settle
      yield* pass(15_000)
      yield* pass(60_000)
      assert.lengthOf(send.sent, 3)
      assert.deepStrictEqual(yield* store.counts("acme"), { pending: 0, deadLetters: 0 })
    })
  )
})

describe("a channel that hangs", () => {
  it.effect("delays neither other channels, nor other tenants", () =>
    Effect.gen(function* () {
      const { ledger, store, send, tenant } = yield* open()
      const other = new Owing(ledger, "other")
      yield* tenant.recipients(recipient("dead"), recipient("well"))
      yield* other.recipients(recipient("theirs"))
      send.turns.set("https://dead.test/", () => hanging)
      const wake = yield* courier(store, send)
      yield* tenant.raise(50, "dead", "well")
      yield* other.raise(50, "theirs")
      wake()
      yield* settle
      const of = (name: string) => send.log.filter((line) => line.startsWith(name)).length
      assert.deepStrictEqual([of("dead"), of("well"), of("theirs")], [1, 50, 50])
    })
  )

  it.effect("takes one place, and there are only so many", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      const names = Array.from({ length: 12 }, (_, index) => `r${index}`)
      yield* tenant.recipients(...names.map((name) => recipient(name)))
      const gates = names.map((name) => {
        const held = gate()
        send.turns.set(`https://${name}.test/`, () => held.turn)
        return held
      })
      yield* tenant.raise(2, ...names)
      yield* courier(store, send, { atOnce: 5 })
      yield* settle
      assert.deepStrictEqual([send.sent.length, send.underWay], [5, 5])
      for (const { open: letGo } of gates) letGo()
      yield* settle
      assert.deepStrictEqual([send.sent.length, send.underWayMax], [24, 5])
      assert.strictEqual(new Set(send.log).size, 24)
    })
  )

  it.effect("of one kind does not keep the other kind waiting", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a", "email"), recipient("b"))
      send.turns.set("a@example.com", () => hanging)
      yield* tenant.raise(2, "a", "b")
      yield* courier(store, send, { kind: "email", atOnce: 1 })
      yield* courier(store, send, { kind: "webhook", atOnce: 1 })
      yield* settle
      assert.deepStrictEqual([...send.log].sort(), ["a@example.com alert_1", "b alert_1", "b alert_2"])
    })
  )
})

describe("a process that ends", () => {
  it.effect("gives back what was under way: the next one tries it at once, and as the same try", () =>
    Effect.gen(function* () {
      const { rows, store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* tenant.raise(1, "a")
      send.turns.set("https://a.test/", () => hanging)
      const scope = yield* Scope.make()
      yield* Scope.provide(courier(store, send), scope)
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(rows.owed[0], { dueAt: NOON, attempts: 0 })
      send.turns.clear()
      yield* courier(store, send)
      yield* settle
      assert.lengthOf(send.sent, 2)
      assert.deepStrictEqual(yield* store.counts("acme"), { pending: 0, deadLetters: 0 })
    })
  )

  it.effect(
    "without a word, in the middle of a try, leaves it to whoever looks when the lease has ended",
    () =>
      Effect.gen(function* () {
        const { store, send, tenant } = yield* open()
        yield* tenant.recipients(recipient("a"))
        yield* tenant.raise(1, "a")
        // It is killed: nothing that it would do afterwards is done.
        const dying: DeliveryStore = { ...store, released: () => Effect.void, delivered: () => Effect.void }
        send.turns.set("https://a.test/", () => hanging)
        const scope = yield* Scope.make()
        yield* Scope.provide(courier(dying, send), scope)
        yield* settle
        yield* Scope.close(scope, Exit.void)
        send.turns.clear()
        yield* courier(store, send)
        yield* settle
        yield* pass(LEASE_MS - 1)
        assert.lengthOf(send.sent, 1)
        yield* pass(1)
        assert.lengthOf(send.sent, 2)
        assert.deepStrictEqual(yield* store.counts("acme"), { pending: 0, deadLetters: 0 })
      })
  )

  it.effect("between the commit and the delivery loses nothing: whoever starts next looks by itself", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* tenant.raise(5, "a")
      yield* courier(store, send)
      yield* settle
      assert.lengthOf(send.sent, 5)
    })
  )

  it.effect("and what another process raised and never delivered is found within a minute", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* courier(store, send)
      yield* settle
      yield* tenant.raise(1, "a")
      yield* settle
      assert.lengthOf(send.sent, 0)
      yield* pass(MINUTE)
      assert.lengthOf(send.sent, 1)
    })
  )
})

describe("a store that is away", () => {
  const away = Effect.fail(new Unavailable({ message: "away", retry_after_ms: 1 }))

  it.effect("is waited for", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* tenant.raise(1, "a")
      let isAway = true
      const flaky: DeliveryStore = {
        ...store,
        claimDue: (query) => Effect.suspend(() => (isAway ? away : store.claimDue(query)))
      }
      yield* courier(flaky, send)
      yield* settle
      yield* pass(5_000)
      assert.lengthOf(send.sent, 0)
      isAway = false
      yield* pass(5_000)
      assert.lengthOf(send.sent, 1)
    })
  )

  it.effect("when something has arrived is asked again, and a courier does not end by a defect", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      yield* tenant.recipients(recipient("a"))
      yield* tenant.raise(1, "a")
      let asked = 0
      let claims = 0
      const flaky: DeliveryStore = {
        ...store,
        claimDue: (query) =>
          Effect.suspend(() => (++claims === 1 ? Effect.die(new Error("a bug")) : store.claimDue(query))),
        delivered: (claimed) => Effect.suspend(() => (++asked < 4 ? away : store.delivered(claimed)))
      }
      yield* courier(flaky, send)
      yield* settle
      for (let second = 0; second < 12; second++) yield* pass(1_000)
      assert.deepStrictEqual([asked, send.sent.length], [4, 1])
      assert.deepStrictEqual(yield* store.counts("acme"), { pending: 0, deadLetters: 0 })
    })
  )
})

describe("several processes on one store", () => {
  it.effect("deliver each alert once", () =>
    Effect.gen(function* () {
      const { store, send, tenant } = yield* open()
      const names = Array.from({ length: 6 }, (_, index) => `r${index}`)
      yield* tenant.recipients(...names.map((name) => recipient(name)))
      const wakes = yield* Effect.forEach([1, 2, 3], () => courier(store, send))
      for (let round = 0; round < 10; round++) {
        yield* tenant.raise(2, ...names)
        for (const wake of wakes) wake()
      }
      yield* settle
      assert.lengthOf(send.log, 120)
      assert.strictEqual(new Set(send.log).size, 120)
    })
  )
})
