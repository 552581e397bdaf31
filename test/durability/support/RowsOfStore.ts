/**
 * Everything that a store has of a tenant, as rows that the invariants of the simulation can be checked on.
 *
 * It reads by the port alone: what an activation reads, all usage, and what of it waits for a price.
 */
import { Effect } from "effect"
import type { TokenUsage } from "../../../src/signal/Usage.ts"
import type { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { Rows } from "../../tokens/support/Rows.ts"

const PAGE = 1_000

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
    const counted = new Set<string>()
    let page: ReadonlyArray<TokenUsage>
    do {
      page = yield* store.usageAfter(tenant, {}, rows.usage.length, PAGE)
      for (const usage of page) {
        const adjusted = usage.adjusts === undefined ? {} : { adjustsSeq: Number(usage.adjusts.slice(4)) }
        rows.usage.push({ usage, requests: counted.has(usage.request_id) ? 0 : 1, ...adjusted })
        counted.add(usage.request_id)
      }
    } while (page.length === PAGE)
    const models = new Map(
      rows.usage.map(({ usage: { provider, model } }) => [`${provider}/${model}`, { provider, model }])
    )
    for (const named of models.values())
      rows.unpriced.push(...(yield* store.findUnpriced(tenant, { ...named, from: null }, PAGE)))
    return rows
  })
