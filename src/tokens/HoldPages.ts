/**
 * Which page of the store each open hold is in.
 *
 * Owns: when a page may go, and which holds must move before it can. A page is written once, with the open holds of a
 * batch; it is dropped whole, so that opening and ending a hold cost the store no row of their own.
 * Does not decide: what is in a batch (Ledger).
 */
import type { HoldRecord } from "./RequestRecord.ts"

interface Page {
  /** Holds that were written into it. */
  written: number
  readonly open: Set<HoldRecord>
}

/** Versions that may lie in pages although they are out of date, beside three for each open hold. */
const STALE_MAX = 8_192
const STALE_PER_OPEN = 3

const NONE: ReadonlyArray<number> = []

export class HoldPages {
  /** By `journalSeq`, the oldest first. */
  readonly #pages = new Map<number, Page>()
  #written = 0
  #open = 0
  #closed: Array<number> = []

  /** A hold is written into a page, and is no longer where it was. */
  put(hold: HoldRecord, at: number): void {
    this.leave(hold)
    let page = this.#pages.get(at)
    if (page === undefined) {
      page = { written: 0, open: new Set() }
      this.#pages.set(at, page)
    }
    page.written += 1
    page.open.add(hold)
    hold.page = at
    this.#written += 1
    this.#open += 1
  }

  /** A hold has ended, or goes elsewhere. */
  leave(hold: HoldRecord): void {
    const page = hold.page === undefined ? undefined : this.#pages.get(hold.page)
    if (page === undefined || hold.page === undefined) return
    page.open.delete(hold)
    this.#open -= 1
    if (page.open.size === 0) {
      this.#written -= page.written
      this.#pages.delete(hold.page)
      this.#closed.push(hold.page)
    }
    hold.page = undefined
  }

  /** The pages that have been left by their last hold since this was asked. */
  takeClosed(): ReadonlyArray<number> {
    if (this.#closed.length === 0) return NONE
    const closed = this.#closed
    this.#closed = []
    return closed
  }

  /**
   * The holds of the oldest page that is mostly out of date, to be written again, where that is so of most of what
   * lies in pages: one hold of 24 hours would else keep the thousand that were opened with it. One page a batch
   * suffices: a batch adds one.
   */
  toMove(): ReadonlyArray<HoldRecord> {
    if (this.#written - this.#open <= STALE_MAX + STALE_PER_OPEN * this.#open) return []
    for (const { written, open } of this.#pages.values()) if (2 * open.size <= written) return [...open]
    return []
  }
}
