/**
 * Keys and sessions kept in memory: for tests, and for hosts that need neither to outlive the process.
 *
 * Owns: the memory layers of `KeyStore`, `SessionStore` and `InstallationSecret`. There is no audit trail, and nobody is
 * anonymised.
 */
import { randomBytes } from "node:crypto"
import { Effect, Layer, Redacted } from "effect"
import { InstallationSecret } from "./InstallationSecret.ts"
import { KeyAudit } from "./KeyAudit.ts"
import { type KeyPosition, type KeyRow, KeyStore } from "./KeyStore.ts"
import { layer as knownKeysLayer } from "./KnownKeys.ts"
import { type SessionRow, SessionStore } from "./SessionStore.ts"
import { UserDisguise } from "./UserDisguise.ts"

const isAfter = (row: KeyRow, position: KeyPosition): boolean =>
  row.createdAt < position.createdAt || (row.createdAt === position.createdAt && row.id < position.id)

const newestFirst = (left: KeyRow, right: KeyRow): number => (isAfter(left, right) ? 1 : -1)

const makeKeyStore = (): KeyStore => {
  const rows = new Map<string, KeyRow>()
  const ofTenant = (tenant: string | null) =>
    [...rows.values()].filter((row) => tenant === null || row.tenant === tenant)
  return {
    insert: (row) =>
      Effect.sync(() => {
        const { request } = row
        const earlier = [...rows.values()].find(
          (other) =>
            request !== null && other.request?.tenant === request.tenant && other.request.id === request.id
        )
        if (earlier !== undefined) return earlier
        rows.set(row.id, row)
        return row
      }),
    find: (id) => Effect.sync(() => rows.get(id)),
    list: (tenant, after, limit) =>
      Effect.sync(() =>
        ofTenant(tenant)
          .filter((row) => after === null || isAfter(row, after))
          .sort(newestFirst)
          .slice(0, limit)
      ),
    revoke: (id, tenant, at) =>
      Effect.sync(() => {
        const row = ofTenant(tenant).find((other) => other.id === id)
        if (row !== undefined) rows.set(id, { ...row, revokedAt: row.revokedAt ?? at })
        return row !== undefined
      }),
    touch: (id, at) =>
      Effect.sync(() => {
        const row = rows.get(id)
        if (row !== undefined) rows.set(id, { ...row, lastUsedAt: Math.max(row.lastUsedAt ?? at, at) })
      })
  }
}

const makeSessionStore = (): SessionStore => {
  const rows = new Map<string, SessionRow>()
  const removeWhere = (matches: (row: SessionRow) => boolean) =>
    Effect.sync(() => {
      for (const row of rows.values()) if (matches(row)) rows.delete(row.hash)
    })
  return {
    insert: (row) => Effect.sync(() => void rows.set(row.hash, row)),
    find: (hash) => Effect.sync(() => rows.get(hash)),
    remove: (hash) => removeWhere((row) => row.hash === hash),
    removeOfKey: (keyId) => removeWhere((row) => row.keyId === keyId),
    removeExpired: (now) => removeWhere((row) => row.expiresAt <= now)
  }
}

/** A fresh, empty memory of keys and sessions, with a random secret. */
export const layerMemory = Layer.mergeAll(
  Layer.provideMerge(knownKeysLayer, Layer.sync(KeyStore, makeKeyStore)),
  Layer.sync(SessionStore, makeSessionStore),
  Layer.succeed(KeyAudit, { record: () => Effect.void }),
  Layer.succeed(UserDisguise, {
    attribution: (_, attribution) => Effect.succeed(attribution),
    onKeysEnded: () => {},
    letter: (principal, params) => Effect.succeed({ principal, params, isWhole: false })
  }),
  Layer.sync(InstallationSecret, () => ({ secret: Redacted.make(randomBytes(32).toString("base64url")) }))
)
