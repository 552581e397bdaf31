/**
 * The WebSocket at `/signals`.
 *
 * Owns: the upgrade and its refusals, the register of open connections, heartbeats, closing on the end of a
 * credential, and closing them all.
 * Does not decide: what a connection does with a message (Connection).
 */
import { randomBytes } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { Cause, type Effect, Exit } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import { readTraceparent } from "../actor/TraceContext.ts"
import type { Unauthenticated, Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"
import { type AccessOptions, authenticate, hostProblem, type Refused, SUBPROTOCOL } from "./Access.ts"
import {
  CLOSE_CREDENTIAL_ENDED,
  CLOSE_GOING_AWAY,
  type Connection,
  type ConnectionShared,
  openConnection
} from "./Connection.ts"
import { type Credential, type Ended, isEndedBy } from "./Credential.ts"
import { notFound, pathOf, refusalText, refusedBy } from "./HttpAnswer.ts"
import { goingAway, makeTally, tooManyConnections } from "./Limits.ts"

const SIGNALS_PATH = "/signals"

export interface WebSocketsOptions {
  readonly shared: ConnectionShared
  readonly access: AccessOptions
  readonly heartbeatMs: Millis
  /** Whether the credential of an open connection still holds; the store may know better than we do. */
  readonly verifyAgain: (credential: Credential) => Effect.Effect<unknown, Unauthenticated | Unavailable>
}

export interface WebSockets {
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Closes every connection that rests on what ended. */
  readonly closeEnded: (ended: Ended) => void
  /**
   * Takes no more connections and requests. Each connection is closed as soon as what it has in flight is answered, so that
   * nobody waits for somebody else's call; resolves when all is answered.
   */
  readonly drain: () => Promise<void>
  /** Closes every connection that is still open, and resolves when they are closed. */
  readonly close: () => Promise<void>
  readonly terminate: () => void
  readonly count: () => number
}

const refuse = (socket: Duplex, refused: Refused): void => void socket.end(refusalText(refused))

const CREDENTIAL_ENDED = "The key or the session has ended"
const GOING_AWAY = "This server is closing: connect to another node, or again soon"

export const makeWebSockets = (options: WebSocketsOptions): WebSockets => {
  const { shared, access } = options
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: shared.limits.messageBytesMax,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false)
  })
  const connections = new Set<Connection>()
  const tenants = makeTally(shared.limits.connectionsPerTenantMax)
  let isClosing = false
  let onEmpty: (() => void) | undefined

  const endCredential = (connection: Connection) => connection.close(CLOSE_CREDENTIAL_ENDED, CREDENTIAL_ENDED)

  /** Ends a connection on time: the heartbeats come too seldom for that. */
  const watchExpiry = (connection: Connection) => {
    const { expiresAt } = connection.credential
    if (expiresAt === null) return
    const leftMs = expiresAt - shared.now()
    if (leftMs <= options.heartbeatMs) setTimeout(endCredential, Math.max(0, leftMs), connection).unref()
  }

  const accept = (credential: Credential, request: IncomingMessage, ws: WebSocket, socket: Duplex) => {
    const { tenant } = credential.principal
    const id = randomBytes(9).toString("base64url")
    const trace = readTraceparent(request.headers.traceparent)
    const connection = openConnection(shared, credential, id, ws, socket, trace)
    connections.add(connection)
    ws.on("close", () => {
      connections.delete(connection)
      tenants.leave(tenant)
      if (connections.size === 0) onEmpty?.()
    })
    watchExpiry(connection)
  }

  const admit = (credential: Credential, request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (isClosing) return refuse(socket, { status: 503, error: goingAway() })
    const { tenant } = credential.principal
    if (!tenants.enter(tenant)) {
      return refuse(socket, { status: 429, error: tooManyConnections(shared.limits.connectionsPerTenantMax) })
    }
    let isAccepted = false
    // The handshake is done in this turn, or the socket was ended.
    server.handleUpgrade(request, socket, head, (ws) => {
      isAccepted = true
      accept(credential, request, ws, socket)
    })
    if (!isAccepted) tenants.leave(tenant)
  }

  /** Another process may have ended the key: only the store knows. A store that is away ends nothing. */
  const checkAgain = (connection: Connection) =>
    shared.runFork(options.verifyAgain(connection.credential)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return
      const failure = exit.cause.reasons.find(Cause.isFailReason)
      if (failure?.error._tag === "Unauthenticated") endCredential(connection)
    })

  const heartbeat = setInterval(() => {
    for (const connection of connections) {
      connection.beat()
      watchExpiry(connection)
      checkAgain(connection)
    }
  }, options.heartbeatMs)
  heartbeat.unref()

  return {
    upgrade: (request, socket, head) => {
      socket.on("error", () => socket.destroy())
      if (pathOf(request) !== SIGNALS_PATH) return refuse(socket, notFound())
      const problem = hostProblem(request, access)
      if (problem !== undefined) return refuse(socket, problem)
      shared.runFork(authenticate(request, access)).addObserver((exit) => {
        if (Exit.isSuccess(exit)) return admit(exit.value, request, socket, head)
        refuse(socket, refusedBy(exit.cause))
      })
    },
    closeEnded: (ended) => {
      for (const connection of connections)
        if (isEndedBy(connection.credential, ended)) endCredential(connection)
    },
    drain: async () => {
      isClosing = true
      clearInterval(heartbeat)
      await Promise.all(
        [...connections].map(async (connection) => {
          await connection.drain()
          connection.close(CLOSE_GOING_AWAY, GOING_AWAY)
        })
      )
    },
    close: () =>
      new Promise((resolve) => {
        onEmpty = resolve
        for (const connection of connections) connection.close(CLOSE_GOING_AWAY, GOING_AWAY)
        if (connections.size === 0) resolve()
      }),
    terminate: () => {
      for (const connection of connections) connection.terminate()
    },
    count: () => connections.size
  }
}
