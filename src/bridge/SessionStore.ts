/**
 * The port through which browser sessions are kept, so that they survive a restart of the server.
 *
 * Owns: what is kept of a session, and what a store promises about it.
 * Does not decide: how long a session lives, or when it ends (Sessions).
 */
import { Context, type Effect } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"

export interface SessionRow {
  /** HMAC-SHA256 of the cookie's token with the installation's secret, in hex: the session's identity. */
  readonly hash: string
  /** The key that the session was opened with; `installation` for BURSAR_ADMIN_KEY, which is in no `KeyStore`. */
  readonly keyId: string
  /** The hash of that key: a session of another secret under the same id is void. */
  readonly keyHash: string
  readonly createdAt: Millis
  readonly expiresAt: Millis
}

/** Whatever a store cannot do right now is `Unavailable`. */
export interface SessionStore {
  readonly insert: (row: SessionRow) => Effect.Effect<void, Unavailable>
  readonly find: (hash: string) => Effect.Effect<SessionRow | undefined, Unavailable>
  /** Ends one session; an unknown one changes nothing. */
  readonly remove: (hash: string) => Effect.Effect<void, Unavailable>
  /** Ends every session of a key. */
  readonly removeOfKey: (keyId: string) => Effect.Effect<void, Unavailable>
  /** Forgets sessions with `expiresAt <= now`. */
  readonly removeExpired: (now: Millis) => Effect.Effect<void, Unavailable>
}

export const SessionStore = Context.Service<SessionStore>("bursar/bridge/SessionStore")
