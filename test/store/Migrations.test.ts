import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { commitStatement } from "../../src/store/CommitStatement.ts"
import { migrate, migrationsLayer } from "../../src/store/Migrations.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { ensureMonths } from "../../src/store/UsagePartitions.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { batch, hold, open, request, usageRow } from "../contract/LedgerRows.ts"
import { createTestDatabase } from "../support/Postgres.ts"

const databaseFrom = (from: "migrations" | "nothing") =>
  Effect.acquireRelease(
    Effect.promise(() => createTestDatabase({ from })),
    (database) => Effect.promise(() => database.drop())
  )

/** A store of the ledger, and the client beside it. */
const storeAt = (url: string) =>
  ledgerStoreLayer("server").pipe(Layer.provideMerge(serverLayer({ url: Redacted.make(url) })))

const months = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ readonly name: string }>`
    SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'usage'::regclass ORDER BY 1`
  return rows.map((row) => row.name)
})

it.live("processes that start together migrate once, and starting again changes nothing", () =>
  Effect.gen(function* () {
    const { url } = yield* databaseFrom("nothing")
    yield* Effect.promise(() => Promise.all([migrate(url), migrate(url), migrate(url)]))
    yield* Effect.promise(() => migrate(url))
    yield* Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const ran = yield* sql`SELECT name FROM migration`
      assert.deepStrictEqual(ran, [{ name: "first_tables" }])
      assert.lengthOf(yield* months, 4)
    }).pipe(Effect.provide(storeAt(url)))
  })
)

it.live("an application may bring its own client", () =>
  Effect.gen(function* () {
    const { url } = yield* databaseFrom("nothing")
    const client = PgClient.layer({ url: Redacted.make(url) })
    const layer = ledgerStoreLayer("server").pipe(Layer.provide(migrationsLayer), Layer.provide(client))
    yield* Effect.gen(function* () {
      const store = yield* LedgerStore
      yield* store.claim("acme", "me")
    }).pipe(Effect.provide(layer))
  })
)

it.live("usage whose month is not there is kept all the same, and moves when the month is made", () =>
  Effect.gen(function* () {
    const { url } = yield* databaseFrom("migrations")
    yield* Effect.gen(function* () {
      const store = yield* LedgerStore
      const sql = yield* SqlClient.SqlClient
      const before = yield* months
      for (const name of before.filter((it) => it !== "usage_default")) {
        yield* sql.unsafe(`DROP TABLE ${name}`)
      }
      const claim = yield* store.claim("acme", "me")
      const now = Date.now()
      const long = now - 40 * 365 * 86_400_000
      const usage = [usageRow(1, { recorded_at: now }), usageRow(2, { recorded_at: long })]
      yield* store.commit(claim, batch("b1", { journalSeq: 0 }, { usage }))
      const inDefault = sql`SELECT usage_seq FROM usage_default ORDER BY usage_seq`
      assert.deepStrictEqual(yield* inDefault, [{ usage_seq: 1n }, { usage_seq: 2n }])
      yield* ensureMonths
      assert.deepStrictEqual(yield* months, before)
      assert.deepStrictEqual(yield* inDefault, [{ usage_seq: 2n }])
      const rows = yield* store.usageAfter("acme", {}, 0, 10)
      assert.deepStrictEqual(
        rows,
        usage.map((row) => row.usage)
      )
    }).pipe(Effect.provide(storeAt(url)))
  })
)

interface PlanNode {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly "Index Cond"?: string
  readonly Plans?: ReadonlyArray<PlanNode>
}

const nodesOf = (node: PlanNode): ReadonlyArray<PlanNode> => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

it.live("a commit finds its requests by their ids, not by reading the tenant", () =>
  Effect.gen(function* () {
    const { url } = yield* databaseFrom("migrations")
    yield* Effect.gen(function* () {
      const store = yield* LedgerStore
      const sql = yield* SqlClient.SqlClient
      const claim = yield* store.claim("acme", "me")
      // What the planner knows is out of date: it saw a table of one row, and then 20,000 came.
      yield* store.commit(
        claim,
        batch("b0", { journalSeq: 0 }, { newRequests: [request("r")], openHolds: [open("r")] })
      )
      yield* sql.unsafe("ANALYZE request, hold_page").unprepared
      const ids = Array.from({ length: 20_000 }, (_, index) => `r${index}`)
      const requests = ids.map((id) => request(id))
      yield* store.commit(claim, batch("b1", { journalSeq: 1 }, { newRequests: requests }))
      const closed = ids
        .slice(0, 1000)
        .map((id) => request(id, { hold: hold(id, { state: "posted", bookings: [] }) }))
      const { text, parameters } = commitStatement(
        claim,
        batch("b2", { journalSeq: 2 }, { changedRequests: closed, closedPages: [0] })
      )
      const [explained] = yield* sql.unsafe<{
        readonly "QUERY PLAN": ReadonlyArray<{ readonly Plan: PlanNode }>
      }>(`EXPLAIN (FORMAT JSON) ${text}`, parameters)
      const plan = explained?.["QUERY PLAN"][0]?.Plan
      assert.isDefined(plan)
      const nodes = nodesOf(plan as PlanNode)
      const scanned = nodes.filter(
        (node) => node["Node Type"] === "Seq Scan" && node["Relation Name"] === "request"
      )
      assert.deepStrictEqual(scanned, [])
      const looked = nodes.filter((node) => node["Index Name"] === "request_pkey")
      assert.isNotEmpty(looked)
      for (const node of looked) assert.include(node["Index Cond"], "request_id")
      const settings = yield* sql`SELECT current_setting('plan_cache_mode') AS mode`
      assert.deepStrictEqual(settings, [{ mode: "force_custom_plan" }])
    }).pipe(Effect.provide(storeAt(url)))
  })
)
