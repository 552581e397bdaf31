/**
 * The connections between nodes.
 *
 * Owns: who may connect. Both ends show that they know the installation's secret, and everything is encrypted (TLS 1.3
 * with a pre-shared key): whoever can read the store is a node, and nobody else is. There are no certificates.
 * Does not decide: what is said on a connection (Wire).
 */
import type { TLSSocket } from "node:tls"
import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { Clock, Effect, Layer, Redacted, Schedule, Schema, type Scope } from "effect"
import { type RunnerAddress, Runners } from "effect/cluster"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Socket, type SocketServer } from "effect/socket"
import { OPEN_MS, RETRIED_EVERY_MS, SILENT_MS } from "./Timing.ts"
import { writingInLine } from "./WritingInLine.ts"

/** 32 bytes that all nodes of an installation know. */
export type ClusterKey = Redacted.Redacted<Buffer>

/** This node cannot listen for the others. */
export class ClusterFailed extends Schema.TaggedError<ClusterFailed>()("ClusterFailed", {
  message: Schema.String
}) {}

const IDENTITY = "bursar"
const TLS = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const
const HANDSHAKE_MS = 5_000
/** How long what was written to others may take when this node closes. */
const CLOSED_WITHIN_MS = 1_000
/** An answer of a page of usage may be some MiB. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024

/**
 * Who is connected. A connection whose handshake ends while the server closes is nobody's: nobody reads from it, so its end
 * would not be seen, and the server would wait for it for ever.
 */
class Connections {
  readonly #key: ClusterKey
  readonly #open = new Set<TLSSocket>()
  #isClosing = false

  constructor(key: ClusterKey) {
    this.#key = key
  }

  keyFor(socket: TLSSocket, identity: string): Buffer | null {
    if (this.#isClosing || identity !== IDENTITY) return null
    this.#open.add(socket)
    socket.once("close", () => this.#open.delete(socket))
    return Redacted.value(this.#key)
  }

  /** What was written goes out, within reason; nothing more is read, and nobody else comes. */
  close(): void {
    this.#isClosing = true
    for (const socket of this.#open) {
      socket.resume()
      socket.destroySoon()
    }
    setTimeout(() => {
      for (const socket of this.#open) socket.destroy()
    }, CLOSED_WITHIN_MS).unref()
  }
}

/** Listens for other nodes. */
export const listen = (options: {
  readonly host: string
  readonly port: number
  readonly key: ClusterKey
}): Effect.Effect<SocketServer.SocketServer["Service"], ClusterFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const connections = new Connections(options.key)
    const server = yield* NodeSocketServer.makeTls({
      ...TLS,
      host: options.host,
      port: options.port,
      handshakeTimeout: HANDSHAKE_MS,
      noDelay: true,
      pskCallback: (socket, identity) => connections.keyFor(socket, identity)
    })
    // Before the server waits until all are closed.
    yield* Effect.addFinalizer(() => Effect.sync(() => connections.close()))
    return server
  }).pipe(
    // A connection that breaks off is a node that went away: others notice that, and nobody has to read a stack.
    Effect.map(
      (server) =>
        ({
          ...server,
          run: (handler) =>
            server.run((socket) => Effect.ignore(handler(writingInLine(socket)), { log: "Debug" }))
        }) satisfies SocketServer.SocketServer["Service"]
    ),
    Effect.mapError(
      ({ cause }) =>
        new ClusterFailed({
          message: `Cannot listen for other nodes on ${options.host}:${options.port} (${cause instanceof Error ? cause.message : cause}): stop what listens there, or set BURSAR_NODE_PORT`
        })
    )
  )

const connectTo = ({ host, port }: RunnerAddress.RunnerAddress, key: ClusterKey) =>
  NodeSocket.makeTls({
    ...TLS,
    host,
    port,
    openTimeout: OPEN_MS,
    pskCallback: () => ({ psk: Redacted.value(key), identity: IDENTITY }),
    // There is no certificate: that the other end knows the key is what was checked.
    checkServerIdentity: () => undefined
  })

/**
 * Connects to other nodes. What waits on a connection that ends is known to have no answer, at once. `clock` is the node's
 * own, whoever asks first: a connection outlives the fiber that needed it.
 */
export const clientProtocol = (key: ClusterKey, clock: Clock.Clock) =>
  Layer.effect(
    Runners.RpcClientProtocol,
    Effect.map(RpcSerialization.RpcSerialization, (serialization) => ({
      codecFor: serialization.codecFor,
      make: (address: RunnerAddress.RunnerAddress) =>
        Effect.flatMap(connectTo(address, key), (socket) =>
          RpcClient.makeProtocolSocket({
            pingInterval: SILENT_MS / 2,
            pingTimeout: SILENT_MS / 2,
            retryPolicy: Schedule.spaced(RETRIED_EVERY_MS)
          }).pipe(
            Effect.provideService(Socket.Socket, writingInLine(socket)),
            Effect.provideService(RpcSerialization.RpcSerialization, serialization)
          )
        ).pipe(Effect.provideService(Clock.Clock, clock))
    }))
  )

export const serializationLayer = RpcSerialization.layerSchemaBinary({ maxFrameSize: FRAME_BYTES_MAX })
