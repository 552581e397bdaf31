/**
 * The locks of this node's shards.
 *
 * Owns: a session of the server's that holds them, so that they end with the node; one statement for all that is taken, one
 * for all that is let go at the same time, one for what a renewal confirms, and one with which a node leaves. Statements of one session are sent without
 * waiting for each other's answers: a renewal never stands behind shards that are let go one by one.
 * Does not decide: which shard should be whose, or what is done when a lock is lost (Effect Cluster).
 *
 * What fails or does not answer in time ends the session, and with it all locks; the next one has none of them, and a
 * renewal says so.
 */
import { PgConnection } from "@effect/sql-pg"
import { Clock, Deferred, Effect, Fiber, Latch, type Redacted, Schema, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Millis } from "../signal/Text.ts"
import { farewell } from "./NodePresence.ts"
import { serverConfig } from "./Postgres.ts"

/** What the locks are kept by: a connection, as far as it is needed. */
export interface LockSession {
  readonly query: (text: string, parameters?: ReadonlyArray<unknown>) => Effect.Effect<Rows, SqlError>
}
interface Rows {
  readonly rows: ReadonlyArray<{ readonly [column: string]: unknown }>
}

/** The session that holds the locks did not answer in time. */
export class LocksUnanswered extends Schema.TaggedError<LocksUnanswered>()("LocksUnanswered", {
  message: Schema.String
}) {}

type Locking<A> = Effect.Effect<A, SqlError | LocksUnanswered>

export interface ShardLocks {
  /** Takes those that nobody has; answers all of these that are this node's now. */
  readonly acquire: (shards: ReadonlyArray<number>) => Locking<ReadonlyArray<number>>
  /** Says that the node lives, and which locks it holds. */
  readonly renew: (address: string) => Locking<ReadonlySet<number>>
  /** What is let go while others are on their way to the store goes together, in one statement. */
  readonly release: (shard: number) => Locking<void>
  readonly releaseAll: Locking<void>
  /** Lets go of everything, takes the node off the list, and tells the others: one statement, for they wait for it. */
  readonly leave: (address: string) => Locking<void>
}

export interface ShardLocksOptions {
  /** A session, until the scope closes. */
  readonly open: Effect.Effect<LockSession, SqlError, Scope.Scope>
  /** The table of the nodes, with what they were heard of last. */
  readonly nodes: string
  /** How long the store may take. */
  readonly withinMs: Millis
}

/** Any number that is ours: shards are locks of this class. */
const CLASS = 420_719_862
const AGAIN_AFTER_MS = 100

const MINE = `SELECT objid::int8 AS shard FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid = ${CLASS}::oid AND objsubid = 2 AND pid = pg_backend_pid()`

const listOf = (shards: ReadonlyArray<number>): string => `unnest(ARRAY[${shards.join(", ")}]::int[])`

/** A lock is counted each time that it is taken: one that is held already is not taken again. */
const acquireText = (shards: ReadonlyArray<number>): string => `WITH mine AS MATERIALIZED (${MINE})
SELECT shard FROM ${listOf(shards)} AS asked(shard)
WHERE CASE WHEN shard IN (SELECT mine.shard FROM mine) THEN true ELSE pg_try_advisory_lock(${CLASS}, shard) END`

const shardsIn = ({ rows }: Rows): ReadonlyArray<number> => rows.map(({ shard }) => Number(shard))

/** A session for locks. It ends soon after the node froze, or its machine went away. */
export const openLockSession = (
  url: Redacted.Redacted<string>,
  expiresAfterMs: Millis
): Effect.Effect<LockSession, SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = yield* PgConnection.make(serverConfig({ url, applicationName: "bursar locks" }))
    // Servers before Postgres 14 do not know it: there a frozen node keeps its locks until its connection breaks.
    yield* connection.query(
      "SELECT set_config(name, $1, false) FROM pg_settings WHERE name = 'idle_session_timeout'",
      [String(expiresAfterMs)]
    )
    // That a node lives need not outlive a crash of the server: it is not waited for until it is on disk.
    yield* connection.query("SET synchronous_commit = off")
    return connection
  })

interface Kept {
  readonly session: LockSession
  readonly broken: Latch.Latch
}

/** What several ask for goes together: the first one starts, and who comes while it is on its way goes with the next. */
const together = <A, E>(
  scope: Scope.Scope,
  all: (items: ReadonlyArray<A>) => Effect.Effect<void, E>
): ((item: A) => Effect.Effect<void, E>) => {
  let waiting: Array<{ readonly item: A; readonly done: Deferred.Deferred<void, E> }> = []
  let isRunning = false
  const run = Effect.gen(function* () {
    while (waiting.length > 0) {
      // Those that are ready now come along.
      yield* Effect.yieldNow
      const batch = waiting
      waiting = []
      const exit = yield* Effect.exit(all(batch.map(({ item }) => item)))
      for (const { done } of batch) Deferred.doneUnsafe(done, exit)
    }
    isRunning = false
  })
  return (item) =>
    Effect.suspend(() => {
      const done = Deferred.makeUnsafe<void, E>()
      waiting.push({ item, done })
      if (isRunning) return Deferred.await(done)
      isRunning = true
      return Effect.andThen(Effect.forkIn(run, scope), Deferred.await(done))
    })
}

/** Keeps a session, and replaces it where it breaks, until the scope closes. */
export const makeShardLocks = (options: ShardLocksOptions): Effect.Effect<ShardLocks, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const clock = yield* Clock.Clock
    const ready = Latch.makeUnsafe(false)
    let kept: Kept | undefined
    const untilBroken = Effect.scoped(
      Effect.gen(function* () {
        const session = yield* options.open
        const broken = Latch.makeUnsafe(false)
        kept = { session, broken }
        ready.openUnsafe()
        yield* broken.await
      })
    ).pipe(
      Effect.catchCause((cause) => Effect.logDebug("The session that shards are locked by ended", cause)),
      Effect.ensuring(
        Effect.sync(() => {
          kept = undefined
          ready.closeUnsafe()
        })
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(untilBroken, Effect.sleep(AGAIN_AFTER_MS))))

    const once = <A>(ask: (session: LockSession) => Effect.Effect<A, SqlError>): Locking<A> =>
      Effect.suspend(() => {
        let used: Kept | undefined
        const asked: Effect.Effect<A, SqlError> = Effect.andThen(
          ready.await,
          Effect.suspend(() => {
            used = kept
            return used === undefined ? asked : ask(used.session)
          })
        )
        const breaks = Effect.sync(() => {
          if (used !== undefined && used === kept) {
            kept = undefined
            ready.closeUnsafe()
          }
          used?.broken.openUnsafe()
        })
        const late = Effect.fail(
          new LocksUnanswered({
            message: `the store did not answer about locks within ${options.withinMs} ms`
          })
        )
        // Whoever waits is not kept by a connection that takes its time to end.
        return Effect.flatMap(Effect.forkIn(asked, scope, { startImmediately: true }), (fiber) =>
          Fiber.join(fiber).pipe(
            Effect.timeoutOrElse({ duration: options.withinMs, orElse: () => late }),
            // What nobody waits for any more must not take a lock later.
            Effect.onError(() =>
              Effect.andThen(
                Effect.sync(() => fiber.interruptUnsafe()),
                breaks
              )
            )
          )
        )
      }).pipe(Effect.provideService(Clock.Clock, clock))

    return {
      // A node without shards says nothing on its session, which may have ended: nothing is lost with it.
      acquire: (shards) => {
        const taken = once((session) => Effect.map(session.query(acquireText(shards)), shardsIn))
        return Effect.catch(taken, () => taken)
      },
      renew: (address) =>
        once((session) =>
          Effect.map(
            session.query(
              `WITH lives AS (UPDATE ${options.nodes} SET last_heartbeat = now() WHERE address = $1) ${MINE}`,
              [address]
            ),
            (rows) => new Set(shardsIn(rows))
          )
        ),
      release: together(scope, (shards) =>
        once((session) =>
          Effect.asVoid(
            session.query(`SELECT pg_advisory_unlock(${CLASS}, shard) FROM ${listOf(shards)} AS gone(shard)`)
          )
        )
      ),
      releaseAll: once((session) => Effect.asVoid(session.query("SELECT pg_advisory_unlock_all()"))),
      leave: (address) => {
        const { channel, notice } = farewell(address)
        return once((session) =>
          Effect.asVoid(
            session.query(
              `WITH gone AS (DELETE FROM ${options.nodes} WHERE address = $1)
SELECT pg_advisory_unlock_all(), pg_notify($2, $3)`,
              [address, channel, notice]
            )
          )
        )
      }
    }
  })
