/**
 * Cheaper models that a refused call would have room for.
 *
 * Owns: which are looked at, and in which order they are told: of the same provider first, the cheapest first.
 * Does not decide: what they cost (Estimate, PriceBook), or whether there is room (Room).
 *
 * A refusal stays cheap, however many prices there are: the list is made once and kept for as long as its prices
 * are in force, and a refusal looks at few of it.
 */
import type { Approval } from "../signal/Budgeting.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { Violation } from "../signal/Errors.ts"
import type { Amount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { Subject } from "./BudgetIndex.ts"
import { ratesInto } from "./Converting.ts"
import { costAt } from "./Estimate.ts"
import type { Ledger } from "./Ledger.ts"
import { type Asked, roomIn } from "./Room.ts"

type Alternative = Extract<Approval, { readonly allowed: false }>["alternatives"][number]

/** How many are told. */
const TOLD_MAX = 3

const NONE: ReadonlyArray<Alternative> = []

/** The most that an alternative may cost; `undefined` where no other model can help. */
const roomFor = (ledger: Ledger, violations: ReadonlyArray<Violation>, asked: Asked): Amount | undefined => {
  let room = asked.cost - 1n
  for (const { type, measure, currency, remaining } of violations) {
    // Another model or provider is not in this one's way at all.
    if (type === "model" || type === "provider") continue
    if (measure !== "cost") return undefined
    // What is left in another currency is compared when the alternative is converted into it.
    if (currency === ledger.config.currency && remaining < room) room = remaining
  }
  return room > 0n ? room : undefined
}

/** Cheaper models that would fit into every budget that applies to them, for the same estimate. */
export const alternativesTo = (
  ledger: Ledger,
  payload: SignalPayload<"check_budget">,
  asked: Asked,
  violations: ReadonlyArray<Violation>,
  now: Millis
): ReadonlyArray<Alternative> => {
  const { provider, model } = payload
  const room = roomFor(ledger, violations, asked)
  if (provider === undefined || model === undefined || room === undefined) return NONE
  const found: Array<Alternative> = []
  for (const price of ledger.cheapest.near(provider, now)) {
    if (found.length === TOLD_MAX) break
    if (price.currency !== ledger.config.currency || (price.provider === provider && price.model === model))
      continue
    const cost = costAt(ledger, price, payload)
    if (cost > room) continue
    const subject = { ...payload, provider: price.provider, model: price.model } as Subject
    const budgets = ledger.index.matching(subject)
    const rates = ratesInto(ledger, budgets, now, undefined)
    if (roomIn(budgets, { ...asked, cost, rates }, now).violations.length > 0) continue
    found.push({ provider: price.provider, model: price.model, estimated_cost: cost })
  }
  return inOrder(found, provider)
}

/** The list is sorted by what most calls cost; they are told by what this one costs. */
const inOrder = (found: ReadonlyArray<Alternative>, provider: string): ReadonlyArray<Alternative> =>
  found.toSorted(
    (a, b) =>
      Number(b.provider === provider) - Number(a.provider === provider) ||
      (a.estimated_cost === b.estimated_cost ? 0 : a.estimated_cost < b.estimated_cost ? -1 : 1)
  )
