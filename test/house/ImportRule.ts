/**
 * Imports point one way:
 * signal ← actor ← {tokens, provider, workflow, alerts} ← {store, cluster, bridge} ← runtime ← host ← {index, effect, testing, main,
 * playground}.
 *
 * Owns: who may import whom, who may speak SQL, who may read the process's surroundings, and that no files
 * import each other in a circle.
 */
import { posix } from "node:path"
import { parseSource, type Source, type SourceFile } from "./Sources.ts"

const domain = ["signal", "actor"]
const adapters = ["signal", "actor", "tokens", "provider", "workflow", "alerts"]
const composition = [...adapters, "store", "cluster", "bridge"]
const everything = [...composition, "runtime", "host", "playground", "Config.ts", "index.ts", "effect.ts"]

/** A folder of src, or a file right in it, and what it may import besides itself. */
const mayImport: Readonly<Record<string, ReadonlyArray<string>>> = {
  signal: [],
  actor: ["signal"],
  tokens: domain,
  provider: domain,
  workflow: domain,
  alerts: domain,
  store: adapters,
  cluster: adapters,
  bridge: adapters,
  console: ["signal"],
  runtime: composition,
  host: [...composition, "runtime"],
  playground: everything,
  "Config.ts": ["signal"],
  "index.ts": everything,
  "effect.ts": everything,
  testing: [...composition, "runtime", "host"],
  "testing.ts": ["host", "testing", "signal"],
  "main.ts": everything
}

/** Ports that a sibling implements: siblings meet only through what they declare. */
const ports: Readonly<Record<string, ReadonlyArray<string>>> = {
  store: ["src/bridge/KeyStore.ts", "src/bridge/SessionStore.ts", "src/bridge/InstallationSecret.ts"]
}

const forbiddenNames = new Set(["util", "utils", "common", "shared", "helper", "helpers"])
const sqlPackages = /^(@effect\/sql-[\w-]+|effect\/sql|@electric-sql\/pglite)(\/|$)/
const environmentVariable = /^(BURSAR_[A-Z_]+|DATABASE_URL|[A-Z]+_API_KEY|[A-Z]+_BASE_URL)$/
const surroundings = ["env", "argv"]

/** One sentence for every place that breaks a rule. */
export function violations(files: ReadonlyArray<SourceFile>): Array<string> {
  const sources = files.map(parseSource)
  return [...sources.flatMap(brokenBy), ...cycles(sources)]
}

function brokenBy(source: Source): Array<string> {
  const { path } = source
  const found: Array<string> = []
  const name = path.split("/").find((part) => forbiddenNames.has(part.replace(/\..*$/, "").toLowerCase()))
  if (name !== undefined) found.push(`${path}: "${name}" says nothing about what is in it`)

  if (path.startsWith("examples/")) {
    for (const target of targets(source)) {
      const isFrontDoor = ["src/index.ts", "src/effect.ts", "src/testing.ts"].includes(target)
      if (target.startsWith("src/") && !isFrontDoor) {
        found.push(`${path} imports ${target}: an example imports what a host can import`)
      }
    }
  }
  if (!path.startsWith("src/")) return found

  const unit = unitOf(path)
  const allowed = mayImport[unit]
  if (allowed === undefined) return [...found, `${path}: src/${unit} has no place in the import rule`]
  for (const target of targets(source)) {
    if (!target.startsWith("src/")) found.push(`${path} imports ${target}, which is outside of src`)
    else if (unitOf(target) !== unit && !allowed.includes(unitOf(target)) && !ports[unit]?.includes(target)) {
      found.push(`${path} imports ${target}: ${unit} may import ${allowed.join(", ") || "nothing of ours"}`)
    }
  }
  for (const specifier of source.imports) {
    if (unit !== "store" && sqlPackages.test(specifier)) {
      found.push(`${path} imports ${specifier}: only src/store speaks SQL`)
    }
    if (unit === "console" && specifier.startsWith("node:")) {
      found.push(`${path} imports ${specifier}: the console runs in a browser`)
    }
  }
  if (unit !== "main.ts") {
    for (const member of surroundings.filter((it) => source.processMembers.has(it))) {
      found.push(`${path} reads process.${member}: only src/main.ts does`)
    }
  }
  if (unit !== "Config.ts") {
    for (const text of source.strings) {
      if (environmentVariable.test(text)) found.push(`${path} names ${text}: only src/Config.ts does`)
    }
  }
  return found
}

/**
 * What runs in production but is not installed there. The console is bundled when it is built, so its
 * packages are development dependencies.
 */
export function undeclaredPackages(
  files: ReadonlyArray<SourceFile>,
  dependencies: ReadonlySet<string>
): Array<string> {
  return files
    .filter(({ path }) => path.startsWith("src/") && unitOf(path) !== "console")
    .map(parseSource)
    .flatMap(({ path, imports }) =>
      imports
        .filter((specifier) => !/^(\.|node:)/.test(specifier))
        .filter((specifier) => !dependencies.has(packageOf(specifier)))
        .map((specifier) => `${path} imports ${specifier}, which is no dependency of package.json`)
    )
}

const packageOf = (specifier: string) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

/** `src/tokens/Ledger.ts` is of `tokens`; `src/main.ts` is a unit by itself. */
const unitOf = (path: string) => path.split("/")[1] ?? ""

const targets = (source: Source) =>
  source.imports
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) =>
      posix.normalize(posix.join(posix.dirname(source.path), specifier.replace(/\?.*$/, "")))
    )

/** Each circle once, told from its first file by name. */
function cycles(sources: ReadonlyArray<Source>): Array<string> {
  const edges = new Map(sources.map((source) => [source.path, targets(source)]))
  const state = new Map<string, "open" | "done">()
  const found = new Set<string>()

  const follow = (path: string, trail: ReadonlyArray<string>): void => {
    if (state.get(path) === "done" || !edges.has(path)) return
    if (state.get(path) === "open") {
      const circle = trail.slice(trail.indexOf(path))
      const first = circle.indexOf([...circle].sort()[0] as string)
      const told = [...circle.slice(first), ...circle.slice(0, first)]
      found.add(`${[...told, told[0]].join(" → ")}: these files import each other in a circle`)
      return
    }
    state.set(path, "open")
    for (const target of edges.get(path) ?? []) follow(target, [...trail, path])
    state.set(path, "done")
  }
  for (const path of [...edges.keys()].sort()) follow(path, [])
  return [...found]
}
