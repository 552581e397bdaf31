/**
 * The port through which it is noted who made a key and who ended one.
 *
 * Owns: what is noted, and what a note promises: the same change of the same key is noted once, however often it is
 * sent, and when it is answered it is durable.
 * Does not decide: where the trail is kept (runtime/), or when something is noted (Keys).
 */
import { Context, type Effect, type Schema } from "effect"
import { encoderOf } from "../signal/Encode.ts"
import type { SignalError } from "../signal/Errors.ts"
import { KeyInfo } from "../signal/Keys.ts"
import type { Principal } from "../signal/Principal.ts"
import { infoOfKey } from "./KeyList.ts"
import type { KeyRow } from "./KeyStore.ts"

export interface KeyChange {
  readonly action: "create_key" | "revoke_key"
  readonly principal: Principal
  /** The key's: its trail is where the change is noted. */
  readonly tenant: string
  readonly keyId: string
  readonly before: Schema.Json
  readonly after: Schema.Json
}

export interface KeyAudit {
  readonly record: (change: KeyChange) => Effect.Effect<void, SignalError>
}

export const KeyAudit = Context.Service<KeyAudit>("bursar/bridge/KeyAudit")

const encodeInfo = encoderOf(KeyInfo)

/** A key without what changes by itself. */
const shown = (row: KeyRow, revokedAt: number | null): Schema.Json => {
  const { last_used_at: _, ...info } = encodeInfo({ ...infoOfKey(row), revoked_at: revokedAt }) as {
    readonly [field: string]: Schema.Json
  }
  return info
}

export const created = (row: KeyRow, principal: Principal): KeyChange => ({
  action: "create_key",
  principal,
  tenant: row.tenant,
  keyId: row.id,
  before: null,
  after: shown(row, null)
})

export const revoked = (row: KeyRow, principal: Principal): KeyChange => ({
  action: "revoke_key",
  principal,
  tenant: row.tenant,
  keyId: row.id,
  before: shown(row, null),
  after: shown(row, row.revokedAt)
})
