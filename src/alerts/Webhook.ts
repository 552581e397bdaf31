/**
 * Delivers an alert to a URL that a tenant named.
 *
 * Owns: that a tenant cannot make this machine talk to anything but a public server. The name is resolved once per
 * try, every address that it has must be allowed, and the connection goes to an address that was checked, whatever the
 * name says a moment later; the certificate is still checked against the name. No redirect is followed.
 * Does not decide: which addresses are public (PublicAddress), when it is tried again (DeliverySchedule).
 */
import { lookup, Resolver } from "node:dns/promises"
import * as http from "node:http"
import * as https from "node:https"
import { isIP, type LookupFunction } from "node:net"
import { Clock, Effect, Redacted } from "effect"
import { Alert } from "../signal/Budget.ts"
import { encoderOf } from "../signal/Encode.ts"
import { isPublicAddress } from "./PublicAddress.ts"
import { DeliveryFailed, failedBecause, type Message, type Send } from "./Sending.ts"
import { type Signed, signatureHeaders } from "./Signature.ts"

/** All addresses of a host name. */
export type Resolve = (host: string) => Effect.Effect<ReadonlyArray<string>, DeliveryFailed>

export interface WebhookPolicy {
  /** Whether a target may be reached without TLS. */
  readonly allowsHttp: boolean
  readonly isAllowed: (address: string) => boolean
  readonly resolve: Resolve
  /** Certificates (PEM) to trust in place of the usual ones. */
  readonly trustedCa?: string
}

const TOTAL = "5 seconds"
const HEADER_BYTES_MAX = 16_384
const DNS_TRY_MS = 1_500

const failed = (message: string): DeliveryFailed => new DeliveryFailed({ message })

/**
 * Asks the name servers themselves, not the system's resolver: that one works in four threads that all of the process
 * shares, and one name server that never answers could keep them all. `servers`: in place of those that the system is set up with.
 */
export const resolveByServers =
  (servers?: ReadonlyArray<string>): Resolve =>
  (host) =>
    Effect.tryPromise({
      try: async (signal) => {
        const resolver = new Resolver({ timeout: DNS_TRY_MS, tries: 2 })
        if (servers !== undefined) resolver.setServers(servers)
        signal.addEventListener("abort", () => resolver.cancel(), { once: true })
        const families = [resolver.resolve4(host), resolver.resolve6(host)]
        const found = await Promise.allSettled(families)
        const addresses = found.flatMap((family) => (family.status === "fulfilled" ? family.value : []))
        const [first] = found
        if (addresses.length === 0 && first?.status === "rejected") throw first.reason
        return addresses
      },
      catch: failedBecause
    })

/** As this machine resolves names, its own hosts file included. */
const resolvePrivate: Resolve = (host) =>
  Effect.tryPromise({
    try: async () => (await lookup(host, { all: true })).map(({ address }) => address),
    catch: failedBecause
  })

/** https to the public internet only. */
export const PUBLIC_TARGETS: WebhookPolicy = {
  allowsHttp: false,
  isAllowed: isPublicAddress,
  resolve: resolveByServers()
}

/** Anything that this machine can reach, with TLS or without. */
export const PRIVATE_TARGETS: WebhookPolicy = {
  allowsHttp: true,
  isAllowed: () => true,
  resolve: resolvePrivate
}

/** The host of a URL as it is connected to: an IPv6 address without its brackets. */
const hostOf = ({ hostname }: URL): string => (hostname.startsWith("[") ? hostname.slice(1, -1) : hostname)

/** Why a URL can never be delivered to, as far as the URL alone says. */
export const targetProblem = (target: string, policy: WebhookPolicy): string | undefined => {
  const url = new URL(target)
  if (url.protocol === "http:" && !policy.allowsHttp) return "Expected an https URL"
  const host = hostOf(url)
  return isIP(host) !== 0 && !policy.isAllowed(host)
    ? "Expected a URL of the public internet: this installation sends no webhooks to private addresses"
    : undefined
}

const addressesOf = (
  url: URL,
  policy: WebhookPolicy
): Effect.Effect<ReadonlyArray<string>, DeliveryFailed> => {
  const host = hostOf(url)
  const all = isIP(host) === 0 ? policy.resolve(host) : Effect.succeed([host])
  return Effect.flatMap(all, (addresses) => {
    if (addresses.length === 0) return Effect.fail(failed("its name has no address"))
    return addresses.every(policy.isAllowed)
      ? Effect.succeed(addresses)
      : Effect.fail(failed("its name has an address that is not public: nothing was sent"))
  })
}

/** Answers only what was checked, whatever is asked for. */
const pinnedTo = (addresses: ReadonlyArray<string>): LookupFunction => {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, options, callback) => {
    if (options.all === true) callback(null, found)
    else callback(null, found[0]?.address ?? "", found[0]?.family)
  }
}

/** Sends the request, and answers the status. Nothing is read past the headers. */
const post = (
  url: URL,
  addresses: ReadonlyArray<string>,
  headers: Signed,
  body: string,
  { trustedCa }: WebhookPolicy
): Effect.Effect<number, DeliveryFailed> =>
  Effect.callback((resume) => {
    const send = url.protocol === "https:" ? https.request : http.request
    const request = send(url, {
      method: "POST",
      // A connection of its own, which ends with the request.
      agent: false,
      lookup: pinnedTo(addresses),
      maxHeaderSize: HEADER_BYTES_MAX,
      ...(trustedCa === undefined ? {} : { ca: trustedCa }),
      headers: {
        ...headers,
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        "user-agent": "Bursar"
      }
    })
    request.once("response", (response) => {
      resume(Effect.succeed(response.statusCode ?? 0))
      response.destroy()
    })
    request.on("error", (error) => resume(Effect.fail(failedBecause(error))))
    request.once("close", () => resume(Effect.fail(failed("the connection was closed without an answer"))))
    request.end(body)
    return Effect.sync(() => request.destroy())
  })

const judge = (status: number): Effect.Effect<void, DeliveryFailed> => {
  if (status >= 200 && status < 300) return Effect.void
  const why = status >= 300 && status < 400 ? ": redirects are not followed" : ""
  return Effect.fail(failed(`it answered ${status}${why}`))
}

const encodeAlert = encoderOf(Alert)

/** The body: the alert as it is on the wire. */
export const bodyOf = (alert: Alert): string => JSON.stringify(encodeAlert(alert))

const deliver = ({ id, alert, target, secret }: Message, policy: WebhookPolicy) =>
  Effect.gen(function* () {
    const problem = targetProblem(target, policy)
    if (problem !== undefined) return yield* failed(problem)
    if (secret === undefined)
      return yield* failed("it has no secret to sign with: configure the channel again")
    const url = new URL(target)
    const addresses = yield* addressesOf(url, policy)
    const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const body = bodyOf(alert)
    const headers = signatureHeaders(Redacted.value(secret), id, seconds, body)
    yield* judge(yield* post(url, addresses, headers, body, policy))
  })

/** One try takes at most five seconds, from the name to the answer. */
export const makeWebhook =
  (policy: WebhookPolicy): Send =>
  (message) =>
    Effect.timeoutOrElse(deliver(message, policy), {
      duration: TOTAL,
      orElse: () => Effect.fail(failed(`it took longer than ${TOTAL}`))
    })
