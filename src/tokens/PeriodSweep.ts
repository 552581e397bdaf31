/**
 * Lets memory forget the periods that nothing can be booked into any more.
 *
 * Owns: how much of it is done at once. A tenant may have a million budgets, and the writer never waits for all of them.
 * Does not decide: which periods are over (BudgetPeriods).
 */
import type { Millis } from "../signal/Text.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { DefaultBudgets } from "./DefaultBudgets.ts"

/** Budgets that are looked at after one commit: few, so that no call notices. */
const SWEPT_AT_ONCE = 32

export class PeriodSweep {
  readonly #defaults: DefaultBudgets
  #sweep: { readonly before: Millis; readonly budgets: Iterator<BudgetRecord> } | undefined

  constructor(defaults: DefaultBudgets) {
    this.#defaults = defaults
  }

  get isUnderWay(): boolean {
    return this.#sweep !== undefined
  }

  /** Forgets, in as many steps as it takes, the periods that ended before. */
  start(budgets: Iterable<BudgetRecord>, before: Millis): void {
    this.#sweep = { before, budgets: budgets[Symbol.iterator]() }
  }

  /** The next step, if there is one. What a batch after `committed` changes stays. */
  step(committed: number, atOnce = SWEPT_AT_ONCE): void {
    for (let count = 0; count < atOnce && this.#sweep !== undefined; count++) {
      const { value: budget, done } = this.#sweep.budgets.next()
      if (done) this.#sweep = undefined
      else this.#forget(budget, this.#sweep.before, committed)
    }
  }

  /** A standing of which nothing is left goes as well: it would be made anew just the same. */
  #forget(budget: BudgetRecord, before: Millis, committed: number): void {
    budget.forgetBefore(before, committed)
    if (budget.isStanding && budget.isBlank) this.#defaults.forget(budget)
  }
}
