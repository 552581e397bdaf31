/**
 * What this process knows of keys, for the doors and for whatever goes on in a key's name.
 *
 * Owns: how long a key is believed before the store is asked again; that one which ended here stays ended; what an end is.
 * Does not decide: who may end a key (Keys), or what ends with it.
 *
 * Ids that no key has are a host's own: whoever runs the process speaks for itself, and nobody can revoke that.
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { makeRecent } from "./Credential.ts"
import { type KeyRow, KeyStore } from "./KeyStore.ts"

const KNOWN_MAX = 10_000
/** How long a key is believed before the store is asked again: another node may have ended it. */
export const KNOWN_FRESH_MS = 30_000

export interface KnownKeys {
  /** A key as it was not longer ago than `freshMs` (30 s, and never more). */
  readonly find: (id: string, freshMs?: Millis) => Effect.Effect<KeyRow | undefined, Unavailable>
  /** It has ended: here, or somebody who knows says so. */
  readonly end: (id: string, now: Millis) => void
  /** Calls back when one has ended. Returns how to stop. */
  readonly onEnd: (listener: (id: string) => void) => () => void
}

export const KnownKeys = Context.Service<KnownKeys>("bursar/bridge/KnownKeys")

/** Whether this is the id of a key that a store has, or had. */
export const isKeyId = (id: string): boolean => /^[0-9a-f]{18}$/u.test(id)

/** How a key ended, if it did. */
export const endOfKey = (
  { revokedAt, expiresAt }: Pick<KeyRow, "revokedAt" | "expiresAt">,
  now: Millis
): "revoked" | "expired" | undefined => {
  if (revokedAt !== null) return "revoked"
  return expiresAt !== null && expiresAt <= now ? "expired" : undefined
}

/** Whoever holds the key. */
export const principalOfKey = (row: KeyRow): Principal => ({
  keyId: row.id,
  owner: row.owner,
  tenant: row.tenant,
  roles: row.roles,
  attribution: row.attribution,
  isInstallation: false
})

export const makeKnownKeys = (store: KeyStore): KnownKeys => {
  const known = makeRecent<KeyRow>(KNOWN_MAX, KNOWN_FRESH_MS)
  /** A look-up that was on its way while its key ended must not bring it back. */
  const ended = makeRecent<Millis>(KNOWN_MAX, KNOWN_FRESH_MS)
  const listeners = new Set<(id: string) => void>()

  return {
    find: Effect.fnUntraced(function* (id: string, freshMs?: Millis) {
      const asked = yield* Clock.currentTimeMillis
      const atHand = known.get(id, asked, freshMs)
      const row = atHand ?? (yield* store.find(id))
      if (row === undefined) return undefined
      const endedAt = ended.get(id, yield* Clock.currentTimeMillis)
      if (endedAt !== undefined) return { ...row, revokedAt: row.revokedAt ?? endedAt }
      if (atHand === undefined) known.set(id, row, asked)
      return row
    }),
    end: (id, now) => {
      ended.set(id, now, now)
      known.delete(id)
      for (const listener of listeners) listener(id)
    },
    onEnd: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  }
}

export const layer: Layer.Layer<KnownKeys, never, KeyStore> = Layer.effect(
  KnownKeys,
  Effect.map(KeyStore, makeKnownKeys)
)
