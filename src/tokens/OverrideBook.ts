/**
 * The overrides of one tenant in memory: those that can still change, and the last of those that cannot.
 *
 * Owns: finding one by its id, which one ends next, how many there are.
 * Does not decide: anything about them (Overrides), or what they add to a budget (its period counts that).
 */
import type { Millis } from "../signal/Text.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import { DeadlineHeap } from "./DeadlineHeap.ts"
import { Fifo } from "./Fifo.ts"
import type { LedgerSnapshot, OverrideRow } from "./LedgerStore.ts"

/** Overrides that were denied or have expired, and are kept at hand; the store has them all. */
const SETTLED_MAX = 1_000

/** Deadlines of settled overrides that may wait in the heap, beside four for each live one. */
const STALE_DEADLINES_MAX = 1_024

/** Whether it can still change: pending, or approved and in force. */
export const isLive = ({ status }: OverrideRow): boolean => status === "pending" || status === "approved"

type PeriodOf = (budgetKey: string, start: Millis) => PeriodRecord | undefined

const NONE: ReadonlyArray<OverrideRow> = []

interface Settled {
  readonly id: string
  /** The batch that changed it last; it is not forgotten before that one is committed. */
  readonly changedIn: number
}

export class OverrideBook {
  readonly #rows = new Map<string, OverrideRow>()
  readonly #settled = new Fifo<Settled>()
  readonly #deadlines = new DeadlineHeap()
  #live = 0
  /** What changed since the last seal. */
  #changed = new Map<string, OverrideRow>()
  /** Counts seals; commits follow in the same order. */
  #batch = 1
  #committed = 0

  /** Those that can still change. */
  get liveCount(): number {
    return this.#live
  }

  /** When the next one ends, if it has not been decided by then. */
  get nextAt(): Millis {
    return this.#deadlines.earliest?.at ?? Number.POSITIVE_INFINITY
  }

  get(id: string): OverrideRow | undefined {
    return this.#rows.get(id)
  }

  live(): ReadonlyArray<OverrideRow> {
    return [...this.#rows.values()].filter(isLive)
  }

  /** Takes one over that is new, or is something else from now on; it is written with the next batch. */
  put(row: OverrideRow): void {
    this.#changed.set(row.id, row)
    this.#keep(row, this.#batch)
  }

  #keep(row: OverrideRow, batch: number): void {
    const before = this.#rows.get(row.id)
    const wasLive = before !== undefined && isLive(before)
    this.#rows.set(row.id, row)
    if (isLive(row) && !wasLive) {
      this.#live += 1
      if (row.expiresAt !== null) this.#deadlines.add(row.id, row.expiresAt)
    }
    if (isLive(row)) return
    if (wasLive) this.#live -= 1
    this.#settled.put({ id: row.id, changedIn: batch })
    this.#forgetStaleDeadlines()
  }

  /** What an activation has read. What live ones add to their period's total is in the period's own row. */
  restore(snapshot: Pick<LedgerSnapshot, "overrides" | "lapsedOverrides">, periodOf: PeriodOf): void {
    const periodIn = (key: string, start: Millis): PeriodRecord => {
      const period = periodOf(key, start)
      if (period === undefined) throw new Error(`the store has an override of ${key}, but not its period`)
      return period
    }
    for (const { budgetId, periodStart, amount } of snapshot.lapsedOverrides)
      periodIn(budgetId, periodStart).overridesApproved += amount
    for (const row of snapshot.overrides) {
      const period = periodIn(row.budgetId, row.periodStart)
      period.overridesLive += 1
      if (row.status === "pending") period.overridesPending += 1
      period.overridesApproved += row.approvedAmount ?? 0n
      this.#keep(row, 0)
    }
  }

  /**
   * Takes over what the store knows of one that is not at hand. It is settled, or another owner has the tenant by now
   * and made it: then it is not counted, and nothing that is decided about it can be written.
   */
  learn(row: OverrideRow): void {
    if (this.#rows.has(row.id)) return
    if (isLive(row)) this.#rows.set(row.id, row)
    else this.#keep(row, 0)
  }

  /** Takes one whose time has come. */
  takeDue(now: Millis): OverrideRow | undefined {
    for (;;) {
      const due = this.#deadlines.takeDue(now)
      if (due === undefined) return undefined
      const row = this.#rows.get(due.id)
      if (row !== undefined && isLive(row)) return row
    }
  }

  // --- batches

  get hasEntries(): boolean {
    return this.#changed.size > 0
  }

  /** All that changed since the last seal. */
  seal(): ReadonlyArray<OverrideRow> {
    this.#batch += 1
    if (this.#changed.size === 0) return NONE
    const rows = [...this.#changed.values()]
    this.#changed = new Map()
    return rows
  }

  /** The oldest sealed batch is committed: the oldest settled ones past the bound go, if they are committed. */
  committed(): void {
    this.#committed += 1
    for (let excess = this.#settled.length - SETTLED_MAX; excess > 0; excess--) {
      const settled = this.#settled.take()
      if (settled === undefined) return
      if (settled.changedIn > this.#committed) this.#settled.put(settled)
      else this.#rows.delete(settled.id)
    }
  }

  #forgetStaleDeadlines(): void {
    if (this.#deadlines.size <= STALE_DEADLINES_MAX + 4 * this.#live) return
    this.#deadlines.rebuild(
      this.live().flatMap(({ id, expiresAt }) => (expiresAt === null ? [] : [{ id, at: expiresAt }]))
    )
  }
}
