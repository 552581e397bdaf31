/** The restart rule as a table. */
import { assert, describe, it } from "@effect/vitest"
import {
  DEFAULT_SUPERVISION,
  decideOnCrash,
  NEVER_RESTART,
  pauseBeforeRestart,
  type RestartPolicy
} from "../../src/actor/Supervision.ts"

const POLICY: RestartPolicy = { restartsMax: 3, withinMs: 1_000, backoffMs: 10, backoffMaxMs: 35 }

describe("pauseBeforeRestart", () => {
  const table: ReadonlyArray<readonly [string, ReadonlyArray<number>, number, number | undefined]> = [
    ["the first crash", [0], 0, 10],
    ["the second", [0, 1], 1, 20],
    ["the third: the pause is bounded", [0, 1, 2], 2, 35],
    ["the fourth within the window: it is given up", [0, 1, 2, 3], 3, undefined],
    ["crashes that have left the window do not count", [0, 1, 2, 1_001], 1_001, 20],
    ["exactly the window's length ago is outside", [0, 1_000], 1_000, 10],
    ["one millisecond less is inside", [1, 1_000], 1_000, 20]
  ]
  for (const [what, crashes, now, pause] of table) {
    it(what, () => {
      assert.strictEqual(pauseBeforeRestart(POLICY, crashes, now), pause)
    })
  }

  it("never means never", () => {
    assert.deepStrictEqual(decideOnCrash(NEVER_RESTART, [5], 5), { decision: "stop" })
  })

  it("the default never waits longer than it says, however often", () => {
    const crashes = Array.from({ length: 10 }, (_, index) => index)
    const pause = pauseBeforeRestart(DEFAULT_SUPERVISION, crashes, 9)
    assert.strictEqual(pause, DEFAULT_SUPERVISION.backoffMaxMs)
  })
})
