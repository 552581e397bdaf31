/**
 * JSON-RPC 2.0 over one WebSocket.
 *
 * Owns: matching answers to requests, deadlines of requests, handing on events.
 * Does not decide: when to connect again (Connection), what events mean (Follow).
 */
import type { SignalName, SignalParams, SignalResult } from "../../signal/Catalogue.ts"
import type { WireEvent } from "../model/Model.ts"

/** As much of a WebSocket as is needed, so that a test can play one. */
export interface Socket {
  send(text: string): void
  close(code?: number, reason?: string): void
  onopen: ((event: never) => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
}

export interface EventFrame {
  readonly subscription: string
  readonly cursor: string | null
  readonly event: WireEvent
}

/** An error that the server answered: `data` holds `_tag` and the fields of that error. */
export class RpcFailure extends Error {
  readonly code: number
  readonly data: { readonly _tag?: string; readonly [field: string]: unknown }

  constructor(error: { code: number; message: string; data?: unknown }) {
    super(error.message)
    this.name = "RpcFailure"
    this.code = error.code
    this.data =
      typeof error.data === "object" && error.data !== null
        ? (error.data as { [field: string]: unknown })
        : {}
  }

  get tag(): string {
    return this.data._tag ?? `error ${this.code}`
  }
}

/** The connection ended, or nobody answered in time: whether the signal was taken is not known. */
export class Unanswered extends Error {
  override readonly name = "Unanswered"
}

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: ReturnType<typeof setTimeout>
}

const REQUEST_MS_MAX = 30_000
/** Events that came before the answer that says whose they are. */
const ORPHANS_MAX = 1_000

interface Frame {
  readonly id?: number | string | null
  readonly method?: string
  readonly params?: EventFrame
  readonly result?: unknown
  readonly error?: { code: number; message: string; data?: unknown }
}

export class RpcClient {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  readonly #handlers = new Map<string, (frame: EventFrame) => void>()
  #orphans: Array<EventFrame> = []
  #nextId = 1
  #isClosed = false
  #lastFrameAt = Date.now()

  constructor(socket: Socket) {
    this.#socket = socket
    socket.onmessage = (message) => this.#receive(message.data)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** When the server was last heard, in milliseconds since 1970. */
  get lastFrameAt(): number {
    return this.#lastFrameAt
  }

  request<Name extends SignalName>(
    name: Name,
    params: SignalParams<Name>,
    timeoutMs = REQUEST_MS_MAX
  ): Promise<SignalResult<Name>> {
    return this.requestUnchecked(name, params, timeoutMs) as Promise<SignalResult<Name>>
  }

  /** For the form: params that somebody typed. */
  requestUnchecked(name: string, params: unknown, timeoutMs = REQUEST_MS_MAX): Promise<unknown> {
    if (this.#isClosed)
      return Promise.reject(new Unanswered("There is no connection; it is being made again"))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Unanswered(`No answer within ${timeoutMs / 1000} s`))
      }, timeoutMs)
      this.#waiting.set(id, { resolve, reject, timer })
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: name, params }))
    })
  }

  /** Hands on the events of one subscription, also those that were early. Answers how to stop. */
  onSubscription(subscription: string, handler: (frame: EventFrame) => void): () => void {
    this.#handlers.set(subscription, handler)
    const early = this.#orphans.filter((frame) => frame.subscription === subscription)
    this.#orphans = this.#orphans.filter((frame) => frame.subscription !== subscription)
    for (const frame of early) handler(frame)
    return () => this.#handlers.delete(subscription)
  }

  /** Fails everything that still waits. */
  end(why: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer)
      waiting.reject(new Unanswered(why))
    }
    this.#waiting.clear()
    this.#handlers.clear()
    this.#socket.close()
  }

  #receive(data: unknown): void {
    this.#lastFrameAt = Date.now()
    if (typeof data !== "string") return
    const parsed = JSON.parse(data) as Frame | ReadonlyArray<Frame>
    for (const frame of Array.isArray(parsed) ? parsed : [parsed]) this.#take(frame as Frame)
  }

  #take(frame: Frame): void {
    if (frame.method === "event" && frame.params !== undefined) {
      const handler = this.#handlers.get(frame.params.subscription)
      if (handler !== undefined) handler(frame.params)
      else if (this.#orphans.length < ORPHANS_MAX) this.#orphans.push(frame.params)
      return
    }
    if (typeof frame.id !== "number") return
    const waiting = this.#waiting.get(frame.id)
    if (waiting === undefined) return
    this.#waiting.delete(frame.id)
    clearTimeout(waiting.timer)
    if (frame.error !== undefined) waiting.reject(new RpcFailure(frame.error))
    else waiting.resolve(frame.result)
  }
}
