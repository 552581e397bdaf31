/**
 * The chain that a tenant's audit entries form.
 *
 * Owns: what an entry's body is, and how its hashes are worked out, so that anybody can do it again:
 *
 * - `body`: one JSON text without spaces, of `at`, `principal`, `action`, `subject`, `before` and `after` in this order.
 * - `digest` = SHA-256 of `salt` followed by `body`. The salt is random, 64 digits, and is hashed as the text it is.
 * - `hash` = SHA-256 of five lines, each ended by a line feed: `bursar audit 1`, the tenant, the entry's number in
 *   decimal digits, the hash of the entry before it (of the first: 64 zeros), and `digest`.
 *
 * All texts are UTF-8, all hashes 64 lower-case hexadecimal digits. Salt and body can be forgotten: `digest` stays, and
 * with it the chain; and because the salt is gone too, nobody can try out what the body was.
 *
 * Does not decide: which commands leave an entry (Auditing), or where randomness comes from (the shell).
 */
import { createHash } from "node:crypto"
import type { Schema } from "effect"
import type { Principal } from "../signal/Principal.ts"
import { formatTimestamp, type Millis } from "../signal/Text.ts"
import type { AuditHead, AuditRow } from "./LedgerStore.ts"

/** Something that was done, and by whom. */
export interface AuditNote {
  readonly principal: Pick<Principal, "keyId" | "owner">
  readonly action: string
  readonly subject: string
  readonly before: Schema.Json
  readonly after: Schema.Json
  readonly at: Millis
}

/** A chain without entries. */
export const EMPTY_CHAIN: AuditHead = { seq: 0, hash: "0".repeat(64) }

const sha256 = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex")

/** What a body says, read back. */
export interface AuditBody {
  readonly at: string
  readonly principal: { readonly key_id: string; readonly owner: string }
  readonly action: string
  readonly subject: string
  readonly before: Schema.Json
  readonly after: Schema.Json
}

const bodyOf = ({ principal, action, subject, before, after, at }: AuditNote): string => {
  const { keyId: key_id, owner } = principal
  const body: AuditBody = {
    at: formatTimestamp(at),
    principal: { key_id, owner },
    action,
    subject,
    before,
    after
  }
  return JSON.stringify(body)
}

export const digestOf = (salt: string, body: string): string => sha256(salt + body)

export const linkOf = (tenant: string, seq: number, previous: string, digest: string): string =>
  sha256(`bursar audit 1\n${tenant}\n${seq}\n${previous}\n${digest}\n`)

/** The entry that comes after `head`. */
export const entryAfter = (tenant: string, head: AuditHead, note: AuditNote, salt: string): AuditRow => {
  const seq = head.seq + 1
  const body = bodyOf(note)
  const digest = digestOf(salt, body)
  const { principal, action, subject, at } = note
  return {
    seq,
    at,
    keyId: principal.keyId,
    owner: principal.owner,
    action,
    subject,
    salt,
    body,
    digest,
    hash: linkOf(tenant, seq, head.hash, digest)
  }
}
