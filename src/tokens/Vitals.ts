/**
 * How one TokenManager is doing, as of its last commit.
 *
 * Owns: the figures that get_status answers, also while the store is away.
 */
import { DEFAULT_MANAGER_CONFIG, type ManagerConfig } from "../signal/Management.ts"
import type { Millis } from "../signal/Text.ts"
import type { Ledger } from "./Ledger.ts"
import type { Batch, HeadCounters } from "./LedgerStore.ts"

export class Vitals {
  readonly startedAt: Millis
  isLoaded = false
  isReachable = true
  pendingCommits = 0
  lastCommitAt: Millis | null = null
  openHolds = 0
  /** When the next override ends before its period does. */
  overrideEndsAt: Millis = Number.POSITIVE_INFINITY
  budgetsActive = 0
  head: HeadCounters = { usageSeq: 0, alertSeq: 0, idSeq: 0, tracked: 0, tokens: 0n, cost: 0n }
  config: ManagerConfig = DEFAULT_MANAGER_CONFIG

  constructor(startedAt: Millis) {
    this.startedAt = startedAt
  }

  /** Whether something comes due by itself. */
  get hasDeadlines(): boolean {
    return this.openHolds > 0 || this.overrideEndsAt < Number.POSITIVE_INFINITY
  }

  loaded(ledger: Ledger): void {
    this.isLoaded = true
    this.isReachable = true
    this.head = ledger.head
    this.openHolds = ledger.holds.size
    this.overrideEndsAt = ledger.overrides.nextAt
    this.budgetsActive = ledger.activeBudgets
    this.config = ledger.config
  }

  committed(batch: Batch, now: Millis, openHolds: number, ledger: Ledger): void {
    this.isReachable = true
    this.lastCommitAt = now
    this.head = batch.head
    this.openHolds = openHolds
    this.overrideEndsAt = ledger.overrides.nextAt
    this.budgetsActive = ledger.activeBudgets
    if (batch.config !== undefined) this.config = batch.config
  }
}
