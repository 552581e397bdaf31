/**
 * How budgets are ranked and measured for the eye.
 *
 * Owns: urgency, and how wide a meter's parts are. Does not decide: whether there is room (the TokenManager).
 */
import { type Amount, parseAmount, percentOf } from "../../signal/Money.ts"
import type { WireBudget } from "./Model.ts"

/** Where a budget stands, in percent of what it may spend. The three parts of a meter never exceed 100. */
export interface Meter {
  readonly spent: number
  readonly held: number
  /** Spent and held together, unbounded: 120 means a fifth too much. */
  readonly used: number
}

const available = (budget: WireBudget): Amount =>
  parseAmount(budget.limit) + parseAmount(budget.carried_over) + parseAmount(budget.override_total)

export const meterOf = (budget: WireBudget): Meter => {
  const whole = available(budget)
  const spent = parseAmount(budget.spent)
  const used = spent + parseAmount(budget.held)
  // As the server counts: where nothing may be spent, nothing is left.
  if (whole <= 0n) return { spent: used > 0n ? 100 : 0, held: 0, used: 100 }
  const usedPercent = percentOf(used, whole)
  const spentShown = Math.min(100, percentOf(spent, whole))
  return { spent: spentShown, held: Math.max(0, Math.min(100, usedPercent) - spentShown), used: usedPercent }
}

const STATE_RANK: { readonly [State in WireBudget["state"]]: number } = { exceeded: 2, warning: 1, ok: 0 }

/** Steps of five percent: two budgets that are about as full do not change places all the time. */
const stepOf = (budget: WireBudget): number => Math.floor(meterOf(budget).used / 5)

/** The budget that needs a person first comes first. */
export const byUrgency = (a: WireBudget, b: WireBudget): number =>
  Number(b.active) - Number(a.active) ||
  Number(parseAmount(b.remaining) <= 0n) - Number(parseAmount(a.remaining) <= 0n) ||
  STATE_RANK[b.state] - STATE_RANK[a.state] ||
  stepOf(b) - stepOf(a) ||
  (a.name < b.name ? -1 : 1)

/** What a budget is for, in words: `agent researcher`, `each user`, `everything`. */
export const scopeOf = ({ type, entity_id }: Pick<WireBudget, "type" | "entity_id">): string => {
  if (type === "global") return "everything"
  return entity_id === "*" ? `each ${type}` : `${type} ${entity_id ?? "any"}`
}
