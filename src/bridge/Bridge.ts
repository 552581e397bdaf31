/**
 * The bridge: signals from other programs, over WebSocket and HTTP.
 *
 * Owns: putting its parts together, listening, and closing without cutting off what is in flight.
 * Does not decide: any of its settings; no environment variable is read here.
 */
import { createServer, type Server } from "node:http"
import { Clock, Effect, type Fiber, Redacted, Schema, type Scope } from "effect"
import { SignalRouter } from "../signal/SignalRouter.ts"
import type { Millis } from "../signal/Text.ts"
import { type AccessOptions, hostNamesOf, isLoopback } from "./Access.ts"
import type { ConnectionShared } from "./Connection.ts"
import { type DeadLetter, makeDoor } from "./Door.ts"
import { makeHttp, type Readiness } from "./Http.ts"
import { makeHttpSession } from "./HttpSession.ts"
import { makeHttpSignals } from "./HttpSignals.ts"
import type { InstallationSecret } from "./InstallationSecret.ts"
import type { KeyAudit } from "./KeyAudit.ts"
import { type Credentials, makeCredentials } from "./KeySignals.ts"
import type { KeyStore } from "./KeyStore.ts"
import { KNOWN_FRESH_MS, type KnownKeys } from "./KnownKeys.ts"
import { DEFAULT_LIMITS, type Limits, makeRateLimiter, makeTally } from "./Limits.ts"
import { makeMeter } from "./Meter.ts"
import { makeOneTimeLinks } from "./OneTimeLinks.ts"
import type { SessionStore } from "./SessionStore.ts"
import { makeStaticFiles } from "./StaticFiles.ts"
import type { UserDisguise } from "./UserDisguise.ts"
import { makeWebSockets, type WebSockets } from "./WebSocket.ts"

export interface BridgeConfig {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** The installation's own key. */
  readonly adminKey: Redacted.Redacted<string>
  /** Names that requests may be addressed to, beside loopback and `host`; without ports. */
  readonly allowedHosts?: ReadonlyArray<string>
  /** Origins whose pages may use the session's cookie, beside the one they were served from. */
  readonly allowedOrigins?: ReadonlyArray<string>
  /** Whether a proxy in front sets `X-Forwarded-Proto`. */
  readonly trustsProxy?: boolean
  readonly limits?: Partial<Limits>
  /** Between two pings; a connection that missed two is dropped. */
  readonly heartbeatMs?: Millis
  /** How long closing may take, before what is left is cut off. */
  readonly closeWithinMs?: Millis
  readonly consoleDirectory?: string | undefined
  /** The text of schemas/openrpc.json. */
  readonly openRpc?: string | undefined
  /** What the console is told about the server, beside who is signed in: its version, whether it is a playground. */
  readonly about?: Readonly<Record<string, unknown>>
  readonly isReady?: Effect.Effect<Readiness>
  /** Whoever counts otherwise than as it happens does so now. */
  readonly beforeMetrics?: () => void
  readonly onDeadLetter?: (letter: DeadLetter) => Effect.Effect<void>
}

export interface Bridge {
  readonly url: string
  readonly port: number
  /** A link that signs a browser in as the installation: good once, for five minutes. */
  readonly oneTimeLink: () => string
  /** Whoever revokes a key by these ends its connections at once. */
  readonly credentials: Credentials
}

/** The address could not be listened on. */
export class BridgeFailed extends Schema.TaggedError<BridgeFailed>()("BridgeFailed", {
  host: Schema.String,
  port: Schema.Int,
  reason: Schema.String
}) {
  override get message() {
    return `Cannot listen on ${this.host}:${this.port}: ${this.reason}. Stop what listens there, or choose another port`
  }
}

const HEARTBEAT_MS: Millis = 15_000
const CLOSE_WITHIN_MS: Millis = 5_000
/** While it closes: a connection whose last answer was on its way then is idle a moment later. */
const IDLE_CLOSED_EVERY_MS: Millis = 20
const ALWAYS_READY = Effect.succeed({ ready: true, why: "" })
const NOT_READY = Effect.succeed({ ready: false, why: "the server is closing" })

const listen = (server: Server, host: string, port: number) =>
  Effect.callback<number, BridgeFailed>((resume) => {
    server.once("error", (error) =>
      resume(Effect.fail(new BridgeFailed({ host, port, reason: error.message })))
    )
    server.listen(port, host, () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

/** Lets what is in flight be answered, for half of the time; then closes; what is left at the end is cut off. */
const closeGently = (server: Server, sockets: WebSockets, withinMs: Millis) => {
  const within = (work: () => Promise<unknown>) =>
    Effect.asVoid(Effect.timeoutOption(Effect.promise(work), withinMs / 2))
  return Effect.gen(function* () {
    // What is answered from now on is the last on its connection: nobody has to be cut off.
    server.prependListener("request", (_, response) => {
      response.shouldKeepAlive = false
    })
    const closed = new Promise((resolve) => server.close(resolve))
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CLOSED_EVERY_MS)
    server.closeIdleConnections()
    yield* within(() => sockets.drain())
    yield* within(() => Promise.all([sockets.close(), closed]))
    clearInterval(idle)
    sockets.terminate()
    server.closeAllConnections()
  })
}

const urlHost = (host: string): string => {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1"
  return host.includes(":") ? `[${host}]` : host
}

type Requirements =
  | SignalRouter
  | KeyAudit
  | UserDisguise
  | KeyStore
  | KnownKeys
  | SessionStore
  | InstallationSecret
  | Scope.Scope

/** Listens until the scope closes. */
export const serveBridge = Effect.fnUntraced(function* (
  config: BridgeConfig
): Effect.fn.Return<Bridge, BridgeFailed, Requirements> {
  const limits: Limits = { ...DEFAULT_LIMITS, ...config.limits }
  const services = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E> = Effect.runForkWith(services)
  const credentials = yield* makeCredentials(config.adminKey)
  const { keys, sessions } = credentials
  const installation = yield* Effect.orDie(keys.verify(Redacted.value(config.adminKey)))
  const door = yield* makeDoor(credentials, config.onDeadLetter ?? (() => Effect.void))
  const meter = yield* makeMeter
  const rates = makeRateLimiter(limits.requestsPerSecondPerKey, limits.requestBurstPerKey)
  const links = makeOneTimeLinks()
  const subscriptions = makeTally(limits.subscriptionsPerTenantMax)

  const server = createServer()
  const port = yield* listen(server, config.host, config.port)
  const access: AccessOptions = {
    keys,
    sessions,
    cookieName: `bursar_${port}`,
    hostNames: hostNamesOf(urlHost(config.host), config.allowedHosts ?? []),
    origins: new Set(config.allowedOrigins ?? []),
    trustsProxy: config.trustsProxy ?? false
  }
  const router = yield* SignalRouter
  const shared: ConnectionShared = { door, router, limits, rates, subscriptions, meter, now, runFork }
  const heartbeatMs = config.heartbeatMs ?? HEARTBEAT_MS
  // What is looked at only now and then must be believed for less: together it is no longer than for whoever comes anew.
  const freshMs = Math.max(0, KNOWN_FRESH_MS - heartbeatMs)
  const sockets = makeWebSockets({
    shared,
    access,
    heartbeatMs,
    verifyAgain: ({ session, principal, keyHash }) =>
      session === undefined
        ? keys.verifyAgain(principal.keyId, keyHash, freshMs)
        : sessions.verifyAgain(session, freshMs)
  })
  const about = config.about ?? {}
  const { isReady = ALWAYS_READY } = config
  let isClosing = false
  const http = makeHttp({
    access,
    door,
    signals: makeHttpSignals({
      door,
      access,
      limits,
      rates,
      inFlight: makeTally(limits.inFlightMax),
      meter,
      now,
      isClosing: () => isClosing
    }),
    session: makeHttpSession({ access, links, installation, about, limits, rates, now }),
    files: makeStaticFiles(config.consoleDirectory),
    openRpc: config.openRpc,
    isReady: Effect.suspend(() => (isClosing ? NOT_READY : isReady)),
    listensOnLoopback: isLoopback(config.host),
    beforeMetrics: () => {
      meter.open(sockets.count(), subscriptions.total())
      config.beforeMetrics?.()
    },
    services,
    runFork
  })
  server.on("request", http)
  server.on("upgrade", sockets.upgrade)
  const stops = [keys.onEnded(sockets.closeEnded), sessions.onEnded(sockets.closeEnded)]
  yield* Effect.addFinalizer(() => {
    isClosing = true
    for (const stop of stops) stop()
    return closeGently(server, sockets, config.closeWithinMs ?? CLOSE_WITHIN_MS)
  })
  const url = `http://${urlHost(config.host)}:${port}`
  return { url, port, credentials, oneTimeLink: () => `${url}/?code=${links.issue(now())}` }
})
