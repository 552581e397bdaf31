/**
 * What must be true of a tenant's books after every step, whatever happened before.
 *
 * Each check compares the ledger's counters with sums over rows that were added up the slow way.
 */
import { assert } from "@effect/vitest"
import { type Amount, formatAmount } from "../../../src/signal/Money.ts"
import { budgetOf } from "../../../src/tokens/BudgetRecord.ts"
import { LATE_WINDOW_MS, Ledger } from "../../../src/tokens/Ledger.ts"
import type { PeriodRow } from "../../../src/tokens/LedgerStore.ts"
import { windowAt } from "../../../src/tokens/Period.ts"
import { type Books, TENANT, TEST_PRICES } from "./Books.ts"
import type { Rows } from "./Rows.ts"

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

const checkPeriods = (rows: Rows, when: string): void => {
  const held = heldByRows(rows)
  for (const [place, period] of rows.periods) {
    const budget = rows.budgets.get(period.budgetId)
    if (budget === undefined) throw new Error(`${when}: the period ${place} has no budget`)
    const { type, entityId, measure, name } = budget
    const spent = rows.spent({ type, entityId, measure, from: period.start, to: period.end })
    assert.strictEqual(
      formatAmount(period.spent),
      formatAmount(spent),
      `${when}: ${name}, spent is the sum of rows`
    )
    assert.strictEqual(
      formatAmount(period.held),
      formatAmount(held.get(place) ?? 0n),
      `${when}: ${name}, held is the sum of open holds`
    )
    held.delete(place)
  }
  assert.deepStrictEqual(
    [...held].filter(([, amount]) => amount !== 0n),
    [],
    `${when}: every hold has its period`
  )
}

/** What each period hands over to the next one that has a row, one period after the other. */
const checkRollover = (rows: Rows, when: string): void => {
  const inOrder = [...rows.periods.values()].sort((a, b) => a.start - b.start)
  const before = new Map<string, PeriodRow>()
  for (const period of inOrder) {
    const budget = rows.budgets.get(period.budgetId)
    if (budget === undefined) throw new Error(`${when}: a period has no budget`)
    const from = before.get(budget.id)
    let carried = 0n
    if (from?.terms != null) {
      const { limit, max, min } = from.terms
      let left = limit + from.carriedOver - from.spent - from.held
      for (let end = from.end; ; end = windowAt(budget, end ?? 0).end) {
        carried = left > max ? max : left
        if (carried < min || carried < 0n) carried = 0n
        if (end === null || end >= period.start) break
        left = limit + carried
      }
    }
    assert.strictEqual(
      formatAmount(period.carriedOver),
      formatAmount(carried),
      `${when}: ${budget.name}, what was carried over to ${new Date(period.start).toISOString()}`
    )
    before.set(budget.id, period)
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
    assert.strictEqual(lines, row.usage.cost, `${when}: the lines of ${row.usage.id} add up to its cost`)
  }
  assert.strictEqual(head.usageSeq, usage.length, `${when}: usage_seq has no gap`)
  assert.strictEqual(head.tracked, sums.tracked, `${when}: requests`)
  assert.strictEqual(formatAmount(head.tokens), `${sums.tokens}`, `${when}: tokens`)
  assert.strictEqual(formatAmount(head.cost), formatAmount(sums.cost), `${when}: cost`)
}

/** All that a ledger knows and shows, in a form that can be compared. */
const stateOf = (ledger: Ledger, now: number) => ({
  head: ledger.head,
  config: ledger.config,
  budgets: [...ledger.budgets.values()].map((budget) => [budget.definition, budgetOf(budget, now)]),
  holds: [...ledger.holds.values()]
    .map(({ bookings, ...hold }) => ({
      ...hold,
      bookings: bookings
        .map(({ period, amount }) => ({ id: period.budgetId, start: period.start, amount }))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
})

const checkReload = (books: Books, when: string): void => {
  const reloaded = new Ledger(TENANT, books.rows.snapshot(books.now - LATE_WINDOW_MS), TEST_PRICES)
  assert.deepStrictEqual(
    stateOf(reloaded, books.now),
    stateOf(books.ledger, books.now),
    `${when}: what is read again equals what is in memory`
  )
}

/** What must be true of the rows alone. */
export const checkRows = (rows: Rows, when: string): void => {
  checkPeriods(rows, when)
  checkRollover(rows, when)
  checkTotals(rows, when)
}

/** All of it. `when` says in a failure after which step. */
export const checkInvariants = (books: Books, when: string): void => {
  checkRows(books.rows, when)
  checkReload(books, when)
}
