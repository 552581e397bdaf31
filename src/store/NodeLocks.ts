/**
 * Who of several nodes is there, and who of them has which shard.
 *
 * Owns: the tables of that, and connections of their own: what says that a node is alive waits for no commit. A node's
 * locks belong to a session of the server's, so they end with the node.
 * Does not decide: how long a node may be silent, or which shard should be whose (cluster/).
 */
import { Effect, Layer, type Redacted } from "effect"
import { type RunnerStorage, type ShardingConfig, SqlRunnerStorage } from "effect/cluster"
import { Migrator, SqlClient } from "effect/sql"
import { serverLayer } from "./Postgres.ts"
import { StoreFailed } from "./Store.ts"

const PREFIX = "cluster"
/** One holds the locks, the others look around. */
const CONNECTIONS = 3
/** Any number that is ours: whoever makes the tables holds it. */
const TABLES_LOCK = 4_207_198_602n

const makeTables = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`SELECT pg_advisory_xact_lock(${TABLES_LOCK})`
        yield* Migrator.make({})({
          loader: SqlRunnerStorage.migrations({ prefix: PREFIX }),
          table: `${PREFIX}_migration`
        })
      })
    )
  })
)

/** Locks on a Postgres server. Not behind a pooler in transaction mode: they belong to a session. */
export const nodeLocks = (options: {
  readonly url: Redacted.Redacted<string>
}): Layer.Layer<RunnerStorage.RunnerStorage, StoreFailed, ShardingConfig.ShardingConfig> =>
  SqlRunnerStorage.layerStorage({ prefix: PREFIX }).pipe(
    Layer.provide(makeTables),
    Layer.provide(
      serverLayer({ ...options, applicationName: "bursar cluster", maxConnections: CONNECTIONS })
    ),
    Layer.catch((error) =>
      Layer.effectContext(
        Effect.fail(new StoreFailed({ message: `The store's locks could not be opened: ${error.message}` }))
      )
    )
  )
