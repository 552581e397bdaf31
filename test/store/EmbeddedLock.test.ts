import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterAll } from "vitest"
import * as DirectoryLock from "../../src/store/embedded/DirectoryLock.ts"

const made: Array<string> = []
const temporary = () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bursar-lock-"))
  made.push(directory)
  return directory
}
afterAll(() => {
  for (const directory of made) fs.rmSync(directory, { recursive: true, force: true })
})
const locks = (directory: string) =>
  fs.readdirSync(directory).filter((name) => name.startsWith("bursar.lock."))

/** What a holder left behind, changed as a test needs it. */
const leave = (directory: string, change: Record<string, unknown>) =>
  Effect.gen(function* () {
    const kept = yield* Effect.scoped(
      Effect.gen(function* () {
        yield* DirectoryLock.acquire(directory)
        const name = locks(directory)[0] as string
        return { name, text: fs.readFileSync(path.join(directory, name), "utf8") }
      })
    )
    const file = path.join(directory, kept.name)
    fs.writeFileSync(file, JSON.stringify({ ...JSON.parse(kept.text), ...change }))
    return file
  })

const held = (directory: string) =>
  Effect.scoped(Effect.flip(DirectoryLock.acquire(directory))).pipe(
    Effect.tap((error) => Effect.sync(() => assert.strictEqual(error.reason, "held")))
  )

describe("the directory lock", () => {
  it.live("makes a directory that only its owner can read", () =>
    Effect.gen(function* () {
      const directory = path.join(temporary(), "a", "b")
      const lock = yield* DirectoryLock.acquire(directory)
      assert.strictEqual(fs.statSync(directory).mode & 0o777, 0o700)
      assert.isTrue(lock.isHeld())
    })
  )

  it.live("refuses a second holder, names the first, and lets go with the scope", () =>
    Effect.gen(function* () {
      const directory = temporary()
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* DirectoryLock.acquire(directory)
          const error = yield* held(directory)
          assert.include(error.message, `process ${process.pid}`)
          assert.include(error.message, "BURSAR_DATA")
        })
      )
      yield* DirectoryLock.acquire(directory)
      assert.deepStrictEqual(locks(directory), ["bursar.lock.2"])
    })
  )

  it.live("refuses while another process lives, and takes over when it is dead", () =>
    Effect.gen(function* () {
      const directory = temporary()
      const child = spawn("sleep", ["60"])
      const pid = child.pid as number
      const startedAt = fs.existsSync("/proc/self/stat")
        ? fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19]
        : null
      yield* leave(directory, { pid, startedAt })
      const error = yield* held(directory)
      assert.include(error.message, `process ${pid}`)
      const gone = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      yield* Effect.promise(() => gone)
      yield* DirectoryLock.acquire(directory)
    })
  )

  it.live("is not fooled by a process id that was given out again", () =>
    Effect.gen(function* () {
      const directory = temporary()
      yield* leave(directory, { startedAt: "1" })
      if (process.platform === "linux") yield* DirectoryLock.acquire(directory)
      else yield* held(directory)
    })
  )

  it.live("goes by the heartbeat of a holder in another place", () =>
    Effect.gen(function* () {
      const directory = temporary()
      const file = yield* leave(directory, { place: "elsewhere", host: "other", pid: 1, startedAt: "1" })
      const error = yield* held(directory)
      assert.include(error.message, "on other")
      const longAgo = new Date(Date.now() - 60_000)
      fs.utimesSync(file, longAgo, longAgo)
      const lock = yield* DirectoryLock.acquire(directory)
      assert.isTrue(lock.isHeld())
    })
  )

  it.live("takes a damaged lock, and knows when it has lost its own", () =>
    Effect.gen(function* () {
      const directory = temporary()
      fs.writeFileSync(path.join(directory, "bursar.lock.7"), "{")
      const lock = yield* DirectoryLock.acquire(directory)
      assert.deepStrictEqual(locks(directory), ["bursar.lock.8"])
      fs.renameSync(path.join(directory, "bursar.lock.8"), path.join(directory, "bursar.lock.9"))
      assert.isFalse(lock.isHeld())
    })
  )

  it.live("goes to exactly one of several that find a dead holder at the same time", () =>
    Effect.gen(function* () {
      const threads = 4
      const rounds = 40
      const directories = Array.from({ length: rounds }, temporary)
      for (const directory of directories) yield* leave(directory, { startedAt: "1", place: "x", host: "x" })
      const longAgo = new Date(Date.now() - 60_000)
      for (const directory of directories) {
        for (const name of locks(directory)) fs.utimesSync(path.join(directory, name), longAgo, longAgo)
      }
      const module = new URL("../../src/store/embedded/DirectoryLock.ts", import.meta.url).href
      const code = `
        const { parentPort, workerData } = await import("node:worker_threads")
        const { Effect, Exit, Scope } = await import("effect")
        const lock = await import(workerData.module)
        const barrier = new Int32Array(workerData.barrier)
        const won = []
        for (const [round, directory] of workerData.directories.entries()) {
          Atomics.add(barrier, round, 1)
          while (Atomics.load(barrier, round) < workerData.threads) {}
          const scope = Effect.runSync(Scope.make())
          const exit = Effect.runSyncExit(Scope.provide(lock.acquire(directory), scope))
          if (Exit.isSuccess(exit)) won.push(round)
        }
        parentPort.postMessage(won)
        setTimeout(() => process.exit(0), 1000)`
      const barrier = new SharedArrayBuffer(4 * rounds)
      const started = Array.from(
        { length: threads },
        () =>
          new Promise<Array<number>>((resolve, reject) => {
            const worker = new Worker(code, {
              eval: true,
              execArgv: ["--input-type=module"],
              workerData: { module, barrier, directories, threads }
            })
            worker.once("message", resolve)
            worker.once("error", reject)
          })
      )
      const won = (yield* Effect.promise(() => Promise.all(started))).flat().sort((a, b) => a - b)
      assert.deepStrictEqual(
        won,
        directories.map((_, round) => round)
      )
    })
  )
})
