/**
 * A budget in memory: its definition, and its counters by period.
 *
 * Owns: the arithmetic of room: `remaining = limit + carried over + overrides − spent − held`, and how a budget is
 * shown.
 * Does not decide: which budgets apply (BudgetIndex), when something is held or spent (Holding, Posting), or what is
 * carried over (BudgetPeriods).
 */
import type { Budget, BudgetStanding, BudgetState } from "../signal/Budget.ts"
import { type Amount, percentOf } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import { BudgetPeriods, type PeriodRecord } from "./BudgetPeriods.ts"
import type { BudgetDefinition, PeriodRow } from "./LedgerStore.ts"
import { windowAt } from "./Period.ts"
import { EVERYBODY, standingKey } from "./StandingKey.ts"

/** What has to be spent for an alert: at least `at` is `percent` of all there is. Exact: no rounding decides. */
export interface Alarm {
  readonly percent: number
  readonly at: Amount
}

/** At this percentage a budget is used up. */
export const ALL_OF_IT = 100

/** Stands among the thresholds that were told for: it was told when all will be used up (Projection). */
export const PROJECTION_SENT = 0

const alarmsAt = (total: Amount, { alertThresholds }: BudgetDefinition): ReadonlyArray<Alarm> => {
  const percents = [...new Set([...alertThresholds, ALL_OF_IT])].sort((a, b) => a - b)
  return percents.map((percent) => {
    const at = (total * BigInt(percent) + 99n) / 100n
    return { percent, at: at > 0n ? at : 1n }
  })
}

const isForEverybody = ({ type, entityId }: BudgetDefinition): boolean =>
  entityId === EVERYBODY && type !== "global"

export class BudgetRecord {
  /** What its periods and bookings are kept under: its id, or the key of a standing. */
  readonly key: string
  /** Whom it is about; `null` for a global budget, `*` for a default. */
  readonly entityId: string | null
  /** Whether it is a default: it has standings, and never counts anything itself. */
  readonly isDefault: boolean
  #definition: BudgetDefinition
  /** Of a standing: the default whose definition is its own. */
  readonly #default: BudgetRecord | undefined
  readonly #periods: BudgetPeriods
  /** The alarms of the total and definition that were asked for last. */
  #alarms: ReadonlyArray<Alarm> = []
  #alarmsTotal: Amount | undefined
  #alarmsOf: BudgetDefinition | undefined
  /** The start of the period in which it was made, once it was asked for. */
  #firstStart: Millis | undefined

  constructor(
    definition: BudgetDefinition,
    of?: { readonly budget: BudgetRecord; readonly entityId: string }
  ) {
    this.#definition = definition
    this.#default = of?.budget
    this.entityId = of === undefined ? definition.entityId : of.entityId
    this.key = of === undefined ? definition.id : standingKey(definition.id, of.entityId)
    this.isDefault = of === undefined && isForEverybody(definition)
    this.#periods = new BudgetPeriods(this.key)
  }

  /** Where one entity stands in a default. */
  static standing(budget: BudgetRecord, entityId: string): BudgetRecord {
    return new BudgetRecord(budget.definition, { budget, entityId })
  }

  /** Whether it is where one entity stands in a default. */
  get isStanding(): boolean {
    return this.#default !== undefined
  }

  /** Whether it counts what is booked at `at`: its periods begin with the one in which it was made. */
  counts(at: Millis): boolean {
    const { definition } = this
    if (at >= definition.createdAt) return true
    this.#firstStart ??= windowAt(definition, definition.createdAt).start
    return at >= this.#firstStart
  }

  get definition(): BudgetDefinition {
    return this.#default === undefined ? this.#definition : this.#default.#definition
  }

  /** The alerts of one period, the lowest first; the last or a later one says that all of it is used up. */
  alarmsOf(period: PeriodRecord): ReadonlyArray<Alarm> {
    const total = totalOf(this, period)
    const { definition } = this
    if (total !== this.#alarmsTotal || definition !== this.#alarmsOf) {
      this.#alarms = alarmsAt(total, definition)
      this.#alarmsTotal = total
      this.#alarmsOf = definition
    }
    return this.#alarms
  }

  /** The periods in which that changes something are answered. */
  redefine(definition: BudgetDefinition): ReadonlyArray<PeriodRecord> {
    const before = this.#definition
    this.#definition = definition
    return this.isDefault ? [] : this.#periods.redefine(before, definition)
  }

  /** A standing hands over by the new terms of its default. The periods in which that changes something are answered. */
  redefined(before: BudgetDefinition): ReadonlyArray<PeriodRecord> {
    return this.#periods.redefine(before, this.definition)
  }

  restore(row: PeriodRow): void {
    this.#periods.restore(row)
  }

  /** The period that `at` falls into; a new one starts with nothing spent. */
  periodAt(at: Millis): PeriodRecord {
    // A default is shown as somebody stands in it who was never seen: nothing is kept of that.
    const periods = this.isDefault ? new BudgetPeriods(this.key) : this.#periods
    return periods.at(this.definition, at)
  }

  /** Hands over anew what has changed in `period`. The later periods in which that changes something are answered. */
  passOn(period: PeriodRecord): ReadonlyArray<PeriodRecord> {
    return this.#periods.passOn(this.definition, period)
  }

  /** Whether a period has begun since `before`, and what the budget shows may be something else because of it. */
  hasTurned(before: Millis, now: Millis): boolean {
    const last = this.#periods.newest
    if (last === undefined || last.end === null) return false
    if (last.end > now) return last.start > before
    const period = this.periodAt(now)
    return last.spent !== 0n || last.held !== 0n || totalOf(this, last) !== totalOf(this, period)
  }

  /** When `asked` has room if nothing else happens: the beginning of a later period than this one, or `null`. */
  hasRoomAt(period: PeriodRecord, asked: Amount): Millis | null {
    return this.#periods.hasRoomAt(this.definition, period, asked)
  }

  /** Open holds in any of its periods. */
  get openHolds(): number {
    return this.#periods.openHolds
  }

  /** The period that starts at `start`, which an open hold has booked into. */
  periodFrom(start: Millis): PeriodRecord | undefined {
    return this.#periods.startingAt(start)
  }

  /** Whether nothing is known of any period. */
  get isBlank(): boolean {
    return this.#periods.isBlank
  }

  /**
   * Forgets periods that nothing can be booked into any more, and that no batch after `committed` changes; a hold
   * that keeps nothing may still be extended.
   */
  forgetBefore(at: Millis, committed: number): void {
    this.#periods.forgetBefore(at, committed)
  }

  /** The start of the period that counts what is booked at `at`, if memory lacks it: it ended before the `horizon`. */
  missingPeriod(at: Millis, horizon: Millis): Millis | undefined {
    return this.counts(at) ? this.#periods.missing(this.definition, at, horizon) : undefined
  }

  /** Takes the settled period of `at` from the store: `row` is the last one that starts then or before. */
  borrow(at: Millis, row: PeriodRow | undefined): void {
    this.#periods.borrow(this.definition, at, row)
  }

  /** Lets go of borrowed periods that are written back; says whether those were all. */
  giveBack(committed: number): boolean {
    return this.#periods.giveBack(committed)
  }
}

/** How a budget is called in a sentence: a standing by whom it is for as well. */
export const titleOf = ({ definition: { name, type }, entityId, isStanding }: BudgetRecord): string =>
  isStanding ? `"${name}" of ${type} ${entityId}` : `"${name}"`

/** Whether a budget counts costs in another currency than `ours`. */
export const isForeign = ({ definition }: BudgetRecord, ours: string): boolean =>
  definition.measure === "cost" && definition.currency !== ours

/** All that may be spent in a period. */
export const totalOf = ({ definition: { limit } }: BudgetRecord, period: PeriodRecord): Amount => {
  const { carriedOver, overrideTotal } = period
  // Asked for several times per signal, and a sum of big integers is a new object.
  return carriedOver === 0n && overrideTotal === 0n ? limit : limit + carriedOver + overrideTotal
}

/** What is left: it may be negative, after overage or when a limit was lowered. */
export const remainingOf = (budget: BudgetRecord, period: PeriodRecord): Amount =>
  totalOf(budget, period) - period.spent - period.held

export const stateOf = (budget: BudgetRecord, period: PeriodRecord): BudgetState => {
  if (period.spent >= totalOf(budget, period)) return "exceeded"
  const lowest = budget.alarmsOf(period)[0]
  return lowest !== undefined && period.spent >= lowest.at ? "warning" : "ok"
}

/** Where a budget stands in the period of `at`. */
export const standingOf = (budget: BudgetRecord, at: Millis): BudgetStanding => {
  const { definition } = budget
  const period = budget.periodAt(at)
  const total = totalOf(budget, period)
  return {
    budget_id: definition.id,
    name: definition.name,
    type: definition.type,
    entity_id: budget.entityId,
    measure: definition.measure,
    currency: definition.currency,
    limit: definition.limit,
    spent: period.spent,
    held: period.held,
    remaining: total - period.spent - period.held,
    percent_used: percentOf(period.spent, total),
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
    time_zone: definition.timeZone,
    week_starts_on: definition.weekStartsOn,
    period_start: definition.period === "lifetime" ? null : period.start,
    period_end,
    carried_over: period.carriedOver,
    override_total: period.overrideTotal,
    alert_thresholds: definition.alertThresholds,
    alerts_sent: period.alertsSent.filter((percent) => percent !== PROJECTION_SENT),
    enforcement: definition.enforcement,
    rollover: definition.rollover,
    override_policy: definition.overridePolicy,
    active: definition.isActive,
    created_at: definition.createdAt,
    updated_at: definition.updatedAt,
    version: definition.version
  }
}
