/** Idle actors leave memory, and nobody who asks notices. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ActorOptions, ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { type Address, tenantAddress } from "../../src/actor/Address.ts"
import { behave } from "../../src/actor/Behave.ts"
import { IdleMs } from "../../src/actor/Passivation.ts"
import { HOME, quiet, TILL, type Till, till, told, WHO } from "./support/Till.ts"

const IDLE_MS = 1_000

/** Where totals are kept while nobody needs them. `leaveMs`: how long it takes to write one. */
class Shelf {
  readonly totals = new Map<string, number>()
  made = 0
  leaveMs = 0

  readonly make = (address: Address): ActorOptions<Till> => {
    this.made += 1
    return {
      address,
      protocol: TILL,
      supervision: { restartsMax: 9, withinMs: 60_000, backoffMs: 10, backoffMaxMs: 10 },
      behaviour: (context) => {
        let total = this.totals.get(address.text) ?? 0
        const inner = behave<Till, number>({
          protocol: TILL,
          initial: () => total,
          handlers: {
            pay: (_, { coins, slowly }) => {
              total += coins
              const paid = { state: total, reply: { total } }
              return slowly === undefined ? paid : Effect.as(Effect.sleep(slowly), paid)
            },
            total: () => ({ reply: { total } }),
            break: () => {
              throw new Error("scripted")
            },
            shut: () => ({ reply: { total }, ends: true })
          },
          leave: () =>
            Effect.uninterruptible(
              Effect.andThen(
                Effect.sleep(this.leaveMs),
                Effect.sync(() => this.totals.set(address.text, total))
              )
            )
        })
        return inner.behaviour(context)
      }
    }
  }
}

const shelved = (more: Partial<ActorOptions<Till>> = {}) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const shelf = new Shelf()
    system.register<Till>({
      kind: "till",
      idleMs: IDLE_MS,
      make: (address) => (address.tenant === "nobody" ? undefined : { ...shelf.make(address), ...more })
    })
    const lives = () => system.entry(HOME.text) !== undefined
    const pay = (coins: number, slowly?: number) =>
      Effect.suspend(() => {
        const ref = system.refOf(HOME, TILL)
        if (ref === undefined) throw new Error("nobody can live there")
        return ref.ask("pay", { coins, ...(slowly === undefined ? {} : { slowly }) }, WHO)
      })
    return { system, shelf, lives, pay }
  })

const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), quiet)

describe("an actor of a registered kind", () => {
  it.effect("starts when it is asked, leaves when it was idle, and comes back with what it kept", () =>
    Effect.gen(function* () {
      const { system, shelf, lives, pay } = yield* shelved()
      const facts: Array<string> = []
      system.inspection.listen({ onFact: ({ fact, detail }) => facts.push(`${fact} ${detail ?? ""}`.trim()) })
      assert.isFalse(lives())
      assert.deepStrictEqual(yield* pay(1), { total: 1 })
      yield* pass(IDLE_MS - 1)
      assert.isTrue(lives())
      yield* pass(IDLE_MS)
      assert.isFalse(lives())
      assert.deepStrictEqual(yield* pay(2), { total: 3 })
      assert.strictEqual(shelf.made, 2)
      assert.deepStrictEqual(
        facts.filter((fact) => !fact.startsWith("mailbox")),
        ["started", "stopped idle; it comes back when it is asked", "started"]
      )
      assert.isUndefined(system.refOf(tenantAddress("till", "nobody"), TILL))
      assert.isUndefined(system.refOf(HOME), "of another protocol")
    }).pipe(told)
  )

  it.effect("stays while somebody asks", () =>
    Effect.gen(function* () {
      const { shelf, pay } = yield* shelved()
      for (let times = 0; times < 10; times++) {
        yield* pay(1)
        yield* pass(IDLE_MS - 100)
      }
      assert.strictEqual(shelf.made, 1)
    }).pipe(told)
  )

  it.effect("is asked through a ref of its last life, and answers", () =>
    Effect.gen(function* () {
      const { system, shelf, lives, pay } = yield* shelved()
      yield* pay(1)
      const old = system.find(HOME, TILL)
      yield* pass(2 * IDLE_MS)
      assert.isFalse(lives())
      assert.deepStrictEqual(yield* old?.ask("pay", { coins: 4 }, WHO) ?? Effect.void, { total: 5 })
      old?.tell("pay", { coins: 1 }, WHO)
      yield* quiet
      assert.deepStrictEqual(yield* pay(0), { total: 6 })
      assert.strictEqual(shelf.made, 2)
      assert.strictEqual(old?.unanswered, 0)
      assert.strictEqual(system.find(HOME, TILL)?.unanswered, 0)
    }).pipe(told)
  )

  it.effect("takes what came while it was leaving into its next life", () =>
    Effect.gen(function* () {
      const { system, shelf, lives, pay } = yield* shelved()
      shelf.leaveMs = 500
      yield* pay(1)
      yield* pass(2 * IDLE_MS - 500)
      assert.strictEqual(system.entry(HOME.text)?.info.status, "stopping")
      const meanwhile = yield* Effect.forkDetach(pay(2), { startImmediately: true })
      yield* quiet
      assert.isUndefined(meanwhile.pollUnsafe())
      yield* pass(500)
      assert.deepStrictEqual(yield* Fiber.join(meanwhile), { total: 3 })
      assert.isTrue(lives())
      assert.strictEqual(system.entry(HOME.text)?.info.restarts, 0)
      shelf.leaveMs = 0
    }).pipe(told)
  )

  it.effect("that leaves is waited for by who spawns at its address, and stays where a signal keeps it", () =>
    Effect.gen(function* () {
      const { system, shelf, pay } = yield* shelved()
      const spawned = Effect.forkDetach(system.spawn(shelf.make(HOME)), { startImmediately: true })
      shelf.leaveMs = 500
      yield* pay(1)
      const first = system.find(HOME, TILL)
      for (const isAsked of [true, false]) {
        yield* pass(IDLE_MS)
        while (system.entry(HOME.text)?.info.status === "running") yield* pass(100)
        const spawning = yield* spawned
        if (isAsked) first?.tell("pay", { coins: 1 }, WHO)
        yield* quiet
        assert.isUndefined(spawning.pollUnsafe())
        yield* pass(500)
        const ref = yield* Fiber.join(spawning)
        assert.strictEqual(ref === first, isAsked)
        assert.strictEqual(system.entry(HOME.text)?.info.status, "running")
        assert.deepStrictEqual(yield* ref.ask("total", {}, WHO), { total: 2 })
      }
      shelf.leaveMs = 0
    }).pipe(told)
  )

  it.effect("that leaves when its system ends keeps nobody waiting who spawns", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(layer, scope)
      const { system, shelf, pay } = yield* Effect.provide(shelved(), services)
      shelf.leaveMs = 500
      yield* pay(1)
      yield* pass(2 * IDLE_MS - 500)
      const spawning = yield* Effect.forkDetach(system.spawn(shelf.make(HOME)), { startImmediately: true })
      const closed = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* pass(499)
      assert.isUndefined(closed.pollUnsafe())
      yield* pass(1)
      yield* Fiber.join(closed)
      assert.isTrue((yield* Fiber.join(spawning)).isClosed)
      assert.isUndefined(system.entry(HOME.text))
    })
  )

  for (const [what, more, work] of [
    ["that may not", { mayPassivate: () => false }, 0],
    ["that works on a signal", {}, 10 * IDLE_MS]
  ] as const) {
    it.effect(`${what} does not leave`, () =>
      Effect.gen(function* () {
        const { lives, pay } = yield* shelved(more)
        yield* Effect.forkDetach(pay(1, work), { startImmediately: true })
        yield* pass(5 * IDLE_MS)
        assert.isTrue(lives())
      }).pipe(told)
    )
  }

  it.effect("that waits for a timer, or has children, does not leave", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      system.register<Till>({
        kind: "till",
        idleMs: IDLE_MS,
        make: (address) => ({
          address,
          protocol: TILL,
          behaviour: (context) =>
            Effect.suspend(() => {
              if (address.tenant === "timer") context.after("a", 5 * IDLE_MS, "total", {})
              if (address.tenant !== "parent") return till().behaviour(context)
              const child = context.spawn({ address: tenantAddress("child", "x"), ...till() })
              return Effect.andThen(child, till().behaviour(context))
            })
        })
      })
      for (const tenant of ["timer", "parent", "plain"]) system.refOf(tenantAddress("till", tenant), TILL)
      yield* pass(3 * IDLE_MS)
      assert.deepStrictEqual(
        system.entries().map(({ address }) => address.text),
        ["till/timer", "till/parent", "child/x"]
      )
      yield* pass(2 * IDLE_MS)
      yield* system.stop(tenantAddress("child", "x"))
      yield* pass(3 * IDLE_MS)
      assert.deepStrictEqual(system.entries(), [])
    }).pipe(told)
  )

  it.effect("that leaves has not ended: who watches is told when it is stopped", () =>
    Effect.gen(function* () {
      const { system, lives, pay } = yield* shelved()
      const told: Array<string> = []
      yield* pay(1)
      system.watch(HOME, ({ reason }) => told.push(reason))
      yield* pass(2 * IDLE_MS)
      assert.isFalse(lives())
      assert.deepStrictEqual(told, [])
      yield* pay(1)
      yield* system.stop(HOME)
      assert.deepStrictEqual(told, ["stopped"])
    }).pipe(told)
  )

  it.effect("that is stopped while it leaves is stopped; the next ask begins anew", () =>
    Effect.gen(function* () {
      const { system, shelf, pay } = yield* shelved()
      shelf.leaveMs = 500
      yield* pay(1)
      yield* pass(2 * IDLE_MS - 500)
      const stop = yield* Effect.forkDetach(system.stop(HOME), { startImmediately: true })
      const next = yield* Effect.forkDetach(pay(2), { startImmediately: true })
      yield* pass(500)
      yield* Fiber.join(stop)
      assert.deepStrictEqual(yield* Fiber.join(next), { total: 3 }, "after the first has kept what it had")
      assert.strictEqual(shelf.made, 2)
      shelf.leaveMs = 0
    }).pipe(told)
  )

  it.effect("no ask is lost or refused, whenever it comes: a thousand moments around leaving", () =>
    Effect.gen(function* () {
      const { shelf, pay } = yield* shelved()
      let expected = 0
      let seed = 42
      const random = (below: number) => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
        return (seed >>> 16) % below
      }
      const asked: Array<Fiber.Fiber<{ readonly total: number }, unknown>> = []
      for (let times = 0; times < 1_000; times++) {
        shelf.leaveMs = random(40)
        expected += 1
        asked.push(yield* Effect.forkDetach(pay(1), { startImmediately: true }))
        yield* pass([1, 400, IDLE_MS - 20, IDLE_MS, IDLE_MS + 10, 1_490, 1_500, 1_510][random(8)] as number)
      }
      shelf.leaveMs = 0
      yield* pass(100)
      for (const fiber of asked) yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* pay(0), { total: expected })
      assert.isAbove(shelf.made, 100)
    }).pipe(told)
  )
})

describe("how long", () => {
  it.effect("is set in one place, and an actor of no kind stays for ever", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      system.register<Till>({ kind: "till", make: (address) => ({ address, ...till() }) })
      system.refOf(HOME, TILL)
      yield* system.spawn({ address: tenantAddress("other", "x"), ...till() })
      yield* pass(50)
      assert.deepStrictEqual(
        system.entries().map(({ address }) => address.text),
        ["other/x"]
      )
    }).pipe(Effect.provide(Layer.provide(layer, Layer.succeed(IdleMs, 20))))
  )
})
