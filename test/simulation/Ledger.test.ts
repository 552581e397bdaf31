/**
 * Random histories of one tenant's money (History): holds, reports (duplicate, late, reordered, after expiry), changes
 * of budgets and prices, clocks that jump both ways, crashes between any two steps, owners that are deposed, commits
 * whose outcome is not known. After every step the invariants are checked.
 *
 * The same seeds each time; `npm run simulate` runs others. A failure names its seed, and how to see it again.
 */
import { describe, it } from "@effect/vitest"
import { runHistories } from "./History.ts"

const HISTORIES = 10_000
const AT_ONCE = 250

describe(`${HISTORIES} random histories`, () => {
  for (let first = 1; first <= HISTORIES; first += AT_ONCE) {
    it(`seeds ${first} to ${first + AT_ONCE - 1}`, () => runHistories(first, AT_ONCE))
  }
})
