/** A thousand lives of one actor leave nothing behind: no fiber, no timer, no watch, no child, no memory. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, it } from "@effect/vitest"
import { Clock, Effect, type Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { sharedAddress } from "../../src/actor/Address.ts"
import { HOME, quiet, TILL, type Till, till, WHO } from "./support/Till.ts"

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

const FIRST = 600
const RESTARTS = 1_000
const NEIGHBOUR = sharedAddress("till", "neighbour")
const CHILD = sharedAddress("till", "child")

/** Counts what sleeps: every timer that waits. */
const countingClock = (clock: Clock.Clock) => {
  const counted = { sleeping: 0 }
  const sleep: Clock.Clock["sleep"] = (duration) =>
    Effect.suspend(() => {
      counted.sleeping += 1
      return Effect.ensuring(
        clock.sleep(duration),
        Effect.sync(() => {
          counted.sleeping -= 1
        })
      )
    })
  return { counted, clock: Object.create(clock, { sleep: { value: sleep } }) as Clock.Clock }
}

const alive = <A extends object>(refs: ReadonlyArray<WeakRef<A>>): number =>
  refs.filter((ref) => ref.deref() !== undefined).length

const collected = Effect.promise(async () => {
  for (let times = 0; times < 4; times++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
})

it.effect("a thousand restarts", () =>
  Effect.gen(function* () {
    const { counted, clock } = countingClock(yield* Clock.Clock)
    const fibers: Array<WeakRef<Fiber.Fiber<unknown, unknown>>> = []
    const contexts: Array<WeakRef<object>> = []
    const seen = Effect.withFiber<void>((fiber) => {
      fibers.push(new WeakRef(fiber))
      return Effect.void
    })
    yield* Effect.gen(function* () {
      const system = yield* ActorSystem
      const neighbour = yield* system.spawn({ address: NEIGHBOUR, ...till() })
      yield* neighbour.ask("pay", { coins: 7 }, WHO)
      const ref = yield* system.spawn<Till>({
        address: HOME,
        protocol: TILL,
        supervision: { restartsMax: 1_000_000, withinMs: 60_000, backoffMs: 1, backoffMaxMs: 5 },
        behaviour: (context) =>
          Effect.gen(function* () {
            contexts.push(new WeakRef(context))
            context.every("tick", 60_000, "total", {})
            context.after("once", 3_600_000, "total", {})
            context.watch(NEIGHBOUR, () => undefined)
            yield* context.spawn({ address: CHILD, ...till() })
            yield* seen
            yield* Effect.forkChild(Effect.andThen(seen, Effect.never), { startImmediately: true })
            yield* till().behaviour(context)
          })
      })
      const crash = Effect.gen(function* () {
        yield* Effect.ignore(ref.ask("break", { how: "throw" }, WHO))
        yield* TestClock.adjust(5)
        yield* quiet
      })
      // As many as are kept for who comes late.
      for (let times = 0; times < FIRST; times++) yield* crash
      const before = { sleeping: counted.sleeping, watchers: system.watchers, heap: yield* collected }
      for (let times = 0; times < RESTARTS; times++) yield* crash
      const heap = yield* collected

      assert.strictEqual(system.entry(HOME.text)?.info.restarts, FIRST + RESTARTS)
      assert.strictEqual(counted.sleeping, before.sleeping, "timers that wait")
      assert.strictEqual(system.watchers, before.watchers)
      assert.strictEqual(system.watchers, 1)
      assert.strictEqual(system.entries().length, 3)
      assert.isAtMost(alive(contexts), 2, "lives that are still held")
      assert.isAtMost(alive(fibers), 4, "fibers that are still held")
      assert.strictEqual(ref.unanswered, 0)
      // A life that stayed would keep its fibers, timers and maps: some ten kilobytes each.
      assert.isBelow((heap - before.heap) / RESTARTS, 1_000, "bytes that each restart leaves")
      assert.deepStrictEqual(yield* neighbour.ask("total", {}, WHO), { total: 7 })
      assert.strictEqual(system.entry(NEIGHBOUR.text)?.info.restarts, 0)

      yield* system.stop(HOME)
      assert.strictEqual(system.watchers, 0)
      assert.deepStrictEqual(
        system.entries().map(({ address }) => address.text),
        [NEIGHBOUR.text]
      )
    }).pipe(
      // What is logged stays with the test: that is none of the actors' memory.
      Effect.provide(Layer.provideMerge(layer, Logger.layer([]))),
      Effect.provideService(Clock.Clock, clock)
    )
    assert.strictEqual(counted.sleeping, 0, "timers after the system has ended")
  })
)
