/**
 * A client of ours for tests: signals over HTTP and over a WebSocket, events read one after the other.
 *
 * Owns: which answer belongs to which request, and what is left unanswered when a connection ends.
 */
import WebSocket from "ws"
import { undocumented } from "./DocumentedErrors.ts"

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire has no type until it was looked at.
export type Json = any

export const ADMIN_KEY = "the-installation's-own-key-of-a-test-0123456789"

/** A JSON-RPC error as a thrown value. */
export class Refused extends Error {
  readonly code: number
  readonly data: Json

  constructor(error: { readonly code: number; readonly message: string; readonly data?: Json }) {
    super(error.message)
    this.code = error.code
    this.data = error.data
  }

  get tag(): string {
    return this.data?._tag ?? "none"
  }
}

/** The error of this signal; one that its definition does not name fails whatever test it comes in. */
const refusal = (method: string, error: ConstructorParameters<typeof Refused>[0]): Error => {
  const refused = new Refused(error)
  const problem = undocumented(method, refused.tag)
  return problem === undefined ? refused : new Error(`${problem}: ${error.message}`)
}

/** The connection ended before the answer came. */
export class Disconnected extends Error {}

// --- HTTP

let ids = 0

/** Sends one signal over HTTP, and answers its result. */
export const callOverHttp = async (
  url: string,
  method: string,
  params: Json = {},
  key = ADMIN_KEY
): Promise<Json> => {
  const response = await fetch(`${url}/signals`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ jsonrpc: "2.0", id: ++ids, method, params })
  })
  const answer = (await response.json()) as Json
  if (answer.error !== undefined) throw refusal(method, answer.error)
  return answer.result
}

/** What a request over HTTP answers, with the status. */
export const get = async (
  url: string,
  path: string,
  headers: Record<string, string> = {}
): Promise<{ readonly status: number; readonly text: string }> => {
  const response = await fetch(`${url}${path}`, { headers })
  return { status: response.status, text: await response.text() }
}

// --- WebSocket

export interface SubscriptionEvent {
  readonly cursor: string | null
  readonly event: Json
}

/** The events of one subscription, read one after the other. */
export interface Subscription {
  readonly id: string
  /** Where it started. */
  readonly cursor: string | null
  /** The next event; rejects with `Disconnected` when none can come any more. */
  readonly next: () => Promise<SubscriptionEvent>
  /** Reads on until an event is what was asked for, and answers all that were read. */
  readonly until: (isLast: (event: Json, at: SubscriptionEvent) => boolean) => Promise<ReadonlyArray<Json>>
}

export interface Wire {
  readonly ws: WebSocket
  readonly call: (method: string, params?: Json) => Promise<Json>
  readonly subscribe: (topic: string, params?: Json) => Promise<Subscription>
  /** `complete` with `stream: true`. */
  readonly stream: (params: Json) => Promise<Subscription>
  readonly closed: Promise<number>
  readonly close: () => void
}

interface Waiter {
  readonly resolve: (value: Json) => void
  readonly reject: (error: Error) => void
}

class Inbox {
  readonly #events: Array<SubscriptionEvent> = []
  #waiter: Waiter | undefined
  #isEnded = false

  put(event: SubscriptionEvent): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    if (waiter === undefined) this.#events.push(event)
    else waiter.resolve(event)
  }

  end(): void {
    this.#isEnded = true
    this.#waiter?.reject(new Disconnected("the connection ended"))
  }

  readonly next = (): Promise<SubscriptionEvent> =>
    new Promise((resolve, reject) => {
      const waiting = this.#events.shift()
      if (waiting !== undefined) resolve(waiting)
      else if (this.#isEnded) reject(new Disconnected("the connection ended"))
      else this.#waiter = { resolve, reject }
    })
}

const subscriptionOf = (id: string, cursor: string | null, inbox: Inbox): Subscription => ({
  id,
  cursor,
  next: inbox.next,
  until: async (isLast) => {
    const read: Array<Json> = []
    for (;;) {
      const at = await inbox.next()
      read.push(at.event)
      if (isLast(at.event, at)) return read
    }
  }
})

/** Opens a WebSocket to a server. */
export const connect = async (
  url: string,
  key = ADMIN_KEY,
  headers: { readonly [name: string]: string } = {}
): Promise<Wire> => {
  const ws = new WebSocket(`${url.replace(/^http/u, "ws")}/signals`, {
    headers: { Authorization: `Bearer ${key}`, ...headers },
    perMessageDeflate: false
  })
  const waiting = new Map<number, Waiter & { readonly method: string }>()
  const inboxes = new Map<string, Inbox>()
  const inboxOf = (id: string): Inbox => {
    const known = inboxes.get(id) ?? new Inbox()
    inboxes.set(id, known)
    return known
  }
  const take = (message: Json): void => {
    if (message.method === "event") {
      const { subscription, cursor, event } = message.params
      inboxOf(subscription).put({ cursor, event })
      return
    }
    const waiter = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error === undefined) waiter?.resolve(message.result)
    else waiter?.reject(refusal(waiter.method, message.error))
  }
  ws.on("message", (data) => take(JSON.parse(String(data))))
  const closed = new Promise<number>((resolve) => {
    ws.on("close", (code) => {
      for (const waiter of waiting.values()) waiter.reject(new Disconnected("the connection ended"))
      waiting.clear()
      for (const inbox of inboxes.values()) inbox.end()
      resolve(code)
    })
  })
  await new Promise<void>((resolve, reject) => {
    ws.once("open", resolve)
    ws.once("error", reject)
  })
  ws.on("error", () => {})
  const call = (method: string, params: Json = {}): Promise<Json> =>
    new Promise((resolve, reject) => {
      if (ws.readyState !== ws.OPEN) return reject(new Disconnected("the connection has ended"))
      const id = ++ids
      waiting.set(id, { method, resolve, reject })
      ws.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }))
    })
  const open = async (method: string, params: Json): Promise<Subscription> => {
    const { subscription, cursor = null } = await call(method, params)
    return subscriptionOf(subscription, cursor, inboxOf(subscription))
  }
  return {
    ws,
    call,
    subscribe: (topic, params = {}) => open("subscribe", { topic, ...params }),
    stream: (params) => open("complete", { ...params, stream: true }),
    closed,
    close: () => ws.close()
  }
}

// --- Waiting for what no event tells

/** Asks again and again until it is so, for a bounded time; then fails with what it was instead. */
export const eventually = async <A>(
  ask: () => Promise<A>,
  isSo: (answer: A) => boolean,
  withinMs = 30_000
): Promise<A> => {
  const deadline = Date.now() + withinMs
  for (;;) {
    const answer = await ask()
    if (isSo(answer)) return answer
    if (Date.now() > deadline) throw new Error(`it never came to be: ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The error that a call ends with. */
export const failureOf = async (call: Promise<unknown>): Promise<Refused> => {
  try {
    await call
  } catch (error) {
    if (error instanceof Refused) return error
    throw error
  }
  throw new Error("it did not fail")
}
