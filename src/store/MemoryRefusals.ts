/**
 * Refusals in memory: for tests.
 *
 * Owns: the same promises as the store on Postgres.
 */
import { Effect } from "effect"
import { isAttributedAs } from "../signal/Attribution.ts"
import {
  hourOf,
  type KeptRefusal,
  type NewRefusal,
  REFUSALS_KEPT,
  type RefusalFilter,
  type RefusalStore
} from "../tokens/RefusalStore.ts"

interface Shelf {
  /** The oldest first. */
  refusals: ReadonlyArray<KeptRefusal>
  lastSeq: number
  cleaned: number
  lost: number
}

const isSame = (kept: NewRefusal, given: NewRefusal): boolean =>
  kept.digest === given.digest &&
  kept.request.request_id === given.request.request_id &&
  hourOf(kept.firstAt) === hourOf(given.firstAt)

const matches = ({ seq, firstAt, lastAt, request }: KeptRefusal, filter: RefusalFilter): boolean => {
  const { requestId, budgetId, from, to, attribution = {}, before } = filter
  return (
    (before === undefined || seq < before) &&
    (requestId === undefined || request.request_id === requestId) &&
    (budgetId === undefined || request.violations.some(({ budget_id }) => budget_id === budgetId)) &&
    (from === undefined || lastAt >= from) &&
    (to === undefined || firstAt < to) &&
    isAttributedAs(request.attribution, attribution)
  )
}

export const makeMemoryRefusals = (): RefusalStore => {
  const shelves = new Map<string, Shelf>()
  const shelfOf = (tenant: string): Shelf => {
    const known = shelves.get(tenant)
    if (known !== undefined) return known
    const shelf: Shelf = { refusals: [], lastSeq: 0, cleaned: 0, lost: 0 }
    shelves.set(tenant, shelf)
    return shelf
  }
  const addOne = (shelf: Shelf, given: NewRefusal): void => {
    const known = shelf.refusals.find((kept) => isSame(kept, given))
    if (known === undefined) {
      shelf.lastSeq += 1
      shelf.refusals = [...shelf.refusals, { ...given, seq: shelf.lastSeq }]
      return
    }
    const { seq, firstAt, lastAt, count } = known
    const joined = {
      ...given,
      seq,
      firstAt: Math.min(firstAt, given.firstAt),
      lastAt: Math.max(lastAt, given.lastAt),
      count: count + given.count
    }
    shelf.refusals = shelf.refusals.map((kept) => (kept === known ? joined : kept))
  }
  return {
    add: (tenant, refusals, lost) =>
      Effect.sync(() => {
        const shelf = shelfOf(tenant)
        shelf.lost += lost
        for (const refusal of refusals) addOne(shelf, refusal)
        shelf.refusals = shelf.refusals.filter(({ seq }) => seq > shelf.lastSeq - REFUSALS_KEPT)
      }),
    page: (tenant, filter) =>
      Effect.sync(() => {
        const { refusals, lastSeq, cleaned, lost } = shelfOf(tenant)
        const matching = refusals.filter((kept) => matches(kept, filter)).reverse()
        return {
          refusals: matching.slice(0, filter.limit),
          dropped: lastSeq - cleaned - refusals.length + lost
        }
      }),
    rewrite: (tenant, refusals) =>
      Effect.sync(() => {
        const requests = new Map(refusals.map(({ seq, request }) => [seq, request]))
        const shelf = shelfOf(tenant)
        shelf.refusals = shelf.refusals.map((kept) => ({
          ...kept,
          request: requests.get(kept.seq) ?? kept.request
        }))
      }),
    countOld: (tenant, before) =>
      Effect.sync(() => shelfOf(tenant).refusals.filter(({ lastAt }) => lastAt < before).length),
    removeOld: (tenant, before) =>
      Effect.sync(() => {
        const shelf = shelfOf(tenant)
        const left = shelf.refusals.filter(({ lastAt }) => lastAt >= before)
        const removed = shelf.refusals.length - left.length
        shelf.refusals = left
        shelf.cleaned += removed
        return removed
      })
  }
}
