/**
 * Answers list_refusals.
 *
 * Owns: pages, newest first, that later refusals neither shift nor repeat: a cursor belongs to its filter and to a place.
 * Does not decide: how refusals are found (store/).
 */
import { Effect } from "effect"
import { attributionOf } from "../signal/Attribution.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Refusal } from "../signal/KeptRefusals.ts"
import { contentDigest } from "./Digest.ts"
import type { RefusalKeeper } from "./RefusalKeeper.ts"
import type { KeptRefusal } from "./RefusalStore.ts"
import { readCursor, writeCursor } from "./SnapshotCursor.ts"

const shown = ({ seq, count, firstAt, lastAt, request }: KeptRefusal): Refusal => ({
  refusal_id: `refusal_${seq}`,
  count,
  first_at: firstAt,
  last_at: lastAt,
  ...request
})

export const listRefusals = (
  keeper: Pick<RefusalKeeper, "page">,
  tenant: string,
  payload: SignalPayload<"list_refusals">
): Effect.Effect<SignalSuccess<"list_refusals">, SignalError> =>
  Effect.gen(function* () {
    const { limit, cursor, request_id, budget_id, from, to } = payload
    const attribution = attributionOf(payload)
    const digest = contentDigest({ list: "list_refusals", request_id, budget_id, from, to, attribution })
    const place =
      cursor === undefined ? undefined : yield* Effect.fromResult(readCursor("list_refusals", cursor, digest))
    const { refusals, dropped } = yield* keeper.page(tenant, {
      requestId: request_id,
      budgetId: budget_id,
      from,
      to,
      attribution,
      before: place?.beforeSeq,
      limit: limit + 1
    })
    const items = refusals.slice(0, limit)
    const last = items.at(-1)
    const maxSeq = place?.maxSeq ?? items[0]?.seq ?? 0
    return {
      items: items.map(shown),
      next_cursor:
        refusals.length > limit && last !== undefined
          ? writeCursor(digest, { maxSeq, beforeSeq: last.seq })
          : null,
      dropped
    }
  })
