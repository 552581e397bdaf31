/**
 * Which nodes live, and that they tell each other when something has changed.
 *
 * Owns: a session of this node's that holds a lock for as long as the node lives. The server lets go of it in the moment in
 * which the process ends, and soon after it froze or its machine went away; so who is gone is known without asking it. On
 * the same session nodes hear that others came or went.
 * Does not decide: what becomes of what a node had (cluster/), or how long a node may be silent.
 */
import { PgClient, PgConnection } from "@effect/sql-pg"
import { Clock, Effect, Latch, Queue, type Redacted, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Millis } from "../signal/Text.ts"
import { serverConfig } from "./Postgres.ts"

/** What nodes said since it was asked for last. */
export interface News {
  /** These have left in order: they have nothing any more, and are off the list. */
  readonly left: ReadonlySet<string>
  /** Something else has changed, too. */
  readonly hasMore: boolean
}

export interface Presence {
  /** Until this node's own lock is held: whoever is listed before would be taken for dead. */
  readonly ready: Effect.Effect<void>
  /** Since when this node's own session has stood; `undefined` while it does not. */
  readonly since: () => Millis | undefined
  /** The addresses of those who are listed and do not live. */
  readonly missing: Effect.Effect<ReadonlySet<string>, SqlError>
  /** Takes those of them off the list who still do not live. */
  readonly strike: (addresses: ReadonlyArray<string>) => Effect.Effect<void, SqlError>
  /** Tells all nodes to look again. */
  readonly stir: Effect.Effect<void, SqlError>
  /** Until a node, this one included, has said so. */
  readonly stirred: Effect.Effect<void>
  readonly news: () => News
}

export interface PresenceOptions {
  readonly url: Redacted.Redacted<string>
  /** Where this node listens for the others: what it is listed by. */
  readonly address: string
  /** The table of those who are listed. */
  readonly table: string
  /** A session on which nothing was said for so long ends: its node is frozen, or its machine is gone. */
  readonly expiresAfterMs: Millis
  readonly renewedEveryMs: Millis
}

/** Any number that is ours: the locks that nodes live by are of this class. */
const CLASS = 420_719_861
const CHANNEL = "bursar_nodes"
const LEFT = "left "
const AGAIN_AFTER_MS = 100

/** What a node that leaves says in the statement that takes it off the list: nobody has to read the list for that. */
export const farewell = (address: string): { readonly channel: string; readonly notice: string } => ({
  channel: CHANNEL,
  notice: `${LEFT}${address}`
})

const untilEnd = (
  options: PresenceOptions,
  onHeld: Effect.Effect<void>,
  onNotice: (notice: string) => Effect.Effect<void>
): Effect.Effect<never, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* PgConnection.make(
        serverConfig({ url: options.url, applicationName: "bursar presence" })
      )
      const session = yield* connection.pin
      // Servers before Postgres 14 do not know it: there a frozen node is missed by its lease alone.
      yield* session.query(
        "SELECT set_config(name, $1, false) FROM pg_settings WHERE name = 'idle_session_timeout'",
        [String(options.expiresAfterMs)]
      )
      // Shared: a process that was started again where a frozen one had been does not wait for it.
      yield* session.query("SELECT pg_advisory_lock_shared($1::int, hashtext($2))", [CLASS, options.address])
      const notices = yield* session.listen(CHANNEL)
      yield* onHeld
      const heard = Effect.forever(Effect.flatMap(Queue.take(notices), ({ payload }) => onNotice(payload)))
      const renewed = Effect.forever(
        Effect.andThen(
          Effect.sleep(options.renewedEveryMs),
          Effect.timeout(session.query("SELECT 1"), options.renewedEveryMs)
        )
      )
      return yield* Effect.raceFirst(heard, renewed)
    })
  )

/** Keeps this node's session, and replaces it where it breaks, until the scope closes. */
export const makePresence = (
  options: PresenceOptions
): Effect.Effect<Presence, never, PgClient.PgClient | Scope.Scope> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const clock = yield* Clock.Clock
    const ready = Latch.makeUnsafe(false)
    const stirred = Latch.makeUnsafe(false)
    let since: Millis | undefined
    let left = new Set<string>()
    let hasMore = true
    const notice = (said: string) =>
      Effect.sync(() => {
        if (said.startsWith(LEFT)) left.add(said.slice(LEFT.length))
        else hasMore = true
        stirred.openUnsafe()
      })
    const held = Effect.sync(() => {
      since = clock.currentTimeMillisUnsafe()
      // What was said while nobody listened is not known.
      hasMore = true
      ready.openUnsafe()
      stirred.openUnsafe()
    })
    const kept = untilEnd(options, held, notice).pipe(
      Effect.catchCause((cause) => Effect.logDebug("The session that this node lives by ended", cause)),
      Effect.ensuring(
        Effect.sync(() => {
          since = undefined
          ready.closeUnsafe()
        })
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(kept, Effect.sleep(AGAIN_AFTER_MS))))
    const nodes = sql(options.table)
    const lives = sql`EXISTS (
      SELECT FROM pg_locks
      WHERE locktype = 'advisory' AND granted AND classid = ${CLASS}::oid AND objsubid = 2
        AND objid = (hashtext(address)::bigint & 4294967295)::oid
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`
    return {
      ready: ready.await,
      since: () => since,
      missing: Effect.map(
        sql<{ readonly address: string }>`SELECT address FROM ${nodes} WHERE NOT ${lives}`,
        (rows) => new Set(rows.map(({ address }) => address))
      ),
      strike: (addresses) =>
        Effect.asVoid(sql`DELETE FROM ${nodes} WHERE ${sql.in("address", addresses)} AND NOT ${lives}`),
      stir: sql.notify(CHANNEL, ""),
      stirred: Effect.andThen(
        stirred.await,
        Effect.sync(() => {
          stirred.closeUnsafe()
        })
      ),
      news: () => {
        const news = { left, hasMore }
        left = new Set()
        hasMore = false
        return news
      }
    }
  })
