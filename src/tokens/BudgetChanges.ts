/**
 * Makes and changes budgets, and says how they are doing.
 *
 * Owns: create_budget, update_budget, get_budget_status.
 * Does not decide: whether a call has room (Room).
 */
import { Result } from "effect"
import {
  type BudgetStatus,
  DEFAULT_OVERRIDE_POLICY,
  type Measure,
  type Period,
  type Rollover
} from "../signal/Budget.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Conflict, invalidParam, NotFound, type SignalError } from "../signal/Errors.ts"
import { type Amount, divideHalfEven, UNIT } from "../signal/Money.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { candidatesFor, covers } from "./BudgetCandidates.ts"
import { type BudgetRecord, budgetOf, remainingOf } from "./BudgetRecord.ts"
import {
  ENTITIES_AT_START_MAX,
  hasTooManyAtStart,
  type SpentBefore,
  sortedOnce,
  startBudget
} from "./BudgetStart.ts"
import { rateUnknown } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"
import type { BudgetDefinition } from "./LedgerStore.ts"
import { EVERYBODY } from "./StandingKey.ts"

type Decision<A> = Result.Result<A, SignalError>

/** Budgets of one tenant; more are refused. */
const BUDGETS_MAX = 1_000_000
/** Standings of a default with a rollover whose terms one update_budget changes: they are written with it. */
const REDEFINED_AT_ONCE_MAX = 50_000
const HOUR_MS = 3_600_000n
/** What comes later cannot be written as a time of RFC 3339. */
const CALENDAR_END = Date.UTC(10_000, 0)

interface Problem {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** What makes no sense as the rollover of a budget of this period and measure. */
const rolloverProblem = (
  rollover: Rollover | null | undefined,
  period: Period,
  measure: Measure
): Problem | undefined => {
  if (rollover === null || rollover === undefined) return undefined
  if (period === "lifetime") {
    return {
      path: ["rollover"],
      message: "A lifetime never ends, so that nothing is left over: leave rollover out"
    }
  }
  const { max, min = 0n } = rollover
  if (measure !== "cost" && max % UNIT !== 0n)
    return { path: ["rollover", "max"], message: `A rollover in ${measure} is a whole number` }
  if (measure !== "cost" && min % UNIT !== 0n)
    return { path: ["rollover", "min"], message: `A rollover in ${measure} is a whole number` }
  if (min > max) {
    return { path: ["rollover", "min"], message: "Nothing would ever be carried over: min is more than max" }
  }
  return undefined
}

/** What stands against a default for everybody; `spent` is what each entity has spent. */
const defaultProblem = (
  { type, entity_id }: SignalPayload<"create_budget">,
  ledger: Ledger,
  spent: SpentBefore
): Problem | undefined => {
  if (type === "global" || entity_id !== EVERYBODY || !hasTooManyAtStart(ledger, type, spent))
    return undefined
  return {
    path: ["entity_id"],
    message: `More than ${ENTITIES_AT_START_MAX} entities of type ${type} have spent in this period: each would have to be counted from the start. Take a shorter period, or make the default when a new period begins`
  }
}

const problemWith = (
  payload: SignalPayload<"create_budget">,
  ledger: Ledger,
  spent: SpentBefore
): Problem | undefined => {
  if (payload.type === "global" && payload.entity_id !== undefined) {
    return { path: ["entity_id"], message: "A global budget is about everything: leave entity_id out" }
  }
  if (payload.type !== "global" && payload.entity_id === undefined) {
    return { path: ["entity_id"], message: `Say which ${payload.type} this budget is about` }
  }
  if (payload.measure !== "cost" && (payload.currency ?? ledger.config.currency) !== ledger.config.currency) {
    return { path: ["currency"], message: `A budget of ${payload.measure} has no currency: leave it out` }
  }
  if (payload.measure !== "cost" && payload.limit % UNIT !== 0n) {
    return { path: ["limit"], message: `A limit in ${payload.measure} is a whole number` }
  }
  if (ledger.budgets.size >= BUDGETS_MAX) {
    return { path: ["name"], message: `This tenant has ${BUDGETS_MAX} budgets, which is the bound` }
  }
  return (
    rolloverProblem(payload.rollover, payload.period, payload.measure) ??
    defaultProblem(payload, ledger, spent)
  )
}

const definitionOf = (
  ledger: Ledger,
  payload: SignalPayload<"create_budget">,
  openingRate: Amount,
  now: Millis
): BudgetDefinition => ({
  id: ledger.nextId("budget"),
  name: payload.name,
  type: payload.type,
  entityId: payload.entity_id ?? null,
  period: payload.period,
  timeZone: payload.time_zone,
  weekStartsOn: payload.week_starts_on,
  measure: payload.measure,
  currency: payload.currency ?? ledger.config.currency,
  limit: payload.limit,
  alertThresholds: sortedOnce(payload.alert_thresholds),
  enforcement: payload.enforcement,
  rollover: payload.rollover ?? null,
  overridePolicy: { ...DEFAULT_OVERRIDE_POLICY, ...payload.override_policy },
  isActive: payload.active,
  createdAt: now,
  updatedAt: now,
  version: 1,
  sinceSeq: ledger.usageSeq,
  openingRate
})

/** Makes a budget. `spent` is what was spent in its current period before. */
export const createBudget = (
  ledger: Ledger,
  payload: SignalPayload<"create_budget">,
  spent: SpentBefore,
  now: Millis
): Decision<SignalSuccess<"create_budget">> => {
  const problem = problemWith(payload, ledger, spent)
  if (problem !== undefined) return Result.fail(invalidParam(problem.path, problem.message))
  const { currency = ledger.config.currency } = payload
  const openingRate = ledger.rate(ledger.config.currency, currency, now)
  if (openingRate === undefined) return Result.fail(rateUnknown(ledger.config.currency, currency))
  const budget = ledger.addBudget(definitionOf(ledger, payload, openingRate, now))
  startBudget(ledger, budget, spent, now)
  return Result.succeed({ budget_id: budget.definition.id, budget: budgetOf(budget, now) })
}

const noBudget = (id: string): NotFound =>
  new NotFound({
    kind: "budget",
    id,
    message: `There is no budget ${id}; get_budget_status lists the budgets there are`
  })

const updated = (
  budget: BudgetRecord,
  updates: SignalPayload<"update_budget">["updates"],
  now: Millis
): BudgetDefinition => {
  const { definition } = budget
  return {
    ...definition,
    name: updates.name ?? definition.name,
    limit: updates.limit ?? definition.limit,
    isActive: updates.active ?? definition.isActive,
    alertThresholds: updates.alert_thresholds
      ? sortedOnce(updates.alert_thresholds)
      : definition.alertThresholds,
    enforcement: updates.enforcement ?? definition.enforcement,
    rollover: updates.rollover === undefined ? definition.rollover : updates.rollover,
    overridePolicy: { ...definition.overridePolicy, ...updates.override_policy },
    updatedAt: now,
    version: definition.version + 1
  }
}

export const updateBudget = (
  ledger: Ledger,
  payload: SignalPayload<"update_budget">,
  now: Millis
): Decision<SignalSuccess<"update_budget">> => {
  const budget = ledger.budgets.get(payload.budget_id)
  if (budget === undefined) return Result.fail(noBudget(payload.budget_id))
  const { version, measure, period } = budget.definition
  if (payload.expected_version !== undefined && payload.expected_version !== version) {
    return Result.fail(
      new Conflict({
        reason: "version_changed",
        message: `Budget ${payload.budget_id} is at version ${version}, not ${payload.expected_version}; read it again, then decide`
      })
    )
  }
  if (measure !== "cost" && (payload.updates.limit ?? 0n) % UNIT !== 0n) {
    return Result.fail(invalidParam(["updates", "limit"], `A limit in ${measure} is a whole number`))
  }
  const problem = rolloverProblem(payload.updates.rollover, period, measure)
  if (problem !== undefined) return Result.fail(invalidParam(["updates", ...problem.path], problem.message))
  const changed = updated(budget, payload.updates, now)
  const standings = ledger.index.defaults.sizeOf(budget)
  if (
    standings > REDEFINED_AT_ONCE_MAX &&
    (changed.rollover !== null || budget.definition.rollover !== null)
  ) {
    return Result.fail(
      invalidParam(
        ["budget_id"],
        `This default carries over what is left, and ${standings} entities stand in it: the terms of more than ${REDEFINED_AT_ONCE_MAX} cannot be changed at once. Make another default, and set active: false here`
      )
    )
  }
  ledger.changeBudget(budget, changed)
  return Result.succeed({ budget: budgetOf(budget, now) })
}

// --- status

/** Spending per hour so far in this period, and when it uses up what remains. */
const pace = (
  budget: BudgetRecord,
  now: Millis
): Pick<BudgetStatus, "burn_rate_per_hour" | "projected_exhaustion"> => {
  const period = budget.periodAt(now)
  const since = Math.max(
    period.start,
    budget.definition.period === "lifetime" ? budget.definition.createdAt : 0
  )
  const elapsedMs = BigInt(Math.max(1, now - since))
  const perHour = divideHalfEven(period.spent * HOUR_MS, elapsedMs)
  const remaining = remainingOf(budget, period)
  if (remaining <= 0n) return { burn_rate_per_hour: perHour, projected_exhaustion: now }
  if (perHour <= 0n) return { burn_rate_per_hour: perHour, projected_exhaustion: null }
  const leftMs = Number((remaining * HOUR_MS) / perHour)
  const at = now + leftMs
  const isWithin = at < (period.end ?? CALENDAR_END)
  return { burn_rate_per_hour: perHour, projected_exhaustion: isWithin ? at : null }
}

/** What one get_budget_status answers at most: it is worked out in the writer's own time. */
const STATUS_MAX = 1_000

const tooMany = invalidParam(
  ["type"],
  `More than ${STATUS_MAX} budgets match: name a budget_id, or a type and an entity_id; of a default, its budget_id and an entity_id`
)

export const getBudgetStatus = (
  ledger: Ledger,
  payload: SignalPayload<"get_budget_status">,
  principal: Principal,
  now: Millis
): Decision<SignalSuccess<"get_budget_status">> => {
  const { budget_id, type, entity_id, include_inactive } = payload
  const named = budget_id === undefined ? undefined : ledger.budgets.get(budget_id)
  if (budget_id !== undefined && (named === undefined || !covers(named, principal))) {
    return Result.fail(noBudget(budget_id))
  }
  const budgets: Array<BudgetStatus> = []
  for (const budget of candidatesFor(ledger, named, payload, principal)) {
    const { definition } = budget
    if (type !== undefined && definition.type !== type) continue
    if (entity_id !== undefined && budget.entityId !== entity_id) continue
    if (!definition.isActive && !include_inactive && named === undefined) continue
    if (!covers(budget, principal)) continue
    if (budgets.length === STATUS_MAX) return Result.fail(tooMany)
    budgets.push({
      ...budgetOf(budget, now),
      ...pace(budget, now),
      open_holds: budget.openHolds,
      pending_overrides: budget.periodAt(now).overridesPending
    })
  }
  return Result.succeed({ budgets })
}
