/**
 * Ends a test server when the process that started it is gone: `node PostgresWatcher.ts PID FOLDER`.
 *
 * Standard input is a pipe from that process, which the system closes however it ends.
 */
import { existsSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

const [pid, folder] = process.argv.slice(2) as [string, string]
const pidFile = join(folder, "data", "postmaster.pid")

/** Postgres deletes its pid file last; the number alone may be another process's by now. */
const isRunning = () => existsSync(pidFile) && readFileSync(pidFile, "utf8").split("\n")[0] === pid

function signal(name: NodeJS.Signals): void {
  try {
    process.kill(Number(pid), name)
  } catch {
    // It ended between the question and the signal.
  }
}

for await (const _ of process.stdin) {
  // Nothing is ever written; the loop ends with the pipe.
}

if (isRunning()) signal("SIGINT")
for (let waitedMs = 0; isRunning() && waitedMs < 10_000; waitedMs += 20) await sleep(20)
if (isRunning()) signal("SIGQUIT")
rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
