/**
 * `npm run verify`: everything that has to hold before a change goes in, and what CI runs.
 *
 * Stops at the first step that fails and names it. The last line is `N passed, N failed`: the tests of all
 * runs added up; a step that failed without a failing test counts as one.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const reports = join(root, ".reports")

interface Step {
  readonly name: string
  readonly command: ReadonlyArray<string>
  /** Where vitest writes its result. */
  readonly report?: string
}

/** The very scripts that people run. */
const tests = (project: string, script: string): Step => {
  const report = join(reports, `${project}.json`)
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
  return { name: `${project} tests`, command: ["npm", "run", script, "--", ...reporters], report }
}

const steps: ReadonlyArray<Step> = [
  { name: "format and lint", command: ["biome", "check", "--error-on-warnings", "."] },
  { name: "types", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "types of the console", command: ["tsc", "-p", "src/console/tsconfig.json"] },
  { name: "types of the browser tests", command: ["tsc", "-p", "test/browser/tsconfig.json"] },
  { name: "unused code", command: ["knip"] },
  { name: "generated files", command: ["node", "scripts/generate.ts"] },
  {
    name: "generated files are the committed ones",
    command: ["node", "scripts/verify.ts", "--clean=schemas,src/host/SignalMethods.ts"]
  },
  tests("unit", "test"),
  tests("browser", "test:browser"),
  tests("package", "test:package"),
  tests("python", "test:python")
]

/** `git diff` alone would not see a file that is new. */
function isClean(paths: ReadonlyArray<string>): boolean {
  const status = spawnSync("git", ["status", "--porcelain", "--", ...paths], { cwd: root, encoding: "utf8" })
  if (status.status === 0 && status.stdout === "") return true
  process.stderr.write(
    `${status.stdout}${status.stderr}Run npm run generate and commit ${paths.join(", ")}.\n`
  )
  return false
}

function run(step: Step): boolean {
  const [command, ...args] = step.command as [string, ...Array<string>]
  // npm put node_modules/.bin first on the path.
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit" })
  if (result.error !== undefined) process.stderr.write(`${result.error.message}\n`)
  return result.status === 0
}

interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

function countsOf(report: string): Counts {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      readFileSync(report, "utf8")
    )
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests }
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
}

function verify(): boolean {
  rmSync(reports, { recursive: true, force: true })
  mkdirSync(reports)
  let [passed, failed] = [0, 0]
  let isGood = true
  for (const step of steps) {
    process.stdout.write(`\n── ${step.name}: ${step.command.slice(0, 4).join(" ")}\n`)
    const started = Date.now()
    isGood = run(step)
    const counts = step.report === undefined ? undefined : countsOf(step.report)
    if (counts !== undefined && counts.skipped > 0) {
      process.stdout.write(`${counts.skipped} tests were skipped; a test that does not run proves nothing\n`)
      isGood = false
    }
    passed += counts?.passed ?? 0
    failed += isGood ? 0 : Math.max(1, counts?.failed ?? 0)
    const seconds = ((Date.now() - started) / 1000).toFixed(1)
    process.stdout.write(`── ${step.name}: ${isGood ? "good" : "FAILED"} (${seconds} s)\n`)
    if (!isGood) break
  }
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
  return isGood
}

const paths = process.argv[2]?.match(/^--clean=(.+)$/)?.[1]?.split(",")
process.exitCode = (paths === undefined ? verify() : isClean(paths)) ? 0 : 1
