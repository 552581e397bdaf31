/** Everything that a database of ours says, as text: for finding what should not be in it. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { serverLayer } from "../../src/store/Postgres.ts"

const TABLES = `SELECT quote_ident(c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`

/** The rows of all tables in which a text stands, whatever the column, each as `TABLE: ROW`. */
export const rowsWith = (
  databaseUrl: string,
  text: string,
  only?: ReadonlyArray<string>
): Promise<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const tables = yield* sql.unsafe<{ readonly name: string }>(TABLES)
    const wanted = tables.filter(({ name }) => only === undefined || only.includes(name))
    const found = yield* Effect.forEach(wanted, ({ name }) =>
      Effect.map(
        sql.unsafe<{ readonly row: string }>(
          `SELECT t::text AS row FROM ${name} t WHERE position($1 in t::text) > 0`,
          [text]
        ),
        (rows) => rows.map(({ row }) => `${name}: ${row}`)
      )
    )
    return found.flat()
  }).pipe(Effect.provide(serverLayer({ url: Redacted.make(databaseUrl) })), Effect.runPromise)

/** Whose client is dead waits on, and would go on when it can. */
const END_WAITING = `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'`

/** Nobody else reads or writes a table while something is done; who waits for it is ended. */
export const tableLocker =
  (databaseUrl: string) =>
  <A>(table: string, act: () => Promise<A>): Promise<A> =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      return yield* sql.withTransaction(
        Effect.andThen(
          sql.unsafe(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`),
          Effect.tap(Effect.promise(act), () => sql.unsafe(END_WAITING))
        )
      )
    }).pipe(
      Effect.provide(serverLayer({ url: Redacted.make(databaseUrl), idleInTransactionTimeout: "1 minute" })),
      Effect.runPromise
    )

/** Nobody else writes the rows that a statement locks while something is done. */
export const whileRowsLocked = <A>(
  databaseUrl: string,
  lock: string,
  parameters: ReadonlyArray<string>,
  act: () => Promise<A>
): Promise<A> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    return yield* sql.withTransaction(
      Effect.andThen(
        sql.unsafe(lock, parameters),
        Effect.tap(Effect.promise(act), () => sql.unsafe(END_WAITING))
      )
    )
  }).pipe(
    Effect.provide(serverLayer({ url: Redacted.make(databaseUrl), idleInTransactionTimeout: "1 minute" })),
    Effect.runPromise
  )

/** A statement that nobody of ours would send. */
export const changeRows = (
  databaseUrl: string,
  statement: string,
  parameters: ReadonlyArray<string>
): Promise<void> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql.unsafe(statement, parameters)
  }).pipe(Effect.provide(serverLayer({ url: Redacted.make(databaseUrl) })), Effect.runPromise)
