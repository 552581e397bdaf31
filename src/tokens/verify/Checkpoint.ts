/**
 * Where a verification starts: what the rows that are not there any more came to.
 *
 * Owns: the counters it starts with, from the cells that a cleanup has left; each cell is charged like a row that was
 * recorded when its rows were. A tenant of which nothing was ever cleaned up starts with none.
 */
import { Effect } from "effect"
import { type Amount, amountOfCount } from "../../signal/Money.ts"
import type { TokenUsage } from "../../signal/Usage.ts"
import type { AmountsIn, CleanedCell, CleanedPlace } from "../CleanedUsage.ts"
import type { StoreUnreachable, UsageRow } from "../LedgerStore.ts"
import type { BooksReader } from "./BooksReader.ts"

export interface Checkpoint {
  /** Rows up to this one are not there. */
  readonly usageSeq: number
  readonly tracked: number
  readonly tokens: Amount
  readonly cost: Amount
}

export const periodKey = (budgetId: string, start: number): string => `${start} ${budgetId}`

const BEGINNING: Checkpoint = { usageSeq: 0, tracked: 0, tokens: 0n, cost: 0n }

const CELLS_AT_ONCE = 2_000

/** Tells every cell of a tenant, those of earlier rows first. */
export const eachCell = (
  reader: BooksReader,
  tenant: string,
  visit: (cell: CleanedCell) => void
): Effect.Effect<void, StoreUnreachable> =>
  Effect.gen(function* () {
    let after: CleanedPlace | undefined
    for (;;) {
      const cells = yield* reader.cleaned(tenant, after, CELLS_AT_ONCE)
      for (const cell of cells) visit(cell)
      if (cells.length < CELLS_AT_ONCE) return
      after = cells.at(-1)
    }
  })

export const readCheckpoint = (
  reader: BooksReader,
  tenant: string
): Effect.Effect<Checkpoint, StoreUnreachable> =>
  Effect.suspend(() => {
    let sum = BEGINNING
    const add = ({ rows, requests, totalTokens, cost }: CleanedCell): void => {
      sum = {
        usageSeq: sum.usageSeq + rows,
        tracked: sum.tracked + requests,
        tokens: sum.tokens + amountOfCount(totalTokens),
        cost: sum.cost + cost
      }
    }
    return Effect.map(eachCell(reader, tenant, add), () => sum)
  })

/** A row, or a cell, which says itself what it came to in other currencies. */
export interface ChargedRow extends UsageRow {
  readonly converted?: AmountsIn
}

/** A cell as one row, for charging it to budgets: of a row, nothing else is looked at. */
export const rowOfCell = ({
  subject,
  afterSeq,
  bookedFrom,
  totalTokens,
  cost,
  converted,
  requests
}: CleanedCell): ChargedRow => {
  const usage = {
    ...subject,
    usage_seq: afterSeq + 1,
    booked_at: bookedFrom,
    total_tokens: totalTokens,
    cost
  }
  return { usage: usage as unknown as TokenUsage, requests, converted }
}
