/**
 * What the ledger's store says when the connection to a Postgres server fails, and that it is the truth.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import { afterAll, beforeAll } from "vitest"
import { type ServerOptions, serverLayer } from "../../src/store/Postgres.ts"
import { type LedgerStoreOptions, ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { type Batch, type Claim, LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { batch, hold, request, usageRow } from "../contract/LedgerRows.ts"
import { type CuttingProxy, startCuttingProxy } from "../support/CuttingProxy.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"

let database: TestDatabase
let proxy: CuttingProxy

beforeAll(async () => {
  database = await createTestDatabase()
  proxy = await startCuttingProxy(database.url)
})
afterAll(async () => {
  await proxy.close()
  await database.drop()
})

const storeAt = (url: () => string, options: Partial<ServerOptions> & LedgerStoreOptions = {}) =>
  Layer.unwrap(
    Effect.sync(() =>
      ledgerStoreLayer("server", options).pipe(
        Layer.provide(serverLayer({ url: Redacted.make(url()), ...options }))
      )
    )
  )
const throughProxy = () => storeAt(() => proxy.url)
const direct = (options: Partial<ServerOptions> & LedgerStoreOptions = {}) =>
  storeAt(() => database.url, options)

/** A connection of the test's own, past the proxy. */
const withSql = <A, E, R>(effect: Effect.Effect<A, E, R | SqlClient.SqlClient | PgClient.PgClient>) =>
  Effect.provide(
    effect,
    Layer.unwrap(Effect.sync(() => PgClient.layer({ url: Redacted.make(database.url), maxConnections: 2 }))),
    { local: true }
  )

const tag = <A, R>(effect: Effect.Effect<A, { readonly _tag: string }, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)

const entry = (seq: number, fields: Partial<Batch> = {}): Batch =>
  batch(
    `batch ${seq}`,
    { journalSeq: seq - 1 },
    { usage: [usageRow(seq)], newRequests: [request(`r${seq}`, { hold: hold(`r${seq}`) })], ...fields }
  )

/** Whether all of a batch is there, and that it is not there in part. */
const isThere = Effect.fnUntraced(function* (tenant: string, seq: number) {
  const store = yield* LedgerStore
  const usage = yield* store.usageAfter(tenant, {}, seq - 1, 1)
  const requests = yield* store.findRequests(tenant, [`r${seq}`])
  assert.strictEqual(usage.length, requests.length)
  return usage.length === 1
})

/** Asks until the store answers, as the protocol does. */
const resolved = (claim: Claim, seq: number) =>
  Effect.flatMap(LedgerStore, (store) =>
    store.resolve(claim, `batch ${seq}`).pipe(
      Effect.retry({
        while: (error) => error._tag === "StoreUnreachable",
        schedule: Schedule.spaced("20 millis")
      })
    )
  )

for (const [cut, isWritten] of [
  ["before", false],
  ["after", true]
] as const) {
  it.live(`a connection that is cut ${cut} the statement runs: resolve says the truth`, () =>
    Effect.gen(function* () {
      const tenant = `cut-${cut}`
      const store = yield* LedgerStore
      const claim = yield* store.claim(tenant, "me")
      yield* store.commit(claim, entry(1))
      void proxy.cutNext(cut)
      assert.strictEqual(yield* tag(store.commit(claim, entry(2))), "OutcomeUnknown")
      const answer = yield* resolved(claim, 2)
      assert.strictEqual(answer.isWritten, isWritten)
      assert.strictEqual(yield* isThere(tenant, 2), isWritten)
      assert.strictEqual(yield* tag(store.commit(claim, entry(isWritten ? 3 : 2))), "Fenced")
      for (let seq = isWritten ? 3 : 2; seq <= 4; seq++) yield* store.commit(answer.claim, entry(seq))
      const all = yield* store.usageAfter(tenant, {}, 0, 10)
      assert.deepStrictEqual(
        all.map((row) => row.usage_seq),
        [1, 2, 3, 4]
      )
    }).pipe(Effect.provide(throughProxy()))
  )
}

/** Holds the head row of a tenant in a transaction until it is let go. */
const holdHead = Effect.fnUntraced(function* (tenant: string) {
  const sql = yield* SqlClient.SqlClient
  const held = yield* Deferred.make<void>()
  const letGo = yield* Deferred.make<void>()
  const fiber = yield* sql`SELECT 1 FROM tenant_head WHERE tenant = ${tenant} FOR UPDATE`.pipe(
    Effect.andThen(Deferred.succeed(held, undefined)),
    Effect.andThen(Deferred.await(letGo)),
    sql.withTransaction,
    Effect.forkChild({ startImmediately: true })
  )
  yield* Deferred.await(held)
  return Effect.andThen(Deferred.succeed(letGo, undefined), Fiber.join(fiber))
})

/** The backends that wait for a lock on the head table, once there are this many. */
const waiting = Effect.fnUntraced(function* (count: number) {
  const sql = yield* SqlClient.SqlClient
  const look = sql<{ readonly pid: number }>`SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' ORDER BY query_start`
  return yield* Effect.repeat(look, {
    until: (rows) => rows.length >= count,
    schedule: Schedule.spaced("10 millis")
  })
})

it.live("a connection that is cut while the statement runs: resolve waits for it, then says the truth", () =>
  Effect.gen(function* () {
    const store = yield* LedgerStore
    const tenant = "cut-during"
    const claim = yield* store.claim(tenant, "me")
    yield* store.commit(claim, entry(1))
    const letGo = yield* holdHead(tenant)
    void proxy.cutNext("during")
    assert.strictEqual(yield* tag(store.commit(claim, entry(2))), "OutcomeUnknown")
    yield* waiting(1)
    const asking = yield* Effect.forkChild(resolved(claim, 2), { startImmediately: true })
    yield* waiting(2)
    yield* letGo
    const answer = yield* Fiber.join(asking)
    assert.strictEqual(answer.isWritten, yield* isThere(tenant, 2))
    const next = answer.isWritten ? 3 : 2
    assert.strictEqual(yield* tag(store.commit(claim, entry(next))), "Fenced")
    yield* store.commit(answer.claim, entry(next))
  }).pipe(Effect.provide(throughProxy()), withSql)
)

it.live(
  "a backend that an administrator ends in its statement: unknown, and then known not to be there",
  () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const store = yield* LedgerStore
      const tenant = "terminated"
      const claim = yield* store.claim(tenant, "me")
      const letGo = yield* holdHead(tenant)
      const writing = yield* Effect.forkChild(tag(store.commit(claim, entry(1))), { startImmediately: true })
      const [backend] = yield* waiting(1)
      yield* sql`SELECT pg_terminate_backend(${backend?.pid ?? 0})`
      assert.strictEqual(yield* Fiber.join(writing), "OutcomeUnknown")
      yield* letGo
      const answer = yield* resolved(claim, 1)
      assert.isFalse(answer.isWritten)
      assert.isFalse(yield* isThere(tenant, 1))
      yield* store.commit(answer.claim, entry(1))
    }).pipe(Effect.provide(direct()), withSql)
)

it.live("a peer that vanishes without a word: unknown after the time to answer, and the pool goes on", () =>
  Effect.gen(function* () {
    const store = yield* LedgerStore
    const tenant = "silence"
    const claim = yield* store.claim(tenant, "me")
    const silent = proxy.cutNext("silence")
    assert.strictEqual(yield* tag(store.commit(claim, entry(1))), "OutcomeUnknown")
    yield* Effect.promise(() => silent)
    const answer = yield* resolved(claim, 1)
    assert.isTrue(answer.isWritten)
    assert.isTrue(yield* isThere(tenant, 1))
  }).pipe(Effect.provide(storeAt(() => proxy.url, { answerTimeout: "300 millis" })))
)

it.live("a store that cannot be reached says so, and is there again", () =>
  Effect.gen(function* () {
    const store = yield* LedgerStore
    const claim = yield* store.claim("away", "me")
    proxy.setOpen(false)
    void proxy.cutNext("before")
    assert.strictEqual(yield* tag(store.commit(claim, entry(1))), "OutcomeUnknown")
    assert.isFalse(yield* store.isReachable)
    assert.strictEqual(yield* tag(store.commit(claim, entry(1))), "NotWritten")
    assert.strictEqual(yield* tag(store.claim("away", "me")), "StoreUnreachable")
    assert.strictEqual(yield* tag(store.resolve(claim, "batch 1")), "StoreUnreachable")
    assert.strictEqual(yield* tag(store.findRequests("away", ["r1"])), "StoreUnreachable")
    proxy.setOpen(true)
    assert.isTrue(yield* store.isReachable)
    const answer = yield* resolved(claim, 1)
    assert.isFalse(answer.isWritten)
    yield* store.commit(answer.claim, entry(1))
  }).pipe(Effect.ensuring(Effect.sync(() => proxy.setOpen(true))), Effect.provide(throughProxy()))
)

it.live("a statement that waits too long was not written, and can be sent again", () =>
  Effect.gen(function* () {
    const store = yield* LedgerStore
    const tenant = "slow"
    const claim = yield* store.claim(tenant, "me")
    const letGo = yield* holdHead(tenant)
    assert.strictEqual(yield* tag(store.commit(claim, entry(1))), "NotWritten")
    assert.strictEqual(yield* tag(store.claim(tenant, "another")), "StoreUnreachable")
    yield* letGo
    yield* store.commit(claim, entry(1))
    assert.isTrue(yield* isThere(tenant, 1))
  }).pipe(Effect.provide(direct({ statementTimeout: "200 millis" })), withSql)
)

it.live("an owner that freezes in a transaction does not keep its successor out", () =>
  Effect.gen(function* () {
    const tenant = "frozen"
    const store = yield* LedgerStore
    const first = yield* store.claim(tenant, "first")
    // The session of the frozen owner is set as ours are. It holds the head row and says nothing more.
    const held = yield* Deferred.make<void>()
    const frozen = Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`SELECT 1 FROM tenant_head WHERE tenant = ${tenant} FOR UPDATE`.pipe(
        Effect.andThen(Deferred.succeed(held, undefined)),
        Effect.andThen(Effect.never),
        sql.withTransaction
      )
    })
    const freezing = yield* frozen.pipe(
      Effect.provide(
        serverLayer({ url: Redacted.make(database.url), idleInTransactionTimeout: "300 millis" }),
        { local: true }
      ),
      Effect.forkChild({ startImmediately: true })
    )
    yield* Deferred.await(held)
    const second = yield* store.claim(tenant, "second")
    yield* store.commit(second, entry(1))
    assert.strictEqual(yield* tag(store.commit(first, entry(2))), "Fenced")
    yield* Fiber.interrupt(freezing)
  }).pipe(Effect.provide(direct()))
)
