/**
 * A budget in memory: its definition, and its counters by period.
 *
 * Owns: the arithmetic of room: `remaining = limit − spent − held`, and how a budget is shown.
 * Does not decide: which budgets apply (BudgetIndex), or when something is held or spent (Holding, Posting).
 */
import type { Budget, BudgetStanding, BudgetState } from "../signal/Budget.ts"
import { type Amount, percentOf } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { BudgetDefinition, PeriodRow } from "./LedgerStore.ts"
import { windowAt } from "./Period.ts"

/** One budget's counters in one period. They change with every hold and every usage. */
export class PeriodRecord {
  readonly budgetId: string
  readonly start: Millis
  readonly end: Millis | null
  spent: Amount
  held: Amount
  alertsSent: ReadonlyArray<number>
  /** Open holds that keep something here. */
  openHolds = 0

  constructor(row: PeriodRow) {
    this.budgetId = row.budgetId
    this.start = row.start
    this.end = row.end
    this.spent = row.spent
    this.held = row.held
    this.alertsSent = row.alertsSent
  }

  contains(at: Millis): boolean {
    return at >= this.start && (this.end === null || at < this.end)
  }

  toRow(): PeriodRow {
    const { budgetId, start, end, spent, held, alertsSent } = this
    return { budgetId, start, end, spent, held, alertsSent }
  }
}

/** What has to be spent for an alert: at least `at` is `percent` of the limit or more. Exact: no rounding decides. */
export interface Alarm {
  readonly percent: number
  readonly at: Amount
}

/** At this percentage a budget is used up. */
export const ALL_OF_IT = 100

const alarmsOf = ({ limit, alertThresholds }: BudgetDefinition): ReadonlyArray<Alarm> => {
  const percents = [...new Set([...alertThresholds, ALL_OF_IT])].sort((a, b) => a - b)
  return percents.map((percent) => {
    const at = (limit * BigInt(percent) + 99n) / 100n
    return { percent, at: at > 0n ? at : 1n }
  })
}

export class BudgetRecord {
  #definition: BudgetDefinition
  #alarms: ReadonlyArray<Alarm>
  readonly #periods = new Map<Millis, PeriodRecord>()
  #latest: PeriodRecord | undefined
  /** The start of the period in which it was made. */
  readonly #firstStart: Millis

  constructor(definition: BudgetDefinition) {
    this.#definition = definition
    this.#alarms = alarmsOf(definition)
    this.#firstStart = windowAt(definition.period, definition.weekStartsOn, definition.createdAt).start
  }

  /** Whether it counts what is booked at `at`: its periods begin with the one in which it was made. */
  counts(at: Millis): boolean {
    return at >= this.#firstStart
  }

  get definition(): BudgetDefinition {
    return this.#definition
  }

  /** The alerts of one period, the lowest first; the last or a later one says that all of it is used up. */
  get alarms(): ReadonlyArray<Alarm> {
    return this.#alarms
  }

  redefine(definition: BudgetDefinition): void {
    this.#definition = definition
    this.#alarms = alarmsOf(definition)
  }

  restore(row: PeriodRow): void {
    this.#periods.set(row.start, new PeriodRecord(row))
  }

  /** The period that `at` falls into; a new one starts with nothing spent. */
  periodAt(at: Millis): PeriodRecord {
    if (this.#latest?.contains(at)) return this.#latest
    const { period, weekStartsOn, id } = this.#definition
    const window = windowAt(period, weekStartsOn, at)
    let record = this.#periods.get(window.start)
    if (record === undefined) {
      record = new PeriodRecord({ budgetId: id, ...window, spent: 0n, held: 0n, alertsSent: [] })
      this.#periods.set(window.start, record)
    }
    this.#latest = record
    return record
  }

  /** Open holds in any of its periods. */
  get openHolds(): number {
    let count = 0
    for (const period of this.#periods.values()) count += period.openHolds
    return count
  }

  /** The period that starts at `start`, which an open hold has booked into. */
  periodFrom(start: Millis): PeriodRecord | undefined {
    return this.#periods.get(start)
  }

  /** Forgets periods that nothing can be booked into any more; a hold that keeps nothing may still be extended. */
  forgetBefore(at: Millis): void {
    for (const [start, period] of this.#periods) {
      if (period.end !== null && period.end <= at && period.openHolds === 0) this.#periods.delete(start)
    }
    this.#latest = undefined
  }
}

/** All that may be spent in a period. */
export const totalOf = (budget: BudgetRecord): Amount => budget.definition.limit

/** What is left: it may be negative, after overage or when a limit was lowered. */
export const remainingOf = (budget: BudgetRecord, period: PeriodRecord): Amount =>
  totalOf(budget) - period.spent - period.held

export const stateOf = (budget: BudgetRecord, period: PeriodRecord): BudgetState => {
  if (period.spent >= totalOf(budget)) return "exceeded"
  const lowest = budget.alarms[0]
  return lowest !== undefined && period.spent >= lowest.at ? "warning" : "ok"
}

/** Where a budget stands in the period of `at`. */
export const standingOf = (budget: BudgetRecord, at: Millis): BudgetStanding => {
  const { definition } = budget
  const period = budget.periodAt(at)
  return {
    budget_id: definition.id,
    name: definition.name,
    type: definition.type,
    entity_id: definition.entityId,
    measure: definition.measure,
    currency: definition.currency,
    limit: definition.limit,
    spent: period.spent,
    held: period.held,
    remaining: remainingOf(budget, period),
    percent_used: percentOf(period.spent, totalOf(budget)),
    state: stateOf(budget, period),
    resets_at: period.end
  }
}

/** A budget as it is shown whole. */
export const budgetOf = (budget: BudgetRecord, at: Millis): Budget => {
  const { definition } = budget
  const period = budget.periodAt(at)
  const { budget_id: id, resets_at: period_end, ...standing } = standingOf(budget, at)
  return {
    id,
    ...standing,
    period: definition.period,
    time_zone: "UTC",
    week_starts_on: definition.weekStartsOn,
    period_start: definition.period === "lifetime" ? null : period.start,
    period_end,
    carried_over: 0n,
    override_total: 0n,
    alert_thresholds: definition.alertThresholds,
    alerts_sent: period.alertsSent,
    enforcement: definition.enforcement,
    rollover: null,
    override_policy: definition.overridePolicy,
    active: definition.isActive,
    created_at: definition.createdAt,
    updated_at: definition.updatedAt,
    version: definition.version
  }
}
