/**
 * What a budget begins with.
 *
 * Owns: counting in a new budget, and in each standing of a new default, what was spent and is held in the current
 * period before it was made.
 * Does not decide: what was spent (the store has been asked: Gather), or whether the budget may be made (BudgetChanges).
 */
import type { BudgetType } from "../signal/Budget.ts"
import { type Amount, convert } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import { entityOf } from "./BudgetIndex.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import { ratesInto } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"
import { type HoldRecord, keep } from "./RequestRecord.ts"
import { askedOf } from "./Room.ts"

/** What was spent in the current period before a budget is made. */
export interface SpentBefore {
  readonly amount: Amount
  /** For a default: by entity, one more than are counted at most where there are too many. */
  readonly byEntity: ReadonlyMap<string, Amount>
}

export const NOTHING_SPENT: SpentBefore = { amount: 0n, byEntity: new Map() }

/** Entities that a new default counts from the start; where more have spent or hold something, it is refused. */
export const ENTITIES_AT_START_MAX = 100_000

export const sortedOnce = (thresholds: ReadonlyArray<number>): ReadonlyArray<number> =>
  [...new Set(thresholds)].sort((a, b) => a - b)

/** Thresholds that were reached before the budget was made are not told any more. */
const markReached = (budget: BudgetRecord, now: Millis): void => {
  const period = budget.periodAt(now)
  const reached = budget
    .alarmsOf(period)
    .filter((alarm) => period.spent >= alarm.at)
    .map((alarm) => alarm.percent)
  period.alertsSent = sortedOnce([...period.alertsSent, ...reached])
}

/** Whom a hold is for, as a budget of this type sees it. */
const entityOfHold = (type: BudgetType, hold: HoldRecord): string | null | undefined =>
  entityOf(type, {
    ...hold.attribution,
    ...(hold.provider === null ? {} : { provider: hold.provider }),
    ...(hold.model === null ? {} : { model: hold.model })
  })

const countHold = (ledger: Ledger, budget: BudgetRecord, hold: HoldRecord, now: Millis): void => {
  const period = budget.periodAt(now)
  const request = ledger.request(hold.requestId)
  // Where the hold is booked; from now on it is pinned like those that it was made with.
  const rates = ratesInto(ledger, [budget], hold.createdAt, hold.rates)
  if (rates !== null) hold.rates = { ...hold.rates, ...rates }
  const amount = askedOf(budget, {
    cost: hold.remainingCost,
    tokens: hold.remainingTokens,
    requests: request !== undefined && request.attempts.length > 0 ? 0 : 1,
    rates
  })
  keep(hold, period, amount)
  period.held += amount
  if (request !== undefined) ledger.changeRequest(request)
}

/** The open holds of the current period, by whom they are for. */
const holdsByEntity = (
  ledger: Ledger,
  budget: BudgetRecord,
  now: Millis
): ReadonlyMap<string | null, ReadonlyArray<HoldRecord>> => {
  const period = budget.periodAt(now)
  const byEntity = new Map<string | null, Array<HoldRecord>>()
  for (const hold of ledger.holds.values()) {
    if (!period.contains(hold.createdAt)) continue
    const entityId = entityOfHold(budget.definition.type, hold)
    if (entityId === undefined) continue
    const known = byEntity.get(entityId)
    if (known === undefined) byEntity.set(entityId, [hold])
    else known.push(hold)
  }
  return byEntity
}

const start = (
  ledger: Ledger,
  budget: BudgetRecord,
  spent: Amount,
  holds: ReadonlyArray<HoldRecord>,
  now: Millis
): void => {
  ledger.adopt(budget)
  const period = budget.periodAt(now)
  const { measure, openingRate } = budget.definition
  period.spent = measure === "cost" ? convert(spent, openingRate) : spent
  for (const hold of holds) countHold(ledger, budget, hold, now)
  markReached(budget, now)
  ledger.changePeriod(period)
}

/** The entities that a default begins with: they have spent or hold something, and have no budget of their own. */
const entitiesIn = (
  ledger: Ledger,
  budget: BudgetRecord,
  spent: SpentBefore,
  holds: ReadonlyMap<string | null, unknown>
): ReadonlyArray<string> => {
  const entities = new Set(spent.byEntity.keys())
  for (const entityId of holds.keys()) if (entityId !== null) entities.add(entityId)
  const { type, period } = budget.definition
  return [...entities].filter(
    (entityId) => !ledger.index.of(type, entityId).some(({ definition }) => definition.period === period)
  )
}

/** Whether a default of this type might begin with more entities than can be counted at once. */
export const hasTooManyAtStart = (ledger: Ledger, type: BudgetType, spent: SpentBefore): boolean => {
  const { defaults } = ledger.index
  const entities = new Set<string | null | undefined>(spent.byEntity.keys())
  for (const hold of ledger.holds.values()) entities.add(entityOfHold(type, hold))
  return entities.size > ENTITIES_AT_START_MAX || defaults.size + entities.size > defaults.sizeMax
}

/** Lets a new budget count what was spent and is held in its current period. */
export const startBudget = (ledger: Ledger, budget: BudgetRecord, spent: SpentBefore, now: Millis): void => {
  const holds = holdsByEntity(ledger, budget, now)
  if (!budget.isDefault) {
    start(ledger, budget, spent.amount, holds.get(budget.entityId) ?? [], now)
    return
  }
  for (const entityId of entitiesIn(ledger, budget, spent, holds)) {
    const standing = ledger.index.defaults.standingOf(budget, entityId)
    if (standing === undefined) throw new Error(`${budget.key} is no default`)
    start(ledger, standing, spent.byEntity.get(entityId) ?? 0n, holds.get(entityId) ?? [], now)
  }
}
