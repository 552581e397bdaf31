/**
 * Runs one row in a process of its own (Child.ts), and takes its report.
 *
 * Owns: the Node flags that rows run with.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Extent } from "./Extent.ts"
import type { RowReport } from "./Figures.ts"

/** As `npm start` runs, plus what the memory row needs. A larger young generation made no steady difference. */
export const NODE_FLAGS = ["--expose-gc"]

/** `profiles`: the folder for a CPU profile of the process. */
export const runRow = (name: string, extent: Extent, profiles?: string): Promise<RowReport> =>
  new Promise((resolve, reject) => {
    const profiling =
      profiles === undefined
        ? []
        : ["--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name}.cpuprofile`]
    const child = fork(fileURLToPath(new URL("Child.ts", import.meta.url)), [name, extent], {
      execArgv: [...NODE_FLAGS, ...profiling],
      // As JSON a figure that is not a number would arrive as null.
      serialization: "advanced"
    })
    let report: RowReport | undefined
    child.on("message", (message) => {
      report = message as RowReport
    })
    child.on("error", reject)
    child.on("exit", (code) =>
      report === undefined || code !== 0
        ? reject(new Error(`the row ${name} ended with ${code}`))
        : resolve(report)
    )
  })
