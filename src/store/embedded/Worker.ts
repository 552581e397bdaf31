/**
 * The thread that PGlite runs in.
 *
 * Owns: one PGlite on one directory, its one session, checkpoints and vacuum. PGlite is Postgres in
 * single-user mode: there is no checkpointer, no autovacuum and no timer, so this file does their work.
 * Does not decide: whose turn it is (Engine), who may open the directory (DirectoryLock).
 *
 * It blocks its thread while it works. That is why it has a thread.
 */
import { parentPort, workerData } from "node:worker_threads"
import { PGlite } from "@electric-sql/pglite"
import { encodeFatal, encodeQuery, firstError, syncFrame } from "./Frames.ts"

/** How the thread is started. */
export interface WorkerOptions {
  /** The Postgres data directory; absent: in memory, for tests. */
  readonly dataDirectory?: string
  readonly idleInTransactionTimeoutMs: number
}

/** What the main thread says. A session is a connection's number, never used twice. */
export type ToWorker =
  | {
      readonly type: "startup"
      readonly session: number
      readonly packet: Uint8Array<ArrayBuffer>
      readonly settings: ReadonlyArray<readonly [name: string, value: string]>
    }
  | { readonly type: "messages"; readonly session: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "end"; readonly session: number }
  | { readonly type: "stop" }

/** What the thread answers. Every `startup` and `messages` is followed by one `done`. */
export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly message: string }
  | { readonly type: "data"; readonly session: number; readonly bytes: Uint8Array }
  | { readonly type: "done"; readonly session: number }
  | { readonly type: "closed"; readonly session: number }
  | { readonly type: "stopped" }

/** Kept small: a laptop's memory, and dirty pages that a checkpoint writes in one go. */
const startParams = [
  ...PGlite.defaultStartParams,
  ...["shared_buffers=32MB", "max_wal_size=64MB", "min_wal_size=32MB"].flatMap((setting) => ["-c", setting])
]
/** Log written since the last checkpoint, after which the next idle moment takes one: bounds disk and recovery. */
const checkpointLogBytes = 48 * 1024 * 1024
/** The log's position is asked for after so many bytes received, not after every statement. */
const checkpointInputBytes = 256 * 1024
const vacuumIntervalMs = 60_000
/** Answers go to the main thread in pieces of about this size. */
const answerBytes = 256 * 1024

const port = parentPort
if (port === null) throw new Error("the embedded Postgres runs in a worker thread only")
const options = workerData as WorkerOptions
const send = (message: FromWorker, transfer: Array<ArrayBuffer> = []) => port.postMessage(message, transfer)

const stderrTail: Array<string> = []
let session = 0
let idleTimer: NodeJS.Timeout | undefined
let inputBytes = 0
let checkpointLsn = "0/0"
let lastWorkAt = 0
let database: PGlite

const open = async () => {
  database = await PGlite.create({
    ...(options.dataDirectory === undefined ? {} : { dataDir: options.dataDirectory }),
    startParams,
    onStderr: (text) => {
      stderrTail.push(text)
      if (stderrTail.length > 5) stderrTail.shift()
      return false
    }
  })
  checkpointLsn = await currentLsn()
}

/** Runs whole messages; hands on what comes back, piece by piece, so a large result is never held twice. */
const execute = async (bytes: Uint8Array, onBytes: (bytes: Uint8Array<ArrayBuffer>) => void) => {
  let pieces: Array<Uint8Array> = []
  let size = 0
  const flush = () => {
    if (size === 0) return
    const joined = new Uint8Array(size)
    let offset = 0
    for (const piece of pieces) {
      joined.set(piece, offset)
      offset += piece.length
    }
    pieces = []
    size = 0
    onBytes(joined)
  }
  await database.execProtocolRawStream(bytes, {
    syncToFs: false, // files are written through; there is nothing to sync
    onRawData: (data) => {
      pieces.push(data.slice())
      size += data.length
      if (size >= answerBytes) flush()
    }
  })
  flush()
}

const executeQuietly = async (sql: string) => {
  let error: { readonly code: string; readonly message: string } | undefined
  await execute(encodeQuery(sql), (bytes) => {
    error ??= firstError(bytes)
  })
  return error
}

/** Leaves nothing of the last owner: no half-sent query, no transaction, no prepared statement, no setting. */
const reset = async () => {
  await execute(syncFrame, () => {})
  if (database.isInTransaction()) await executeQuietly("ROLLBACK")
  await executeQuietly("DISCARD ALL")
}

const startup = async (message: Extract<ToWorker, { type: "startup" }>) => {
  session = message.session
  await reset()
  for (const [name, value] of message.settings) {
    const quoted = `SET "${name.replaceAll('"', '""')}" = '${value.replaceAll("'", "''")}'`
    const error = await executeQuietly(quoted)
    if (error !== undefined) return closeSession(error.code, error.message)
  }
  await execute(message.packet, (bytes) => sendData(message.session, bytes))
}

const sendData = (to: number, bytes: Uint8Array<ArrayBuffer>) =>
  send({ type: "data", session: to, bytes }, [bytes.buffer])

const closeSession = (code: string, text: string) => {
  const closed = session
  session = 0
  send({ type: "data", session: closed, bytes: encodeFatal(code, text) })
  send({ type: "closed", session: closed })
}

/** Postgres' own `idle_in_transaction_session_timeout` needs a timer that PGlite does not have. */
const watchTransaction = () => {
  clearTimeout(idleTimer)
  if (session === 0 || !database.isInTransaction()) return
  idleTimer = setTimeout(() => {
    enqueue(async () => {
      if (session === 0 || !database.isInTransaction() || inbox.length > 0) return
      await reset()
      closeSession("25P03", "terminating connection due to idle-in-transaction timeout")
    })
  }, options.idleInTransactionTimeoutMs)
}

const currentLsn = async () =>
  (await database.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn()::text AS lsn")).rows[0]?.lsn ??
  "0/0"

const checkpointWhenDue = async () => {
  if (inputBytes < checkpointInputBytes || database.isInTransaction()) return
  inputBytes = 0
  const { rows } = await database.query<{ bytes: number }>(
    "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn)::float8 AS bytes",
    [checkpointLsn]
  )
  if ((rows[0]?.bytes ?? 0) < checkpointLogBytes) return
  await database.exec("CHECKPOINT")
  checkpointLsn = await currentLsn()
}

/** Autovacuum's rule, one table at a time, and only when nobody has asked anything for a second. */
const vacuumWhenIdle = async () => {
  if (Date.now() - lastWorkAt < 1_000 || inbox.length > 0 || database.isInTransaction()) return
  const { rows } = await database.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, relname) AS name FROM pg_stat_user_tables
     WHERE n_dead_tup > 1000 + 0.2 * n_live_tup OR n_mod_since_analyze > 1000 + 0.1 * n_live_tup
     ORDER BY n_dead_tup + n_mod_since_analyze DESC LIMIT 1`
  )
  const name = rows[0]?.name
  if (name !== undefined) await database.exec(`VACUUM (ANALYZE) ${name}`)
}

const handle = async (message: ToWorker) => {
  switch (message.type) {
    case "startup":
    case "messages": {
      if (message.type === "startup") await startup(message)
      else if (message.session === session) {
        inputBytes += message.bytes.length
        await execute(message.bytes, (bytes) => sendData(message.session, bytes))
      }
      send({ type: "done", session: message.session })
      watchTransaction()
      await checkpointWhenDue()
      lastWorkAt = Date.now()
      return
    }
    case "end": {
      if (message.session !== session) return
      session = 0
      clearTimeout(idleTimer)
      return reset()
    }
    case "stop": {
      await reset()
      await database.close()
      send({ type: "stopped" })
      port.close()
      clearTimeout(idleTimer)
      clearInterval(vacuumTimer)
    }
  }
}

// PGlite takes one thing at a time; so do we, in the order of arrival.
const inbox: Array<() => Promise<void>> = []
let isDraining = false
const enqueue = (work: () => Promise<void>) => {
  inbox.push(work)
  if (!isDraining) void drain()
}
const drain = async () => {
  isDraining = true
  for (let work = inbox.shift(); work !== undefined; work = inbox.shift()) {
    try {
      await work()
    } catch (cause) {
      // The state of the database is unknown from here on: end the thread, and let it recover from its log.
      send({ type: "failed", message: describe(cause) })
      process.exit(1)
    }
  }
  isDraining = false
}

const describe = (cause: unknown) => {
  const text = cause instanceof Error ? cause.message : String(cause)
  return stderrTail.length === 0 ? text : `${text} (${stderrTail.join(" ").trim()})`
}

enqueue(async () => {
  await open()
  send({ type: "ready" })
})
const vacuumTimer = setInterval(() => enqueue(vacuumWhenIdle), vacuumIntervalMs)
port.on("message", (message: ToWorker) => enqueue(() => handle(message)))
