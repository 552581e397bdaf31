/**
 * Whether exactly what has no price is on the list of what waits for one.
 *
 * Owns: looking each up, and that there is nothing else on the list. Does not decide: what has no price (RequestCheck).
 */
import { Effect } from "effect"
import type { StoreUnreachable } from "../LedgerStore.ts"
import type { UnpricedRow } from "../UnpricedUse.ts"
import type { BooksReader } from "./BooksReader.ts"
import { type Findings, MISSING } from "./Findings.ts"

export class UnpricedCheck {
  readonly #reader: BooksReader
  readonly #findings: Findings
  #found = 0

  constructor(reader: BooksReader, findings: Findings) {
    this.#reader = reader
    this.#findings = findings
  }

  /** These have no price: they are on the list. */
  next(rows: ReadonlyArray<UnpricedRow>): Effect.Effect<void, StoreUnreachable> {
    if (rows.length === 0) return Effect.void
    return Effect.map(this.#reader.unpricedAmong(this.#findings.tenant, rows), (listed) => {
      const seqs = new Set(listed)
      this.#found += seqs.size
      for (const { usageSeq } of rows) {
        if (!seqs.has(usageSeq))
          this.#findings.differs(
            "unpriced_usage",
            `usage_seq ${usageSeq}`,
            "row",
            MISSING,
            "there: it has no price"
          )
      }
    })
  }

  /** All that have no price have been named: nothing else is on the list. */
  end(after: number): Effect.Effect<void, StoreUnreachable> {
    const { tenant } = this.#findings
    return Effect.map(this.#reader.unpricedCount(tenant, after), (count) =>
      this.#findings.same("unpriced_usage", tenant, "rows", count, this.#found)
    )
  }
}
