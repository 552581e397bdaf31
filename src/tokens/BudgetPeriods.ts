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
 */
import type { Amount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { BudgetDefinition, PeriodRow, RolloverTerms } from "./LedgerStore.ts"
import { type Calendar, type PeriodWindow, windowAt } from "./Period.ts"

/** One budget's counters in one period. They change with every hold and every usage. */
export class PeriodRecord {
  readonly budgetId: string
  readonly start: Millis
  readonly end: Millis | null
  spent: Amount
  held: Amount
  carriedOver: Amount
  overrideTotal: Amount
  terms: RolloverTerms | null
  alertsSent: ReadonlyArray<number>
  /** Open holds that keep something here. */
  openHolds = 0
  /** The batch that changed it last (Ledger). */
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
    this.held = row.held
    this.carriedOver = row.carriedOver
    this.overrideTotal = row.overrideTotal
    this.terms = row.terms
    this.alertsSent = row.alertsSent
  }

  contains(at: Millis): boolean {
    return at >= this.start && (this.end === null || at < this.end)
  }

  toRow(): PeriodRow {
    const { budgetId, start, end, spent, held, carriedOver, overrideTotal, terms, alertsSent } = this
    return { budgetId, start, end, spent, held, carriedOver, overrideTotal, terms, alertsSent }
  }
}

/** What is handed over where `balance` (carried in − spent − held) comes on top of the limit. */
const handOver = ({ limit, max, min }: RolloverTerms, balance: Amount): Amount => {
  const left = limit + balance
  const capped = left > max ? max : left
  return capped < min || capped < 0n ? 0n : capped
}

/** What `period` hands over, as it stands. */
export const handedOverBy = ({ terms, carriedOver, spent, held }: PeriodRecord): Amount =>
  terms === null ? 0n : handOver(terms, carriedOver - spent - held)

/** What arrives at `start` of what `from` hands over: in the periods between, nothing happened. */
const carriedInto = (calendar: Calendar, from: PeriodRecord, start: Millis): Amount => {
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

/** Periods looked ahead for room; further away, waiting is no advice. */
const AHEAD_MAX = 366

export class BudgetPeriods {
  readonly #key: string
  readonly #records = new Map<Millis, PeriodRecord>()
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

  /** Hands over anew what has changed in `period`. The periods in which that changes something are answered. */
  passOn(calendar: Calendar, period: PeriodRecord): ReadonlyArray<PeriodRecord> {
    if (period === this.#newest) return []
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
   * over something else, all after it stay, and the last one before it: later ones are derived from it.
   */
  forgetBefore(at: Millis): void {
    const isOver = ({ end, openHolds, overridesLive }: PeriodRecord): boolean =>
      end !== null && end <= at && openHolds === 0 && overridesLive === 0
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
    return undefined
  }

  #open(definition: BudgetDefinition, window: PeriodWindow): PeriodRecord {
    const known = this.#records.get(window.start)
    if (known !== undefined) return known
    const previous = this.#inOrder().findLast(({ start }) => start < window.start)
    const record = new PeriodRecord({
      budgetId: this.#key,
      ...window,
      spent: 0n,
      held: 0n,
      carriedOver: previous === undefined ? 0n : carriedInto(definition, previous, window.start),
      overrideTotal: 0n,
      terms: this.#termsAfter(previous, definition),
      alertsSent: []
    })
    this.#add(record)
    return record
  }

  /** Of a period before all that is known, it is known that its budget had no rollover then: it would be kept. */
  #termsAfter(previous: PeriodRecord | undefined, definition: BudgetDefinition): RolloverTerms | null {
    if (previous !== undefined) return previous.terms
    return this.#records.size === 0 ? termsOf(definition) : null
  }

  #add(record: PeriodRecord): void {
    this.#records.set(record.start, record)
    if (this.#newest === undefined || record.start >= this.#newest.start) this.#newest = record
  }
}
