/**
 * Whether budgets have room, and how the answer is worded.
 *
 * Owns: asking every budget that applies in one step; approvals and refusals, each with its reason.
 * Does not decide: what becomes of a hold (Holding, HoldLife).
 */
import type { Alert, BudgetStanding } from "../signal/Budget.ts"
import type { Approval } from "../signal/Budgeting.ts"
import type { Violation } from "../signal/Errors.ts"
import { type Amount, amountOfCount, formatAmount } from "../signal/Money.ts"
import { type Millis, toSentence } from "../signal/Text.ts"
import { type BudgetRecord, remainingOf, standingOf } from "./BudgetRecord.ts"
import type { Estimate } from "./Estimate.ts"
import type { Ledger } from "./Ledger.ts"
import type { HoldRecord } from "./RequestRecord.ts"

/** What a hold asks of a budget, by the budget's measure. */
export interface Asked {
  readonly cost: Amount
  readonly tokens: number
  readonly requests: number
}

export const askedOf = (budget: BudgetRecord, asked: Asked): Amount => {
  switch (budget.definition.measure) {
    case "cost":
      return asked.cost
    case "tokens":
      return amountOfCount(asked.tokens)
    case "requests":
      return amountOfCount(asked.requests)
  }
}

/** Where the active ones of these budgets stand. */
export const activeStandings = (
  budgets: ReadonlyArray<BudgetRecord>,
  now: Millis
): ReadonlyArray<BudgetStanding> => {
  const standings: Array<BudgetStanding> = []
  for (const budget of budgets) if (budget.definition.isActive) standings.push(standingOf(budget, now))
  return standings
}

const violationOf = (budget: BudgetRecord, requested: Amount, now: Millis): Violation => ({
  ...standingOf(budget, now),
  requested,
  shortfall: requested - remainingOf(budget, budget.periodAt(now)),
  override: "none"
})

const sentenceOf = (violation: Violation): string => {
  const unit = violation.measure === "cost" ? ` ${violation.currency}` : ` ${violation.measure}`
  const show = (amount: Amount) => `${formatAmount(amount)}${unit}`
  return `budget "${violation.name}" has ${show(violation.remaining)} left of ${show(violation.limit)}, and the call asks for ${show(violation.requested)}`
}

/** When every violated budget has begun a new period; `null` where one never does, or where waiting cannot help. */
const retryAt = (violations: ReadonlyArray<Violation>): Millis | null => {
  let latest: Millis | null = null
  for (const { resets_at, requested, limit } of violations) {
    if (resets_at === null || requested > limit) return null
    latest = Math.max(latest ?? 0, resets_at)
  }
  return latest
}

export const refusal = (
  ledger: Ledger,
  reason: string,
  estimated: Estimate,
  violations: ReadonlyArray<Violation>
): Approval => ({
  allowed: false,
  reason: toSentence(reason),
  estimated_tokens: estimated.tokens,
  estimated_cost: estimated.cost,
  currency: ledger.config.currency,
  violations,
  retry_at: retryAt(violations),
  alternatives: []
})

export const refuseForRoom = (
  ledger: Ledger,
  estimated: Estimate,
  violations: ReadonlyArray<Violation>
): Approval => {
  const [first, ...others] = violations
  const more = others.length > 0 ? `; ${others.length} more budget(s) have no room either` : ""
  return refusal(ledger, `Refused: ${first ? sentenceOf(first) : "no room"}${more}`, estimated, violations)
}

interface Room {
  readonly violations: ReadonlyArray<Violation>
  readonly warnings: ReadonlyArray<Alert>
}

/** Asks every budget that applies, in one step. A soft budget never refuses; it warns. */
export const roomIn = (budgets: ReadonlyArray<BudgetRecord>, asked: Asked, now: Millis): Room => {
  const violations: Array<Violation> = []
  const warnings: Array<Alert> = []
  for (const budget of budgets) {
    if (!budget.definition.isActive) continue
    const requested = askedOf(budget, asked)
    if (requested <= remainingOf(budget, budget.periodAt(now))) continue
    const violation = violationOf(budget, requested, now)
    if (budget.definition.enforcement === "hard") violations.push(violation)
    else warnings.push(softWarning(violation, now))
  }
  return { violations, warnings }
}

const softWarning = (violation: Violation, now: Millis): Alert => ({
  id: `warning_${violation.budget_id}`,
  kind: "exceeded",
  severity: "warning",
  message: toSentence(`Allowed by a soft limit: ${sentenceOf(violation)}`),
  budget_id: violation.budget_id,
  at: now,
  data: { shortfall: formatAmount(violation.shortfall) }
})

export const approval = (
  ledger: Ledger,
  hold: HoldRecord | undefined,
  estimated: Pick<Estimate, "tokens" | "cost">,
  budgets: ReadonlyArray<BudgetRecord>,
  warnings: ReadonlyArray<Alert>,
  now: Millis
): Approval => ({
  allowed: true,
  ...(hold === undefined ? {} : { hold_id: hold.id, expires_at: hold.expiresAt }),
  estimated_tokens: estimated.tokens,
  estimated_cost: estimated.cost,
  currency: ledger.config.currency,
  budgets: activeStandings(budgets, now),
  warnings
})
