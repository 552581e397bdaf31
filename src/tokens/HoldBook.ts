/**
 * The holds that are open.
 *
 * Owns: finding them by id, how many each key has, their deadlines, and which page of the store each is in.
 * Does not decide: the life of a hold (Holding, HoldLife), or what it keeps of a budget.
 */
import { DeadlineHeap } from "./DeadlineHeap.ts"
import { HoldPages } from "./HoldPages.ts"
import { HoldsByKey } from "./HoldsByKey.ts"
import type { OpenHold } from "./LedgerStore.ts"
import { type HoldRecord, type RequestRecord, toHoldRow } from "./RequestRecord.ts"

/** Deadlines of closed holds that may wait in the heap, beside four for each open hold. */
const STALE_DEADLINES_MAX = 4_096

export class HoldBook {
  readonly byId = new Map<string, HoldRecord>()
  readonly byKey = new HoldsByKey()
  readonly deadlines = new DeadlineHeap()
  readonly #pages = new HoldPages()

  open(hold: HoldRecord): void {
    this.byId.set(hold.id, hold)
    this.byKey.opened(hold.keyId)
    this.watchDeadline(hold)
  }

  /** A hold that the store has in `page`. */
  restore(hold: HoldRecord, page: number): void {
    this.open(hold)
    this.#pages.put(hold, page)
  }

  close(hold: HoldRecord): void {
    if (this.byId.delete(hold.id)) this.byKey.closed(hold.keyId)
    this.#pages.leave(hold)
    this.#forgetStaleDeadlines()
  }

  /** Notes the deadline of an open hold, a new one or a later one. */
  watchDeadline(hold: HoldRecord): void {
    this.deadlines.add(hold.id, hold.expiresAt)
    this.#forgetStaleDeadlines()
  }

  #forgetStaleDeadlines(): void {
    if (this.deadlines.size > STALE_DEADLINES_MAX + 4 * this.byId.size) {
      this.deadlines.rebuild(Array.from(this.byId.values(), ({ id, expiresAt }) => ({ id, at: expiresAt })))
    }
  }

  /** The open holds of the requests that change with a batch, and those that move: they are its page. */
  sealPage(changed: ReadonlyArray<RequestRecord>, journalSeq: number): ReadonlyArray<OpenHold> {
    const page: Array<OpenHold> = []
    const put = (hold: HoldRecord) => {
      this.#pages.put(hold, journalSeq)
      page.push({ requestId: hold.requestId, hold: toHoldRow(hold) })
    }
    for (const { hold } of changed) if (hold?.state === "held") put(hold)
    for (const hold of this.#pages.toMove()) if (hold.page !== journalSeq) put(hold)
    return page
  }

  /** The pages that have been left by their last hold since this was asked. */
  takeClosedPages(): ReadonlyArray<number> {
    return this.#pages.takeClosed()
  }
}
