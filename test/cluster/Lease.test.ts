/**
 * What a node believes of its shards: as long as its lease, and nothing once it has left.
 */
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { Runner, RunnerAddress, RunnerStorage, ShardId } from "effect/cluster"
import { TestClock } from "effect/testing"
import { type Lease, makeLease } from "../../src/cluster/Lease.ts"
import { takingClock } from "../../src/cluster/TakingClock.ts"
import { LEASE_MS, TAKEN_AGAIN_MS, TAKEN_AGAIN_MS_MAX } from "../../src/cluster/Timing.ts"

const SELF = RunnerAddress.make("127.0.0.1", 1)
const SHARDS = [ShardId.make("default", 1), ShardId.make("default", 2)]

/** A store that gives what it is told to give, and says what it was asked for. */
const worldOf = (
  taken: () => ReadonlyArray<ShardId.ShardId>,
  there: () => ReadonlyArray<RunnerAddress.RunnerAddress> = () => []
) => {
  const asked: Array<string> = []
  const noted = <A>(what: string, answer: A) =>
    Effect.sync(() => {
      asked.push(what)
      return answer
    })
  const storage = RunnerStorage.RunnerStorage.of({
    register: () => noted("register", 1 as never),
    unregister: () => noted("unregister", undefined),
    getRunners: Effect.suspend(() =>
      noted(
        "look",
        there().map((address) => [new Runner.Runner({ address, groups: ["default"], weight: 1 }), true])
      )
    ),
    setRunnerHealth: () => noted("health", undefined),
    acquire: () => Effect.suspend(() => noted("acquire", [...taken()])),
    refresh: (_, shards) => noted("refresh", [...shards]),
    release: () => noted("release", undefined),
    releaseAll: () => noted("release all", undefined)
  })
  const build = (lease: Lease) =>
    Effect.provide(
      RunnerStorage.RunnerStorage,
      Layer.provide(lease.layer, Layer.succeed(RunnerStorage.RunnerStorage, storage))
    )
  return { asked, build }
}

it.effect("what is here is believed for as long as the lease, from when the store was asked", () =>
  Effect.gen(function* () {
    const lease = yield* makeLease(() => SELF)
    const storage = yield* worldOf(() => SHARDS).build(lease)
    assert.deepStrictEqual([lease.isValid(), lease.isCutOff()], [false, false], "it has not begun")
    yield* storage.acquire(SELF, SHARDS)
    yield* TestClock.adjust(LEASE_MS - 1)
    assert.isTrue(lease.isValid())
    yield* TestClock.adjust(1)
    assert.deepStrictEqual([lease.isValid(), lease.isCutOff()], [false, true])
    yield* storage.refresh(SELF, SHARDS)
    assert.deepStrictEqual([lease.isValid(), lease.isCutOff()], [true, false])
  })
)

it.effect("who leaves says so once, and takes nothing more", () =>
  Effect.gen(function* () {
    const lease = yield* makeLease(() => SELF)
    const { asked, build } = worldOf(() => SHARDS)
    const storage = yield* build(lease)
    yield* storage.acquire(SELF, SHARDS)
    yield* lease.leave
    yield* lease.leave
    assert.deepStrictEqual(asked, ["acquire", "unregister"], "the store lets go with that")
    assert.isFalse(lease.isValid())
    assert.deepStrictEqual(yield* storage.acquire(SELF, SHARDS), [])
    assert.deepStrictEqual(yield* storage.refresh(SELF, SHARDS), [])
    yield* storage.unregister(SELF)
    yield* storage.releaseAll(SELF)
    assert.strictEqual(asked.length, 2)
  })
)

it.effect(
  "shards that somebody else still has are tried again soon, and more seldom while nothing comes",
  () =>
    Effect.gen(function* () {
      const lease = yield* makeLease(() => SELF)
      let free: ReadonlyArray<ShardId.ShardId> = []
      const storage = yield* worldOf(() => free).build(lease)
      const pauses: Array<number> = []
      for (let turn = 0; turn < 6; turn++) {
        yield* storage.acquire(SELF, SHARDS)
        pauses.push(lease.takenAgainMs())
      }
      assert.deepStrictEqual(pauses, [40, 80, 160, 200, 200, 200])
      assert.strictEqual(pauses.at(-1), TAKEN_AGAIN_MS_MAX)
      free = SHARDS
      yield* storage.acquire(SELF, SHARDS)
      assert.strictEqual(lease.takenAgainMs(), TAKEN_AGAIN_MS)
    })
)

it.effect(
  "who waits for a move hears of it when a node has come or gone and the table is new, and of nothing else",
  () =>
    Effect.gen(function* () {
      const lease = yield* makeLease(() => SELF)
      let there = [SELF, RunnerAddress.make("127.0.0.1", 2)]
      const storage = yield* worldOf(
        () => SHARDS,
        () => there
      ).build(lease)
      yield* storage.getRunners
      yield* storage.acquire(SELF, SHARDS)
      let heard = 0
      const hears = Effect.forkChild(
        Effect.tap(lease.changed, () => Effect.sync(() => heard++)),
        { startImmediately: true }
      )
      const first = yield* hears
      const second = yield* hears
      there = [...there].reverse()
      yield* storage.getRunners
      yield* storage.acquire(SELF, SHARDS)
      yield* Effect.yieldNow
      assert.strictEqual(heard, 0, "nobody came or went")
      there = [SELF]
      yield* storage.getRunners
      yield* Effect.yieldNow
      assert.strictEqual(heard, 0, "the table is not made yet")
      yield* storage.acquire(SELF, SHARDS)
      yield* Effect.forEach([first, second], Fiber.join)
      assert.strictEqual(heard, 2)
    })
)

it.effect("the pause after taking shards is the lease's, and every other one is as long as it was", () =>
  Effect.gen(function* () {
    const slept: Array<number> = []
    const clock = takingClock(
      {
        ...(yield* Effect.clockWith(Effect.succeed)),
        sleep: (duration) =>
          Effect.sync(() => {
            slept.push(Duration.toMillis(duration))
          })
      },
      () => TAKEN_AGAIN_MS
    )
    for (const ms of [1_000, 999, 500, 10]) yield* clock.sleep(Duration.millis(ms))
    assert.deepStrictEqual(slept, [TAKEN_AGAIN_MS, 999, 500, 10])
  })
)
