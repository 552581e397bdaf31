/**
 * The Postgres server of a row.
 *
 * Owns: a database with our tables, and clients of it that are set as the product sets its own.
 * Does not decide: where the server comes from (test/support/Postgres).
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import { serverLayer } from "../../src/store/Postgres.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

export interface BenchDatabase {
  readonly url: string
  readonly drop: () => Promise<void>
}

export const openDatabase = (): Promise<BenchDatabase> => createTestDatabase()

/** The ledger's store on this database, as serverStore makes it. */
export const storeOn = ({ url }: BenchDatabase) =>
  ledgerStoreLayer("server").pipe(Layer.provide(serverLayer({ url: Redacted.make(url) })))

export interface Client {
  readonly run: <A, E>(use: (sql: PgClient.PgClient) => Effect.Effect<A, E>) => Promise<A>
  readonly close: () => Promise<void>
}

/** A client of its own, with the settings of the store's. */
export const connect = ({ url }: BenchDatabase, maxConnections: number): Client => {
  const runtime = ManagedRuntime.make(serverLayer({ url: Redacted.make(url), maxConnections }))
  return {
    run: (use) => runtime.runPromise(Effect.flatMap(PgClient.PgClient, use)),
    close: () => runtime.dispose()
  }
}

const SETTINGS = ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"]

/** What the server was told, in one line. */
export const settingsOf = async (database: BenchDatabase): Promise<string> => {
  const client = connect(database, 1)
  const rows = await client.run((sql) =>
    sql.unsafe<{ readonly name: string; readonly setting: string }>(
      "SELECT name, current_setting(name) AS setting FROM unnest($1::text[]) AS x(name)",
      [`{${SETTINGS.join(",")}}`]
    )
  )
  await client.close()
  return rows.map(({ name, setting }) => `${name} ${setting}`).join(", ")
}
