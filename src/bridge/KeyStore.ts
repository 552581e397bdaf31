/**
 * The port through which keys are kept.
 *
 * Owns: what is kept of a key, and what a store promises about it.
 * Does not decide: who may make or end a key, or what a key looks like (Keys).
 */
import { Context, type Effect } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { Unavailable } from "../signal/Errors.ts"
import type { Role } from "../signal/Signal.ts"
import type { Millis } from "../signal/Text.ts"

/** The command that made a key, so that sending it again finds the same key. */
interface KeyRequest {
  /** The maker's tenant: `(tenant, id)` is unique among keys. */
  readonly tenant: string
  readonly id: string
  /** A digest of the content and of the maker: the same id with another digest is a `Conflict`. */
  readonly digest: string
}

/** What is kept of a key. Only `lastUsedAt` and `revokedAt` ever change. */
export interface KeyRow {
  readonly id: string
  readonly name: string
  readonly roles: ReadonlyArray<Role>
  readonly owner: string
  readonly attribution: Attribution
  readonly tenant: string
  /** HMAC-SHA256 of the key with the installation's secret, in hex. The key itself is never kept. */
  readonly hash: string
  readonly createdAt: Millis
  readonly expiresAt: Millis | null
  readonly lastUsedAt: Millis | null
  readonly revokedAt: Millis | null
  readonly request: KeyRequest | null
}

/** Where a page of keys ended. */
export interface KeyPosition {
  readonly createdAt: Millis
  readonly id: string
}

/** `null` for a tenant means every tenant. Whatever a store cannot do right now is `Unavailable`. */
export interface KeyStore {
  /** Keeps a new key and answers it; or changes nothing and answers the key that the same request made before. */
  readonly insert: (row: KeyRow) => Effect.Effect<KeyRow, Unavailable>
  readonly find: (id: string) => Effect.Effect<KeyRow | undefined, Unavailable>
  /** Newest first: by `createdAt`, then `id`, both descending, strictly after `after`. Ended keys are listed too. */
  readonly list: (
    tenant: string | null,
    after: KeyPosition | null,
    limit: number
  ) => Effect.Effect<ReadonlyArray<KeyRow>, Unavailable>
  /** Ends a key. `false`: this tenant has no such key. A key that ended before keeps its time. */
  readonly revoke: (id: string, tenant: string | null, at: Millis) => Effect.Effect<boolean, Unavailable>
  /** Moves `lastUsedAt` forward, never back. An unknown id changes nothing. */
  readonly touch: (id: string, at: Millis) => Effect.Effect<void, Unavailable>
}

export const KeyStore = Context.Service<KeyStore>("bursar/bridge/KeyStore")
