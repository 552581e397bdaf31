/**
 * Brings a database to the tables of this version.
 *
 * Owns: the order of migrations, and that two processes that start together do not run them twice.
 * Does not decide: what is in the tables (Tables).
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { Migrator, SqlClient, type SqlError } from "effect/sql"
import { serverLayer } from "./Postgres.ts"
import { TABLES } from "./Tables.ts"
import { ensureMonths } from "./UsagePartitions.ts"

/** Any number that is ours: whoever migrates holds it. */
const MIGRATION_LOCK = 4_207_198_601n

const runAll = (statements: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    for (const statement of statements) yield* sql.unsafe(statement).unprepared
  })

const loader = Migrator.fromRecord({
  "0001_first_tables": runAll(TABLES)
})

const run = Migrator.make({})

/** Runs what is missing, and makes the months of usage that come next. Both stores need it before anything else. */
export const migrateStore: Effect.Effect<
  void,
  SqlError.SqlError | Migrator.MigrationError,
  PgClient.PgClient | SqlClient.SqlClient
> = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql.withTransaction(
    Effect.gen(function* () {
      // A migration may take longer than a session usually may, and so may waiting for somebody else's.
      yield* sql.unsafe("SET LOCAL statement_timeout = 0").unprepared
      yield* sql`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`
      yield* run({ loader, table: "migration" })
    })
  )
  // Without a month its rows go to the DEFAULT partition, so this is no reason not to start.
  yield* Effect.catch(ensureMonths, (error) =>
    Effect.logWarning("a month of usage could not be made yet", error)
  )
})

/** A layer that is built when the tables are there. */
export const migrationsLayer = Layer.effectDiscard(migrateStore)

/** Migrates the database at `url`. */
export const migrate = (url: string): Promise<void> =>
  Effect.runPromise(
    migrateStore.pipe(Effect.provide(serverLayer({ url: Redacted.make(url), maxConnections: 1 })))
  )
