/**
 * Passes on what was committed and what is under way to whoever has subscribed.
 *
 * Owns: the listeners by tenant. Nothing is kept here: what must not be lost is read from the store.
 * Does not decide: what a subscriber may see (Topics).
 */
import type { BudgetStanding } from "../signal/Budget.ts"
import type { CallProgress } from "../signal/Subscriptions.ts"
import type { Batch } from "../tokens/LedgerStore.ts"
import type { CommitObserver } from "../tokens/ShiftEnvironment.ts"

export interface HubListener {
  readonly onCommit?: (batch: Batch, standings: ReadonlyArray<BudgetStanding>) => void
  readonly onReset?: (standings: ReadonlyArray<BudgetStanding>) => void
  readonly onProgress?: (progress: CallProgress) => void
}

export class Hub implements CommitObserver {
  readonly #listeners = new Map<string, Set<HubListener>>()

  listen(tenant: string, listener: HubListener): () => void {
    const listeners = this.#listeners.get(tenant) ?? new Set()
    listeners.add(listener)
    this.#listeners.set(tenant, listeners)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(tenant)
    }
  }

  readonly isObserved = (tenant: string): boolean => this.#listeners.has(tenant)

  readonly committed = (tenant: string, batch: Batch, standings: ReadonlyArray<BudgetStanding>): void => {
    for (const listener of this.#listeners.get(tenant) ?? []) listener.onCommit?.(batch, standings)
  }

  readonly reset = (tenant: string, standings: ReadonlyArray<BudgetStanding>): void => {
    for (const listener of this.#listeners.get(tenant) ?? []) listener.onReset?.(standings)
  }

  readonly progress = (progress: CallProgress, tenant: string): void => {
    for (const listener of this.#listeners.get(tenant) ?? []) listener.onProgress?.(progress)
  }
}
