import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { describe, expect, it } from "vitest"
import { createTestDatabase, type TestDatabase } from "./Postgres.ts"

const query = (database: TestDatabase, statement: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    return yield* sql.unsafe(statement)
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(database.url) })), Effect.runPromise)

describe("the test database", () => {
  it("is a real server that keeps what it promised: fsync and synchronous commit are on", async () => {
    const database = await createTestDatabase()
    const settings = await query(
      database,
      "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit"
    )
    expect(settings).toEqual([{ fsync: "on", commit: "on" }])
    await database.drop()
  })

  it("is cloned many times at once, and no clone sees another", async () => {
    const databases = await Promise.all(Array.from({ length: 12 }, () => createTestDatabase()))
    await query(databases[0] as TestDatabase, "CREATE TABLE only_here (id int)")
    const found = await query(databases[1] as TestDatabase, "SELECT to_regclass('only_here') AS found")
    expect(found).toEqual([{ found: null }])
    await Promise.all(databases.map((database) => database.drop()))
  })

  it("is gone after drop, connections or not", async () => {
    const database = await createTestDatabase({ from: "nothing" })
    const waiting = query(database, "SELECT pg_sleep(60)")
    await query(database, "SELECT 1")
    await Promise.all([expect(waiting).rejects.toThrow(), database.drop()])
    await expect(query(database, "SELECT 1")).rejects.toThrow()
  })
})
