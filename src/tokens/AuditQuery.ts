/**
 * Answers get_audit_trail from the store.
 *
 * Owns: pages of one snapshot of the chain, the newest first, and how an entry is shown.
 * Does not decide: how rows are found (store/).
 */
import { Effect } from "effect"
import type { AuditEntry } from "../signal/Audit.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { InvalidParams } from "../signal/Errors.ts"
import type { AuditBody } from "./AuditChain.ts"
import { contentDigest } from "./Digest.ts"
import type { AuditRow, LedgerStore, StoreUnreachable } from "./LedgerStore.ts"
import { readCursor, writeCursor } from "./SnapshotCursor.ts"

const shown = ({ seq, at, keyId, owner, action, subject, body, hash }: AuditRow): AuditEntry => {
  const { before, after } =
    body === null ? { before: null, after: null } : (JSON.parse(body) as Pick<AuditBody, "before" | "after">)
  const principal = keyId === null || owner === null ? null : { key_id: keyId, owner }
  return { seq, at, principal, action, subject, before, after, hash }
}

/** One page of the trail. `head` is the chain's end when the first page was read. */
export const getAuditTrail = (
  store: LedgerStore,
  tenant: string,
  payload: SignalPayload<"get_audit_trail">
): Effect.Effect<SignalSuccess<"get_audit_trail">, InvalidParams | StoreUnreachable> =>
  Effect.gen(function* () {
    const { limit, cursor, ...filter } = payload
    // Apart from a cursor of another list with the same filter.
    const digest = contentDigest({ ...filter, list: "get_audit_trail" })
    const place =
      cursor === undefined
        ? undefined
        : yield* Effect.fromResult(readCursor("get_audit_trail", cursor, digest))
    const head =
      place === undefined ? yield* store.auditHead(tenant) : { seq: place.maxSeq, hash: place.note ?? "" }
    const beforeSeq = place?.beforeSeq ?? head.seq + 1
    const rows = yield* store.auditPage(tenant, filter, { maxSeq: head.seq, beforeSeq, limit: limit + 1 })
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    const next_cursor =
      rows.length > limit && last !== undefined
        ? writeCursor(digest, { maxSeq: head.seq, beforeSeq: last.seq, note: head.hash })
        : null
    return { items: page.map(shown), head, next_cursor }
  })
