/**
 * Keys as `list_keys` shows them, page by page.
 *
 * Owns: the cursor's text and the shape of an item. Secrets and hashes never appear in it.
 */
import { Result } from "effect"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { type InvalidParams, invalidParam } from "../signal/Errors.ts"
import type { KeyInfo } from "../signal/Keys.ts"
import type { KeyPosition, KeyRow } from "./KeyStore.ts"

export type ListKeys = SignalPayload<"list_keys">

const CURSOR = /^(\d{1,15})\.([0-9a-f]{18})$/u

/** The cursor after the last row of a page. */
export const nextKeyCursor = (page: ReadonlyArray<KeyRow>): string | null => {
  const last = page.at(-1)
  return last === undefined ? null : Buffer.from(`${last.createdAt}.${last.id}`).toString("base64url")
}

export const readKeyCursor = (
  cursor: string | undefined
): Result.Result<KeyPosition | null, InvalidParams> => {
  if (cursor === undefined) return Result.succeed(null)
  const [, createdAt, id] = CURSOR.exec(Buffer.from(cursor, "base64url").toString()) ?? []
  return createdAt === undefined || id === undefined
    ? Result.fail(invalidParam(["cursor"], "Expected a next_cursor that list_keys answered"))
    : Result.succeed({ createdAt: Number(createdAt), id })
}

export const infoOfKey = (row: KeyRow): KeyInfo => ({
  key_id: row.id,
  name: row.name,
  roles: row.roles,
  owner: row.owner,
  attribution: row.attribution,
  tenant: row.tenant,
  created_at: row.createdAt,
  expires_at: row.expiresAt,
  last_used_at: row.lastUsedAt,
  revoked_at: row.revokedAt
})
