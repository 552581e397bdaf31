/** What the host gives and the system calls by itself: where it throws, it takes nobody with it, and the log says so. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { type ActorOptions, ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import type { InspectionListener } from "../../src/actor/Inspection.ts"
import { HOME, quiet, TILL, type Till, till, tillAt, WHO } from "./support/Till.ts"

const OTHER = tenantAddress("till", "other")
const IDLE_MS = 1_000

const broken = (): never => {
  throw new Error("the host's own")
}

/** With what is logged. */
const logged = <A, E>(test: (log: ReadonlyArray<string>) => Effect.Effect<A, E, ActorSystem>) => {
  const log: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => {
    log.push(String(message))
  })
  return Effect.provide(test(log), Layer.provideMerge(layer, Logger.layer([logger])))
}

describe("a watcher that throws", () => {
  it.effect("keeps nobody from stopping, and the next one is told", () =>
    logged((log) =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const told: Array<string> = []
        yield* system.spawn(tillAt())
        system.watch(HOME, broken)
        system.watch(HOME, ({ reason }) => told.push(reason))
        yield* system.stop(HOME)
        yield* quiet
        assert.deepStrictEqual(told, ["stopped"])
        system.watch(HOME, broken)
        yield* quiet
        assert.deepStrictEqual(log, [
          "A watcher of till/default threw when it was told of its end (stopped)",
          "A watcher of till/default threw when it was told of its end (gone)"
        ])
      })
    )
  )
})

describe("a listener that throws", () => {
  const CASES: ReadonlyArray<readonly [string, InspectionListener]> = [
    ["on answers", { onSignal: broken }],
    ["on arrivals", { onArrival: broken }],
    ["on facts", { onFact: broken }],
    ["on dead letters", { onDeadLetter: broken }]
  ]
  for (const [what, listener] of CASES) {
    it.effect(`${what}: the ask is answered, the next listener is told, and the log says so once`, () =>
      logged((log) =>
        Effect.gen(function* () {
          const system = yield* ActorSystem
          const told: Array<string> = []
          system.inspection.listen(listener)
          system.inspection.listen({
            onSignal: ({ name }) => told.push(name),
            onArrival: ({ name }) => told.push(`${name} came`),
            onFact: ({ fact }) => told.push(fact),
            onDeadLetter: ({ signal }) => told.push(`${signal} died`)
          })
          const ref = yield* system.spawn(tillAt())
          assert.deepStrictEqual(yield* ref.ask("pay", { coins: 2 }, WHO), { total: 2 })
          for (const coins of [-1, -2]) ref.tell("pay", { coins }, WHO)
          assert.deepStrictEqual(yield* ref.ask("total", {}, WHO), { total: 2 })
          assert.strictEqual(system.entry(HOME.text)?.info.restarts, 0)
          assert.strictEqual(ref.unanswered, 0)
          yield* system.stop(HOME)
          assert.includeMembers(told, ["started", "pay came", "pay", "pay died", "stopped"])
          assert.strictEqual(log.filter((line) => line.startsWith("A listener")).length, 1, log.join("\n"))
        })
      )
    )
  }
})

describe("a kind whose own rules throw", () => {
  const kinds = (system: ActorSystem, more: Partial<ActorOptions<Till>>) => {
    system.register<Till>({
      kind: "till",
      idleMs: IDLE_MS,
      make: (address) => ({ address, ...till(), ...(address.text === HOME.text ? more : {}) })
    })
    for (const address of [HOME, OTHER]) system.refOf(address, TILL)
  }
  const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), quiet)

  it.effect("mayPassivate: that one stays, the others leave, and it is asked again later", () =>
    logged((log) =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        let isBroken = true
        kinds(system, { mayPassivate: () => !isBroken || broken() })
        yield* pass(2 * IDLE_MS)
        assert.deepStrictEqual(
          system.entries().map(({ address }) => address.text),
          [HOME.text]
        )
        assert.isFalse(system.passivate(HOME))
        yield* quiet
        assert.deepStrictEqual(
          new Set(log),
          new Set(["mayPassivate of till/default threw; the actor stays in memory"])
        )
        isBroken = false
        yield* pass(2 * IDLE_MS)
        assert.deepStrictEqual(system.entries(), [])
      })
    )
  )

  it.effect("make: who sends through a handle is told Unavailable, and who asks for the actor sees it", () =>
    logged((log) =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        let isBroken = false
        system.register<Till>({
          kind: "till",
          idleMs: IDLE_MS,
          make: (address) => (isBroken ? broken() : { address, ...till() })
        })
        const ref = system.refOf(HOME, TILL) ?? assert.fail("it is made")
        yield* pass(2 * IDLE_MS)
        isBroken = true
        assert.strictEqual((yield* Effect.flip(ref.ask("total", {}, WHO)))._tag, "Unavailable")
        ref.tell("total", {}, WHO)
        yield* quiet
        assert.strictEqual(system.deadLetters.total, 1)
        assert.strictEqual(log[0], "The kind till threw when till/default was to be made")
        assert.throws(() => system.refOf(HOME, TILL), "the host's own")
      })
    )
  )
})
