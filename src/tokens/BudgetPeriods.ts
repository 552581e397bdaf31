/**
 * The periods of one budget, and what each hands over to the next.
 *
 * Owns: which periods are in memory, opening a new one, and the rollover:
 * `carried over = clamp(limit + carried in − spent − held, 0, max)`, below `min` nothing; overrides never roll.
 * Does not decide: what is spent or held (Posting, HoldLife), or whether there is room (Room).
 *
 * Periods in which nothing happened are not kept: each hands over by the terms of the period before it, so what comes
 * out of them is derived when it is needed, and is the same whenever it is derived. What a period was handed changes
 * as long as the one before it changes: it is derived anew with every change, forward to the newest.
 *
 * A period is settled when nothing is held in it and 48 hours have passed since it ended. What is booked into it
 * after that (a correction, a late price) does not change what it handed over. Such a period is not in memory: it is
 * borrowed from the store, and let go when it is written back.
 */
import type { Amount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { BudgetDefinition, PeriodRow, RolloverTerms } from "./LedgerStore.ts"
import { type Calendar, type PeriodWindow, windowAt } from "./Period.ts"

/** How far back usage can still be booked, in milliseconds. */
export const LATE_WINDOW_MS = 48 * 3_600_000

/** One budget's counters in one period. They change with every hold and every usage. */
export class PeriodRecord {
  readonly budgetId: string
  readonly start: Millis
  readonly end: Millis | null
  spent: Amount
  spentAfterwards: Amount
  held: Amount
  carriedOver: Amount
  overrideTotal: Amount
  terms: RolloverTerms | null
  alertsSent: ReadonlyArray<number>
  /** Open holds that keep something here. */
  openHolds = 0
  /** The batch that changed it last (Ledger); it is not forgotten before that one is committed. */
  changedIn = 0
  /** Overrides that can still change: those that are pending, and those in force. */
  overridesLive = 0
  overridesPending = 0
  /** All that was approved in it so far, also what has expired since. */
  overridesApproved: Amount = 0n

  constructor(row: PeriodRow) {
    this.budgetId = row.budgetId
    this.start = row.start
    this.end = row.end
    this.spent = row.spent
    this.spentAfterwards = row.spentAfterwards
    this.held = row.held
    this.carriedOver = row.carriedOver
    this.overrideTotal = row.overrideTotal
    this.terms = row.terms
    this.alertsSent = row.alertsSent
  }

  contains(at: Millis): boolean {
    return at >= this.start && (this.end === null || at < this.end)
  }

  /** Whether it is over for so long that it hands nothing over anew. */
  isSettled(now: Millis): boolean {
    return this.end !== null && this.end + LATE_WINDOW_MS <= now && this.openHolds === 0
  }

  toRow(): PeriodRow {
    const { budgetId, start, end, spent, spentAfterwards, held, carriedOver } = this
    const { overrideTotal, terms, alertsSent } = this
    return {
      budgetId,
      start,
      end,
      spent,
      spentAfterwards,
      held,
      carriedOver,
      overrideTotal,
      terms,
      alertsSent
    }
  }
}

/** What is handed over where `balance` (carried in − spent − held) comes on top of the limit. */
const handOver = ({ limit, max, min }: RolloverTerms, balance: Amount): Amount => {
  const left = limit + balance
  const capped = left > max ? max : left
  return capped < min || capped < 0n ? 0n : capped
}

/** What `period` hands over, as it stands. */
export const handedOverBy = ({
  terms,
  carriedOver,
  spent,
  spentAfterwards,
  held
}: Pick<PeriodRow, "terms" | "carriedOver" | "spent" | "spentAfterwards" | "held">): Amount =>
  terms === null ? 0n : handOver(terms, carriedOver - (spent - spentAfterwards) - held)

/** What arrives at `start` of what `from` hands over: in the periods between, nothing happened. */
const carriedInto = (calendar: Calendar, from: PeriodRow, start: Millis): Amount => {
  const { terms } = from
  let carried = handedOverBy(from)
  if (terms === null) return carried
  let end = from.end
  while (end !== null && end < start) {
    const next = handOver(terms, carried)
    // However many more there are, nothing changes any more.
    if (next === carried) break
    carried = next
    end = windowAt(calendar, end).end
  }
  return carried
}

/** The terms of a period that is running under this definition. */
const termsOf = ({ limit, rollover }: BudgetDefinition): RolloverTerms | null =>
  rollover === null ? null : { limit, max: rollover.max, min: rollover.min ?? 0n }

/** A period in which nothing has happened yet. `previous`: the last one before it in which something has. */
const openAfter = (
  key: string,
  previous: PeriodRecord | undefined,
  definition: BudgetDefinition,
  window: PeriodWindow,
  terms: RolloverTerms | null
): PeriodRecord =>
  new PeriodRecord({
    budgetId: key,
    ...window,
    spent: 0n,
    spentAfterwards: 0n,
    held: 0n,
    carriedOver: previous === undefined ? 0n : carriedInto(definition, previous, window.start),
    overrideTotal: 0n,
    terms,
    alertsSent: []
  })

/** Periods looked ahead for room; further away, waiting is no advice. */
const AHEAD_MAX = 366

export class BudgetPeriods {
  readonly #key: string
  readonly #records = new Map<Millis, PeriodRecord>()
  /** Periods that are settled, for as long as they are needed. They are none of the chain that hands over. */
  readonly #borrowed: Array<PeriodRecord> = []
  /** The one that was asked for last. */
  #recent: PeriodRecord | undefined
  #newest: PeriodRecord | undefined

  /** `key`: what the periods are kept under. */
  constructor(key: string) {
    this.#key = key
  }

  get newest(): PeriodRecord | undefined {
    return this.#newest
  }

  get openHolds(): number {
    let count = 0
    for (const period of this.#records.values()) count += period.openHolds
    return count
  }

  /** Whether nothing is known of any period. */
  get isBlank(): boolean {
    return this.#newest === undefined && this.#borrowed.length === 0
  }

  restore(row: PeriodRow): void {
    this.#add(new PeriodRecord(row))
  }

  startingAt(start: Millis): PeriodRecord | undefined {
    return this.#records.get(start)
  }

  /** The period that `at` falls into. A new one starts with nothing spent, and with what was handed over to it. */
  at(definition: BudgetDefinition, at: Millis): PeriodRecord {
    if (this.#recent?.contains(at)) return this.#recent
    const record = this.#known(at) ?? this.#open(definition, windowAt(definition, at))
    this.#recent = record
    return record
  }

  /**
   * The start of the period that `at` falls into, if it has to be borrowed before something is booked there: it ended
   * before the `horizon`, where memory begins.
   */
  missing(definition: BudgetDefinition, at: Millis, horizon: Millis): Millis | undefined {
    if (at >= horizon || this.#known(at) !== undefined) return undefined
    const { start, end } = windowAt(definition, at)
    return end !== null && end <= horizon ? start : undefined
  }

  /**
   * Takes the period of old that `at` falls into out of `row`, the store's last one that starts then or before. Where
   * that one ended before `at`, nothing happened in the period yet: it is opened as if it had been there all the time.
   */
  borrow(definition: BudgetDefinition, at: Millis, row: PeriodRow | undefined): void {
    if (this.#known(at) !== undefined) return
    const stored = row === undefined ? undefined : new PeriodRecord(row)
    if (stored?.contains(at)) {
      this.#borrowed.push(stored)
      return
    }
    const before = [stored, ...this.#records.values(), ...this.#borrowed].filter(
      (period): period is PeriodRecord => period !== undefined && period.start <= at
    )
    // What is in memory is newer than what is stored.
    const previous = before.toSorted((a, b) => a.start - b.start).at(-1)
    this.#borrowed.push(
      openAfter(this.#key, previous, definition, windowAt(definition, at), previous?.terms ?? null)
    )
  }

  /** Lets go of what was borrowed and is written back: all that no batch after `committed` changes. */
  giveBack(committed: number): boolean {
    const kept = this.#borrowed.filter(({ changedIn }) => changedIn > committed)
    this.#borrowed.splice(0, this.#borrowed.length, ...kept)
    this.#recent = undefined
    return kept.length === 0
  }

  /** Hands over anew what has changed in `period`. The periods in which that changes something are answered. */
  passOn(calendar: Calendar, period: PeriodRecord): ReadonlyArray<PeriodRecord> {
    if (period === this.#newest || this.#records.get(period.start) !== period) return []
    const changed: Array<PeriodRecord> = []
    let from = period
    for (const next of this.#inOrder()) {
      if (next.start <= period.start) continue
      const carried = carriedInto(calendar, from, next.start)
      if (carried !== next.carriedOver) {
        next.carriedOver = carried
        changed.push(next)
      }
      from = next
    }
    return changed
  }

  /**
   * The running period, and what is later than it, hand over by new terms. What was handed over before stays.
   * The periods whose rows change are answered.
   */
  redefine(before: BudgetDefinition, after: BudgetDefinition): ReadonlyArray<PeriodRecord> {
    if (before.rollover === null && after.rollover === null) return []
    // By the terms of before: it closes the gap of periods that nothing was known of.
    const running = this.at(before, after.updatedAt)
    const changed = new Set<PeriodRecord>()
    for (const period of this.#records.values()) {
      if (period.start < running.start) continue
      period.terms = termsOf(after)
      changed.add(period)
    }
    for (const period of this.passOn(after, running)) changed.add(period)
    return [...changed]
  }

  /** When `asked` has room if nothing else happens: the beginning of a later period, or `null`. */
  hasRoomAt(definition: BudgetDefinition, period: PeriodRecord, asked: Amount): Millis | null {
    const { terms } = period
    let start = period.end
    let carried = handedOverBy(period)
    for (let ahead = 0; start !== null && ahead < AHEAD_MAX; ahead++) {
      if (asked <= definition.limit + carried) return start
      const next = terms === null ? carried : handOver(terms, carried)
      if (next === carried) return null
      carried = next
      start = windowAt(definition, start).end
    }
    return null
  }

  /**
   * Forgets the periods that ended before and that nothing can be booked into any more. Where a period may still hand
   * over something else, all after it stay, and the last one before it: later ones are derived from it. So does what
   * a batch after `committed` changes.
   */
  forgetBefore(at: Millis, committed: number): void {
    const isOver = ({ end, openHolds, overridesLive, changedIn }: PeriodRecord): boolean =>
      end !== null && end <= at && openHolds === 0 && overridesLive === 0 && changedIn <= committed
    // Most budgets have one period, which is running.
    if (this.#records.size === 1 && this.#newest !== undefined && !isOver(this.#newest)) return
    const inOrder = this.#inOrder()
    const firstKept = inOrder.findIndex((period) => !isOver(period))
    const over = firstKept === -1 ? inOrder : inOrder.slice(0, firstKept)
    const forgotten = inOrder.some(({ terms }) => terms !== null) ? over.slice(0, -1) : inOrder.filter(isOver)
    if (forgotten.length === 0) return
    for (const { start } of forgotten) this.#records.delete(start)
    this.#recent = undefined
    this.#newest = this.#inOrder().at(-1)
  }

  #inOrder(): ReadonlyArray<PeriodRecord> {
    return [...this.#records.values()].sort((a, b) => a.start - b.start)
  }

  /** A period keeps the bounds that it was opened with, also when a zone changes its rules meanwhile. */
  #known(at: Millis): PeriodRecord | undefined {
    for (const record of this.#records.values()) if (record.contains(at)) return record
    for (const record of this.#borrowed) if (record.contains(at)) return record
    return undefined
  }

  #open(definition: BudgetDefinition, window: PeriodWindow): PeriodRecord {
    const known = this.#records.get(window.start)
    if (known !== undefined) return known
    const previous = this.#inOrder().findLast(({ start }) => start < window.start)
    const terms = this.#termsOfNew(window.start, previous, definition)
    const record = openAfter(this.#key, previous, definition, window, terms)
    this.#add(record)
    return record
  }

  /**
   * The newest hands over by the definition, also where a standing was not in memory when that was changed. One before
   * it, by the terms of the period before; of one before all that is known, it is known that its budget had no rollover
   * then: it would be kept.
   */
  #termsOfNew(
    start: Millis,
    previous: PeriodRecord | undefined,
    definition: BudgetDefinition
  ): RolloverTerms | null {
    const isNewest = this.#newest === undefined || start > this.#newest.start
    return isNewest ? termsOf(definition) : (previous?.terms ?? null)
  }

  #add(record: PeriodRecord): void {
    this.#records.set(record.start, record)
    if (this.#newest === undefined || record.start >= this.#newest.start) this.#newest = record
  }
}
