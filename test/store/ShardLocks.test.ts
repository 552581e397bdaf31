/**
 * The locks of shards: what is let go at the same time goes in one statement, a renewal waits for none of it, a session
 * that does not answer is replaced, and the locks end with it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Redacted, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { TestClock } from "effect/testing"
import { afterAll, beforeAll } from "vitest"
import {
  type LockSession,
  makeShardLocks,
  openLockSession,
  type ShardLocks
} from "../../src/store/ShardLocks.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"

const WITHIN_MS = 2_000
const NODES = "nodes"

/** A session that answers when the test says so, and says what it was asked. */
const makeSlowSession = () => {
  const asked: Array<{ readonly text: string; readonly answer: () => void }> = []
  const arrived = Latch.makeUnsafe(false)
  const query: LockSession["query"] = (text) =>
    Effect.callback((resume) => {
      asked.push({ text, answer: () => resume(Effect.succeed({ rows: [] })) })
      arrived.openUnsafe()
    })
  let opened = 0
  const open: Effect.Effect<LockSession, SqlError, Scope.Scope> = Effect.sync(() => {
    opened += 1
    return { query }
  })
  /** Until it was asked so often. */
  const untilAsked = (count: number): Effect.Effect<void> =>
    Effect.suspend(() =>
      asked.length >= count
        ? Effect.void
        : Effect.andThen(
            Effect.andThen(
              Effect.sync(() => arrived.closeUnsafe()),
              arrived.await
            ),
            untilAsked(count)
          )
    )
  return { asked, open, untilAsked, opened: () => opened }
}

const shards = (text: string): ReadonlyArray<number> =>
  [...(/\[([\d, ]+)\]/u.exec(text)?.[1] ?? "").split(",")].map(Number)

describe("on a session that takes its time", () => {
  it.effect("what is let go meanwhile goes together, and a renewal waits for none of it", () =>
    Effect.gen(function* () {
      const { asked, open, untilAsked } = makeSlowSession()
      const locks = yield* makeShardLocks({ open, nodes: NODES, withinMs: WITHIN_MS })
      const first = yield* Effect.forkChild(locks.release(1), { startImmediately: true })
      yield* untilAsked(1)
      const others = yield* Effect.forEach([2, 3, 4, 5], (shard) =>
        Effect.forkChild(locks.release(shard), { startImmediately: true })
      )
      const renewal = yield* Effect.forkChild(locks.renew("a:1"), { startImmediately: true })
      yield* untilAsked(2)
      assert.include(asked[1]?.text, "UPDATE", "the renewal is sent although a release has no answer")
      asked[1]?.answer()
      yield* Fiber.join(renewal)
      asked[0]?.answer()
      yield* Fiber.join(first)
      yield* untilAsked(3)
      assert.deepStrictEqual(shards(asked[2]?.text ?? ""), [2, 3, 4, 5])
      asked[2]?.answer()
      yield* Effect.forEach(others, Fiber.join)
      assert.lengthOf(asked, 3)
    })
  )

  it.effect("all that is let go at the same moment is one statement", () =>
    Effect.gen(function* () {
      const { asked, open, untilAsked } = makeSlowSession()
      const locks = yield* makeShardLocks({ open, nodes: NODES, withinMs: WITHIN_MS })
      const all = Array.from({ length: 32 }, (_, index) => index + 1)
      const done = yield* Effect.forkChild(
        Effect.forEach(all, (shard) => locks.release(shard), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* untilAsked(1)
      assert.deepStrictEqual(shards(asked[0]?.text ?? ""), all)
      asked[0]?.answer()
      yield* Fiber.join(done)
      assert.lengthOf(asked, 1)
    })
  )

  it.effect("who is not answered in time is told so, and has another session next", () =>
    Effect.gen(function* () {
      const { asked, open, untilAsked, opened } = makeSlowSession()
      const locks = yield* makeShardLocks({ open, nodes: NODES, withinMs: WITHIN_MS })
      const late = yield* Effect.forkChild(Effect.flip(locks.renew("a:1")), { startImmediately: true })
      yield* untilAsked(1)
      yield* TestClock.adjust(WITHIN_MS)
      assert.strictEqual((yield* Fiber.join(late))._tag, "LocksUnanswered")
      const next = yield* Effect.forkChild(locks.renew("a:1"), { startImmediately: true })
      yield* TestClock.adjust(WITHIN_MS / 2)
      assert.strictEqual(opened(), 2)
      asked[1]?.answer()
      yield* Fiber.join(next)
    })
  )
})

it.effect("what nobody waits for any more takes no lock when there is a session again", () =>
  Effect.gen(function* () {
    const { asked, open, untilAsked } = makeSlowSession()
    const reachable = Latch.makeUnsafe(false)
    const late = Effect.andThen(reachable.await, open)
    const locks = yield* makeShardLocks({ open: late, nodes: NODES, withinMs: WITHIN_MS })
    const taken = yield* Effect.forkChild(Effect.flip(locks.acquire([1, 2])), { startImmediately: true })
    yield* TestClock.adjust(2 * WITHIN_MS)
    assert.strictEqual((yield* Fiber.join(taken))._tag, "LocksUnanswered")
    reachable.openUnsafe()
    const next = yield* Effect.forkChild(locks.renew("a:1"), { startImmediately: true })
    yield* untilAsked(1)
    asked[0]?.answer()
    yield* Fiber.join(next)
    assert.deepStrictEqual(
      asked.map(({ text }) => text.includes("pg_try_advisory_lock")),
      [false]
    )
  })
)

describe("on a server", () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterAll(() => database.drop())

  /** A node's locks; `end`: its process dies. */
  const node = Effect.gen(function* () {
    const died = yield* Deferred.make<void>()
    const ready = yield* Deferred.make<ShardLocks>()
    const session = openLockSession(Redacted.make(database.url), 60_000)
    const open = Effect.tap(session, (connection) =>
      connection.query(
        `CREATE TABLE IF NOT EXISTS ${NODES} (address text PRIMARY KEY, last_heartbeat timestamptz)`
      )
    )
    const living = Effect.gen(function* () {
      yield* Deferred.succeed(ready, yield* makeShardLocks({ open, nodes: NODES, withinMs: 60_000 }))
      yield* Deferred.await(died)
    })
    const fiber = yield* Effect.forkChild(Effect.scoped(living))
    const locks = yield* Deferred.await(ready)
    return { ...locks, end: Effect.andThen(Deferred.succeed(died, undefined), Fiber.join(fiber)) }
  })

  it.live("a shard is one node's until it lets go of it, or its session ends", () =>
    Effect.gen(function* () {
      const a = yield* node
      const b = yield* node
      assert.sameMembers([...(yield* a.acquire([1, 2, 3, 4]))], [1, 2, 3, 4])
      assert.sameMembers([...(yield* a.acquire([3, 4, 5]))], [3, 4, 5], "what it has, and what is free")
      assert.deepStrictEqual(yield* b.acquire([1, 5]), [])
      assert.sameMembers([...(yield* a.renew("a:1"))], [1, 2, 3, 4, 5])
      yield* Effect.all([a.release(3), a.release(4)], { concurrency: "unbounded" })
      assert.sameMembers([...(yield* b.acquire([2, 3, 4]))], [3, 4], "it was counted once")
      assert.sameMembers([...(yield* a.renew("a:1"))], [1, 2, 5])
      yield* a.releaseAll
      assert.deepStrictEqual([...(yield* a.renew("a:1"))], [])
      assert.sameMembers([...(yield* a.acquire([1, 2]))], [1, 2])
      yield* a.end
      // The server sees that a session has ended a moment after it did.
      let taken = yield* b.acquire([1, 2])
      while (taken.length < 2) {
        yield* Effect.yieldNow
        taken = yield* b.acquire([1, 2])
      }
      assert.sameMembers([...(yield* b.renew("b:1"))], [1, 2, 3, 4])
      yield* b.end
    })
  )
})
