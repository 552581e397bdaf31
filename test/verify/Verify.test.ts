/** Whatever a ledger has done, a verification finds nothing; whatever was changed behind its back, it names exactly. */

import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { serverLayer } from "../../src/store/Postgres.ts"
import { booksLayer, readerOn } from "../../src/store/SqlBooksReader.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { Books } from "../../src/tokens/verify/BooksReader.ts"
import type { Finding } from "../../src/tokens/verify/Findings.ts"
import { verifyTenant } from "../../src/tokens/verify/Verify.ts"
import { embeddedStore } from "../support/EmbeddedStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"
import { Bookkeeper, busyHistory } from "./Bookkeeper.ts"
import { DAMAGES, makeBooks } from "./Damage.ts"

const database = await createTestDatabase()
afterAll(() => database.drop())

const STORES = {
  "a Postgres server": Layer.mergeAll(ledgerStoreLayer("server"), booksLayer("server")).pipe(
    Layer.provideMerge(serverLayer({ url: Redacted.make(database.url) }))
  ),
  "embedded Postgres": Layer.mergeAll(ledgerStoreLayer("embedded"), booksLayer("embedded")).pipe(
    Layer.provideMerge(embeddedStore)
  )
}

const lineOf = ({ table, key, field, stored, expected }: Finding): string =>
  `${table} ${key}: ${field} is ${stored}, should be ${expected}`.replaceAll(/[0-9a-f]{64}/gu, "#")

const verify = (tenant: string, periodsAtOnce?: number) =>
  Effect.gen(function* () {
    const found: Array<Finding> = []
    const books = yield* Books
    const checked = yield* books.use((reader) =>
      verifyTenant(reader, tenant, (finding) => found.push(finding), periodsAtOnce)
    )
    return { checked, found }
  })

for (const [name, store] of Object.entries(STORES)) {
  layer(store as Layer.Layer<LedgerStore | Books | PgClient.PgClient>, {
    excludeTestServices: true,
    timeout: 120_000
  })(`after busy histories on ${name}`, (it) => {
    for (const seed of [1, 2, 3]) {
      it.effect(`seed ${seed}`, () =>
        Effect.gen(function* () {
          const tenant = `busy-${seed}`
          yield* busyHistory(yield* LedgerStore, tenant, seed, 300)
          const { checked, found } = yield* verify(tenant)
          assert.deepStrictEqual(found, [])
          const store = yield* LedgerStore
          assert.isAbove(yield* store.lastUsageSeq(tenant), 20)
          assert.isAbove((yield* store.cleanedAfter(tenant, undefined, 100)).length, 5)
          assert.isAbove(checked.usageRows, 0)
          assert.isAbove(checked.requests, 20)
          assert.isAbove(checked.auditEntries, 3)
          // Few periods at a time: the usage is read once for each group, and nothing else changes.
          assert.deepStrictEqual(yield* verify(tenant, 1), { checked, found })
        })
      )
    }
  })
}

layer(STORES["a Postgres server"], { excludeTestServices: true, timeout: 120_000 })(
  "a price that came later",
  (it) => {
    it.effect("is proved, as is what waits for one", () =>
      Effect.gen(function* () {
        const tenant = "repriced"
        const keeper = yield* Bookkeeper.open(yield* LedgerStore, tenant)
        const model = { provider: "test", model: "nameless" }
        const track = (request_id: string) =>
          keeper.done("track_usage", { request_id, ...model, prompt_tokens: 3, completion_tokens: 0 })
        yield* keeper.done("create_budget", { name: "all", type: "global", period: "daily", limit: "30" })
        yield* track("r1")
        yield* track("r2")
        assert.deepStrictEqual((yield* verify(tenant)).found, [])
        const sql = yield* PgClient.PgClient
        yield* sql`DELETE FROM unpriced_usage WHERE tenant = ${tenant} AND usage_seq = 2`
        assert.deepStrictEqual((yield* verify(tenant)).found.map(lineOf), [
          "unpriced_usage usage_seq 2: row is nothing, should be there: it has no price"
        ])
        const { repriced } = yield* keeper.done("update_pricing", {
          ...model,
          pricing: { prompt_per_million: "1000000", completion_per_million: "1000000" },
          reprice_unpriced: true
        })
        assert.strictEqual(repriced, 1)
        const usage = { prompt_tokens: 2, completion_tokens: 0 }
        yield* keeper.done("correct_usage", { request_id: "r1", usage, reason: "one less" })
        assert.lengthOf((yield* verify(tenant)).found, 1)
        yield* sql`UPDATE usage SET detail = replace(detail, '"input",3', '"input",4')
WHERE tenant = ${tenant} AND usage_seq = 3`
        assert.deepInclude(
          (yield* verify(tenant)).found.map(lineOf),
          "usage usage_seq 3: cost_breakdown is 4 tokens, should be 3 tokens"
        )
      })
    )
  }
)

layer(STORES["a Postgres server"], { excludeTestServices: true, timeout: 120_000 })("damage", (it) => {
  const tenant = "damaged"
  const made = Effect.runSync(Effect.cached(Effect.flatMap(LedgerStore, (store) => makeBooks(store, tenant))))

  /** What is found after the damage, which is undone again. */
  const foundAfter = (damage: string) =>
    Effect.gen(function* () {
      yield* made
      const sql = yield* PgClient.PgClient
      const found: Array<Finding> = []
      const damaged = Effect.gen(function* () {
        yield* sql.unsafe(damage).unprepared
        yield* verifyTenant(readerOn(sql), tenant, (finding) => found.push(finding))
        return yield* Effect.fail("undo" as const)
      })
      yield* Effect.catchIf(
        sql.withTransaction(damaged),
        (error) => error === "undo",
        () => Effect.void
      )
      return found.map(lineOf)
    })

  it.effect("none: nothing is found", () =>
    Effect.gen(function* () {
      yield* made
      assert.deepStrictEqual(yield* verify(tenant), {
        checked: {
          tenant,
          usageRows: 5,
          requests: 5,
          openHolds: 2,
          holdPages: 2,
          budgets: 3,
          periods: 5,
          alerts: 2,
          auditEntries: 6,
          differences: 0
        },
        found: []
      })
    })
  )

  for (const [what, damage, expected] of DAMAGES) {
    it.effect(what, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* foundAfter(damage(tenant)), expected)
      })
    )
  }
})
