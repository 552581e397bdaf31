/**
 * Loaded into a program under test before anything else: ends it when whoever started it is gone.
 *
 * Standard input is a pipe from that process, which the system closes however it ends. What was compiled is kept
 * for the next program, because a program that is killed keeps nothing itself.
 */
import { flushCompileCache } from "node:module"

process.stdin.on("end", () => process.kill(process.pid, "SIGKILL"))
process.stdin.on("error", () => process.kill(process.pid, "SIGKILL"))
process.stdin.resume()
;(process.stdin as unknown as { unref(): void }).unref()

const STARTED_MS = 4_000
setTimeout(flushCompileCache, STARTED_MS).unref()
