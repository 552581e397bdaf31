/**
 * Where a verification starts: what the rows that are not there any more came to.
 *
 * Owns: the counters it starts with. A tenant of which nothing was ever cleaned up starts with none.
 */
import type { Amount } from "../../signal/Money.ts"

export interface Checkpoint {
  /** Rows up to this one need not be there. */
  readonly usageSeq: number
  readonly tracked: number
  readonly tokens: Amount
  readonly cost: Amount
  /** What each period had spent, by `periodKey`. */
  readonly spent: ReadonlyMap<string, Amount>
}

export const periodKey = (budgetId: string, start: number): string => `${start} ${budgetId}`

export const BEGINNING: Checkpoint = { usageSeq: 0, tracked: 0, tokens: 0n, cost: 0n, spent: new Map() }
