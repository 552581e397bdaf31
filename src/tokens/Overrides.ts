/**
 * Approved rises of a budget for the period that is running.
 *
 * Owns: request_override, decide_override, and the end of an override: pending → approved | denied, and both pending
 * and approved → expired. Who may decide: four eyes, by the owners of the keys.
 * Does not decide: how much can be approved (OverrideRoom), or what follows for a call (Room).
 *
 * What was approved counts in `override_total` of its period, at once and until it expires. Where it lasts until the
 * period ends, it goes on counting there: late usage and open holds are of the time when it was in force.
 */
import { Result } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import {
  Conflict,
  Forbidden,
  type InvalidParams,
  invalidParam,
  NotFound,
  Overloaded,
  type SignalError,
  Unavailable
} from "../signal/Errors.ts"
import { type Amount, formatAmount, UNIT } from "../signal/Money.ts"
import type { Override } from "../signal/Overrides.ts"
import { hasRole, type Principal } from "../signal/Principal.ts"
import { formatTimestamp, type Millis } from "../signal/Text.ts"
import { covers } from "./BudgetCandidates.ts"
import { entityOf, isCovered } from "./BudgetIndex.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"
import type { BudgetDefinition, OverrideRow } from "./LedgerStore.ts"
import { LIVE_PER_BUDGET_MAX, overrideCapOf, overrideRoomOf } from "./OverrideRoom.ts"
import { definitionIdOf, EVERYBODY } from "./StandingKey.ts"

type Decision<A> = Result.Result<A, SignalError>

/** Overrides of one tenant that are pending or in force at once; more are refused. All of them may end in one batch. */
const LIVE_PER_TENANT_MAX = 10_000
const RETRY_AFTER_MS = 60_000
const TAKEN_OVER_RETRY_MS = 250

/** An override as it is shown: its times where it has them. */
export const overrideOf = (row: OverrideRow): Override => ({
  id: row.id,
  budget_id: definitionIdOf(row.budgetId),
  type: row.type,
  entity_id: row.entityId,
  measure: row.measure,
  currency: row.currency,
  status: row.status,
  amount: row.amount,
  approved_amount: row.approvedAmount,
  reason: row.reason,
  note: row.note,
  period_start: row.periodEnd === null ? null : row.periodStart,
  period_end: row.periodEnd,
  requested_by: row.requestedBy,
  requested_at: row.requestedAt,
  decided_by: row.decidedBy,
  decided_at: row.decidedAt,
  expires_at: row.expiresAt
})

const show = (amount: Amount, { measure, currency }: BudgetDefinition): string =>
  `${formatAmount(amount)} ${measure === "cost" ? currency : measure}`

const isInactive = ({ id }: BudgetDefinition): Conflict =>
  new Conflict({
    reason: "budget_inactive",
    message: `Budget ${id} is not active and refuses nothing, so that it needs no override; make it active first`
  })

/** What is wrong with an amount: it is too little, broken, or more than can be approved in this period. */
const amountProblem = (
  amount: Amount,
  budget: BudgetRecord,
  period: PeriodRecord
): InvalidParams | undefined => {
  const { definition } = budget
  if (amount === 0n) return invalidParam(["amount"], "An override of nothing changes nothing: ask for more")
  if (definition.measure !== "cost" && amount % UNIT !== 0n)
    return invalidParam(["amount"], `An override in ${definition.measure} is a whole number`)
  const room = overrideRoomOf(budget, period)
  if (amount <= room) return undefined
  const { max_override_percentage: percent } = definition.overridePolicy
  const cap = `${percent} % of the limit, ${show(overrideCapOf(budget), definition)}`
  const left = `${show(period.overridesApproved, definition)} of it approved already, ${show(room, definition)} left`
  return invalidParam(
    ["amount"],
    `Budget ${definition.id} can be overridden by at most ${cap} in a period (${left}): take less, or change its override_policy`
  )
}

// --- asking

/** When it ends: with the period, or before. `null` where the period has no end and no other is asked for. */
const endOf = (asked: Millis | undefined, period: PeriodRecord, now: Millis): Decision<Millis | null> => {
  if (asked === undefined) return Result.succeed(period.end)
  if (asked <= now)
    return Result.fail(
      invalidParam(["expires_at"], "This time has passed: give a later one, or leave it out")
    )
  if (period.end !== null && asked > period.end) {
    const end = formatTimestamp(period.end)
    return Result.fail(
      invalidParam(
        ["expires_at"],
        `An override ends with its period, at ${end}: leave it out, or end it before`
      )
    )
  }
  return Result.succeed(asked)
}

const tooMany = (what: string, max: number): Overloaded =>
  new Overloaded({
    message: `${what} has ${max} overrides that are pending or in force, which is the bound: decide those that wait (list_overrides), then ask again`,
    retry_after_ms: RETRY_AFTER_MS
  })

const noBudget = (id: string): NotFound =>
  new NotFound({
    kind: "budget",
    id,
    message: `There is no budget ${id}; get_budget_status lists the budgets there are`
  })

/** The budget that is asked for; of a default, where the entity that is named, or forced, stands in it. */
const budgetFor = (
  ledger: Ledger,
  { budget_id, entity_id }: SignalPayload<"request_override">,
  principal: Principal
): Decision<BudgetRecord> => {
  const budget = ledger.budgets.get(budget_id)
  if (budget === undefined || !covers(budget, principal)) return Result.fail(noBudget(budget_id))
  if (!budget.isDefault) {
    const isOther = entity_id !== undefined && entity_id !== budget.entityId
    return isOther ? Result.fail(noBudget(budget_id)) : Result.succeed(budget)
  }
  const { type } = budget.definition
  const entityId = entity_id ?? entityOf(type, principal.attribution)
  if (entityId == null || entityId === EVERYBODY) {
    const message = `Budget ${budget_id} is a default, in which everybody stands alone: say whose override it is`
    return Result.fail(invalidParam(["entity_id"], message))
  }
  const standing = ledger.index.defaults.standingOf(budget, entityId)
  const counts = standing !== undefined && ledger.index.isInForce(standing)
  return counts && covers(standing, principal) ? Result.succeed(standing) : Result.fail(noBudget(budget_id))
}

/** Why nothing can be asked for now, whatever the amount. */
const refusalOf = (ledger: Ledger, budget: BudgetRecord, period: PeriodRecord) => {
  const { definition } = budget
  const { defaults } = ledger.index
  if (!definition.isActive) return isInactive(definition)
  if (period.overridesLive >= LIVE_PER_BUDGET_MAX)
    return tooMany(`Budget ${definition.id}`, LIVE_PER_BUDGET_MAX)
  if (ledger.overrides.liveCount >= LIVE_PER_TENANT_MAX) return tooMany("This tenant", LIVE_PER_TENANT_MAX)
  if (budget.isStanding && defaults.isFull && !defaults.isAdopted(budget)) {
    return new Overloaded({
      message: `${defaults.size} entities stand in default budgets, which is the bound: give this one a budget of its own`,
      retry_after_ms: RETRY_AFTER_MS
    })
  }
  return undefined
}

const askedFor = (
  ledger: Ledger,
  payload: SignalPayload<"request_override">,
  principal: Principal,
  { definition, entityId }: BudgetRecord,
  period: PeriodRecord,
  expiresAt: Millis | null,
  now: Millis
): OverrideRow => ({
  id: ledger.nextId("override"),
  seq: ledger.head.idSeq,
  budgetId: period.budgetId,
  periodStart: period.start,
  periodEnd: period.end,
  type: definition.type,
  entityId,
  measure: definition.measure,
  currency: definition.currency,
  status: "pending",
  amount: payload.amount,
  approvedAmount: null,
  reason: payload.reason,
  note: null,
  requestedBy: principal.owner,
  requestedAt: now,
  decidedBy: null,
  decidedAt: null,
  expiresAt
})

/** Asks for more room in the period that is running. Where the budget's policy says so, it is there at once. */
export const requestOverride = (
  ledger: Ledger,
  payload: SignalPayload<"request_override">,
  principal: Principal,
  now: Millis
): Decision<SignalSuccess<"request_override">> => {
  const found = budgetFor(ledger, payload, principal)
  if (Result.isFailure(found)) return Result.fail(found.failure)
  const budget = found.success
  const period = budget.periodAt(now)
  const refused = refusalOf(ledger, budget, period) ?? amountProblem(payload.amount, budget, period)
  if (refused !== undefined) return Result.fail(refused)
  const expiresAt = endOf(payload.expires_at, period, now)
  if (Result.isFailure(expiresAt)) return Result.fail(expiresAt.failure)
  const asked = askedFor(ledger, payload, principal, budget, period, expiresAt.success, now)
  ledger.adopt(budget)
  period.overridesLive += 1
  if (budget.definition.overridePolicy.requires_approval) {
    period.overridesPending += 1
    ledger.overrides.put(asked)
    // Written even though nothing in it has changed: a reload must find the period of every live override.
    ledger.changePeriod(period)
    return Result.succeed({ override_id: asked.id, status: "pending", override: overrideOf(asked) })
  }
  const approved = approve(ledger, asked, period, asked.amount, {
    decidedBy: null,
    decidedAt: now,
    note: null
  })
  return Result.succeed({ override_id: asked.id, status: "approved", override: overrideOf(approved) })
}

// --- deciding

const approve = (
  ledger: Ledger,
  row: OverrideRow,
  period: PeriodRecord,
  amount: Amount,
  decided: Pick<OverrideRow, "decidedBy" | "decidedAt" | "note">
): OverrideRow => {
  const approved: OverrideRow = { ...row, ...decided, status: "approved", approvedAmount: amount }
  period.overrideTotal += amount
  period.overridesApproved += amount
  ledger.overrides.put(approved)
  ledger.changePeriod(period)
  return approved
}

const deny = (
  ledger: Ledger,
  row: OverrideRow,
  period: PeriodRecord,
  decided: Pick<OverrideRow, "decidedBy" | "decidedAt" | "note">
): OverrideRow => {
  const denied: OverrideRow = { ...row, ...decided, status: "denied" }
  period.overridesLive -= 1
  ledger.overrides.put(denied)
  return denied
}

/** Whether this principal may decide: as the budget's policy names roles and owners, and with other eyes. */
const decidingProblem = (
  row: OverrideRow,
  { definition }: BudgetRecord,
  principal: Principal
): Forbidden | undefined => {
  const { approvers } = definition.overridePolicy
  const isApprover = approvers.some(
    (name) => name === principal.owner || (principal.roles as ReadonlyArray<string>).includes(name)
  )
  if (!isApprover && !hasRole(principal, "admin")) {
    const names = [...approvers, "admin"].join(" or ")
    return new Forbidden({
      message: `Overrides of budget ${definition.id} are decided by ${names}: ask one of them, or change its override_policy`
    })
  }
  if (principal.owner !== row.requestedBy) return undefined
  return new Forbidden({
    message: `The owner "${row.requestedBy}" asked for this override and cannot decide it: it needs a key of another owner (create_key with owner)`
  })
}

/** Why there is nothing left to decide. */
const settledProblem = (row: OverrideRow): Conflict | undefined => {
  if (row.status === "pending") return undefined
  if (row.status === "expired" && row.decidedAt === null) {
    return new Conflict({
      reason: "override_expired",
      message: `Override ${row.id} expired before it was decided; ask for a new one with request_override`
    })
  }
  const decision = row.approvedAmount === null ? "denied" : "approved"
  return new Conflict({
    reason: "override_already_decided",
    message: `Override ${row.id} was ${decision} already; ask for a new one with request_override`
  })
}

const noOverride = (id: string): NotFound =>
  new NotFound({
    kind: "override",
    id,
    message: `There is no override ${id}; list_overrides lists the overrides there are`
  })

/** An owner that still has the tenant knows every override that can change. */
const madeElsewhere = ({ id }: OverrideRow): Unavailable =>
  new Unavailable({
    message: `Another process has taken over this tenant, and knows ${id}; send the same request_id again, nothing is decided twice`,
    retry_after_ms: TAKEN_OVER_RETRY_MS
  })

/** Approves or denies an override, once. Its row has been learnt before, if the store has one. */
export const decideOverride = (
  ledger: Ledger,
  payload: SignalPayload<"decide_override">,
  principal: Principal,
  now: Millis
): Decision<SignalSuccess<"decide_override">> => {
  const row = ledger.overrides.get(payload.override_id)
  const budget = row && ledger.budgetAt(row.budgetId)
  if (
    row === undefined ||
    budget === undefined ||
    !isCovered(row.type, row.entityId, principal.attribution)
  ) {
    return Result.fail(noOverride(payload.override_id))
  }
  const problem = decidingProblem(row, budget, principal) ?? settledProblem(row)
  if (problem !== undefined) return Result.fail(problem)
  const period = budget.periodFrom(row.periodStart)
  if (period === undefined) return Result.fail(madeElsewhere(row))
  const decided = { decidedBy: principal.owner, decidedAt: now, note: payload.note ?? null }
  if (payload.decision === "deny") {
    period.overridesPending -= 1
    return Result.succeed({ override: overrideOf(deny(ledger, row, period, decided)) })
  }
  if (!budget.definition.isActive) return Result.fail(isInactive(budget.definition))
  const amount = payload.amount ?? row.amount
  if (amount > row.amount) {
    const asked = show(row.amount, budget.definition)
    return Result.fail(invalidParam(["amount"], `Only ${asked} was asked for: approve that or less`))
  }
  const tooMuch = amountProblem(amount, budget, period)
  if (tooMuch !== undefined) return Result.fail(tooMuch)
  period.overridesPending -= 1
  return Result.succeed({ override: overrideOf(approve(ledger, row, period, amount, decided)) })
}

// --- expiry

/** The period of a live override; it is in memory as long as that one is live. */
const periodOf = (ledger: Ledger, { id, budgetId, periodStart }: OverrideRow): PeriodRecord => {
  const period = ledger.budgetAt(budgetId)?.periodFrom(periodStart)
  if (period === undefined) throw new Error(`the period of the override ${id} is not in memory`)
  return period
}

/** Ends the overrides whose time has come. There are never more than one batch can carry. */
export const expireOverrides = (ledger: Ledger, now: Millis): void => {
  if (ledger.overrides.nextAt > now) return
  for (;;) {
    const row = ledger.overrides.takeDue(now)
    if (row === undefined) return
    const period = periodOf(ledger, row)
    period.overridesLive -= 1
    if (row.status === "pending") period.overridesPending -= 1
    else if (row.approvedAmount !== null && row.expiresAt !== row.periodEnd) {
      period.overrideTotal -= row.approvedAmount
      ledger.changePeriod(period)
    }
    ledger.overrides.put({ ...row, status: "expired" })
  }
}
