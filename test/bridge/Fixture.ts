/**
 * A bridge on a free port with a stub behind it, and clients that wait for what they expect.
 */
import { connect, type Socket } from "node:net"
import { Effect, type Layer, Redacted, Schedule } from "effect"
import WebSocket from "ws"
import { type Bridge, type BridgeConfig, serveBridge } from "../../src/bridge/Bridge.ts"
import { layerMemory } from "../../src/bridge/MemoryCredentials.ts"
import type { SignalPayload } from "../../src/signal/Catalogue.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { SignalRouter } from "../../src/signal/SignalRouter.ts"
import { makeStub } from "./StubRouter.ts"

export const ADMIN_KEY = "the-installation's-own-key-0123456789"
export const ADMIN = installationPrincipal()

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire has no type until it was looked at.
export type Json = any

export const startBridge = (config: Partial<BridgeConfig> = {}) =>
  Effect.gen(function* () {
    const stub = makeStub()
    const bridge = yield* serveBridge({
      host: "127.0.0.1",
      port: 0,
      adminKey: Redacted.make(ADMIN_KEY),
      closeWithinMs: 2000,
      ...config
    }).pipe(Effect.provideService(SignalRouter, stub.router))
    return { bridge, stub, wsUrl: `${bridge.url.replace("http", "ws")}/signals` }
  })

/** Gives a test an empty memory of keys and sessions, and closes its bridge afterwards. */
export const withBridge = <A, E>(
  test: Effect.Effect<A, E, Layer.Success<typeof layerMemory> | import("effect").Scope.Scope>
) => Effect.scoped(Effect.provide(test, layerMemory))

export const makeKey = (
  bridge: Bridge,
  payload: Partial<SignalPayload<"create_key">> = {},
  maker: Principal = ADMIN
) => bridge.credentials.keys.create({ name: "a test's key", roles: ["admin"], ...payload }, maker)

interface Closed {
  readonly code: number
  readonly reason: string
}

/** A WebSocket whose messages are read one after the other. */
export interface Client {
  readonly ws: WebSocket
  readonly send: (message: unknown) => void
  readonly sendText: (text: string) => void
  /** The next message, parsed. */
  readonly next: Effect.Effect<Json>
  readonly call: (method: string, params?: unknown, id?: unknown) => Effect.Effect<Json>
  readonly closed: Effect.Effect<Closed>
}

export interface ClientOptions {
  readonly key?: string
  readonly protocols?: ReadonlyArray<string>
  readonly headers?: Readonly<Record<string, string>>
  readonly autoPong?: boolean
}

const optionsOf = (options: ClientOptions) => ({
  headers: {
    ...(options.key === undefined ? {} : { Authorization: `Bearer ${options.key}` }),
    ...options.headers
  },
  perMessageDeflate: false,
  autoPong: options.autoPong ?? true
})

const clientOf = (ws: WebSocket): Client => {
  const messages: Array<Json> = []
  const waiting: Array<(message: Json) => void> = []
  let calls = 0
  ws.on("message", (data) => {
    const message = JSON.parse(String(data))
    const waiter = waiting.shift()
    if (waiter === undefined) messages.push(message)
    else waiter(message)
  })
  const closed = new Promise<Closed>((resolve) => {
    ws.on("close", (code, reason) => resolve({ code, reason: String(reason) }))
  })
  const next = Effect.callback<Json>((resume) => {
    if (messages.length > 0) resume(Effect.succeed(messages.shift()))
    else waiting.push((message) => resume(Effect.succeed(message)))
  })
  const send = (message: unknown) => ws.send(JSON.stringify(message))
  return {
    ws,
    send,
    sendText: (text) => ws.send(text),
    next,
    call: (method, params, id = ++calls) => {
      send({ jsonrpc: "2.0", id, method, ...(params === undefined ? {} : { params }) })
      return next
    },
    closed: Effect.promise(() => closed)
  }
}

/** Opens a WebSocket; fails with the status of the refusal. */
export const openClient = (url: string, options: ClientOptions) =>
  Effect.acquireRelease(
    Effect.callback<Client, { readonly status: number; readonly body: string; readonly headers: Json }>(
      (resume) => {
        const ws = new WebSocket(url, [...(options.protocols ?? [])], optionsOf(options))
        const client = clientOf(ws)
        ws.on("open", () => resume(Effect.succeed(client)))
        ws.on("error", () => {})
        ws.on("unexpected-response", (_, response) => {
          let body = ""
          response.on("data", (chunk) => {
            body += String(chunk)
          })
          response.on("end", () =>
            resume(Effect.fail({ status: response.statusCode ?? 0, body, headers: response.headers }))
          )
        })
      }
    ),
    ({ ws }) => Effect.sync(() => ws.terminate())
  )

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Json
}

export const http = (url: string, init: RequestInit = {}): Effect.Effect<Reply> =>
  Effect.promise(async () => {
    const response = await fetch(url, { redirect: "manual", ...init })
    const text = await response.text()
    let json: Json
    try {
      json = JSON.parse(text)
    } catch {
      json = undefined
    }
    return { status: response.status, headers: response.headers, text, json }
  })

export const postSignals = (
  bridge: Bridge,
  body: unknown,
  headers: Record<string, string> = {},
  key = ADMIN_KEY
) =>
  http(`${bridge.url}/signals`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}`, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

/** Sends a request as it stands, for headers that fetch would not let us set. */
export const rawRequest = (bridge: Bridge, lines: ReadonlyArray<string>, body = ""): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const socket: Socket = connect(bridge.port, "127.0.0.1")
    let text = ""
    socket.on("data", (chunk) => {
      text += String(chunk)
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
    socket.write(
      `${[...lines, "Connection: close", `Content-Length: ${Buffer.byteLength(body)}`].join("\r\n")}\r\n\r\n${body}`
    )
  })

/** Looks again, turn by turn, until `look` sees something. */
export const until = <A>(look: () => A | undefined): Effect.Effect<A> =>
  Effect.suspend(() => {
    const seen = look()
    return seen === undefined ? Effect.fail("not yet" as const) : Effect.succeed(seen)
  }).pipe(Effect.retry({ schedule: Schedule.spaced("1 millis") }), Effect.orDie)
