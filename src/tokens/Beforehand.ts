/**
 * What the store is asked for one signal alone, while nothing is on its way there.
 *
 * Owns: which signals need it, and reading it.
 * Does not decide: anything about it (BudgetStart, Repricing). What many signals need is looked up at once (Gather).
 */
import { Effect } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { Millis } from "../signal/Text.ts"
import type { LedgerSignal } from "./Decide.ts"
import { spentBefore } from "./Gather.ts"
import { type Beforehand, NOTHING_BEFORE } from "./KnownBefore.ts"
import type { Ledger } from "./Ledger.ts"
import type { LedgerStore, StoreUnreachable } from "./LedgerStore.ts"
import { borrowPeriods } from "./OldPeriods.ts"
import { dueFor, effectiveFromOf, REPRICED_MAX } from "./Repricing.ts"
import type { UnpricedRow } from "./UnpricedUse.ts"

/** Whether a signal reads what the commits before it have written: none may be on its way then. */
export const readsBeforehand = (envelope: Envelope<LedgerSignal>): boolean =>
  envelope.name === "create_budget" ||
  (envelope.name === "update_pricing" && envelope.payload.reprice_unpriced)

/** What waits for a price; the ledger then has all that pricing it needs. */
const unpricedBefore = (
  store: LedgerStore,
  ledger: Ledger,
  payload: SignalPayload<"update_pricing">,
  now: Millis
): Effect.Effect<ReadonlyArray<UnpricedRow>, StoreUnreachable> =>
  Effect.gen(function* () {
    const { provider, model, effective_from: from = null } = payload
    const waiting = yield* store.findUnpriced(ledger.tenant, { provider, model, from }, REPRICED_MAX + 1)
    const due = dueFor(ledger, payload, waiting, effectiveFromOf(payload, waiting, now))
    const missing = due.filter(({ requestId }) => ledger.request(requestId)?.hasAllUsage !== true)
    const ids = new Set(missing.map(({ requestId }) => requestId))
    if (ids.size > 0) {
      for (const request of yield* store.findRequests(ledger.tenant, [...ids])) ledger.learnRequest(request)
    }
    const first = ({ requestId, usageSeq }: UnpricedRow) =>
      ledger.request(requestId)?.usageBySeq(usageSeq) ?? []
    yield* borrowPeriods(store, ledger, due.flatMap(first)) ?? Effect.void
    return waiting
  })

/** Reads what a signal needs; nothing may be on its way to the store meanwhile. */
export const readBeforehand = (
  store: LedgerStore,
  ledger: Ledger,
  envelope: Envelope<LedgerSignal>,
  now: Millis
): Effect.Effect<Beforehand, StoreUnreachable> => {
  if (!readsBeforehand(envelope)) return Effect.succeed(NOTHING_BEFORE)
  if (envelope.name === "create_budget") {
    const spent = spentBefore(store, ledger.tenant, envelope as Envelope<"create_budget">, now)
    return Effect.map(spent, (spent) => ({ ...NOTHING_BEFORE, spent }))
  }
  const { payload } = envelope as Envelope<"update_pricing">
  return Effect.map(unpricedBefore(store, ledger, payload, now), (unpriced) => ({
    ...NOTHING_BEFORE,
    unpriced
  }))
}
