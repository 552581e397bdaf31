/**
 * Who of several nodes is there, and who of them has which shard.
 *
 * Owns: the tables of that, and connections of their own: what says that a node is alive waits for no commit. A node's
 * locks belong to a session of the server's (ShardLocks), so they end with the node; and so does its place in the list of
 * nodes (NodePresence).
 * Does not decide: how long a node may be silent, or which shard should be whose (cluster/).
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer, Option, type Redacted } from "effect"
import { RunnerStorage, ShardId, ShardingConfig, SqlRunnerStorage } from "effect/cluster"
import { PersistenceError } from "effect/cluster/ClusterError"
import { Migrator, SqlClient } from "effect/sql"
import type { Millis } from "../signal/Text.ts"
import { makePresence, type Presence } from "./NodePresence.ts"
import { serverLayer } from "./Postgres.ts"
import { makeShardLocks, openLockSession, type ShardLocks } from "./ShardLocks.ts"
import { StoreFailed } from "./Store.ts"

const PREFIX = "cluster"
const NODES = `${PREFIX}_runners`
/** These look around: locks and presence have sessions of their own. */
const CONNECTIONS = 2
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
  let known: Effect.Success<Storage["getRunners"]> = []
  /** Until the list has been read: a look that fails, or is given up, has taken the news that made it necessary. */
  let mustRead = true
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
    const { left, hasMore } = presence.news()
    if (left.size > 0 && !hasMore && !mustRead) {
      // Who left has nothing any more and others wait for what it had: that is known without reading anything.
      known = known.filter(([{ address }]) => !left.has(`${address.host}:${address.port}`))
      return known
    }
    mustRead = true
    lookedAt = now()
    const dead = gone(yield* failed(presence.missing))
    if (dead.length > 0) {
      yield* failed(Effect.andThen(presence.strike(dead), presence.stir))
      yield* Effect.logWarning(`does not live any more, its tenants go to the others: ${dead.join(", ")}`)
      for (const address of dead) missedSince.delete(address)
    }
    known = yield* getRunners
    mustRead = false
    return known
  })
}

const told = <A, E>(presence: Presence, change: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  // Who does not hear of it looks soon enough.
  Effect.tap(change, () => Effect.ignore(presence.stir))

/** The list of the nodes. A node that was not heard of for as long as its lease is none of them. */
const makeList = (sql: SqlClient.SqlClient, expiresAfterMs: Millis) => {
  const nodes = sql(NODES)
  const expired = sql.literal(`last_heartbeat <= now() - interval '${expiresAfterMs} milliseconds'`)
  return {
    getRunners: Effect.map(
      failed(sql`SELECT runner, healthy FROM ${nodes} WHERE NOT ${expired}`.values),
      (rows) => rows.map(([runner, healthy]) => [String(runner), Boolean(healthy)] as const)
    ),
    register: (address: string, runner: string, healthy: boolean) =>
      Effect.map(
        failed(
          sql`INSERT INTO ${nodes} (address, runner, last_heartbeat, healthy)
            VALUES (${address}, ${runner}, now(), ${healthy})
            ON CONFLICT (address) DO UPDATE SET runner = EXCLUDED.runner,
              last_heartbeat = EXCLUDED.last_heartbeat, healthy = EXCLUDED.healthy
            RETURNING machine_id`.values
        ),
        ([row]) => Number(row?.[0])
      ),
    unregister: (address: string) =>
      Effect.asVoid(failed(sql`DELETE FROM ${nodes} WHERE address = ${address} OR ${expired}`)),
    setRunnerHealth: (address: string, healthy: boolean) =>
      Effect.asVoid(failed(sql`UPDATE ${nodes} SET healthy = ${healthy} WHERE address = ${address}`)),
    /** While it is not certain which locks this node has: not on their session. */
    lives: (address: string) =>
      Effect.asVoid(failed(sql`UPDATE ${nodes} SET last_heartbeat = now() WHERE address = ${address}`))
  }
}

const numberOf = (shardId: string): number => ShardId.fromString(shardId).id

const makeStorage = (list: ReturnType<typeof makeList>, locks: ShardLocks): Storage => {
  const { lives, ...rest } = list
  return RunnerStorage.makeEncoded({
    ...rest,
    acquire: (_, shardIds) => {
      const byNumber = new Map(shardIds.map((id) => [numberOf(id), id]))
      return Effect.map(failed(locks.acquire([...byNumber.keys()])), (taken) =>
        taken.flatMap((shard) => byNumber.get(shard) ?? [])
      )
    },
    refresh: (address, shardIds) =>
      shardIds.length === 0
        ? Effect.as(lives(address), [])
        : Effect.map(failed(locks.renew(address)), (held) => shardIds.filter((id) => held.has(numberOf(id)))),
    release: (_, shardId) => failed(locks.release(numberOf(shardId))),
    releaseAll: () => failed(locks.releaseAll)
  })
}

const storageLayer = (
  options: NodeLocksOptions
): Layer.Layer<RunnerStorage.RunnerStorage, never, ShardingConfig.ShardingConfig | PgClient.PgClient> =>
  Layer.effect(
    RunnerStorage.RunnerStorage,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const config = yield* ShardingConfig.ShardingConfig
      const clock = yield* Clock.Clock
      const address = Option.match(config.runnerAddress, {
        onNone: () => "",
        onSome: ({ host, port }) => `${host}:${port}`
      })
      const expiresAfterMs = Duration.toMillis(config.shardLockExpiration)
      const renewedEveryMs = Duration.toMillis(config.shardLockRefreshInterval)
      const locks = yield* makeShardLocks({
        open: openLockSession(options.url, expiresAfterMs),
        nodes: NODES,
        withinMs: renewedEveryMs
      })
      const storage = makeStorage(makeList(sql, expiresAfterMs), locks)
      const presence = yield* makePresence({
        url: options.url,
        address,
        table: NODES,
        expiresAfterMs,
        renewedEveryMs
      })
      return RunnerStorage.RunnerStorage.of({
        ...storage,
        getRunners: makeLook(storage, presence, () => clock.currentTimeMillisUnsafe(), options),
        register: (runner, healthy) =>
          Effect.andThen(presence.ready, told(presence, storage.register(runner, healthy))),
        // With all of its locks; where their session is gone, so are they.
        unregister: (runner) =>
          Effect.catch(locks.leave(`${runner.host}:${runner.port}`), () =>
            told(presence, storage.unregister(runner))
          ),
        setRunnerHealth: (runner, healthy) => told(presence, storage.setRunnerHealth(runner, healthy))
      })
    })
  )

/** Locks on a Postgres server. Not behind a pooler in transaction mode: they belong to a session. */
export const nodeLocks = (
  options: NodeLocksOptions
): Layer.Layer<RunnerStorage.RunnerStorage, StoreFailed, ShardingConfig.ShardingConfig> =>
  storageLayer(options).pipe(
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
