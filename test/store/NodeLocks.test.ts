/**
 * Who is there, on a real Postgres server: nodes are looked for when somebody says that they have changed, and a node whose
 * session has ended is off the list without being asked. Looks that nobody has asked for come once an hour here, so what is
 * seen was told.
 */
import { assert, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Option, Redacted, Scope } from "effect"
import { Runner, RunnerAddress, RunnerStorage, ShardId, ShardingConfig } from "effect/cluster"
import { SqlClient } from "effect/sql"
import { afterAll, beforeAll, vi } from "vitest"
import { nodeLocks } from "../../src/store/NodeLocks.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const HOUR_MS = 3_600_000
const MISSED_AFTER_MS = 200

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

const addressOf = (port: number) => RunnerAddress.make("127.0.0.1", port)

/** A node's store, until `end`: then its sessions end, as they do when its process dies. */
const nodeOf = (port: number, lookedEveryMs = HOUR_MS) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const address = addressOf(port)
    const layer = nodeLocks({
      url: Redacted.make(database.url),
      lookedEveryMs,
      missedAfterMs: MISSED_AFTER_MS
    }).pipe(
      Layer.provide(
        ShardingConfig.layer({
          runnerAddress: Option.some(address),
          shardLockExpiration: Duration.seconds(4),
          shardLockRefreshInterval: Duration.millis(1_300)
        })
      )
    )
    const context = yield* Effect.orDie(Layer.buildWithScope(Layer.fresh(layer), scope))
    const storage = Context.get(context, RunnerStorage.RunnerStorage)
    const runner = new Runner.Runner({ address, groups: ["default"], weight: 1 })
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    return { storage, address, runner, end: Scope.close(scope, Exit.void) }
  })

const testClient = Layer.orDie(
  Layer.unwrap(Effect.sync(() => serverLayer({ url: Redacted.make(database.url) })))
)

type Node = Effect.Success<ReturnType<typeof nodeOf>>

/** Looks until these are there, and nobody else. Each look waits until it is told to. */
const sees = ({ storage }: Node, ports: ReadonlyArray<number>): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (;;) {
      const found = yield* Effect.orDie(storage.getRunners)
      const there = found.map(([{ address }]) => address.port).sort()
      if (JSON.stringify(there) === JSON.stringify([...ports].sort())) return
    }
  })

const enter = ({ storage, runner }: Node) => Effect.orDie(storage.register(runner, true))

it.live("who comes and who leaves is seen by the others at once", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* nodeOf(5001), yield* nodeOf(5002)]
    yield* enter(a)
    yield* sees(a, [5001])
    yield* enter(b)
    yield* sees(a, [5001, 5002])
    yield* b.storage.unregister(b.address)
    yield* sees(a, [5001])
    yield* a.storage.unregister(a.address)
  }).pipe(Effect.scoped)
)

it.live("who leaves lets go of all that it has before the others hear of it", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* nodeOf(5031), yield* nodeOf(5032)]
    for (const node of [a, b]) yield* enter(node)
    yield* sees(a, [5031, 5032])
    const both = [ShardId.make("default", 1), ShardId.make("default", 2)]
    assert.strictEqual((yield* b.storage.acquire(b.address, both)).length, 2)
    yield* b.storage.unregister(b.address)
    yield* sees(a, [5031])
    assert.strictEqual((yield* a.storage.acquire(a.address, both)).length, 2)
    yield* a.storage.unregister(a.address)
  }).pipe(Effect.scoped)
)

it.live("who leaves is off the list even if the session that its locks were on has ended", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* nodeOf(5041), yield* nodeOf(5042)]
    for (const node of [a, b]) yield* enter(node)
    yield* sees(a, [5041, 5042])
    const sql = yield* SqlClient.SqlClient
    yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'bursar locks' AND datname = current_database()`
    yield* b.storage.unregister(b.address)
    yield* sees(a, [5041])
    yield* a.storage.unregister(a.address)
  }).pipe(Effect.scoped, Effect.provide(testClient))
)

it.live("that a node has left is believed without reading the list; anything else is read", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* nodeOf(5051), yield* nodeOf(5052)]
    for (const node of [a, b]) yield* enter(node)
    yield* sees(a, [5051, 5052])
    const sql = yield* SqlClient.SqlClient
    // It is on the list still, so who reads sees it.
    yield* sql`SELECT pg_notify('bursar_nodes', 'left 127.0.0.1:5052')`
    yield* sees(a, [5051])
    yield* sql`SELECT pg_notify('bursar_nodes', '')`
    yield* sees(a, [5051, 5052])
    for (const node of [a, b]) yield* node.storage.unregister(node.address)
  }).pipe(Effect.scoped, Effect.provide(testClient))
)

it.live("a look that fails does not forget what was heard: the next one reads the list", () =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const farewell = sql`SELECT pg_notify('bursar_nodes', 'left 127.0.0.1:5069')`
    const failingLook = ({ storage }: Node) =>
      Effect.gen(function* () {
        yield* sql`ALTER TABLE cluster_runners RENAME TO cluster_away`
        assert.isTrue(Exit.isFailure(yield* Effect.exit(storage.getRunners)))
        yield* sql`ALTER TABLE cluster_away RENAME TO cluster_runners`
        // Of somebody who is not on the list: this alone is no reason to read it.
        yield* farewell
      })
    const [a, b] = [yield* nodeOf(5061), yield* nodeOf(5062)]
    yield* enter(a)
    // It has read nothing before, so it would believe that nobody is there, itself included.
    yield* failingLook(a)
    assert.strictEqual((yield* Effect.orDie(a.storage.getRunners)).length, 1)
    yield* enter(b)
    yield* failingLook(a)
    assert.strictEqual((yield* Effect.orDie(a.storage.getRunners)).length, 2)
    for (const node of [a, b]) yield* node.storage.unregister(node.address)
  }).pipe(Effect.scoped, Effect.provide(testClient))
)

it.live("who has died is taken off the list, and what it had is free", () =>
  Effect.gen(function* () {
    // The one that notices looks often; the other one is told by it.
    const [a, b, c] = [yield* nodeOf(5011, 50), yield* nodeOf(5012), yield* nodeOf(5013)]
    for (const node of [a, b, c]) yield* enter(node)
    yield* sees(b, [5011, 5012, 5013])
    const shard = ShardId.make("default", 1)
    assert.strictEqual((yield* c.storage.acquire(c.address, [shard])).length, 1)
    assert.strictEqual((yield* a.storage.acquire(a.address, [shard])).length, 0)
    yield* c.end
    yield* sees(a, [5011, 5012])
    yield* sees(b, [5011, 5012])
    assert.strictEqual((yield* a.storage.acquire(a.address, [shard])).length, 1)
  }).pipe(Effect.scoped)
)

it.live("who lives and lost its session has another one, and enters itself again", () =>
  Effect.gen(function* () {
    const [a, b] = [yield* nodeOf(5021, 50), yield* nodeOf(5022)]
    for (const node of [a, b]) yield* enter(node)
    const sql = yield* SqlClient.SqlClient
    const sessions = Effect.map(
      sql<{ readonly pid: number }>`SELECT pid FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid = 420719861::oid
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      (rows) => rows.map(({ pid }) => pid)
    )
    const before = yield* sessions
    assert.strictEqual(before.length, 2)
    yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${sql.in("pid", before)}`
    for (let after = before; after.length < 2 || after.some((pid) => before.includes(pid)); )
      after = yield* sessions
    yield* enter(b)
    yield* sees(a, [5021, 5022])
  }).pipe(Effect.scoped, Effect.provide(testClient))
)
