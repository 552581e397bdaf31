/**
 * Usage rows that are deleted, and what is kept of them.
 *
 * Owns: what a cell is, the part of a batch in which rows go and cells grow, and what a store answers about them.
 * Does not decide: what is old (Cleanup), or how rows add up (Cleaning).
 */
import type { Effect } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { Amount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { StoreUnreachable } from "./StoreFailures.ts"
import type { UsageRow } from "./UsageRow.ts"

/** Sums by currency. */
export type AmountsIn = { readonly [currency: string]: Amount }

/** The sums of deleted usage rows: of a quarter of an hour, and of all that a budget can be about. */
export interface CleanedCell {
  /** The start of a quarter of an hour of `booked_at`. */
  readonly bookedFrom: Millis
  readonly currency: string
  /** Its rows came after this `usage_seq`, at which a budget was made (or 0), and none was made between them. */
  readonly afterSeq: number
  /** Stands for `subject`. */
  readonly key: string
  readonly subject: Attribution & { readonly provider?: string; readonly model?: string }
  readonly rows: number
  readonly requests: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly totalTokens: number
  readonly cost: Amount
  /** What it cost in the currencies of other budgets: each row was converted by itself, at its own rate, and rounded. */
  readonly converted: AmountsIn
}

/** The key of a cell. */
export type CleanedPlace = Pick<CleanedCell, "bookedFrom" | "currency" | "afterSeq" | "key">

/** Usage rows that are deleted, all recorded before a moment, and what is added to the cells in place of them. */
export interface CleanedUsage {
  readonly before: Millis
  readonly seqs: ReadonlyArray<number>
  readonly cells: ReadonlyArray<CleanedCell>
}

/** Two parts of the same cell. */
export const sumOfCells = (a: CleanedCell, b: CleanedCell): CleanedCell => {
  const converted: Record<string, Amount> = { ...a.converted }
  for (const [currency, amount] of Object.entries(b.converted))
    converted[currency] = (converted[currency] ?? 0n) + amount
  return {
    ...a,
    rows: a.rows + b.rows,
    requests: a.requests + b.requests,
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
    totalTokens: a.totalTokens + b.totalTokens,
    cost: a.cost + b.cost,
    converted
  }
}

/** The part of the ledger's port that is about old usage. */
export interface CleanedReads {
  /** The oldest usage rows, up to the first that was not recorded and booked before a moment. */
  readonly oldUsage: (
    tenant: string,
    before: Millis,
    limit: number
  ) => Effect.Effect<ReadonlyArray<UsageRow>, StoreUnreachable>
  readonly countOldUsage: (tenant: string, before: Millis) => Effect.Effect<number, StoreUnreachable>
  /** The sums of what was deleted, in the order of their places: with the rows, they add up to every counter. */
  readonly cleanedAfter: (
    tenant: string,
    after: CleanedPlace | undefined,
    limit: number
  ) => Effect.Effect<ReadonlyArray<CleanedCell>, StoreUnreachable>
}
