/**
 * Answers list_overrides from the store.
 *
 * Owns: pages, newest first, that later requests neither shift nor repeat: a cursor belongs to its filter and to a
 * place. What the clock has ended is shown so, also where nobody has written it down yet.
 * Does not decide: how rows are found (store/).
 */
import { Effect } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { BudgetType } from "../signal/Budget.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { InvalidParams } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { SUBJECT_FIELDS } from "./BudgetIndex.ts"
import { contentDigest } from "./Digest.ts"
import type { LedgerStore, OverrideFilter, OverrideRow, StoreUnreachable } from "./LedgerStore.ts"
import { isLive } from "./OverrideBook.ts"
import { overrideOf } from "./Overrides.ts"
import { readCursor, writeCursor } from "./SnapshotCursor.ts"

/** What a key with forced attribution sees budgets of; `undefined`: all of them. */
const aboutOf = (forced: Attribution): OverrideFilter["about"] => {
  if (Object.keys(forced).length === 0) return undefined
  const fields: { readonly [field: string]: unknown } = forced
  return Object.entries(SUBJECT_FIELDS).flatMap(([type, field]) => {
    const entityId = fields[field]
    return typeof entityId === "string" ? [{ type: type as BudgetType, entityId }] : []
  })
}

const asOf = (row: OverrideRow, now: Millis): OverrideRow =>
  isLive(row) && row.expiresAt !== null && row.expiresAt <= now ? { ...row, status: "expired" } : row

export const listOverrides = (
  store: LedgerStore,
  tenant: string,
  payload: SignalPayload<"list_overrides">,
  principal: Principal,
  now: Millis
): Effect.Effect<SignalSuccess<"list_overrides">, InvalidParams | StoreUnreachable> =>
  Effect.gen(function* () {
    const { limit, cursor, status, budget_id } = payload
    const digest = contentDigest({ status, budget_id, list: "list_overrides" })
    const place =
      cursor === undefined
        ? undefined
        : yield* Effect.fromResult(readCursor("list_overrides", cursor, digest))
    // Newest first: what is asked for later stands before every page that follows.
    const beforeSeq = place?.beforeSeq ?? Number.MAX_SAFE_INTEGER
    const about = aboutOf(principal.attribution)
    const filter: OverrideFilter = {
      ...(status === undefined ? {} : { status }),
      ...(budget_id === undefined ? {} : { budgetId: budget_id }),
      ...(about === undefined ? {} : { about }),
      now
    }
    const rows = yield* store.overridePage(tenant, filter, beforeSeq, limit + 1)
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    const maxSeq = place?.maxSeq ?? items[0]?.seq ?? 0
    return {
      items: items.map((row) => overrideOf(asOf(row, now))),
      next_cursor:
        rows.length > limit && last !== undefined
          ? writeCursor(digest, { maxSeq, beforeSeq: last.seq })
          : null
    }
  })
