/**
 * Answers get_usage from the store.
 *
 * Owns: which page comes next (SnapshotCursor), and that totals come with the first one.
 * Does not decide: how rows are found (store/).
 */
import { Effect } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { InvalidParams } from "../signal/Errors.ts"
import { contentDigest } from "./Digest.ts"
import type { LedgerStore, StoreUnreachable } from "./LedgerStore.ts"
import { readCursor, writeCursor } from "./SnapshotCursor.ts"

/** One page of usage, the newest first; totals over the whole filter on the first page. */
export const getUsage = (
  store: LedgerStore,
  tenant: string,
  currency: string,
  payload: SignalPayload<"get_usage">
): Effect.Effect<SignalSuccess<"get_usage">, InvalidParams | StoreUnreachable> =>
  Effect.gen(function* () {
    const { limit, cursor, ...filter } = payload
    const digest = contentDigest(filter)
    const place =
      cursor === undefined ? undefined : yield* Effect.fromResult(readCursor("get_usage", cursor, digest))
    const maxSeq = place?.maxSeq ?? (yield* store.lastUsageSeq(tenant))
    const beforeSeq = place?.beforeSeq ?? maxSeq + 1
    const rows = yield* store.usagePage(tenant, filter, { maxSeq, beforeSeq, limit: limit + 1 })
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    const next_cursor =
      rows.length > limit && last !== undefined
        ? writeCursor(digest, { maxSeq, beforeSeq: last.usage_seq })
        : null
    if (place !== undefined) return { items, next_cursor }
    const totals = yield* store.usageTotals(tenant, filter, maxSeq)
    return { items, next_cursor, totals: { ...totals, currency } }
  })
