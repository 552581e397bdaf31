/**
 * One row in a process of its own: `node Child.ts ROW EXTENT`, started by RowProcess.ts.
 *
 * Owns: finding the row, and sending back what it reports. Each row so has a heap and a just-in-time compiler
 * that no other row has touched.
 */
import type { Extent } from "./Extent.ts"
import { ROWS } from "./Rows.ts"

const [name = "", extent] = process.argv.slice(2)
const row = ROWS.get(name)
if (row === undefined)
  throw new Error(`There is no row ${name}: choose one of ${[...ROWS.keys()].join(", ")}`)
const report = await row.run(extent as Extent)
// The profiler writes its file when the process ends by itself.
process.send?.(report, () => process.disconnect())
