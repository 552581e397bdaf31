/**
 * Random histories of durable machines and their child machines (MachineHistory): processes that die between any two steps,
 * owners that are deposed, commits whose outcome is not known, stores that are away, versions that change.
 *
 * The same seeds each time; `npm run simulate -- --machines` runs others. A failure names its seed, and how to see it again.
 */
import { describe, it } from "vitest"
import { runMachineHistories } from "./MachineHistory.ts"

const HISTORIES = 300
const AT_ONCE = 25

describe(`${HISTORIES} random histories of durable machines`, () => {
  for (let first = 1; first <= HISTORIES; first += AT_ONCE) {
    it(`seeds ${first} to ${first + AT_ONCE - 1}`, () => runMachineHistories(first, AT_ONCE))
  }
})
