/**
 * Tells that a budget will be used up before its period ends, if it is spent at the pace of now.
 *
 * Owns: when a pace says something: a tenth of the period has passed and a quarter of the budget is spent. Before
 * that, a few calls in the first minutes of a month would be told as its ruin. Once in a period.
 * Does not decide: what get_budget_status shows of a pace (BudgetChanges).
 */
import type { Alert } from "../signal/Budget.ts"
import { type Amount, divideHalfEven, formatAmount } from "../signal/Money.ts"
import { formatTimestamp, type Millis, toSentence } from "../signal/Text.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import { type BudgetRecord, PROJECTION_SENT, titleOf, totalOf } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"

const HOUR_MS = 3_600_000n
/** Shares of the period and of the budget before which a pace says nothing. */
const PASSED_AT_LEAST = 0.1
const SPENT_AT_LEAST = 4n

/** When all of it is spent at this pace, or `undefined` where that is not before the period ends, or not said yet. */
const exhaustedAt = (period: PeriodRecord, total: Amount, now: Millis): Millis | undefined => {
  const { start, end, spent } = period
  if (end === null || !period.contains(now) || spent >= total || spent * SPENT_AT_LEAST < total)
    return undefined
  const passedMs = now - start
  if (passedMs < (end - start) * PASSED_AT_LEAST) return undefined
  const at = start + Number((total * BigInt(passedMs)) / spent)
  return at < end ? at : undefined
}

/** Raises it where it is due. What is held does not count: it may come back. */
export const raiseProjectedAlert = (
  ledger: Ledger,
  budget: BudgetRecord,
  period: PeriodRecord,
  now: Millis,
  raised: Array<Alert>
): void => {
  if (!budget.definition.isActive || period.alertsSent.includes(PROJECTION_SENT)) return
  const total = totalOf(budget, period)
  const at = exhaustedAt(period, total, now)
  if (at === undefined || period.end === null) return
  period.alertsSent = [PROJECTION_SENT, ...period.alertsSent]
  const { id, currency, measure } = budget.definition
  const unit = measure === "cost" ? currency : measure
  const perHour = divideHalfEven(period.spent * HOUR_MS, BigInt(now - period.start))
  const [spent, limit] = [formatAmount(period.spent), formatAmount(total)]
  raised.push(
    ledger.raiseAlert({
      kind: "projected",
      severity: "warning",
      message: toSentence(
        `Budget ${titleOf(budget)} will be used up on ${formatTimestamp(at)} at this pace, before it begins anew on ${formatTimestamp(period.end)}: ${spent} of ${limit} ${unit} spent`
      ),
      budget_id: id,
      at: now,
      data: {
        projected_exhaustion: formatTimestamp(at),
        period_end: formatTimestamp(period.end),
        burn_rate_per_hour: formatAmount(perHour),
        spent,
        limit,
        ...(budget.isStanding ? { entity_id: budget.entityId } : {})
      }
    })
  )
}
