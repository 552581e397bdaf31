/** What the store said for one signal alone, before it is decided (Beforehand reads it). */
import { NOTHING_SPENT, type SpentBefore } from "./BudgetStart.ts"
import type { UnpricedRow } from "./UnpricedUse.ts"

export interface Beforehand {
  readonly spent: SpentBefore
  /** What waits for the price, the oldest first; one more than is priced at once, where there is more. */
  readonly unpriced: ReadonlyArray<UnpricedRow>
}

export const NOTHING_BEFORE: Beforehand = { spent: NOTHING_SPENT, unpriced: [] }
