/**
 * Finds the budgets whose period has ended, so that whoever watches them is told.
 *
 * Owns: when to look, and how much at once. Nothing depends on it but what is told: a period ends by the clock,
 * whoever looks at it, and a look that comes late or twice changes nothing.
 */
import type { Millis } from "../signal/Text.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"
import { PERIODS_END_EVERY_MS } from "./Period.ts"

/** Budgets that are looked at in one turn of the writer, and found in it; the others come with the next turns. */
const LOOKED_AT_MAX = 50_000
const FOUND_MAX = 1_000

export class ResetWatch {
  /** Periods that began until then have been told. */
  #toldUntil: Millis
  /** The look that is under way: since when, and what is left to look at. */
  #look: { readonly since: Millis; readonly budgets: Iterator<BudgetRecord> } | undefined

  constructor(now: Millis) {
    this.#toldUntil = now
  }

  /** When to look again. */
  get nextAt(): Millis {
    if (this.#look !== undefined) return this.#toldUntil
    return (Math.floor(this.#toldUntil / PERIODS_END_EVERY_MS) + 1) * PERIODS_END_EVERY_MS
  }

  /** Nobody watches: what has ended until now need not be told. */
  skipTo(now: Millis): void {
    this.#look = undefined
    this.#toldUntil = now
  }

  /** Some of the budgets that stand elsewhere since a period has ended. */
  take(ledger: Ledger, now: Millis): ReadonlyArray<BudgetRecord> {
    // The clock was put back.
    if (now < this.#toldUntil) this.skipTo(now)
    if (now < this.nextAt) return []
    if (this.#look === undefined) {
      this.#look = { since: this.#toldUntil, budgets: ledger.counting() }
      this.#toldUntil = now
    }
    const { since, budgets } = this.#look
    const found: Array<BudgetRecord> = []
    for (let count = 0; count < LOOKED_AT_MAX && found.length < FOUND_MAX; count++) {
      const { value: budget, done } = budgets.next()
      if (done) {
        this.#look = undefined
        return found
      }
      if (budget.hasTurned(since, now)) found.push(budget)
    }
    return found
  }
}
