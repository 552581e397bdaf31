/**
 * `npm run bench`: ratios against named baselines, taken in one run.
 *
 * Owns: the server, which rows run, the conditions, the table. Nothing here passes or fails: a figure is
 * read together with its conditions.
 *
 * Options: `--row NAME` runs one row (durable, hotkey, latency, websocket, budgets, ask,
 * actors, cluster, memory); `--profile` writes a CPU
 * profile of each row's process and says where its time went; `--smallest` runs rows as the tests do, to see that they
 * work.
 */
import { mkdtempSync } from "node:fs"
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { prepareServer } from "../support/Postgres.ts"
import { openDatabase, settingsOf } from "./Database.ts"
import { type RowReport, tableOf } from "./Figures.ts"
import { topSelfTimes } from "./Profile.ts"
import { NODE_FLAGS, runRow } from "./RowProcess.ts"
import { ROWS } from "./Rows.ts"

const load = (): string =>
  loadavg()
    .map((it) => it.toFixed(2))
    .join(", ")

const printConditions = async (): Promise<void> => {
  const database = await openDatabase()
  const [cpu] = cpus()
  console.log(
    `machine: ${availableParallelism()} cores (${cpu?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB`
  )
  console.log(`node: ${process.version} ${NODE_FLAGS.join(" ")}`)
  console.log(`postgres: ${await settingsOf(database)}, on the same machine over TCP`)
  console.log(`load average: ${load()}`)
  await database.drop()
}

const { values: options } = parseArgs({
  options: {
    row: { type: "string" },
    smallest: { type: "boolean", default: false },
    profile: { type: "boolean", default: false }
  }
})
const names = options.row === undefined ? [...ROWS.keys()] : [options.row]
for (const name of names) {
  if (!ROWS.has(name))
    throw new Error(`There is no row ${name}: choose one of ${[...ROWS.keys()].join(", ")}`)
}

const startedAt = performance.now()
const stopServer = await prepareServer()
try {
  const profiles = options.profile ? mkdtempSync(join(tmpdir(), "bursar-bench-")) : undefined
  await printConditions()
  const reports: Array<readonly [string, RowReport]> = []
  for (const name of names) {
    console.log(`\n${name}: ${ROWS.get(name)?.title}`)
    const before = load()
    const report = await runRow(name, options.smallest ? "smallest" : "whole", profiles)
    reports.push([name, report])
    for (const fact of report.facts) console.log(`  ${fact}`)
    console.log(`  load average: ${before} before, ${load()} after`)
    if (profiles === undefined) continue
    const file = join(profiles, `${name}.cpuprofile`)
    console.log(`  profile: ${file}`)
    for (const line of topSelfTimes(file)) console.log(`    ${line}`)
  }
  console.log(`\n${tableOf(reports)}`)
  console.log(`\n${Math.round((performance.now() - startedAt) / 1000)} s; load average at the end: ${load()}`)
} finally {
  await stopServer()
}
