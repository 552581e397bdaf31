/**
 * A credential that was verified, and what ends it.
 *
 * Owns: the shape that keys and sessions both come down to, and a small bounded memory of verified ones.
 */
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"

export interface Credential {
  readonly principal: Principal
  /** The hash of the key behind it. */
  readonly keyHash: string
  /** The hash of the session's token, when it came as a cookie. */
  readonly session: string | undefined
  readonly expiresAt: Millis | null
}

/** What ended: a key with everything that rests on it, or one session. */
export interface Ended {
  readonly keyId?: string
  readonly session?: string
}

export const isEndedBy = (credential: Credential, ended: Ended): boolean =>
  (ended.keyId !== undefined && credential.principal.keyId === ended.keyId) ||
  (ended.session !== undefined && credential.session === ended.session)

interface Entry<A> {
  readonly value: A
  readonly since: Millis
}

/** A map of limited size and age: the oldest entry leaves first. */
export interface Recent<A> {
  /** What is not older than `withinMs`, and never what is older than all may be. */
  readonly get: (id: string, now: Millis, withinMs?: Millis) => A | undefined
  readonly set: (id: string, value: A, now: Millis) => void
  readonly delete: (id: string) => void
  readonly deleteWhere: (matches: (value: A) => boolean) => void
}

export const makeRecent = <A>(entriesMax: number, freshMs: Millis): Recent<A> => {
  const entries = new Map<string, Entry<A>>()
  return {
    get: (id, now, withinMs = freshMs) => {
      const entry = entries.get(id)
      return entry !== undefined && now - entry.since < Math.min(freshMs, withinMs) ? entry.value : undefined
    },
    set: (id, value, now) => {
      entries.delete(id)
      entries.set(id, { value, since: now })
      for (const oldest of entries.keys()) {
        if (entries.size <= entriesMax) return
        entries.delete(oldest)
      }
    },
    delete: (id) => void entries.delete(id),
    deleteWhere: (matches) => {
      for (const [id, entry] of entries) if (matches(entry.value)) entries.delete(id)
    }
  }
}
