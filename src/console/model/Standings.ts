/**
 * Where everybody stands in a default budget (`*`): each standing is shown like a budget of its own.
 *
 * Owns: under which key a standing is kept beside its default, and how many are kept.
 * Does not decide: who stands in a default, or where (the TokenManager).
 */
import { formatAmount, parseAmount } from "../../signal/Money.ts"
import { byUrgency } from "./Budgets.ts"
import { STANDINGS_MAX, type WireBudget, type WireEvent } from "./Model.ts"

type WireStanding = Extract<WireEvent, { budget: unknown }>["budget"]

const EVERYBODY = "*"

export const isDefault = ({ entity_id }: Pick<WireBudget, "entity_id">): boolean => entity_id === EVERYBODY

/** A budget's own id; of one who stands in a default, the default's id and who it is. */
export const keyOf = (
  budgets: ReadonlyMap<string, WireBudget>,
  { id, entity_id }: Pick<WireBudget, "id" | "entity_id">
): string => {
  const known = budgets.get(id)
  return known === undefined || !isDefault(known) || entity_id === EVERYBODY ? id : `${id}/${entity_id}`
}

/**
 * A standing that only an event has told of. What is on top of the limit is what an override or the last period added:
 * where nothing is carried over, it is an override.
 */
const standingOf = (of: WireBudget, standing: WireStanding): WireBudget => {
  const { limit, spent, held, remaining } = standing
  const added = formatAmount(
    parseAmount(remaining) + parseAmount(spent) + parseAmount(held) - parseAmount(limit)
  )
  const isCarried = of.rollover !== null
  return {
    ...of,
    entity_id: standing.entity_id,
    carried_over: isCarried ? added : "0",
    override_total: isCarried ? "0" : added
  }
}

/** The budget after an event about it, or `undefined` where nobody has read that budget yet. */
export const afterEvent = (
  budgets: ReadonlyMap<string, WireBudget>,
  event: WireStanding
): WireBudget | undefined => {
  const { budget_id: id, resets_at, ...standing } = event
  const of = budgets.get(id)
  if (of === undefined) return undefined
  // A key that sees one standing of a default only knows that one.
  if (!isDefault(of) && of.entity_id !== event.entity_id) return of
  const known = budgets.get(keyOf(budgets, { id, entity_id: event.entity_id })) ?? standingOf(of, event)
  return { ...known, ...standing, period_end: resets_at }
}

/** Past the bound, those who have used least are not shown. */
export const boundStandings = (budgets: Map<string, WireBudget>): void => {
  const standings = [...budgets].filter(([key, { id }]) => key !== id)
  if (standings.length <= STANDINGS_MAX) return
  standings.sort(([, a], [, b]) => byUrgency(a, b))
  for (const [key] of standings.slice(STANDINGS_MAX)) budgets.delete(key)
}

/** How many stand in each default, by its id. */
export const standingsByDefault = (budgets: ReadonlyMap<string, WireBudget>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const budget of budgets.values()) if (isDefault(budget)) counts.set(budget.id, 0)
  for (const [key, { id }] of budgets) if (key !== id) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}
