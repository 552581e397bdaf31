/**
 * One connection to the embedded database, as the stream that a Postgres client expects.
 *
 * Owns: framing, and waiting: a write is taken when its answer has arrived, so what a client may
 * pile up is bounded by its own buffer.
 * Does not decide: when it is served (Engine).
 */
import { Duplex } from "node:stream"
import { type Frame, FrameReader } from "./Frames.ts"

/** What a session asks of the engine. */
export interface SessionHost {
  readonly start: (
    session: Session,
    packet: Uint8Array<ArrayBuffer>,
    settings: ReadonlyArray<readonly [string, string]>
  ) => void
  readonly send: (session: Session, bytes: Uint8Array<ArrayBuffer>) => void
  readonly end: (session: Session) => void
}

/** Startup parameters that say who connects, not how the session is set. */
const notSettings = new Set(["user", "database", "options", "replication"])

export class Session extends Duplex {
  readonly id: number
  readonly #host: SessionHost
  readonly #frames = new FrameReader()
  #pending: Array<Frame> = []
  #taken: ((error?: Error | null) => void) | undefined

  constructor(id: number, host: SessionHost) {
    super({ allowHalfOpen: false })
    this.id = id
    this.#host = host
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, taken: (error?: Error | null) => void) {
    try {
      this.#pending.push(...this.#frames.push(chunk))
    } catch (cause) {
      return taken(cause as Error)
    }
    this.#taken = taken
    this.#next()
  }

  /** Bytes from the database. They are not held back: the database cannot pause inside a statement. */
  receive(bytes: Uint8Array) {
    this.push(bytes)
  }

  /** The database has answered what was sent last. */
  answered() {
    this.#next()
  }

  override _read() {}

  override _final(done: () => void) {
    done()
    this.destroy()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void) {
    this.#pending = []
    this.#host.end(this)
    done(error)
  }

  #next() {
    for (let frame = this.#pending.shift(); frame !== undefined; frame = this.#pending.shift()) {
      if (this.#serve(frame)) return
    }
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }

  /** True when the rest waits for the answer. */
  #serve(frame: Frame): boolean {
    switch (frame.kind) {
      case "ssl":
        this.push(Buffer.from("N"))
        return false
      case "startup": {
        const settings = [...frame.parameters].filter(([name]) => !notSettings.has(name))
        this.#host.start(this, frame.packet, settings)
        return true
      }
      case "messages":
        this.#host.send(this, frame.bytes)
        return true
      // A statement cannot be cancelled: the thread that runs it hears nothing until it is done.
      case "cancel":
      case "terminate":
        this.destroy()
        return true
    }
  }
}
