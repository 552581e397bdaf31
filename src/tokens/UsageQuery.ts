/**
 * Answers get_usage from the store.
 *
 * Owns: pages that later writes neither shift nor repeat: a cursor belongs to its filter and to a snapshot.
 * Does not decide: how rows are found (store/).
 */
import { Effect, Result } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { type InvalidParams, invalidParam } from "../signal/Errors.ts"
import { contentDigest } from "./Digest.ts"
import type { LedgerStore, StoreUnreachable } from "./LedgerStore.ts"

interface Place {
  readonly maxSeq: number
  readonly beforeSeq: number
}

const writeCursor = (filter: string, place: Place): string =>
  Buffer.from(JSON.stringify([filter, place.maxSeq, place.beforeSeq])).toString("base64url")

const readCursor = (cursor: string, filter: string): Result.Result<Place, InvalidParams> => {
  const wrong = (why: string) => Result.fail(invalidParam(["cursor"], why))
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString())
    if (!Array.isArray(parts)) return wrong("This is not a cursor of get_usage")
    const [known, maxSeq, beforeSeq] = parts
    if (!Number.isSafeInteger(maxSeq) || !Number.isSafeInteger(beforeSeq)) {
      return wrong("This is not a cursor of get_usage")
    }
    if (known !== filter)
      return wrong("This cursor belongs to another filter: send the filter that it came from")
    return Result.succeed({ maxSeq, beforeSeq })
  } catch {
    return wrong("This is not a cursor of get_usage")
  }
}

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
    const place = cursor === undefined ? undefined : yield* Effect.fromResult(readCursor(cursor, digest))
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
