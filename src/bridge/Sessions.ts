/**
 * Browser sessions: a random cookie that stands for a key for a while.
 *
 * Owns: opening, verifying and ending sessions.
 * Does not decide: how the cookie travels (Access, Http).
 */
import { randomBytes } from "node:crypto"
import { Clock, Context, Effect } from "effect"
import { Unauthenticated, type Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"
import { type Credential, type Ended, makeRecent } from "./Credential.ts"
import { InstallationSecret, keyedHash } from "./InstallationSecret.ts"
import { Keys } from "./Keys.ts"
import { type SessionRow, SessionStore } from "./SessionStore.ts"

export const SESSION_TTL_MS: Millis = 12 * 60 * 60 * 1000
const VERIFIED_MAX = 10_000
/** How long a session is believed before the store is asked again: another node may have ended it. */
const VERIFIED_FRESH_MS = 30_000

interface OpenSession {
  /** What the cookie carries. It is in no store. */
  readonly token: string
  readonly expiresAt: Millis
}

export interface Sessions {
  /** Opens a session for the key behind `credential`. It ends after 12 h, or with its key. */
  readonly open: (credential: Credential) => Effect.Effect<OpenSession, Unavailable>
  readonly verify: (token: string) => Effect.Effect<Credential, Unauthenticated | Unavailable>
  /** Whether a session that was verified before still holds, as it and its key were no longer than `freshMs` ago. */
  readonly verifyAgain: (
    session: string,
    freshMs?: Millis
  ) => Effect.Effect<Credential, Unauthenticated | Unavailable>
  /** Ends a session, and the connections that rest on it. */
  readonly end: (session: string) => Effect.Effect<void, Unavailable>
  readonly endOfKey: (keyId: string) => Effect.Effect<void, Unavailable>
  readonly onEnded: (listener: (ended: Ended) => void) => () => void
}

export const Sessions = Context.Service<Sessions>("bursar/bridge/Sessions")

const over = () => new Unauthenticated({ message: "This session is over: open a new one with POST /session" })

const earliest = (left: Millis, right: Millis | null): Millis =>
  right === null ? left : Math.min(left, right)

export const make = Effect.gen(function* () {
  const store = yield* SessionStore
  const keys = yield* Keys
  const installation = yield* InstallationSecret
  const rows = makeRecent<SessionRow>(VERIFIED_MAX, VERIFIED_FRESH_MS)
  /** Sessions that ended here: a look-up that was on its way meanwhile must not bring them back. */
  const ended = makeRecent<true>(VERIFIED_MAX, VERIFIED_FRESH_MS)
  const listeners = new Set<(ended: Ended) => void>()
  const hashOf = (token: string) => keyedHash(installation, "session", token).toString("hex")

  const open = Effect.fnUntraced(function* (credential: Credential) {
    const now = yield* Clock.currentTimeMillis
    const token = randomBytes(32).toString("base64url")
    const expiresAt = earliest(now + SESSION_TTL_MS, credential.expiresAt)
    yield* store.removeExpired(now)
    yield* store.insert({
      hash: hashOf(token),
      keyId: credential.principal.keyId,
      keyHash: credential.keyHash,
      createdAt: now,
      expiresAt
    })
    return { token, expiresAt }
  })

  const verifyAgain = Effect.fnUntraced(function* (session: string, freshMs?: Millis) {
    const asked = yield* Clock.currentTimeMillis
    const atHand = rows.get(session, asked, freshMs)
    const row = atHand ?? (yield* store.find(session))
    if (row === undefined) return yield* over()
    const credential = yield* keys.verifyAgain(row.keyId, row.keyHash, freshMs)
    const now = yield* Clock.currentTimeMillis
    if (row.expiresAt <= now || ended.get(session, now) === true) return yield* over()
    if (atHand === undefined) rows.set(session, row, asked)
    return { ...credential, session, expiresAt: earliest(row.expiresAt, credential.expiresAt) }
  })

  const end = Effect.fnUntraced(function* (session: string) {
    yield* store.remove(session)
    ended.set(session, true, yield* Clock.currentTimeMillis)
    rows.delete(session)
    for (const listener of listeners) listener({ session })
  })

  return Sessions.of({
    open,
    verify: (token) => verifyAgain(hashOf(token)),
    verifyAgain,
    end,
    endOfKey: (keyId) => {
      rows.deleteWhere((row) => row.keyId === keyId)
      return store.removeOfKey(keyId)
    },
    onEnded: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  })
})
