/**
 * A server that takes webhooks, over TLS or without.
 *
 * Owns: what came, and what is answered: a status, or whatever a test does with the response.
 */
import { createHmac } from "node:crypto"
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse
} from "node:http"
import { createServer as createHttpsServer } from "node:https"
import type { AddressInfo, Socket } from "node:net"
import type { Certificate } from "./Certificate.ts"

export interface Received {
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
  /** The name that the client asked for in its TLS handshake. */
  readonly servername: string | undefined
}

/** A status, or what is done with the response in place of answering. */
export type Reply = number | ((response: ServerResponse) => void)

export class Receiver {
  readonly port: number
  readonly received: Array<Received> = []
  readonly close: () => Promise<void>
  /** Connections that were opened, whether or not anything came over them. */
  connections = 0
  reply: (received: Received) => Reply = () => 204
  readonly #waiting: Array<{ readonly count: number; readonly resolve: () => void }> = []

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.close = close
  }

  static async open(certificate?: Certificate): Promise<Receiver> {
    const sockets = new Set<Socket>()
    let receiver: Receiver | undefined
    const listener: RequestListener = (request, response) => {
      void receiver?.take(request, response)
    }
    const server =
      certificate === undefined ? createHttpServer(listener) : createHttpsServer(certificate, listener)
    server.on("connection", (socket: Socket) => {
      if (receiver !== undefined) receiver.connections += 1
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
    })
    // Whoever does not trust the certificate hangs up.
    server.on("tlsClientError", () => {})
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    receiver = new Receiver((server.address() as AddressInfo).port, () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    })
    return receiver
  }

  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const socket = request.socket as Socket & { readonly servername?: string }
    const received = {
      path: request.url ?? "",
      headers: request.headers,
      body: Buffer.concat(chunks).toString("utf8"),
      servername: socket.servername
    }
    this.received.push(received)
    const reply = this.reply(received)
    if (typeof reply === "function") reply(response)
    else response.writeHead(reply).end()
    for (const { count, resolve } of this.#waiting) if (this.received.length >= count) resolve()
  }

  /** Waits until so many have come in all. */
  until(count: number): Promise<void> {
    if (this.received.length >= count) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ count, resolve }))
  }

  /** The ids of the alerts that came. */
  get alerts(): ReadonlyArray<string> {
    return this.received.map(({ body }) => (JSON.parse(body) as { readonly id: string }).id)
  }
}

/** Checks a delivery as README says, in other words than the sender's. */
export const isSigned = ({ headers, body }: Received, key: string | Buffer): boolean => {
  const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`
  const expected = createHmac("sha256", key).update(content).digest("base64")
  return String(headers["webhook-signature"]).split(" ").includes(`v1,${expected}`)
}
