/**
 * A database of its own for each test, cloned from one that our migrations made.
 *
 * Owns: the test server's databases. `prepareServer` runs once (GlobalSetup, or a benchmark by itself);
 * `createTestDatabase` works in every process that it passed its environment on to.
 */
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { startPostgres } from "./PostgresServer.ts"

export interface TestDatabase {
  readonly url: string
  /** Ends all its connections and deletes it. */
  drop(): Promise<void>
}

const unique = (prefix: string) => `${prefix}_${randomBytes(6).toString("hex")}`

/**
 * Starts a server, unless TEST_DATABASE_URL names one (as a user who may create databases), and migrates a
 * template on it. Answers how to end it.
 */
export async function prepareServer(): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL
  const server = given === undefined ? await startPostgres() : undefined
  const serverUrl = given ?? (server as { url: string }).url
  const template = unique("bursar_template")
  try {
    await execute(serverUrl, `CREATE DATABASE ${template} TEMPLATE template0`)
    await migrateTemplate(withDatabase(serverUrl, template))
    // Cloning fails while somebody is connected to the template.
    await execute(serverUrl, `ALTER DATABASE ${template} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`)
  } catch (error) {
    await server?.stop()
    throw error
  }
  process.env.TEST_DATABASE_URL = serverUrl
  process.env.TEST_DATABASE_TEMPLATE = template
  return async () => {
    if (server !== undefined) return server.stop()
    await execute(serverUrl, `ALTER DATABASE ${template} WITH IS_TEMPLATE false`)
    await execute(serverUrl, `DROP DATABASE ${template}`)
  }
}

/** A new database: with our tables, or `from: "nothing"` for tests of the migrations themselves. */
export async function createTestDatabase(
  options: { readonly from?: "migrations" | "nothing" } = {}
): Promise<TestDatabase> {
  const serverUrl = process.env.TEST_DATABASE_URL
  const template = process.env.TEST_DATABASE_TEMPLATE
  if (serverUrl === undefined || template === undefined) {
    throw new Error("There is no test server: call prepareServer() first, or run the tests by npm test.")
  }
  const name = unique("bursar_test")
  const source = options.from === "nothing" ? "template0" : template
  await execute(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${source} STRATEGY WAL_LOG`)
  return {
    url: withDatabase(serverUrl, name),
    drop: () => execute(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  }
}

async function migrateTemplate(url: string): Promise<void> {
  const migrations = new URL("../../src/store/Migrations.ts", import.meta.url)
  if (!existsSync(migrations)) return
  const { migrate } = (await import(migrations.href)) as { migrate: (url: string) => Promise<void> }
  await migrate(url)
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

/** One statement on a connection of its own. */
function execute(url: string, statement: string): Promise<void> {
  const client = PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })
  const run = Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql.unsafe(statement).unprepared
  })
  return Effect.runPromise(run.pipe(Effect.provide(client)))
}
