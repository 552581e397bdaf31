/**
 * Works out anew what the periods of some budgets have spent, hold and hand over, and compares it with their rows.
 *
 * Owns: charging usage rows in the order they were recorded, by the ledger's own rules, to the budgets that there were
 * at that time; and to a budget that was made later what its first period began with.
 * Does not decide: what a row charges to a budget (Posting), when a budget counts (BudgetRecord), whom a default is for
 * (BudgetIndex), or what is handed over (BudgetPeriods).
 */
import type { BudgetType, Measure } from "../../signal/Budget.ts"
import { type Amount, amountOfCount, convert, formatAmount } from "../../signal/Money.ts"
import { formatTimestamp } from "../../signal/Text.ts"
import { BudgetIndex, entityOf, SUBJECT_FIELDS } from "../BudgetIndex.ts"
import type { PeriodRecord } from "../BudgetPeriods.ts"
import { BudgetRecord } from "../BudgetRecord.ts"
import { chargeOf } from "../Charging.ts"
import type { BudgetDefinition, PeriodRow, UsageRow } from "../LedgerStore.ts"
import { type PeriodWindow, windowAt } from "../Period.ts"
import { definitionIdOf, entityOfKey, standingKey } from "../StandingKey.ts"
import { type ChargedRow, periodKey } from "./Checkpoint.ts"
import { type Findings, MISSING } from "./Findings.ts"

const TABLE = "budget_period"

export const periodName = (key: string, start: number): string => `${key} from ${formatTimestamp(start)}`

/** What open holds keep, and what overrides add, by `periodKey`. */
export interface Outside {
  readonly held: ReadonlyMap<string, Amount>
  readonly overrides: ReadonlyMap<string, Amount>
}

/** A budget that is not made yet: what is booked in its first period counts all the same. */
interface Coming {
  readonly budget: BudgetRecord
  readonly window: PeriodWindow
}

const TYPES: ReadonlyArray<BudgetType> = ["global", ...(Object.keys(SUBJECT_FIELDS) as Array<BudgetType>)]
const NONE: ReadonlyArray<Coming> = []

const entityKey = (type: BudgetType, entityId: string | null): string => `${type}/${entityId ?? ""}`

const append = <Key, A>(lists: Map<Key, Array<A>>, key: Key, item: A): void => {
  const known = lists.get(key)
  if (known === undefined) lists.set(key, [item])
  else known.push(item)
}

const measured = (measure: Measure, { usage, requests }: UsageRow): Amount => {
  if (measure === "cost") return usage.cost
  return amountOfCount(measure === "tokens" ? usage.total_tokens : requests)
}

const isIn = ({ start, end }: PeriodWindow, at: number): boolean => at >= start && (end === null || at < end)

export class PeriodReplay {
  readonly #findings: Findings
  /** The budgets that are made already. */
  readonly #index = new BudgetIndex()
  /** All others, the one that is made next at the end. */
  readonly #coming: Array<Coming> = []
  /** Of these the ones of an entity, and the defaults; those that are made meanwhile stay in here. */
  readonly #comingOwn = new Map<string, Array<Coming>>()
  readonly #comingDefaults = new Map<BudgetType, Array<Coming>>()
  /** What was spent before they were made. */
  readonly #openings = new Map<BudgetRecord, Amount>()
  /** Whose periods are worked out, by the definition's id. */
  readonly #group: ReadonlySet<string>
  readonly #budgets = new Map<string, BudgetRecord>()
  /** Where entities stand in defaults, by key. */
  readonly #standings = new Map<string, BudgetRecord>()
  /** The rows of each key, the oldest first. */
  readonly #rows = new Map<string, Array<PeriodRow>>()
  readonly #charged = new Set<PeriodRecord>()

  constructor(
    findings: Findings,
    definitions: ReadonlyArray<BudgetDefinition>,
    group: ReadonlySet<string>,
    rows: ReadonlyArray<PeriodRow>,
    { held, overrides }: Outside
  ) {
    this.#findings = findings
    this.#group = group
    for (const definition of definitions.toSorted((a, b) => b.sinceSeq - a.sinceSeq)) {
      const budget = new BudgetRecord(definition)
      this.#budgets.set(definition.id, budget)
      this.#addComing({ budget, window: windowAt(definition, definition.createdAt) })
    }
    for (const row of rows.toSorted((a, b) => a.start - b.start)) {
      const key = periodKey(row.budgetId, row.start)
      this.#recordOf(row.budgetId)?.restore({
        ...row,
        spent: 0n,
        held: held.get(key) ?? 0n,
        carriedOver: 0n,
        overrideTotal: overrides.get(key) ?? 0n
      })
      append(this.#rows, row.budgetId, row)
    }
  }

  #addComing(coming: Coming): void {
    this.#coming.push(coming)
    const { type, entityId } = coming.budget.definition
    if (coming.budget.isDefault) append(this.#comingDefaults, type, coming)
    else append(this.#comingOwn, entityKey(type, entityId), coming)
  }

  /** The rows come in the order of their numbers. */
  next(row: ChargedRow): void {
    this.#make(row.usage.usage_seq)
    for (const budget of this.#index.matching(row.usage)) {
      if (!this.#group.has(budget.definition.id) || !budget.counts(row.usage.booked_at)) continue
      this.#charge(budget, row)
    }
    if (this.#coming.length > 0) this.#open(row)
  }

  end(): void {
    this.#addOpenings()
    for (const [key, rows] of this.#rows) {
      const budget = this.#recordOf(key)
      if (budget !== undefined) this.#compare(budget, rows)
    }
    for (const { budgetId, start, spent } of this.#charged) {
      const isStored = this.#rows.get(budgetId)?.some((row) => row.start === start)
      if (!isStored && spent !== 0n)
        this.#findings.differs(TABLE, periodName(budgetId, start), "spent", MISSING, formatAmount(spent))
    }
  }

  /** The budget, or the standing, of this key. */
  #recordOf(key: string): BudgetRecord | undefined {
    const entityId = entityOfKey(key)
    const budget = this.#budgets.get(definitionIdOf(key))
    if (entityId === undefined || budget === undefined) return budget
    const known = this.#standings.get(key)
    if (known !== undefined) return known
    const standing = BudgetRecord.standing(budget, entityId)
    this.#standings.set(key, standing)
    if (this.#index.defaults.standingOf(budget, entityId) !== undefined) this.#index.defaults.adopt(standing)
    return standing
  }

  /** The budgets that were made before this row was recorded. */
  #make(seq: number): void {
    for (;;) {
      const next = this.#coming.at(-1)
      if (next === undefined || next.budget.definition.sinceSeq >= seq) return
      this.#coming.pop()
      this.#index.add(next.budget)
      if (!next.budget.isDefault) continue
      for (const standing of this.#standings.values()) {
        if (standing.definition.id === next.budget.definition.id) this.#index.defaults.adopt(standing)
      }
    }
  }

  /** What budgets that are made later begin with. */
  #open(row: UsageRow): void {
    for (const type of TYPES) {
      const entityId = entityOf(type, row.usage)
      if (entityId === undefined) continue
      const own = this.#comingOwn.get(entityKey(type, entityId)) ?? NONE
      for (const coming of own) if (this.#begins(coming, row)) this.#addOpening(coming.budget, row)
      if (entityId !== null) this.#openDefaults(type, entityId, own, row)
    }
  }

  /** Who had a budget of its own by then has no standing. */
  #openDefaults(type: BudgetType, entityId: string, comingOwn: ReadonlyArray<Coming>, row: UsageRow): void {
    for (const coming of this.#comingDefaults.get(type) ?? NONE) {
      if (!this.#begins(coming, row)) continue
      const { id, period, sinceSeq } = coming.budget.definition
      const own = [...this.#index.of(type, entityId), ...comingOwn.map(({ budget }) => budget)]
      const isReplaced = own.some(
        ({ definition }) => definition.period === period && definition.sinceSeq <= sinceSeq
      )
      const standing = isReplaced ? undefined : this.#recordOf(standingKey(id, entityId))
      if (standing !== undefined) this.#addOpening(standing, row)
    }
  }

  #addOpening(budget: BudgetRecord, row: UsageRow): void {
    this.#openings.set(budget, (this.#openings.get(budget) ?? 0n) + measured(budget.definition.measure, row))
  }

  /** The sum of what was spent before a budget was made is what its first period begins with. */
  #addOpenings(): void {
    for (const [budget, amount] of this.#openings) {
      const { createdAt, measure, openingRate } = budget.definition
      const period = budget.periodAt(createdAt)
      period.spent += measure === "cost" ? convert(amount, openingRate) : amount
      this.#charged.add(period)
    }
  }

  /** Whether this row is of the first period of a budget that is not made yet. */
  #begins({ budget, window }: Coming, { usage }: UsageRow): boolean {
    const { id, sinceSeq } = budget.definition
    return sinceSeq >= usage.usage_seq && this.#group.has(id) && isIn(window, usage.booked_at)
  }

  #charge(budget: BudgetRecord, { usage, requests, converted }: ChargedRow): void {
    const { measure, currency } = budget.definition
    const inOther = measure === "cost" ? converted?.[currency] : undefined
    const amount = inOther ?? chargeOf(budget, usage, requests)
    if (amount === 0n) return
    const record = budget.isStanding ? (this.#recordOf(budget.key) ?? budget) : budget
    const period = record.periodAt(usage.booked_at)
    period.spent += amount
    this.#charged.add(period)
  }

  #compare(budget: BudgetRecord, rows: ReadonlyArray<PeriodRow>): void {
    const [first] = rows
    const begin = first && budget.periodFrom(first.start)
    // Nothing was handed over to the first one; from there on each hands over to the next.
    if (begin !== undefined) budget.passOn(begin)
    for (const [index, row] of rows.entries()) {
      const key = periodName(row.budgetId, row.start)
      const period = budget.periodFrom(row.start)
      if (period === undefined) continue
      for (const [field, stored, expected] of [
        ["spent", row.spent, period.spent],
        ["held", row.held, period.held],
        ["carried_over", row.carriedOver, period.carriedOver],
        ["override_total", row.overrideTotal, period.overrideTotal]
      ] as const) {
        this.#findings.same(TABLE, key, field, formatAmount(stored), formatAmount(expected))
      }
      const next = rows[index + 1]
      if (next !== undefined && (row.end === null || row.end > next.start)) {
        const end = row.end === null ? "never" : formatTimestamp(row.end)
        this.#findings.differs(TABLE, key, "period_end", end, `before ${formatTimestamp(next.start)}`)
      }
    }
  }
}
