/**
 * Who may reach us, and what they show.
 *
 * Owns: the `Host` allow-list, the `Origin` rule for cookies, and finding a credential in a request.
 * Does not decide: whether a credential holds (Keys, Sessions).
 */
import type { IncomingMessage } from "node:http"
import { Effect } from "effect"
import {
  Forbidden,
  InvalidRequest,
  type SignalError,
  Unauthenticated,
  type Unavailable
} from "../signal/Errors.ts"
import type { Credential } from "./Credential.ts"
import type { Keys } from "./Keys.ts"
import type { Sessions } from "./Sessions.ts"

export const SUBPROTOCOL = "bursar.v1"
const KEY_SUBPROTOCOL = "bearer."

/** A request that goes no further: an HTTP status, and the error that says why. */
export interface Refused {
  readonly status: number
  readonly error: SignalError
}

export interface AccessOptions {
  readonly keys: Keys
  readonly sessions: Sessions
  readonly cookieName: string
  /** Host names, without ports, that requests may be addressed to. */
  readonly hostNames: ReadonlySet<string>
  /** Origins of ours beside the one that a request was addressed to. */
  readonly origins: ReadonlySet<string>
  /** Whether `X-Forwarded-Proto` is believed. */
  readonly trustsProxy: boolean
}

const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]

export const isLoopback = (host: string): boolean => LOOPBACK_NAMES.includes(host) || host === "::1"

/** The names that a server may be called by: loopback, the address it listens on, and what was configured. */
export const hostNamesOf = (listening: string, allowed: ReadonlyArray<string>): ReadonlySet<string> =>
  new Set([...LOOPBACK_NAMES, listening, ...allowed].map((name) => name.toLowerCase()))

/** The name in a `Host` header, without its port. */
export const hostNameOf = (header: string): string => header.toLowerCase().replace(/:\d{1,5}$/u, "")

const schemeOf = (request: IncomingMessage, trustsProxy: boolean): string => {
  if ("encrypted" in request.socket) return "https"
  const forwarded = trustsProxy ? request.headers["x-forwarded-proto"] : undefined
  return String(forwarded).split(",")[0]?.trim() === "https" ? "https" : "http"
}

/** Whether a cookie for this request may only travel under TLS. */
export const isSecure = (request: IncomingMessage, trustsProxy: boolean): boolean =>
  schemeOf(request, trustsProxy) === "https"

/** Why a request with this `Host` goes no further, or `undefined`. */
export const hostProblem = (request: IncomingMessage, options: AccessOptions): Refused | undefined => {
  const { host } = request.headers
  if (host === undefined) {
    return { status: 400, error: new InvalidRequest({ message: "Expected a Host header" }) }
  }
  if (options.hostNames.has(hostNameOf(host))) return undefined
  const message = "This server is not called by that name: add it to the allowed hosts, or use another Host"
  return { status: 403, error: new Forbidden({ message }) }
}

/** Browsers send no `Origin` with a plain read of the same origin, but say so in a header no page can set. */
const isOwnRead = (request: IncomingMessage): boolean =>
  request.method === "GET" &&
  request.headers.upgrade === undefined &&
  request.headers["sec-fetch-site"] === "same-origin"

const originProblem = (request: IncomingMessage, options: AccessOptions): Refused | undefined => {
  const { origin, host } = request.headers
  const ours = `${schemeOf(request, options.trustsProxy)}://${host}`
  const isOurs = origin === undefined ? isOwnRead(request) : origin === ours || options.origins.has(origin)
  if (isOurs) return undefined
  const message = "A request with the session's cookie must come from our own pages: its Origin is another"
  return { status: 403, error: new Forbidden({ message }) }
}

const cookieOf = (request: IncomingMessage, name: string): string | undefined => {
  for (const pair of (request.headers.cookie ?? "").split(";")) {
    const equals = pair.indexOf("=")
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}

/** The subprotocols that a client offers, in its order. */
const subprotocolsOf = (request: IncomingMessage): ReadonlyArray<string> =>
  (request.headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "")

/** The key in the `Authorization` header. An empty one when it is another scheme, so that no cookie steps in. */
const bearerOf = (request: IncomingMessage): string | undefined => {
  const { authorization } = request.headers
  if (authorization === undefined) return undefined
  return /^Bearer +(\S+) *$/iu.exec(authorization)?.[1] ?? ""
}

const keyOf = (request: IncomingMessage): string | undefined =>
  bearerOf(request) ??
  subprotocolsOf(request)
    .find((name) => name.startsWith(KEY_SUBPROTOCOL))
    ?.slice(KEY_SUBPROTOCOL.length)

const nothingShown = new Unauthenticated({
  message: "Expected a key: send Authorization: Bearer KEY, or the subprotocols bursar.v1 and bearer.KEY"
})

const toRefused = (error: Unauthenticated | Unavailable): Refused => ({
  status: error._tag === "Unauthenticated" ? 401 : 503,
  error
})

/** The credential of a request. A key goes before a cookie; a cookie counts only with an `Origin` of ours. */
export const authenticate = (
  request: IncomingMessage,
  options: AccessOptions
): Effect.Effect<Credential, Refused> => {
  const key = keyOf(request)
  if (key !== undefined) return Effect.mapError(options.keys.verify(key), toRefused)
  const token = cookieOf(request, options.cookieName)
  if (token === undefined) return Effect.fail(toRefused(nothingShown))
  const problem = originProblem(request, options)
  if (problem !== undefined) return Effect.fail(problem)
  return Effect.mapError(options.sessions.verify(token), toRefused)
}

/** Whoever shows a key itself, not a cookie. */
export const authenticateByKey = (
  request: IncomingMessage,
  options: AccessOptions
): Effect.Effect<Credential, Refused> => {
  const key = bearerOf(request)
  return key === undefined
    ? Effect.fail(toRefused(nothingShown))
    : Effect.mapError(options.keys.verify(key), toRefused)
}
