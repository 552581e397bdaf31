/**
 * Postgres in the process: PGlite in a thread of its own, reached by the same client as a server.
 *
 * Owns: the layer; which settings an embedded session gets.
 * Does not decide: tables and SQL, which are the same on both.
 *
 * What is different from a server:
 * - One session. A statement waits while a transaction is held; there is no LISTEN beside other work.
 * - It survives the process being killed, not the machine losing power: PGlite runs with `fsync` off.
 * - `statement_timeout` and `idle_in_transaction_session_timeout` exist but never fire: PGlite has no
 *   timers. The thread closes a session that idles in a transaction; the engine ends a thread whose statement
 *   runs too long. A statement cannot be cancelled.
 * - There is no autovacuum and no checkpointer; the thread does both when it is idle.
 */
import * as path from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Schedule, Schema } from "effect"
import * as DirectoryLock from "./DirectoryLock.ts"
import { Engine, type EngineOptions } from "./Engine.ts"

/** The embedded database did not open. */
export class EmbeddedStoreError extends Schema.TaggedError<EmbeddedStoreError>()("EmbeddedStoreError", {
  directory: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `The embedded database in ${this.directory} did not open: ${this.detail}`
  }
}

export interface EmbeddedOptions {
  /** The data directory (BURSAR_DATA). It is created, locked, and made readable by its owner only. */
  readonly directory: string
  /** A statement that runs longer ends and recovers the database. It is a backstop, so it is generous. */
  readonly statementTimeout?: Duration.Input
  readonly idleInTransactionTimeout?: Duration.Input
  readonly applicationName?: string
}

const openTimeout = Duration.minutes(2)

const engineOptions = (
  options: Omit<EmbeddedOptions, "directory">,
  dataDirectory?: string
): EngineOptions => ({
  statementTimeoutMs: Duration.toMillis(Duration.fromInputUnsafe(options.statementTimeout ?? "60 seconds")),
  idleInTransactionTimeoutMs: Duration.toMillis(
    Duration.fromInputUnsafe(options.idleInTransactionTimeout ?? "5 seconds")
  ),
  openTimeoutMs: Duration.toMillis(openTimeout),
  ...(dataDirectory === undefined ? {} : { dataDirectory })
})

const makeEngine = (options: EngineOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => new Engine(options)),
    (engine) => Effect.promise(() => engine.close())
  ).pipe(
    Effect.tap((engine) =>
      Effect.tryPromise({
        try: () => engine.open(),
        catch: (cause) =>
          new EmbeddedStoreError({
            directory: options.dataDirectory ?? "memory",
            detail: (cause as Error).message
          })
      })
    )
  )

const makeClient = (engine: Engine, applicationName: string | undefined) =>
  PgClient.make({
    stream: () => engine.connect(),
    ssl: false,
    username: "postgres",
    database: "postgres",
    applicationName: applicationName ?? "bursar",
    // As on a server (Postgres.ts).
    startupParameters: { plan_cache_mode: "force_custom_plan" },
    maxConnections: 1,
    minConnections: 1,
    // A session that waits for the last one to end, or for the recovery of a crash, is not a dead one.
    connectTimeout: "30 seconds"
  })

/** A process that was frozen past its heartbeat may find its directory taken. Then it must not write again. */
const closeWhenLost = (lock: DirectoryLock.DirectoryLock, engine: Engine) =>
  Effect.sync(lock.isHeld).pipe(
    Effect.repeat({ schedule: Schedule.spaced("5 seconds"), while: (isHeld) => isHeld }),
    Effect.andThen(
      Effect.logError(`Another process has taken ${lock.directory}: the embedded database stops.`)
    ),
    Effect.andThen(Effect.sync(() => engine.abort()))
  )

/** The client of the database in a directory. Closing the layer writes everything out and frees the directory. */
export const embeddedLayer = (options: EmbeddedOptions) =>
  PgClient.layerFrom(
    Effect.gen(function* () {
      const directory = path.resolve(options.directory)
      const lock = yield* DirectoryLock.acquire(directory)
      const engine = yield* makeEngine(engineOptions(options, path.join(directory, "postgres")))
      yield* Effect.forkScoped(closeWhenLost(lock, engine))
      return yield* makeClient(engine, options.applicationName)
    })
  )

/** The client of a database that is gone when the layer closes. For tests. */
export const memoryLayer = (
  options: Omit<EmbeddedOptions, "directory"> = {}
): ReturnType<typeof embeddedLayer> =>
  PgClient.layerFrom(
    Effect.flatMap(makeEngine(engineOptions(options)), (engine) =>
      makeClient(engine, options.applicationName)
    )
  )
