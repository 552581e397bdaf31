/** Lives at one address follow each other: nobody begins, is stopped or is forgotten while the one before still leaves. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { behave } from "../../src/actor/Behave.ts"
import { HOME, quiet, TILL, type Till, tillAt, told, WHO } from "./support/Till.ts"

const LEAVE_MS = 500

/** Before the first sleep that must not be interrupted: the clock of tests begins to look after itself with that one. */
const begun = TestClock.adjust(1)

/** Each life takes half a second to leave. */
const slowLeavers = (system: ActorSystem, isSlow = () => true) => {
  const seen = { lives: 0, living: 0, most: 0 }
  system.register<Till>({
    kind: "till",
    make: (address) => ({
      address,
      ...behave<Till, number>({
        protocol: TILL,
        initial: () => {
          seen.lives += 1
          seen.living += 1
          seen.most = Math.max(seen.most, seen.living)
          return 0
        },
        handlers: {
          pay: (total, { coins }) => ({ state: total + coins, reply: { total: total + coins } }),
          total: (total) => ({ reply: { total } }),
          break: () => ({ reply: undefined }),
          shut: (total) => ({ reply: { total }, ends: true })
        },
        leave: () =>
          Effect.andThen(
            isSlow() ? Effect.sleep(LEAVE_MS) : Effect.void,
            Effect.sync(() => {
              seen.living -= 1
            })
          )
      })
    })
  })
  return seen
}

const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), quiet)
const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkDetach(effect, { startImmediately: true })

describe("who comes while another one leaves", () => {
  it.effect("and is stopped: the stop waits for both, and the third begins after them", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      let isSlow = true
      const seen = slowLeavers(system, () => isSlow)
      yield* begun
      yield* system.refOf(HOME, TILL)?.ask("total", {}, WHO) ?? Effect.void
      const first = yield* fork(system.stop(HOME))
      yield* quiet
      const behind = system.refOf(HOME, TILL)
      const second = yield* fork(system.stop(HOME))
      const asked = yield* fork(
        Effect.suspend(() => system.refOf(HOME, TILL)?.ask("total", {}, WHO) ?? Effect.void)
      )
      yield* pass(LEAVE_MS - 1)
      assert.isUndefined(second.pollUnsafe())
      assert.deepStrictEqual(seen, { lives: 1, living: 1, most: 1 })
      yield* pass(1)
      for (const fiber of [first, second, asked]) assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(seen, { lives: 2, living: 1, most: 1 })
      assert.isTrue(behind?.isClosed)
      isSlow = false
    }).pipe(told)
  )

  it.effect("the system ends when the last of them has left", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const system = Context.get(yield* Layer.buildWithScope(layer, scope), ActorSystem)
      const seen = slowLeavers(system)
      yield* begun
      yield* system.refOf(HOME, TILL)?.ask("total", {}, WHO) ?? Effect.void
      yield* fork(system.stop(HOME))
      yield* quiet
      system.refOf(HOME, TILL)
      yield* fork(system.stop(HOME))
      const closed = yield* fork(Scope.close(scope, Exit.void))
      yield* pass(LEAVE_MS - 1)
      assert.isUndefined(closed.pollUnsafe())
      yield* pass(1)
      assert.isDefined(closed.pollUnsafe())
      assert.deepStrictEqual(seen, { lives: 1, living: 0, most: 1 })
    })
  )
})

describe("who is stopped by whoever hears that it starts", () => {
  it.effect("has stopped, and does not run", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const facts: Array<string> = []
      system.inspection.listen({
        facts: ["started", "stopped"],
        onFact: ({ fact }) => {
          facts.push(fact)
          if (fact === "started") Effect.runFork(system.stop(HOME))
        }
      })
      const ref = yield* system.spawn(tillAt())
      yield* quiet
      assert.deepStrictEqual(facts, ["started", "stopped"])
      assert.isTrue(ref.isClosed)
      assert.isUndefined(system.entry(HOME.text))
    }).pipe(told)
  )
})

describe("a system that ends", () => {
  it.effect("starts nobody: who is spawned while it closes has stopped", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const system = Context.get(yield* Layer.buildWithScope(layer, scope), ActorSystem)
      slowLeavers(system)
      yield* begun
      yield* system.refOf(HOME, TILL)?.ask("total", {}, WHO) ?? Effect.void
      const closed = yield* fork(Scope.close(scope, Exit.void))
      yield* quiet
      const address = { ...HOME, kind: "late", text: "late/default" }
      const late = yield* system.spawn(tillAt({ address }))
      assert.isTrue(late.isClosed)
      assert.strictEqual((yield* Effect.flip(late.ask("total", {}, WHO)))._tag, "Unavailable")
      assert.isUndefined(system.entry(address.text))
      assert.isUndefined(system.refOf({ ...HOME, text: "till/other" }, TILL))
      yield* pass(LEAVE_MS)
      assert.isDefined(closed.pollUnsafe())
    })
  )
})
