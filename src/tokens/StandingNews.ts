/**
 * Where budgets stand, for whoever watches them.
 *
 * Owns: which standings are told with a commit, and which because a period has ended.
 * Does not decide: how a budget stands (BudgetRecord), or when a batch counts as committed (Shift).
 */
import type { BudgetStanding } from "../signal/Budget.ts"
import type { Millis } from "../signal/Text.ts"
import { type BudgetRecord, standingOf } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"
import type { Batch } from "./LedgerStore.ts"
import { ResetWatch } from "./ResetWatch.ts"
import type { CommitObserver } from "./ShiftEnvironment.ts"

export class StandingNews {
  readonly #ledger: Ledger
  readonly #tenant: string
  readonly #observer: CommitObserver
  readonly #resets: ResetWatch

  constructor(ledger: Ledger, tenant: string, observer: CommitObserver, now: Millis) {
    this.#ledger = ledger
    this.#tenant = tenant
    this.#observer = observer
    this.#resets = new ResetWatch(now)
  }

  get #isObserved(): boolean {
    return this.#observer.isObserved(this.#tenant)
  }

  /** When to look for ended periods again; never while nobody watches. */
  get nextAt(): Millis {
    return this.#isObserved ? this.#resets.nextAt : Number.POSITIVE_INFINITY
  }

  /** What a batch changes, and what has ended since the last look: to be told when it is committed. */
  of(batch: Batch, now: Millis): ReadonlyArray<BudgetStanding> {
    const resets = this.#takeResets(now)
    if (!this.#isObserved) return []
    const changed = new Set(resets)
    for (const id of [
      ...batch.periods.map((period) => period.budgetId),
      ...batch.budgets.map(({ id }) => id)
    ]) {
      const budget = this.#ledger.budgetAt(id)
      if (budget !== undefined) changed.add(budget)
    }
    return Array.from(changed, (budget) => standingOf(budget, now))
  }

  tell(batch: Batch, standings: ReadonlyArray<BudgetStanding>): void {
    this.#observer.committed(this.#tenant, batch, standings)
  }

  /** While all that was decided is committed; otherwise resets are told with the next commit. */
  tellResets(now: Millis): void {
    const standings = this.#takeResets(now).map((budget) => standingOf(budget, now))
    if (standings.length > 0) this.#observer.reset(this.#tenant, standings)
  }

  /** Budgets whose period has ended. */
  #takeResets(now: Millis): ReadonlyArray<BudgetRecord> {
    if (this.#isObserved) return this.#resets.take(this.#ledger, now)
    this.#resets.skipTo(now)
    return []
  }
}
