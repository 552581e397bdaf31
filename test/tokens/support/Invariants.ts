/**
 * What must be true of a tenant's books after every step, whatever happened before.
 *
 * Each check compares the ledger's counters with sums over rows that were added up the slow way. A check is a line in
 * `OF_ROWS` (true of what is written), in `OF_MEMORY` (true of what is decided) or in `OF_BOTH`. They run by the
 * hundred thousand: what a failure says is only put together when there is one.
 */
import assert from "node:assert/strict"
import { isDeepStrictEqual } from "node:util"
import { type Amount, amountOfCount, convert, formatAmount, UNIT } from "../../../src/signal/Money.ts"
import { entityOf } from "../../../src/tokens/BudgetIndex.ts"
import { LATE_WINDOW_MS, type PeriodRecord } from "../../../src/tokens/BudgetPeriods.ts"
import { budgetOf } from "../../../src/tokens/BudgetRecord.ts"
import { Ledger } from "../../../src/tokens/Ledger.ts"
import type { BudgetDefinition, PeriodRow } from "../../../src/tokens/LedgerStore.ts"
import { windowAt } from "../../../src/tokens/Period.ts"
import { definitionIdOf, entityOfKey } from "../../../src/tokens/StandingKey.ts"
import { unpricedRowOf } from "../../../src/tokens/UnpricedUse.ts"
import { makeSalts, TENANT, TEST_PRICES } from "./Books.ts"
import type { Rows } from "./Rows.ts"

/** A ledger with its rows, at a time. */
export interface BooksAtHand {
  readonly rows: Rows
  readonly ledger: Ledger
  readonly now: number
}

const key = (budgetId: string, start: number): string => `${budgetId} ${start}`

/** What the open holds keep in each period, by the rows. */
const heldByRows = (rows: Rows): Map<string, Amount> => {
  const held = new Map<string, Amount>()
  for (const { hold } of rows.open.values()) {
    for (const { budgetId, periodStart, amount } of hold.bookings) {
      const place = key(budgetId, periodStart)
      held.set(place, (held.get(place) ?? 0n) + amount)
    }
  }
  return held
}

/** `what` says in a failure what should be equal; it is asked only then. */
const same = (actual: Amount | number, expected: Amount | number, when: string, what: () => string): void => {
  if (actual === expected) return
  const show = (it: Amount | number) => (typeof it === "bigint" ? formatAmount(it) : `${it}`)
  throw new Error(`${when}: ${what()}: there is ${show(actual)}, it should be ${show(expected)}`)
}

const budgetFor = (rows: Rows, period: PeriodRow, when: string): BudgetDefinition => {
  const budget = rows.budgets.get(definitionIdOf(period.budgetId))
  if (budget === undefined) throw new Error(`${when}: a period has no budget ${period.budgetId}`)
  return budget
}

const startOf = (at: number): string => new Date(at).toISOString()

/** A standing counts until its entity gets a budget of its own of that type and period. */
const countsUntil = (rows: Rows, key: string): number => {
  const of = rows.budgets.get(definitionIdOf(key))
  const entityId = entityOfKey(key)
  if (of === undefined || entityId === undefined) return Number.POSITIVE_INFINITY
  const own = [...rows.budgets.values()].filter(
    (budget) => budget.entityId === entityId && budget.type === of.type && budget.period === of.period
  )
  return Math.min(...own.map(({ sinceSeq }) => sinceSeq))
}

/**
 * A budget counts from the period on that it was made in: all of that one, and what is recorded afterwards in the others.
 * (A clock that was put back has rows in periods that come after a budget is made, and budgets in periods before.)
 */
const spentByRows = (rows: Rows, budget: BudgetDefinition, { budgetId, start, end }: PeriodRow): Amount => {
  if (end !== null && end <= budget.createdAt) return 0n
  const { type, measure, currency, sinceSeq, openingRate } = budget
  const entityId = entityOfKey(budgetId) ?? budget.entityId
  assert.notEqual(entityId, "*", "a default has no period of its own")
  const isFirst = start <= budget.createdAt
  const window = { type, entityId, measure, from: start, to: end }
  const until = countsUntil(rows, budgetId)
  if (measure !== "cost" || currency === rows.config.currency)
    return rows.spent(window, isFirst ? 0 : sinceSeq, until)
  // What was there before came in at once, what is recorded afterwards comes in row by row, each at its own rate.
  let spent = isFirst ? convert(rows.spent(window, 0, Math.min(sinceSeq, until)), openingRate) : 0n
  for (const { usage } of rows.usage) {
    if (usage.usage_seq <= sinceSeq || usage.usage_seq > until || usage.cost === 0n) continue
    if (entityOf(type, usage) !== entityId || usage.booked_at < start) continue
    if (end !== null && usage.booked_at >= end) continue
    spent += convert(usage.cost, usage.budget_rates?.[currency] ?? 0n)
  }
  for (const cell of rows.cells.values()) {
    if (cell.afterSeq < sinceSeq || cell.afterSeq >= until || entityOf(type, cell.subject) !== entityId)
      continue
    if (cell.bookedFrom < start || (end !== null && cell.bookedFrom >= end)) continue
    spent += cell.converted[currency] ?? 0n
  }
  return spent
}

const checkPeriods = (rows: Rows, when: string): void => {
  const held = heldByRows(rows)
  for (const [place, period] of rows.periods) {
    const budget = budgetFor(rows, period, when)
    const { name } = budget
    const spent = spentByRows(rows, budget, period)
    same(period.spent, spent, when, () => `${name} ${startOf(period.start)}, spent is the sum of rows`)
    const sum = held.get(place) ?? 0n
    same(period.held, sum, when, () => `${name} ${startOf(period.start)}, held is the sum of open holds`)
    held.delete(place)
  }
  for (const [place, amount] of held)
    same(0n, amount, when, () => `no hold is in a period that is not there: ${place}`)
}

/** What each period hands over to the next one that has a row, one period after the other. */
const checkRollover = (rows: Rows, when: string): void => {
  const inOrder = [...rows.periods.values()].sort((a, b) => a.start - b.start)
  const before = new Map<string, PeriodRow>()
  for (const period of inOrder) {
    const budget = budgetFor(rows, period, when)
    const from = before.get(period.budgetId)
    let carried = 0n
    if (from?.terms != null) {
      const { limit, max, min } = from.terms
      let left = limit + from.carriedOver - (from.spent - from.spentAfterwards) - from.held
      for (let end = from.end; ; end = windowAt(budget, end ?? 0).end) {
        carried = left > max ? max : left
        if (carried < min || carried < 0n) carried = 0n
        // Where nothing happened, what comes out depends on what goes in alone.
        if (end === null || end >= period.start || left === limit + carried) break
        left = limit + carried
      }
    }
    same(period.carriedOver, carried, when, () => `${budget.name}, carried over to ${startOf(period.start)}`)
    before.set(period.budgetId, period)
  }
}

/**
 * What overrides add to a period: what was approved and is in force, and what lasted until the period ended. All that
 * was approved in it stays within the cap of when it was approved, which is for whoever approves to check.
 */
const checkOverrides = (rows: Rows, when: string): void => {
  const added = new Map<string, Amount>()
  for (const row of rows.overrides.values()) {
    const place = key(row.budgetId, row.periodStart)
    assert.ok(rows.periods.has(place), `${when}: ${row.id} has its period`)
    assert.strictEqual(row.periodEnd, rows.periods.get(place)?.end, `${when}: ${row.id} is of a whole period`)
    const lasted = row.status === "expired" && row.expiresAt === row.periodEnd
    if (row.status === "approved" || lasted)
      added.set(place, (added.get(place) ?? 0n) + (row.approvedAmount ?? 0n))
  }
  for (const [place, period] of rows.periods) {
    assert.strictEqual(
      formatAmount(period.overrideTotal),
      formatAmount(added.get(place) ?? 0n),
      `${when}: ${place}, what overrides add`
    )
  }
}

const checkTotals = (rows: Rows, when: string): void => {
  const { head, usage } = rows
  const sums = { tracked: 0, tokens: 0, cost: 0n }
  for (const row of usage) {
    sums.tracked += row.requests
    sums.tokens += row.usage.total_tokens
    sums.cost += row.usage.cost
    const lines = row.usage.cost_breakdown.reduce((sum, line) => sum + line.cost, 0n)
    const { id, adjusts, cost, exchange_rate } = row.usage
    // An adjustment brings an attempt to its cost: with a rate, that is a difference of two conversions.
    if (adjusts === undefined || exchange_rate === UNIT)
      same(cost, convert(lines, exchange_rate), when, () => `the lines of ${id} add up to its cost`)
  }
  let cleaned = 0
  for (const cell of rows.cells.values()) {
    cleaned += cell.rows
    sums.tracked += cell.requests
    sums.tokens += cell.totalTokens
    sums.cost += cell.cost
  }
  same(head.usageSeq, usage.length + cleaned, when, () => "usage_seq has no gap")
  same(head.tracked, sums.tracked, when, () => "requests")
  same(head.tokens, amountOfCount(sums.tokens), when, () => "tokens")
  same(head.cost, sums.cost, when, () => "cost")
}

/** The numbers of the first rows of attempts that no row has a price of, by the rows. */
const withoutPrice = (rows: Rows): Set<number> => {
  const waiting = new Set<number>()
  for (const { usage, adjustsSeq } of rows.usage) {
    if (usage.price_id !== null) waiting.delete(adjustsSeq ?? usage.usage_seq)
    else if (adjustsSeq === undefined) waiting.add(usage.usage_seq)
  }
  return waiting
}

/** What waits for a price is on the list, once, as its first row says. */
const checkUnpriced = (rows: Rows, when: string): void => {
  const waiting = withoutPrice(rows)
  same(rows.unpriced.length, waiting.size, when, () => "attempts that wait for a price")
  for (const row of rows.unpriced) {
    assert.ok(waiting.has(row.usageSeq), `${when}: use_${row.usageSeq} waits for a price`)
    const usage = rows.rowOf(row.usageSeq)?.usage
    assert.deepStrictEqual(row, usage && unpricedRowOf(usage), `${when}: it waits as its first row says`)
  }
}

/** The lines of an attempt are about all of its tokens from the row on that has the first price. */
const checkLines = (rows: Rows, when: string): void => {
  const tokens = new Map<number, number>()
  for (const { usage, adjustsSeq = usage.usage_seq } of rows.usage) {
    if (adjustsSeq <= rows.cleanedTo) continue
    const left = (tokens.get(adjustsSeq) ?? 0) + usage.total_tokens
    const lines = usage.cost_breakdown.reduce(
      (sum, line) => (line.token_type === "request" ? sum : sum + line.tokens),
      0
    )
    tokens.set(adjustsSeq, left - lines)
    same(
      left - lines,
      usage.price_id === null ? left : 0,
      when,
      () => `tokens that ${usage.id} leaves unpriced`
    )
  }
}

// --- memory

/** What a period has in memory is what the holds there keep in it. */
const checkHeld = (ledger: Ledger, when: string): void => {
  const held = new Map<PeriodRecord, { amount: Amount; holds: number }>()
  for (const { bookings } of ledger.holds.values()) {
    for (const { period, amount } of bookings) {
      const before = held.get(period)
      held.set(period, { amount: (before?.amount ?? 0n) + amount, holds: (before?.holds ?? 0) + 1 })
    }
  }
  for (const [period, { amount, holds }] of held) {
    same(period.held, amount, when, () => `${period.budgetId} ${startOf(period.start)}, held by open holds`)
    same(period.openHolds, holds, when, () => `${period.budgetId} ${startOf(period.start)}, open holds`)
  }
}

/** Where these entities stand in defaults: memory may still have what a reload leaves out, and must show the same. */
const standingsOf = (ledger: Ledger, keys: ReadonlySet<string>, now: number) =>
  [...keys].map((key) => {
    const budget = ledger.budgets.get(definitionIdOf(key))
    const standing = budget && ledger.index.defaults.standingOf(budget, entityOfKey(key) ?? "")
    return [key, standing && budgetOf(standing, now)]
  })

/** All that a ledger knows and shows, in a form that can be compared. */
const stateOf = (ledger: Ledger, keys: ReadonlySet<string>, now: number) => ({
  standings: standingsOf(ledger, keys, now),
  head: ledger.head,
  audit: { seq: ledger.auditHead.seq, hash: ledger.auditHead.hash },
  config: ledger.config,
  rates: [ledger.rates.size, ledger.rate("USD", "EUR", now), ledger.rate("EUR", "USD", now)],
  budgets: [...ledger.budgets.values()].map((budget) => [budget.definition, budgetOf(budget, now)]),
  overrides: ledger.overrides.live().toSorted((a, b) => a.seq - b.seq),
  roomForOverrides: [...ledger.budgets.values()].map((budget) => {
    const period = budget.periodAt(now)
    const { overridesLive, overridesPending, overridesApproved } = period
    return [budget.definition.id, overridesLive, overridesPending, overridesApproved]
  }),
  holds: [...ledger.holds.values()]
    .map(({ bookings, ...hold }) => ({
      ...hold,
      bookings: bookings
        .map(({ period, amount }) => ({ id: period.budgetId, start: period.start, amount }))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
})

/** Periods and requests that are at hand say what their rows say. */
const checkAtHand = ({ rows, ledger }: BooksAtHand, when: string): void => {
  for (const row of rows.periods.values()) {
    const known = ledger.budgetAt(row.budgetId)?.periodFrom(row.start)?.toRow()
    if (known !== undefined && !isDeepStrictEqual(known, row))
      assert.deepStrictEqual(known, row, `${when}: a period in memory is its row`)
  }
  for (const row of rows.requests.values()) {
    const known = ledger.request(row.requestId)
    if (known === undefined || known.isOpen) continue
    if (!isDeepStrictEqual(known.toRow(), row))
      assert.deepStrictEqual(known.toRow(), row, `${when}: a request in memory is its row`)
  }
}

const checkReload = (books: BooksAtHand, when: string): void => {
  const liveAfter = books.now - LATE_WINDOW_MS
  const reloaded = new Ledger(TENANT, books.rows.snapshot(liveAfter), TEST_PRICES, makeSalts(), liveAfter)
  const standings = [...reloaded.index.defaults.all(), ...books.ledger.index.defaults.all()]
  const keys = new Set(standings.map(({ key }) => key))
  const [again, before] = [stateOf(reloaded, keys, books.now), stateOf(books.ledger, keys, books.now)]
  if (isDeepStrictEqual(again, before)) return
  assert.deepStrictEqual(again, before, `${when}: what is read again equals what is in memory`)
}

// --- all of it

const OF_ROWS: ReadonlyArray<(rows: Rows, when: string) => void> = [
  checkPeriods,
  checkRollover,
  checkOverrides,
  checkTotals,
  checkUnpriced,
  checkLines
]
const OF_MEMORY: ReadonlyArray<(ledger: Ledger, when: string) => void> = [checkHeld]
const OF_BOTH: ReadonlyArray<(books: BooksAtHand, when: string) => void> = [checkAtHand, checkReload]

/** What must be true of the rows alone. */
export const checkRows = (rows: Rows, when: string): void => {
  for (const check of OF_ROWS) check(rows, when)
}

/** What must be true of memory after each decision, written or not. */
export const checkMemory = (ledger: Ledger, when: string): void => {
  for (const check of OF_MEMORY) check(ledger, when)
}

/** All of it, when everything that was decided is written. `when` says in a failure after which step. */
export const checkInvariants = (books: BooksAtHand, when: string): void => {
  checkRows(books.rows, when)
  checkMemory(books.ledger, when)
  for (const check of OF_BOTH) check(books, when)
}
