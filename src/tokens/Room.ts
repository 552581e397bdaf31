/**
 * Whether budgets have room, and how the answer is worded.
 *
 * Owns: asking every budget that applies in one step; approvals and refusals, each with its reason.
 * Does not decide: what becomes of a hold (Holding, HoldLife).
 */
import type { Alert, BudgetStanding } from "../signal/Budget.ts"
import type { Approval, RefusalKind, Refused } from "../signal/Budgeting.ts"
import type { Violation } from "../signal/Errors.ts"
import type { ExchangeRates } from "../signal/ExchangeRates.ts"
import { type Amount, amountOfCount, formatAmount } from "../signal/Money.ts"
import { heldAgainAt, isOnlyHeld } from "../signal/RoomAgain.ts"
import { type Millis, toSentence } from "../signal/Text.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import { type BudgetRecord, remainingOf, standingOf, titleOf, totalOf } from "./BudgetRecord.ts"
import { inCurrency } from "./Converting.ts"
import type { Estimate } from "./Estimate.ts"
import type { Ledger } from "./Ledger.ts"
import { overrideFor } from "./OverrideRoom.ts"
import type { HoldRecord } from "./RequestRecord.ts"

/** What a hold asks of a budget, by the budget's measure. */
export interface Asked {
  readonly cost: Amount
  readonly tokens: number
  readonly requests: number
  /** Into the currencies of the budgets; `null` where all are in the tenant's, which `cost` is in. */
  readonly rates: ExchangeRates | null
}

export const askedOf = (budget: BudgetRecord, asked: Asked): Amount => {
  switch (budget.definition.measure) {
    case "cost":
      return inCurrency(asked.cost, budget.definition.currency, asked.rates)
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

const violationOf = (budget: BudgetRecord, requested: Amount, now: Millis): Violation => {
  const period = budget.periodAt(now)
  const shortfall = requested - remainingOf(budget, period)
  return {
    ...standingOf(budget, now),
    requested,
    shortfall,
    override: overrideFor(budget, period, shortfall)
  }
}

/** More room for a hold: what it keeps itself does not come back to it, and no later period has room for it. */
export interface Extension {
  readonly hold: HoldRecord
  readonly now: Millis
}

const heldByOthers = (violation: Violation, period: PeriodRecord, extension: Extension | undefined): Amount =>
  (extension?.hold.bookings ?? []).reduce(
    (held, booking) => (booking.period === period ? held - booking.amount : held),
    violation.held
  )

/** While the hold is open. */
const extensibleAt = ({ hold, now }: Extension): Millis | null => {
  const soon = heldAgainAt(hold.expiresAt, now)
  return soon < hold.expiresAt ? soon : null
}

const sentenceOf = (
  budget: BudgetRecord,
  violation: Violation,
  total: Amount,
  fitsAt: Millis | null
): string => {
  const unit = violation.measure === "cost" ? ` ${violation.currency}` : ` ${violation.measure}`
  const show = (amount: Amount) => `${formatAmount(amount)}${unit}`
  const held = isOnlyHeld(violation) ? `; ${show(violation.held)} is held by calls on their way` : ""
  const never =
    violation.requested > total && fitsAt === null ? ", more than all of it: waiting does not help" : ""
  return `budget ${titleOf(budget)} has ${show(violation.remaining)} left of ${show(total)}, and the call asks for ${show(violation.requested)}${never}${held}`
}

/** Whether there is room, and if not, why not and until when. */
export interface Room {
  readonly violations: ReadonlyArray<Violation>
  readonly warnings: ReadonlyArray<Alert>
  /** A sentence for each violation. */
  readonly reasons: ReadonlyArray<string>
  /**
   * When every violated budget has room: soon where it is only held (RoomAgain), else when a period with room has begun, if
   * nothing else happens; `null` where one never does, because waiting cannot help.
   */
  readonly retryAt: Millis | null
}

export const refusal = (
  ledger: Ledger,
  kind: RefusalKind,
  reason: string,
  estimated: Pick<Estimate, "tokens" | "cost">,
  room?: Pick<Room, "violations" | "retryAt">,
  alternatives: Refused["alternatives"] = []
): Approval => ({
  allowed: false,
  kind,
  reason: toSentence(reason),
  estimated_tokens: estimated.tokens,
  estimated_cost: estimated.cost,
  currency: ledger.config.currency,
  violations: room?.violations ?? [],
  retry_at: room?.retryAt ?? null,
  alternatives
})

export const refuseForRoom = (
  ledger: Ledger,
  estimated: Pick<Estimate, "tokens" | "cost">,
  room: Room,
  alternatives?: Refused["alternatives"]
): Approval => {
  const [first = "no room", ...others] = room.reasons
  const more = others.length > 0 ? `; ${others.length} more budget(s) have no room either` : ""
  return refusal(ledger, "no_room", `Refused: ${first}${more}`, estimated, room, alternatives)
}

/** When a budget that has no room has it again. */
const fitsAgainAt = (
  budget: BudgetRecord,
  period: PeriodRecord,
  violation: Violation,
  now: Millis,
  extension: Extension | undefined
): Millis | null => {
  const isHeld = isOnlyHeld(violation)
  if (extension !== undefined) return isHeld ? extensibleAt(extension) : null
  return isHeld ? heldAgainAt(period.end, now) : budget.hasRoomAt(period, violation.requested)
}

/** Asks every budget that applies, in one step. A soft budget never refuses; it warns. */
export const roomIn = (
  budgets: ReadonlyArray<BudgetRecord>,
  asked: Asked,
  now: Millis,
  extension?: Extension
): Room => {
  const violations: Array<Violation> = []
  const warnings: Array<Alert> = []
  const reasons: Array<string> = []
  let retryAt: Millis | null = 0
  for (const budget of budgets) {
    if (!budget.definition.isActive) continue
    const requested = askedOf(budget, asked)
    const period = budget.periodAt(now)
    if (requested <= remainingOf(budget, period)) continue
    const violation = violationOf(budget, requested, now)
    const returning = { ...violation, held: heldByOthers(violation, period, extension) }
    const fitsAt = fitsAgainAt(budget, period, returning, now, extension)
    const reason = sentenceOf(budget, returning, totalOf(budget, period), fitsAt)
    if (budget.definition.enforcement === "soft") {
      warnings.push(softWarning(violation, reason, now))
      continue
    }
    violations.push(violation)
    reasons.push(reason)
    retryAt = retryAt === null || fitsAt === null ? null : Math.max(retryAt, fitsAt)
  }
  return { violations, warnings, reasons, retryAt: violations.length === 0 ? null : retryAt }
}

const softWarning = (violation: Violation, reason: string, now: Millis): Alert => ({
  id: `warning_${violation.budget_id}`,
  kind: "exceeded",
  severity: "warning",
  message: toSentence(`Allowed by a soft limit: ${reason}`),
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
