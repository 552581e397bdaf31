/**
 * Which budgets have periods borrowed from the store.
 *
 * Owns: letting go of them when they are written back, and of standings that were in memory only for them.
 * Does not decide: which periods are borrowed (OldPeriods).
 */
import type { Millis } from "../signal/Text.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { DefaultBudgets } from "./DefaultBudgets.ts"
import type { PeriodRow } from "./LedgerStore.ts"

export class Borrowers {
  readonly #defaults: DefaultBudgets
  readonly #budgets = new Set<BudgetRecord>()

  constructor(defaults: DefaultBudgets) {
    this.#defaults = defaults
  }

  /** Takes the settled period that `at` falls into out of `row`, the last one that starts then or before. */
  borrow(budget: BudgetRecord, at: Millis, row: PeriodRow | undefined): void {
    budget.borrow(at, row)
    this.#budgets.add(budget)
  }

  /** Lets go of what no batch after `committed` changes. */
  giveBack(committed: number): void {
    for (const budget of this.#budgets) {
      if (!budget.giveBack(committed)) continue
      this.#budgets.delete(budget)
      if (budget.isStanding && budget.isBlank) this.#defaults.forget(budget)
    }
  }
}
