/**
 * How much more of a budget can be approved in a period.
 *
 * Owns: the cap: what was approved in a period adds up to at most `max_override_percentage` of the budget's limit. What
 * has expired counts as well: a cap that comes back with time is none.
 * Does not decide: whether an override is approved, or by whom (Overrides).
 */
import type { Violation } from "../signal/Errors.ts"
import { AMOUNT_MAX, type Amount, UNIT } from "../signal/Money.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import { type BudgetRecord, totalOf } from "./BudgetRecord.ts"

/** Overrides of one budget that are pending or in force at once; more are refused. */
export const LIVE_PER_BUDGET_MAX = 100

/** All that can be approved in a period; of tokens and requests, whole ones. */
export const overrideCapOf = ({ definition }: BudgetRecord): Amount => {
  const cap = (definition.limit * BigInt(definition.overridePolicy.max_override_percentage)) / 100n
  return definition.measure === "cost" ? cap : cap - (cap % UNIT)
}

/** What can still be approved; never so much that the total could not be written down any more. */
export const overrideRoomOf = (budget: BudgetRecord, period: PeriodRecord): Amount => {
  const left = overrideCapOf(budget) - period.overridesApproved
  const writable = AMOUNT_MAX - totalOf(budget, period)
  const room = left < writable ? left : writable
  return room > 0n ? room : 0n
}

/** Whether an override can help a call that lacks `shortfall`. */
export const overrideFor = (
  budget: BudgetRecord,
  period: PeriodRecord,
  shortfall: Amount
): Violation["override"] => {
  if (period.overridesPending > 0) return "pending"
  if (period.overridesLive >= LIVE_PER_BUDGET_MAX) return "none"
  return shortfall <= overrideRoomOf(budget, period) ? "available" : "none"
}
