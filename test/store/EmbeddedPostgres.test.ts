import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { DirectoryLockError } from "../../src/store/embedded/DirectoryLock.ts"
import { embeddedLayer } from "../../src/store/embedded/EmbeddedPostgres.ts"

it.live("an embedded database keeps its rows, its exactness and its directory to itself", () =>
  Effect.gen(function* () {
    const parent = fs.mkdtempSync(path.join(os.tmpdir(), "bursar-embedded-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(parent, { recursive: true, force: true })))
    const directory = path.join(parent, "data")
    const layer = () => embeddedLayer({ directory, applicationName: "test" })
    yield* Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const pg = yield* PgClient.PgClient
      yield* sql`CREATE TABLE kept (id int8 PRIMARY KEY, amount numeric(27,12), body jsonb)`
      yield* sql`INSERT INTO kept VALUES (${2n ** 53n + 1n}, ${"0.000000000001"}, ${pg.json({ a: "ü'\"\\" })})`

      const duplicate = yield* Effect.flip(sql`INSERT INTO kept VALUES (${2n ** 53n + 1n}, 0, null)`)
      assert.strictEqual(duplicate.reason._tag, "UniqueViolation")

      // An owner that is interrupted in its transaction leaves nothing, and the next statement is served.
      const ghost = yield* sql`INSERT INTO kept VALUES (1, 0, null)`.pipe(
        Effect.andThen(Effect.never),
        sql.withTransaction,
        Effect.forkChild({ startImmediately: true })
      )
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(ghost)
      assert.deepStrictEqual(yield* sql`SELECT count(*) AS n FROM kept`, [{ n: 1n }])

      const refused = yield* Effect.flip(sql`SELECT 1`.pipe(Effect.provide(layer(), { local: true })))
      assert.instanceOf(refused, DirectoryLockError)

      const large = "x".repeat(5_000_000)
      assert.deepStrictEqual(yield* sql`SELECT length(${large}) AS n`, [{ n: large.length }])
    }).pipe(Effect.provide(layer(), { local: true }))

    yield* Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`SELECT id, amount, body FROM kept`, [
        { id: 2n ** 53n + 1n, amount: "0.000000000001", body: { a: "ü'\"\\" } }
      ])
    }).pipe(Effect.provide(layer(), { local: true }))
    assert.strictEqual(fs.statSync(directory).mode & 0o777, 0o700)
  })
)
