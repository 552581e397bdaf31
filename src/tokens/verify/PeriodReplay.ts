/**
 * Works out anew what the periods of some budgets have spent, hold and hand over, and compares it with their rows.
 *
 * Owns: charging usage rows to periods in the order they were recorded, by the ledger's own rules.
 * Does not decide: what a row charges to a budget (Posting), when a budget counts (BudgetRecord), or what is handed
 * over (BudgetPeriods).
 */
import { type Amount, formatAmount } from "../../signal/Money.ts"
import { formatTimestamp } from "../../signal/Text.ts"
import { BudgetIndex } from "../BudgetIndex.ts"
import type { PeriodRecord } from "../BudgetPeriods.ts"
import { BudgetRecord } from "../BudgetRecord.ts"
import type { BudgetDefinition, PeriodRow, UsageRow } from "../LedgerStore.ts"
import { chargeOf } from "../Posting.ts"
import { type Checkpoint, periodKey } from "./Checkpoint.ts"
import { type Findings, MISSING } from "./Findings.ts"

const TABLE = "budget_period"

export const periodName = (budgetId: string, start: number): string =>
  `${budgetId} from ${formatTimestamp(start)}`

/** What open holds keep, by `periodKey`. */
export type Held = ReadonlyMap<string, Amount>

export class PeriodReplay {
  readonly #findings: Findings
  readonly #index = new BudgetIndex()
  readonly #budgets = new Map<string, BudgetRecord>()
  /** Their rows, the oldest first. */
  readonly #rows = new Map<string, Array<PeriodRow>>()
  readonly #charged = new Set<PeriodRecord>()

  constructor(
    findings: Findings,
    definitions: ReadonlyArray<BudgetDefinition>,
    rows: ReadonlyArray<PeriodRow>,
    held: Held,
    from: Checkpoint
  ) {
    this.#findings = findings
    for (const definition of definitions) {
      const budget = new BudgetRecord(definition)
      this.#budgets.set(definition.id, budget)
      this.#index.add(budget)
    }
    for (const row of rows.toSorted((a, b) => a.start - b.start)) {
      const key = periodKey(row.budgetId, row.start)
      const spent = from.spent.get(key) ?? 0n
      this.#budgets.get(row.budgetId)?.restore({ ...row, spent, held: held.get(key) ?? 0n, carriedOver: 0n })
      const known = this.#rows.get(row.budgetId)
      if (known === undefined) this.#rows.set(row.budgetId, [row])
      else known.push(row)
    }
  }

  /** The rows come in the order of their numbers. */
  next({ usage, requests }: UsageRow): void {
    for (const budget of this.#index.matching(usage)) {
      const amount = chargeOf(budget, usage, requests)
      if (amount === 0n || !budget.counts(usage.booked_at)) continue
      const period = budget.periodAt(usage.booked_at)
      period.spent += amount
      this.#charged.add(period)
    }
  }

  end(): void {
    for (const [id, rows] of this.#rows) {
      const budget = this.#budgets.get(id)
      if (budget !== undefined) this.#compare(budget, rows)
    }
    for (const { budgetId, start, spent } of this.#charged) {
      const isStored = this.#rows.get(budgetId)?.some((row) => row.start === start)
      if (!isStored && spent !== 0n)
        this.#findings.differs(TABLE, periodName(budgetId, start), "spent", MISSING, formatAmount(spent))
    }
  }

  #compare(budget: BudgetRecord, rows: ReadonlyArray<PeriodRow>): void {
    this.#handOver(budget, rows)
    for (const [index, row] of rows.entries()) {
      const key = periodName(row.budgetId, row.start)
      const period = budget.periodFrom(row.start)
      if (period === undefined) continue
      for (const [field, stored, expected] of [
        ["spent", row.spent, period.spent],
        ["held", row.held, period.held],
        ["carried_over", row.carriedOver, period.carriedOver]
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

  /** Hands over from the first period on: nothing was handed to it. */
  #handOver(budget: BudgetRecord, rows: ReadonlyArray<PeriodRow>): void {
    const [row] = rows
    const first = row && budget.periodFrom(row.start)
    if (first === undefined) return
    first.carriedOver = 0n
    budget.passOn(first)
  }
}
