/** Every row of the benchmark runs, at its smallest: a row that broke is seen here, not by who needs its figures. */
import { assert, describe, it } from "@effect/vitest"
import { tableOf } from "./Figures.ts"
import { runRow } from "./RowProcess.ts"
import { ROWS } from "./Rows.ts"

/** Rows are processes with a compiler of their own, some with more of them: that takes long where others work too. */
const TIMEOUT_MS = 180_000

describe("each row of the benchmark runs to its end, and reports", () => {
  it.each([...ROWS.keys()])(
    "%s",
    async (name) => {
      const report = await runRow(name, "smallest")
      assert.isAbove(report.comparisons.length, 0)
      for (const { what } of report.comparisons) assert.include(tableOf([[name, report]]), what)
    },
    TIMEOUT_MS
  )
})
