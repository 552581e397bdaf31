/**
 * Sessions over HTTP: the cookie of a browser.
 *
 * Owns: `POST` and `DELETE /session`, the one-time link, what a signed-in page may know of itself, and the cookie.
 * Does not decide: how long a session lives (Sessions).
 */
import type { IncomingMessage } from "node:http"
import { Effect } from "effect"
import { InvalidRequest } from "../signal/Errors.ts"
import { formatTimestamp, type Millis } from "../signal/Text.ts"
import { type AccessOptions, authenticate, authenticateByKey, isSecure, type Refused } from "./Access.ts"
import type { Credential } from "./Credential.ts"
import { type Answer, jsonAnswer, queryOf, textAnswer } from "./HttpAnswer.ts"
import { type Limits, type RateLimiter, tooFast } from "./Limits.ts"
import type { OneTimeLinks } from "./OneTimeLinks.ts"

export interface HttpSessionOptions {
  readonly access: AccessOptions
  readonly links: OneTimeLinks
  /** Whose sessions the one-time links open. */
  readonly installation: Credential
  /** What every page is told about the server, beside who it is. */
  readonly about: Readonly<Record<string, unknown>>
  readonly limits: Limits
  readonly rates: RateLimiter
  readonly now: () => Millis
}

const LINK_IS_OVER =
  "This link was used already, or is older than five minutes. Start the server again for a new one, " +
  "or open the console and sign in with a key.\n"

const identityOf = ({ principal, expiresAt }: Credential) => ({
  tenant: principal.tenant,
  owner: principal.owner,
  key_id: principal.keyId,
  roles: principal.roles,
  expires_at: expiresAt === null ? null : formatTimestamp(expiresAt)
})

export const makeHttpSession = (options: HttpSessionOptions) => {
  const { access, now } = options

  const cookie = (request: IncomingMessage, token: string, maxAgeMs: Millis): string => {
    const secure = isSecure(request, access.trustsProxy) ? "; Secure" : ""
    const maxAge = Math.max(0, Math.floor(maxAgeMs / 1000))
    return `${access.cookieName}=${token}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`
  }

  const open = (request: IncomingMessage, credential: Credential) =>
    access.sessions.open(credential).pipe(
      Effect.mapError((error): Refused => ({ status: 503, error })),
      Effect.map(({ token, expiresAt }) => ({
        expiresAt,
        headers: { "Set-Cookie": cookie(request, token, expiresAt - now()) }
      }))
    )

  return {
    signIn: (request: IncomingMessage): Effect.Effect<Answer, Refused> =>
      Effect.gen(function* () {
        const credential = yield* authenticateByKey(request, access)
        const waitMs = options.rates.take(credential.principal.keyId, 1, now())
        if (waitMs > 0) return yield* Effect.fail({ status: 429, error: tooFast(options.limits, waitMs) })
        const { headers, expiresAt } = yield* open(request, credential)
        const answer = jsonAnswer(200, identityOf({ ...credential, expiresAt }))
        return { ...answer, headers: { ...answer.headers, ...headers } }
      }),
    signOut: (request: IncomingMessage): Effect.Effect<Answer, Refused> =>
      Effect.gen(function* () {
        const { session } = yield* authenticate(request, access)
        if (session === undefined) {
          const error = new InvalidRequest({
            message: "Expected the session's cookie: a key has no session to end"
          })
          return yield* Effect.fail({ status: 400, error })
        }
        yield* Effect.mapError(access.sessions.end(session), (error): Refused => ({ status: 503, error }))
        return { status: 204, headers: { "Set-Cookie": cookie(request, "", 0), "Cache-Control": "no-store" } }
      }),
    identity: (request: IncomingMessage): Effect.Effect<Answer, Refused> =>
      Effect.map(authenticate(request, access), (credential) =>
        jsonAnswer(200, { ...options.about, ...identityOf(credential) })
      ),
    /** Answers a one-time link, or `undefined` where the request carries none. */
    byLink: (request: IncomingMessage): Effect.Effect<Answer, Refused> | undefined => {
      const code = queryOf(request).get("code")
      if (code === null || request.method !== "GET") return undefined
      if (!options.links.redeem(code, now())) return Effect.succeed(textAnswer(403, LINK_IS_OVER))
      return Effect.map(open(request, options.installation), ({ headers }) => ({
        status: 303,
        headers: { ...headers, Location: "/", "Cache-Control": "no-store" }
      }))
    }
  }
}
