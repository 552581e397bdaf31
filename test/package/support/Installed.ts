/**
 * The package as its users get it: built, packed, and installed by npm into an empty project.
 *
 * Owns: doing that once for a test's file, and running programs in that project. Nothing there can see this repository.
 * Does not decide: what must be true of it.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const ROOT = fileURLToPath(new URL("../../..", import.meta.url))
const READY_WITHIN_MS = 120_000

/** What the project has beside the package: what its examples and its compiler need, as this repository has it. */
const BESIDE = ["typescript", "@types/node", "hono", "@hono/node-server", "fastify"]

/** What a program of somebody else's has: our Node first, and nothing of this machine's settings. */
const environment = (more: Readonly<Record<string, string>>): Record<string, string> => ({
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}`,
  HOME: process.env.HOME ?? tmpdir(),
  TMPDIR: tmpdir(),
  ...more
})

/** What npm has here: how it reaches its registry is this machine's matter. Which project it is run for is not. */
const npmEnvironment = (): Record<string, string> => {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle|config_local_prefix|config_prefix)/u.test(name)
  )
  return environment(Object.fromEntries(kept.filter(([name]) => name !== "PATH")) as Record<string, string>)
}

export interface Packed {
  readonly tarball: string
  readonly files: ReadonlyArray<string>
  readonly bytes: number
  readonly unpackedBytes: number
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A program of the project that has said where it listens. */
export interface Serving {
  readonly url: string
  readonly output: () => string
  /** SIGTERM; answers the exit code. */
  readonly stop: () => Promise<number | null>
}

const run = async (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  env: Readonly<Record<string, string>>
): Promise<Ran> => {
  try {
    const ran = await promisify(execFile)(command, args, {
      cwd,
      env,
      maxBuffer: 32 * 1024 * 1024
    })
    return { code: 0, ...ran }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string }
    return { code: code ?? 1, stdout: stdout ?? "", stderr: stderr ?? String(error) }
  }
}

const good = (ran: Ran, what: string): Ran => {
  if (ran.code === 0) return ran
  throw new Error(`${what} failed (${ran.code}):\n${ran.stdout.slice(-4_000)}\n${ran.stderr.slice(-4_000)}`)
}

const npm = async (args: ReadonlyArray<string>, cwd: string): Promise<string> =>
  good(await run("npm", args, cwd, npmEnvironment()), `npm ${args[0]}`).stdout

const pack = async (folder: string): Promise<Packed> => {
  await npm(["run", "--silent", "build"], ROOT)
  const packed = await npm(["pack", "--json", "--ignore-scripts", "--pack-destination", folder], ROOT)
  const [told] = JSON.parse(packed) as ReadonlyArray<{
    filename: string
    size: number
    unpackedSize: number
    files: ReadonlyArray<{ path: string }>
  }>
  if (told === undefined) throw new Error("npm pack told nothing")
  return {
    tarball: join(folder, told.filename),
    files: told.files.map(({ path }) => path),
    bytes: told.size,
    unpackedBytes: told.unpackedSize
  }
}

export class Installed {
  readonly packed: Packed
  readonly folder: string
  readonly #above: string
  readonly #children = new Set<ChildProcess>()

  constructor(packed: Packed, above: string, folder: string) {
    this.packed = packed
    this.#above = above
    this.folder = folder
  }

  static async make(): Promise<Installed> {
    const above = mkdtempSync(join(tmpdir(), "bursar-package-"))
    const folder = join(above, "project")
    mkdirSync(folder)
    const packed = await pack(above)
    const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>
    }
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "app", private: true, type: "module" })
    )
    const beside = BESIDE.map((name) => `${name}@${devDependencies[name]}`)
    await npm(["install", "--prefer-offline", "--no-audit", "--no-fund", packed.tarball, ...beside], folder)
    return new Installed(packed, above, folder)
  }

  /** Runs a program of the project to its end. */
  run(
    command: string,
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>> = {}
  ): Promise<Ran> {
    return run(command, args, this.folder, environment(env))
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
  }

  /** An example, with the one change that its own comment asks for. */
  addExample(name: string): void {
    const text = readFileSync(join(ROOT, "examples", name), "utf8")
    this.write(
      name,
      text.replaceAll(
        /"\.\.\/src\/(\w+)\.ts"/gu,
        (_, door) => `"${door === "index" ? "bursar" : `bursar/${door}`}"`
      )
    )
  }

  /** Starts a program, and waits until it has written the address at which it listens. */
  async serve(
    command: string,
    args: ReadonlyArray<string>,
    env: Readonly<Record<string, string>>
  ): Promise<Serving> {
    const child = spawn(command, args, {
      cwd: this.folder,
      env: environment(env),
      stdio: ["ignore", "pipe", "pipe"]
    })
    this.#children.add(child)
    let output = ""
    const ended = new Promise<number | null>((resolve) =>
      child.once("exit", (code) => {
        this.#children.delete(child)
        resolve(code)
      })
    )
    const url = await new Promise<string>((resolve, reject) => {
      const giveUp = setTimeout(() => reject(new Error(`it does not listen:\n${output}`)), READY_WITHIN_MS)
      const read = (bytes: Buffer): void => {
        output += bytes.toString()
        const [found] = /http:\/\/127\.0\.0\.1:\d+/u.exec(output) ?? []
        if (found === undefined) return
        clearTimeout(giveUp)
        resolve(found)
      }
      child.stdout.on("data", read)
      child.stderr.on("data", read)
      void ended.then((code) => reject(new Error(`it ended with ${code}:\n${output}`)))
    })
    return {
      url,
      output: () => output,
      stop: () => {
        child.kill("SIGTERM")
        return ended
      }
    }
  }

  end(): void {
    for (const child of this.#children) child.kill("SIGKILL")
    rmSync(this.#above, { recursive: true, force: true })
  }
}
