/**
 * Who of several nodes is there, and who of them has which shard.
 *
 * Owns: the tables of that, and connections of their own: what says that a node is alive waits for no commit. A node's
 * locks belong to a session of the server's, so they end with the node; and so does its place in the list of nodes.
 * Does not decide: how long a node may be silent, or which shard should be whose (cluster/).
 */
import type { PgClient } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer, Option, type Redacted } from "effect"
import { RunnerStorage, ShardingConfig, SqlRunnerStorage } from "effect/cluster"
import { PersistenceError } from "effect/cluster/ClusterError"
import { Migrator, SqlClient } from "effect/sql"
import type { Millis } from "../signal/Text.ts"
import { makePresence, type Presence } from "./NodePresence.ts"
import { serverLayer } from "./Postgres.ts"
import { StoreFailed } from "./Store.ts"

const PREFIX = "cluster"
const NODES = `${PREFIX}_runners`
/** One holds the locks, the others look around. */
const CONNECTIONS = 3
/** Any number that is ours: whoever makes the tables holds it. */
const TABLES_LOCK = 4_207_198_602n

export interface NodeLocksOptions {
  readonly url: Redacted.Redacted<string>
  /** How often it is looked who is there, at least: who comes or goes in order is noticed at once. */
  readonly lookedEveryMs: Millis
  /** A node that was seen not to live for so long is gone. */
  readonly missedAfterMs: Millis
}

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

type Storage = RunnerStorage.RunnerStorage["Service"]

const failed = PersistenceError.refail

/**
 * Reads who is there: when somebody says that this has changed, and every so often. Whoever has not lived for a while is
 * taken off the list, and the others are told; a node that is alive after all enters itself again.
 */
const makeLook = (
  { getRunners }: Storage,
  presence: Presence,
  now: () => Millis,
  { lookedEveryMs, missedAfterMs }: NodeLocksOptions
): Storage["getRunners"] => {
  const missedSince = new Map<string, Millis>()
  let lookedAt = Number.NEGATIVE_INFINITY
  const due = Effect.suspend(() => {
    const everyMs = missedSince.size > 0 ? Math.min(lookedEveryMs, missedAfterMs / 2) : lookedEveryMs
    return Effect.race(presence.stirred, Effect.sleep(Math.max(0, lookedAt + everyMs - now())))
  })
  /** Who has just lost sight of all the others looks a while longer before it believes it. */
  const seesWell = () => {
    const since = presence.since()
    return since !== undefined && now() - since > 2 * missedAfterMs
  }
  const gone = (missing: ReadonlySet<string>): ReadonlyArray<string> => {
    for (const address of missedSince.keys()) if (!missing.has(address)) missedSince.delete(address)
    for (const address of missing) if (!missedSince.has(address)) missedSince.set(address, now())
    if (!seesWell()) return []
    return [...missedSince].flatMap(([address, since]) => (now() - since >= missedAfterMs ? [address] : []))
  }
  return Effect.gen(function* () {
    yield* due
    lookedAt = now()
    const dead = gone(yield* failed(presence.missing))
    if (dead.length > 0) {
      yield* failed(Effect.andThen(presence.strike(dead), presence.stir))
      yield* Effect.logWarning(`does not live any more, its tenants go to the others: ${dead.join(", ")}`)
      for (const address of dead) missedSince.delete(address)
    }
    return yield* getRunners
  })
}

const told = <A, E>(presence: Presence, change: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  // Who does not hear of it looks soon enough.
  Effect.tap(change, () => Effect.ignore(presence.stir))

const withPresence = (
  options: NodeLocksOptions
): Layer.Layer<
  RunnerStorage.RunnerStorage,
  never,
  RunnerStorage.RunnerStorage | ShardingConfig.ShardingConfig | PgClient.PgClient
> =>
  Layer.effect(
    RunnerStorage.RunnerStorage,
    Effect.gen(function* () {
      const storage = yield* RunnerStorage.RunnerStorage
      const config = yield* ShardingConfig.ShardingConfig
      const clock = yield* Clock.Clock
      const address = Option.match(config.runnerAddress, {
        onNone: () => "",
        onSome: ({ host, port }) => `${host}:${port}`
      })
      const presence = yield* makePresence({
        url: options.url,
        address,
        table: NODES,
        expiresAfterMs: Duration.toMillis(config.shardLockExpiration),
        renewedEveryMs: Duration.toMillis(config.shardLockRefreshInterval)
      })
      return RunnerStorage.RunnerStorage.of({
        ...storage,
        getRunners: makeLook(storage, presence, () => clock.currentTimeMillisUnsafe(), options),
        register: (runner, healthy) =>
          Effect.andThen(presence.ready, told(presence, storage.register(runner, healthy))),
        unregister: (runner) => told(presence, storage.unregister(runner)),
        setRunnerHealth: (runner, healthy) => told(presence, storage.setRunnerHealth(runner, healthy))
      })
    })
  )

/** Locks on a Postgres server. Not behind a pooler in transaction mode: they belong to a session. */
export const nodeLocks = (
  options: NodeLocksOptions
): Layer.Layer<RunnerStorage.RunnerStorage, StoreFailed, ShardingConfig.ShardingConfig> =>
  withPresence(options).pipe(
    Layer.provide(SqlRunnerStorage.layerStorage({ prefix: PREFIX })),
    Layer.provide(makeTables),
    Layer.provide(
      serverLayer({ url: options.url, applicationName: "bursar cluster", maxConnections: CONNECTIONS })
    ),
    Layer.catch((error) =>
      Layer.effectContext(
        Effect.fail(new StoreFailed({ message: `The store's locks could not be opened: ${error.message}` }))
      )
    )
  )
