/**
 * A server that speaks the wire contract to the console and makes lively data up.
 *
 * Owns: what the real server cannot be made to do on demand: dropping connections, ending sessions, floods.
 * Does not decide: anything about money; browser tests of the product run on the real server.
 */
import { readFile } from "node:fs/promises"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { extname, join, normalize } from "node:path"
import { Result } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { isSignalName } from "../../../src/signal/Catalogue.ts"
import { decodePayload } from "../../../src/signal/Decode.ts"
import { ERROR_CODES } from "../../../src/signal/Errors.ts"
import { formatAmount } from "../../../src/signal/Money.ts"
import type { Topic } from "../../../src/signal/Subscriptions.ts"
import { CALL_GRAPH, FakeLedger, type WireEvent } from "./FakeLedger.ts"

const TYPES: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml"
}

/** What the console needs of a policy: nothing but its own origin. */
const POLICY =
  "default-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

interface Subscription {
  readonly socket: WebSocket
  readonly topic: Topic
}

interface Request {
  readonly id?: number
  readonly method: string
  readonly params?: { readonly [field: string]: unknown }
}

export class FakeServer {
  readonly ledger: FakeLedger
  isSignedIn = true
  /** How often each method was asked. */
  readonly asked = new Map<string, number>()
  readonly #folder: string
  readonly #subscriptions = new Map<string, Subscription>()
  #http: Server | undefined
  #sockets: WebSocketServer | undefined
  #nextSubscription = 1
  #cursor = 0

  constructor(folder: string) {
    this.#folder = folder
    this.ledger = new FakeLedger((topic, event) => this.tell(topic, event))
  }

  /** Listens, and answers the port. */
  async listen(port = 0): Promise<number> {
    const http = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.writeHead(500).end())
    })
    const sockets = new WebSocketServer({ server: http, path: "/signals" })
    sockets.on("connection", (socket) => {
      if (!this.isSignedIn) return socket.close(4001)
      socket.on("message", (data) => this.#receive(socket, String(data)))
      socket.on("close", () => {
        for (const [id, subscription] of this.#subscriptions)
          if (subscription.socket === socket) this.#subscriptions.delete(id)
      })
    })
    this.#http = http
    this.#sockets = sockets
    await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve))
    return (http.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.ledger.stop()
    this.dropConnections()
    this.#http?.closeAllConnections()
    await new Promise((resolve) => this.#http?.close(resolve))
  }

  dropConnections(code = 1006): void {
    for (const socket of this.#sockets?.clients ?? []) code === 1006 ? socket.terminate() : socket.close(code)
  }

  tell(topic: Topic, event: WireEvent): void {
    const cursor = topic === "usage" || topic === "alerts" ? String(++this.#cursor) : null
    for (const [subscription, { socket, topic: wanted }] of this.#subscriptions) {
      if (wanted !== topic) continue
      socket.send(
        JSON.stringify({ jsonrpc: "2.0", method: "event", params: { subscription, cursor, event } })
      )
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://fake")
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    if (pathname === "/console.json") {
      return void (this.isSignedIn
        ? json(200, { playground: true, tenant: "default", version: "0.1.0" })
        : json(401, {}))
    }
    if (pathname === "/session") {
      this.isSignedIn = request.headers.authorization === "Bearer right"
      return void json(this.isSignedIn ? 200 : 401, {})
    }
    const file = join(this.#folder, normalize(pathname === "/" ? "/index.html" : pathname))
    try {
      const body = await readFile(file)
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "content-security-policy": POLICY
      })
      response.end(body)
    } catch {
      response.writeHead(404).end()
    }
  }

  #receive(socket: WebSocket, text: string): void {
    const request = JSON.parse(text) as Request
    this.asked.set(request.method, (this.asked.get(request.method) ?? 0) + 1)
    const answer = (body: object) => socket.send(JSON.stringify({ jsonrpc: "2.0", id: request.id, ...body }))
    const fail = (tag: keyof typeof ERROR_CODES, message: string, fields: object = {}) =>
      answer({ error: { code: ERROR_CODES[tag], message, data: { _tag: tag, ...fields } } })
    if (!isSignalName(request.method)) {
      fail("UnknownSignal", `There is no signal ${request.method}`)
      return
    }
    const decoded = decodePayload(request.method, request.params)
    if (Result.isFailure(decoded)) {
      fail("InvalidParams", decoded.failure.message, { issues: decoded.failure.issues })
      return
    }
    const result = this.#answer(socket, request.method, request.params ?? {})
    if (result === null) fail("NotFound", "There is no such thing here", { kind: "thing", id: "?" })
    else answer({ result })
  }

  #answer(socket: WebSocket, method: string, params: { readonly [field: string]: unknown }): unknown {
    const { ledger } = this
    switch (method) {
      case "subscribe": {
        const subscription = `s${this.#nextSubscription++}`
        this.#subscriptions.set(subscription, { socket, topic: params.topic as Topic })
        return {
          subscription,
          cursor: params.topic === "usage" || params.topic === "alerts" ? String(this.#cursor) : null
        }
      }
      case "get_status":
        return {
          healthy: true,
          tenant: "default",
          budgets_active: ledger.budgets.size,
          open_holds: 3,
          mailbox_depth: 0,
          pending_commits: 0,
          total_tracked: ledger.requests,
          total_tokens: ledger.tokens,
          total_cost: formatAmount(ledger.cost),
          currency: "USD",
          last_commit_at: new Date().toISOString(),
          store: {
            kind: "embedded",
            reachable: true,
            durability: "survives the process being killed, not the machine losing power"
          },
          uptime_ms: 1,
          version: "0.1.0",
          config: {}
        }
      case "get_budget_status":
        return { budgets: [...ledger.budgets.values()].map((budget) => ledger.statusOf(budget)) }
      case "list_actors":
        return { items: [...ledger.actors.values()], next_cursor: null }
      case "list_workflows":
      case "list_overrides":
        return { items: [], next_cursor: null }
      case "list_dead_letters":
      case "list_refusals":
        return { items: [], next_cursor: null, dropped: 0 }
      case "get_usage":
        return {
          items: ledger.usage.slice(0, 200),
          next_cursor: null,
          totals: {
            requests: ledger.requests,
            prompt_tokens: 0,
            completion_tokens: 0,
            total_tokens: ledger.tokens,
            cost: formatAmount(ledger.cost),
            currency: "USD"
          }
        }
      case "inspect_actor": {
        const info = ledger.actors.get(String(params.address))
        return info === undefined
          ? null
          : {
              ...info,
              children: [],
              mailbox: {
                policy: "refuse",
                refused: 0,
                dropped: 0,
                waited: 0,
                senders_waiting: 0,
                stashed: 0
              },
              supervision: [],
              tags: [],
              meta: {},
              machine: info.kind === "call" ? CALL_GRAPH : null,
              context: { attempt: 1, messages: "[redacted]" }
            }
      }
      case "create_budget": {
        const id = `b-${ledger.budgets.size + 1}`
        const budget = ledger.addBudget(id, params as never)
        return { budget_id: id, budget }
      }
      case "complete":
        ledger.call()
        return { request_id: "x", content: "Hello" }
      case "check_budget":
        return {
          allowed: true,
          hold_id: "hold-1",
          estimated_tokens: 4096,
          estimated_cost: "0.06144",
          currency: "USD",
          budgets: [],
          warnings: []
        }
      default:
        return {}
    }
  }
}
