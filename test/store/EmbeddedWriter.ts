/**
 * A process that writes to an embedded database until somebody kills it.
 *
 * Each line it prints is the number of a transaction that was acknowledged to it.
 */
import * as fs from "node:fs"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { embeddedLayer } from "../../src/store/embedded/EmbeddedPostgres.ts"

const directory = process.argv[2] as string
const first = BigInt(process.argv[3] as string)

const write = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* sql`CREATE TABLE IF NOT EXISTS written (id int8, part int8, body text, PRIMARY KEY (id, part))`
  for (let id = first; ; id += 1n) {
    const parts = Array.from({ length: 50 }, (_, part) => BigInt(part))
    yield* sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`INSERT INTO written SELECT ${id}, p, repeat('x', 200) FROM unnest(${parts.slice(0, 25)}::int8[]) p`
        yield* sql`INSERT INTO written SELECT ${id}, p, repeat('y', 200) FROM unnest(${parts.slice(25)}::int8[]) p`
      })
    )
    fs.writeSync(1, `${id}\n`)
  }
})

Effect.runPromise(write.pipe(Effect.provide(embeddedLayer({ directory })))).catch((cause) => {
  fs.writeSync(2, `${cause}\n`)
  process.exit(1)
})
