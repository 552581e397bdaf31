/**
 * A provider's server on the loopback interface, exact to the bytes that the provider documents.
 *
 * Owns: a queue of scripted answers, the requests that came, and the framing of JSON and of server-sent events.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

interface Seen {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: { readonly [field: string]: unknown }
}

export type Reply = (response: ServerResponse, server: MockServer) => void

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Reply =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(JSON.stringify(body))
  }

/** Frames of server-sent events, as they go over the wire. `cut` destroys the connection after them. */
export const frames =
  (list: ReadonlyArray<string>, ending: "end" | "cut" | "stay" = "end"): Reply =>
  (response, server) => {
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache"
    })
    for (const frame of list) response.write(frame)
    if (ending === "end") response.end()
    if (ending === "cut") setImmediate(() => response.destroy())
    if (ending === "stay") response.on("close", () => server.closed())
  }

/** Takes the request and never answers. */
export const silence: Reply = (response, server) => {
  response.on("close", () => server.closed())
}

export const hangUp: Reply = (response) => {
  response.destroy()
}

class MockServer {
  readonly seen: Array<Seen> = []
  readonly replies: Array<Reply>
  readonly port: number
  /** Resolves when a client has closed its connection to an answer that stays open. */
  readonly clientClosed: Promise<void>
  readonly closed: () => void

  constructor(replies: ReadonlyArray<Reply>, port: number) {
    this.replies = [...replies]
    this.port = port
    const { promise, resolve } = Promise.withResolvers<void>()
    this.clientClosed = promise
    this.closed = resolve
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }
}

/** Lives as long as the scope. */
export const mockServer = (...replies: ReadonlyArray<Reply>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const http = createServer()
      await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening))
      const server = new MockServer(replies, (http.address() as AddressInfo).port)
      http.on("request", (incoming, response) => {
        const parts: Array<Buffer> = []
        incoming.on("data", (part: Buffer) => parts.push(part))
        incoming.on("end", () => {
          const body = JSON.parse(Buffer.concat(parts).toString("utf8")) as Seen["body"]
          server.seen.push({ path: incoming.url ?? "", headers: incoming.headers, body })
          const reply = server.replies.shift() ?? json(500, { error: { message: "nothing scripted" } })
          reply(response, server)
        })
      })
      return { http, server }
    }),
    ({ http }) =>
      Effect.promise(async () => {
        http.closeAllConnections()
        await new Promise<void>((done) => http.close(() => done()))
      })
  ).pipe(Effect.map(({ server }) => server))
