/**
 * Usage that waits for a price.
 *
 * Owns: the list of it: what a batch adds to it and takes from it. The list itself is in the store, and is not loaded.
 * Does not decide: what has no price (Posting), or when it gets one (Repricing).
 */
import type { Effect } from "effect"
import type { Millis } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"

/** An attempt no row of which has a price, by its first row. Key: (provider, model, bookedAt, usageSeq). */
export interface UnpricedRow {
  readonly usageSeq: number
  readonly requestId: string
  readonly provider: string
  readonly model: string
  readonly bookedAt: Millis
}

/** What a batch changes of the list. */
export interface UnpricedChanges {
  readonly added: ReadonlyArray<UnpricedRow>
  readonly removed: ReadonlyArray<UnpricedRow>
}

export interface UnpricedQuery {
  readonly provider: string
  readonly model: string
  /** `null`: from the earliest on. */
  readonly from: Millis | null
}

/** In the order of `bookedAt`, and of their numbers where that is the same. */
export type FindUnpriced<E> = (
  tenant: string,
  query: UnpricedQuery,
  limit: number
) => Effect.Effect<ReadonlyArray<UnpricedRow>, E>

export const NO_CHANGES: UnpricedChanges = { added: [], removed: [] }

export const unpricedRowOf = ({
  usage_seq,
  request_id,
  provider,
  model,
  booked_at
}: TokenUsage): UnpricedRow => ({
  usageSeq: usage_seq,
  requestId: request_id,
  provider,
  model,
  bookedAt: booked_at
})

/** What is decided of the list since the last seal. */
export class UnpricedDraft {
  #added: Array<UnpricedRow> = []
  #removed: Array<UnpricedRow> = []

  /** Recorded without a price. */
  add(usage: TokenUsage): void {
    this.#added.push(unpricedRowOf(usage))
  }

  /** Has a price, or will never have one. */
  remove(row: UnpricedRow): void {
    this.#removed.push(row)
  }

  seal(): UnpricedChanges {
    if (this.#added.length === 0 && this.#removed.length === 0) return NO_CHANGES
    const changes = { added: this.#added, removed: this.#removed }
    this.#added = []
    this.#removed = []
    return changes
  }
}
