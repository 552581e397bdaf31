/**
 * The cleaning of the batch that is being decided.
 *
 * Owns: the rows that were read for it, that there is one step in a batch at most, and up to where rows were taken.
 * Does not decide: what is kept of the rows (Cleaning).
 */
import type { CleanedUsage } from "./CleanedUsage.ts"
import type { UsageRow } from "./LedgerStore.ts"

export class CleaningDraft {
  #old: ReadonlyArray<UsageRow> = []
  #cleaned: CleanedUsage | undefined
  #lastSeq = 0

  get hasEntries(): boolean {
    return this.#cleaned !== undefined
  }

  /** The rows that were read for the next step. */
  learn(old: ReadonlyArray<UsageRow>): void {
    this.#old = old
  }

  takeOld(): ReadonlyArray<UsageRow> {
    const old = this.#old
    this.#old = []
    return old
  }

  put(cleaned: CleanedUsage): void {
    if (this.#cleaned !== undefined) throw new Error("usage is cleaned twice in one batch")
    this.#cleaned = cleaned
    this.#lastSeq = cleaned.seqs.at(-1) ?? this.#lastSeq
  }

  /** Whether a row is gone: one may still have been read while it was on its way. */
  hasTaken(usageSeq: number): boolean {
    return usageSeq <= this.#lastSeq
  }

  seal(): CleanedUsage | undefined {
    const cleaned = this.#cleaned
    this.#cleaned = undefined
    return cleaned
  }
}
