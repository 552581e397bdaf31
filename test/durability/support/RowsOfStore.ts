/**
 * Everything that a store has of a tenant, as rows that the invariants of the simulation can be checked on.
 *
 * It reads by the port alone: what an activation reads, all usage, and what of it waits for a price.
 */
import { Effect } from "effect"
import type { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { Rows } from "../../tokens/support/Rows.ts"

/** Every row was recorded before this. */
const NEVER = Date.UTC(9999, 0)
/** More than a history has. */
const ROWS_MAX = 100_000

/** Takes the tenant over, so that nothing is on its way any more, and reads all of it. */
export const rowsOfStore = (store: LedgerStore, tenant: string): Effect.Effect<Rows, unknown> =>
  Effect.gen(function* () {
    const claim = yield* store.claim(tenant, "the reader")
    const snapshot = yield* store.load(claim, 0)
    const rows = new Rows()
    rows.journalSeq = snapshot.journalSeq
    rows.head = snapshot.head
    rows.lastSeq = snapshot.head.usageSeq
    for (const budget of snapshot.budgets) rows.budgets.set(budget.id, budget)
    for (const period of snapshot.periods) rows.periods.set(`${period.budgetId} ${period.start}`, period)
    for (const open of snapshot.openRequests) rows.open.set(open.requestId, open)
    rows.usage.push(...(yield* store.oldUsage(tenant, NEVER, ROWS_MAX)))
    const models = new Map(
      rows.usage.map(({ usage: { provider, model } }) => [`${provider}/${model}`, { provider, model }])
    )
    for (const named of models.values())
      rows.unpriced.push(...(yield* store.findUnpriced(tenant, { ...named, from: null }, ROWS_MAX)))
    return rows
  })
