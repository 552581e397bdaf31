/**
 * A node of a cluster, as a program of its own, for the benchmark.
 *
 * Owns: starting it on a database, and its end with the process that started it.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ADMIN_KEY, callOverHttp, type Json } from "../support/Wire.ts"

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url))
const END_WITH_PARENT = new URL("../support/EndWithParent.ts", import.meta.url).href

export interface NodeProgram {
  readonly url: string
  readonly call: (method: string, params?: Json, key?: string) => Promise<Json>
  /** Sends it a signal of the system, and waits for its end. */
  readonly end: (signal: "SIGKILL" | "SIGTERM") => Promise<void>
}

const readyUrl = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let log = ""
    child.stderr?.on("data", (text) => (log += String(text)))
    child.stdout?.on("data", (text) => {
      const ready = /bursar ready (\S+)/u.exec(String(text))
      if (ready !== null) resolve(ready[1] as string)
    })
    child.once("exit", () => reject(new Error(`a node ended before it was ready: ${log}`)))
  })

export const startNodeProgram = async (databaseUrl: string): Promise<NodeProgram> => {
  const data = mkdtempSync(join(tmpdir(), "bursar-bench-"))
  const child = spawn(process.execPath, ["--import", END_WITH_PARENT, MAIN, "serve", "--cluster"], {
    env: {
      PATH: process.env.PATH ?? "",
      DATABASE_URL: databaseUrl,
      BURSAR_DATA: data,
      BURSAR_PORT: "0",
      BURSAR_NODE_PORT: "0",
      BURSAR_ADMIN_KEY: ADMIN_KEY,
      BURSAR_LOG_LEVEL: "error"
    },
    stdio: ["pipe", "pipe", "pipe"]
  })
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  void exited.then(() => rmSync(data, { recursive: true, force: true }))
  const url = await readyUrl(child)
  return {
    url,
    call: (method, params, key) => callOverHttp(url, method, params, key),
    end: (signal) => {
      child.kill(signal)
      return exited
    }
  }
}
