/**
 * Runs the embedded database's thread, and gives its one session to one connection at a time.
 *
 * Owns: the thread's life (open, crash, open again, stop), whose turn it is, and the limit on how long
 * a statement may run.
 * Does not decide: who may open the directory (DirectoryLock).
 *
 * A pool of one still opens a second connection while a broken first one is in use, so a second
 * connection waits for its turn rather than being refused.
 */
import type { Duplex } from "node:stream"
import { Worker } from "node:worker_threads"
import { Session, type SessionHost } from "./Session.ts"
import type { FromWorker, ToWorker, WorkerOptions } from "./Worker.ts"

export interface EngineOptions extends WorkerOptions {
  /** A statement that takes longer ends the thread, which then recovers as after a crash. */
  readonly statementTimeoutMs: number
  /** Creating or recovering a database takes seconds. */
  readonly openTimeoutMs: number
  /** The thread's file; tests give one that fails. */
  readonly workerUrl?: URL
}

/** The embedded database did not open, or its thread has ended. */
export class EngineError extends Error {
  override readonly name = "EngineError"
}

const workerUrl = new URL(import.meta.url.endsWith(".ts") ? "./Worker.ts" : "./Worker.js", import.meta.url)
const stopTimeoutMs = 30_000

interface Thread {
  readonly worker: Worker
  readonly opened: Promise<void>
  failure: string | undefined
}

type Startup = Extract<ToWorker, { type: "startup" }>

export class Engine {
  readonly #options: EngineOptions
  #thread: Thread | undefined
  #isClosed = false
  #sessionCount = 0
  #current: Session | undefined
  #waiting: Array<{ readonly session: Session; readonly startup: Startup }> = []
  readonly #watchdog: Watchdog

  /** Opens nothing yet. */
  constructor(options: EngineOptions) {
    this.#options = options
    this.#watchdog = new Watchdog(options.statementTimeoutMs, () => {
      if (this.#thread === undefined) return
      this.#thread.failure = `a statement ran for more than ${options.statementTimeoutMs} ms`
      void this.#thread.worker.terminate()
    })
  }

  /** Opens the database, or says why it does not open. */
  open(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new EngineError("the embedded database is closed"))
    this.#thread ??= this.#spawn()
    return this.#thread.opened
  }

  /** A connection. After a crash of the thread, the next connection opens the database again. */
  connect(): Duplex {
    this.#sessionCount += 1
    const session = new Session(this.#sessionCount, this.#host)
    this.open().catch((cause: Error) => session.destroy(cause))
    return session
  }

  /** Rolls back what is open, writes everything to the files, ends the thread. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const thread = this.#thread
    const failure = new EngineError("the embedded database is closed")
    const sessions = this.#sessions()
    this.#waiting = []
    for (const session of sessions) session.destroy(failure)
    if (thread === undefined) return
    const exited = new Promise<void>((resolve) => thread.worker.once("exit", () => resolve()))
    const timer = setTimeout(() => void thread.worker.terminate(), stopTimeoutMs)
    this.#post({ type: "stop" })
    await exited
    clearTimeout(timer)
  }

  /** Ends the thread where it is, writing nothing more; for good. */
  abort(): void {
    this.#isClosed = true
    void this.#thread?.worker.terminate()
  }

  readonly #host: SessionHost = {
    start: (session, packet, settings) => {
      const startup: Startup = { type: "startup", session: session.id, packet, settings }
      if (this.#current !== undefined) this.#waiting.push({ session, startup })
      else this.#begin(session, startup)
    },
    send: (session, bytes) => {
      if (session !== this.#current) return
      this.#watchdog.start()
      this.#post({ type: "messages", session: session.id, bytes }, [bytes.buffer])
    },
    end: (session) => {
      this.#waiting = this.#waiting.filter((waiting) => waiting.session !== session)
      if (session !== this.#current) return
      this.#current = undefined
      this.#post({ type: "end", session: session.id })
      const next = this.#waiting.shift()
      if (next !== undefined) this.#begin(next.session, next.startup)
    }
  }

  #begin(session: Session, startup: Startup) {
    this.#current = session
    this.#post(startup, [startup.packet.buffer])
  }

  #sessions(): ReadonlyArray<Session> {
    const waiting = this.#waiting.map(({ session }) => session)
    return this.#current === undefined ? waiting : [...waiting, this.#current]
  }

  #post(message: ToWorker, transfer: ReadonlyArray<ArrayBuffer> = []) {
    this.#thread?.worker.postMessage(message, transfer)
  }

  #spawn(): Thread {
    const {
      workerUrl: url = workerUrl,
      openTimeoutMs,
      dataDirectory,
      idleInTransactionTimeoutMs
    } = this.#options
    const data: WorkerOptions = {
      idleInTransactionTimeoutMs,
      ...(dataDirectory === undefined ? {} : { dataDirectory })
    }
    const worker = new Worker(url, { workerData: data, execArgv: [], name: "bursar-embedded-postgres" })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // Whoever connects learns of a failure; a promise nobody waits for must not end the process.
    promise.catch(() => {})
    const thread: Thread = { worker, opened: promise, failure: undefined }
    const timer = setTimeout(() => {
      thread.failure = `it did not open within ${openTimeoutMs} ms`
      void worker.terminate()
    }, openTimeoutMs)
    worker.on("message", (message: FromWorker) => {
      if (message.type === "ready") {
        clearTimeout(timer)
        resolve()
      } else this.#receive(thread, message)
    })
    worker.on("error", (cause) => {
      thread.failure ??= cause instanceof Error ? cause.message : String(cause)
    })
    worker.on("exit", (code) => {
      clearTimeout(timer)
      const reason = thread.failure ?? `its thread ended with code ${code}`
      const failure = new EngineError(`the embedded database failed: ${reason}`)
      reject(failure)
      this.#crashed(failure)
    })
    return thread
  }

  #receive(thread: Thread, message: FromWorker) {
    if (message.type === "failed") {
      thread.failure = message.message
      return
    }
    if (message.type === "ready" || message.type === "stopped") return
    const session = this.#current
    if (message.type === "done") this.#watchdog.stop()
    if (session === undefined || session.id !== message.session) return
    if (message.type === "data") session.receive(message.bytes)
    else if (message.type === "done") session.answered()
    else session.destroy()
  }

  #crashed(failure: EngineError) {
    this.#thread = undefined
    this.#watchdog.stop()
    const sessions = this.#sessions()
    this.#current = undefined
    this.#waiting = []
    for (const session of sessions) session.destroy(failure)
  }
}

/** Counts seconds of waiting, not the clock: a process that was suspended has not waited. */
class Watchdog {
  readonly #ticksMax: number
  readonly #onTimeout: () => void
  #ticks = 0
  #timer: NodeJS.Timeout | undefined

  constructor(timeoutMs: number, onTimeout: () => void) {
    this.#ticksMax = Math.ceil(timeoutMs / 1_000)
    this.#onTimeout = onTimeout
  }

  start() {
    this.#ticks = 0
    this.#timer ??= setInterval(() => {
      this.#ticks += 1
      if (this.#ticks < this.#ticksMax) return
      this.stop()
      this.#onTimeout()
    }, 1_000)
  }

  stop() {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
