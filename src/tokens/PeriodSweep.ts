/**
 * Lets memory forget the periods that nothing can be booked into any more.
 *
 * Owns: when it looks, and how much is done at once. A tenant may have a million budgets: the writer never waits for all
 * of them, and looks at them again only when a period can have ended since.
 * Does not decide: which periods are over (BudgetPeriods).
 */
import type { Millis } from "../signal/Text.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { DefaultBudgets } from "./DefaultBudgets.ts"
import { PERIODS_END_EVERY_MS } from "./Period.ts"

/** Budgets that are looked at after one commit: few, so that no call notices. */
const SWEPT_AT_ONCE = 32

const nextEndAfter = (at: Millis): Millis =>
  (Math.floor(at / PERIODS_END_EVERY_MS) + 1) * PERIODS_END_EVERY_MS

export class PeriodSweep {
  readonly #defaults: DefaultBudgets
  #sweep: { readonly before: Millis; readonly budgets: Iterator<BudgetRecord> } | undefined

  /** When the next period can end that is in memory. */
  #nextEnd: Millis

  /** `liveAfter`: no period that ended before is in memory. */
  constructor(defaults: DefaultBudgets, liveAfter: Millis) {
    this.#defaults = defaults
    this.#nextEnd = nextEndAfter(liveAfter)
  }

  /** Whether a period can have ended before that the last sweep left. */
  isDue(before: Millis): boolean {
    return before >= this.#nextEnd && this.#sweep === undefined
  }

  /** Forgets, in as many steps as it takes, the periods that ended before. */
  start(budgets: Iterable<BudgetRecord>, before: Millis): void {
    this.#nextEnd = nextEndAfter(before)
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
