/**
 * The program as people run it: a process of its own, on a free port, with a store of its own.
 *
 * Owns: starting it, waiting for its ready line, ending it. Whatever a
 * test forgets is ended with the test's file, and a program whose test was killed ends by itself.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { fillWithStore } from "./EmbeddedData.ts"
import { createTestDatabase, type TestDatabase } from "./Postgres.ts"
import { programFile, SOURCE } from "./ProgramFile.ts"
import { ADMIN_KEY, callOverHttp, connect, type Json, type Wire } from "./Wire.ts"

const END_WITH_PARENT = new URL("EndWithParent.ts", import.meta.url).href
/** Programs of all tests share what Node has compiled: starting takes a quarter less. */
const COMPILED = fileURLToPath(new URL("../../node_modules/.cache/bursar-tests", import.meta.url))
const READY_WITHIN_MS = 120_000

export interface Exited {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Program {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly pid: number
  /** What was written to standard error so far. */
  readonly log: () => string
  /** What was written to standard output so far. */
  readonly output: () => string
  /** Sends a signal over HTTP; rejects with `Refused`. */
  readonly call: (method: string, params?: Json, key?: string) => Promise<Json>
  /** Opens a WebSocket, which is closed with the test's file. */
  readonly connect: (key?: string) => Promise<Wire>
  readonly exited: Promise<Exited>
  /** SIGKILL, and waits for the end. */
  readonly kill: () => Promise<Exited>
  /** SIGTERM, and waits for the end. */
  readonly stop: () => Promise<Exited>
}

export interface ProgramOptions {
  /** Without it, an embedded store in `data`. */
  readonly databaseUrl?: string
  /** Default: a directory of its own with our tables (`makeData`). Of an empty one the program makes its store itself. */
  readonly data?: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: ReadonlyArray<string>
  /** Runs src/main.ts as `npm start` does, not the one file that is made of it (ProgramFile). */
  readonly isFromSource?: boolean
  /** Another program than ours, as a host writes one: it says when it is ready as ours does. */
  readonly main?: string
}

const children = new Set<ChildProcess>()
const wires = new Set<Wire>()
const folders = new Set<string>()
const databases = new Set<TestDatabase>()

const gone = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once("exit", () => resolve())
  })

afterAll(async () => {
  for (const wire of wires) wire.ws.terminate()
  for (const child of children) child.kill("SIGKILL")
  await Promise.all([...children].map(gone))
  await Promise.all([...databases].map((database) => database.drop()))
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** An empty directory, deleted with the test's file. */
export const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "bursar-test-"))
  folders.add(folder)
  return folder
}

/** A data directory of an embedded store with our tables, deleted with the test's file. */
export const makeData = async (): Promise<string> => {
  const folder = makeFolder()
  await fillWithStore(folder)
  return folder
}

/** The address of an empty database with our tables, dropped with the test's file. */
export const makeDatabase = async (): Promise<string> => {
  const database = await createTestDatabase()
  databases.add(database)
  return database.url
}

/** Starts a program, without waiting for anything. */
const launch = async (options: ProgramOptions): Promise<ChildProcess> => {
  const main = options.main ?? (options.isFromSource ? SOURCE : await programFile())
  const child = spawn(
    process.execPath,
    ["--import", END_WITH_PARENT, main, ...(options.args ?? ["--no-playground"])],
    {
      // Nothing of this machine's settings: no provider's key, no database of somebody.
      env: {
        PATH: process.env.PATH ?? "",
        NODE_COMPILE_CACHE: COMPILED,
        BURSAR_PORT: "0",
        BURSAR_ADMIN_KEY: ADMIN_KEY,
        BURSAR_LOG_LEVEL: "warn",
        BURSAR_DATA: options.data ?? makeFolder(),
        ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
        ...options.env
      },
      stdio: ["pipe", "pipe", "pipe"]
    }
  )
  children.add(child)
  child.once("exit", () => children.delete(child))
  return child
}

const endOf = (child: ChildProcess): Promise<Exited> =>
  new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })))

/** Starts a program that is expected to end by itself, and answers how it did and what it said. */
export const runProgram = async (options: ProgramOptions): Promise<Exited & { readonly log: string }> => {
  const child = await launch(options)
  let log = ""
  child.stderr?.on("data", (text) => (log += String(text)))
  child.stdout?.on("data", (text) => (log += String(text)))
  return { ...(await endOf(child)), log }
}

/** Starts a program, and answers when it says that it is ready. */
export const startProgram = async (options: ProgramOptions = {}): Promise<Program> => {
  const isReady = options.databaseUrl !== undefined || options.data !== undefined
  const child = await launch(isReady ? options : { ...options, data: await makeData() })
  const exited = endOf(child)
  let log = ""
  child.stderr?.on("data", (text) => (log += String(text)))
  let output = ""
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready in time: ${log}`)), READY_WITHIN_MS)
    child.stdout?.on("data", (text) => {
      output += String(text)
      const ready = /^bursar ready (\S+)\n/mu.exec(output)
      if (ready === null) return
      clearTimeout(timer)
      resolve(ready[1] as string)
    })
    void exited.then(({ code, signal }) => {
      clearTimeout(timer)
      reject(new Error(`ended before it was ready (${code ?? signal}): ${log}`))
    })
  })
  const end = (signal: NodeJS.Signals) => (): Promise<Exited> => {
    child.kill(signal)
    return exited
  }
  return {
    url,
    pid: child.pid as number,
    log: () => log,
    output: () => output,
    call: (method, params, key) => callOverHttp(url, method, params, key),
    connect: async (key) => {
      const wire = await connect(url, key)
      wires.add(wire)
      return wire
    },
    exited,
    kill: end("SIGKILL"),
    stop: end("SIGTERM")
  }
}
