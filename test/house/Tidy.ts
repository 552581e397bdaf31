/** What no file of the repository may contain, and what its lock file must. */
import { isScript, parseSource, type SourceFile } from "./Sources.ts"

/** In parts, because this file has to keep the rule too. */
const unfinished = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME"].join("|")})\\b`)
/** Home folders and the like: a path that only exists on its author's machine. */
const machinePath = /(^|[\s"'`(=:])(\/(home|Users|root|work)\/[\w.-]+|[A-Z]:\\Users\\)/
const registryHost = /\/\/[\w.-]*(registry|npmjs|artifactory|verdaccio|nexus)[\w.-]*/i
const linesMax = 500

/** One sentence for every place that is untidy. */
export function untidiness(file: SourceFile): Array<string> {
  const { path, text } = file
  const found: Array<string> = []
  text.split("\n").forEach((line, index) => {
    const place = `${path}:${index + 1}`
    if (unfinished.test(line)) found.push(`${place}: unfinished work belongs into an issue`)
    if (machinePath.test(line)) found.push(`${place}: a path of one machine`)
    if (registryHost.test(line)) found.push(`${place}: names a package registry`)
  })
  const lines = text.trimEnd().split("\n").length
  if (path.startsWith("src/") && lines > linesMax) found.push(`${path}: ${lines} lines, at most ${linesMax}`)
  if (isScript(path) && parseSource(file).castsToAny) found.push(`${path}: casts to any`)
  return found
}

interface Package {
  readonly resolved?: string
  readonly integrity?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** What would make `npm ci` ask one registry only, or refuse on another kind of machine. */
export function lockFileFaults(packages: Readonly<Record<string, Package>>): Array<string> {
  const found: Array<string> = []
  for (const [path, entry] of Object.entries(packages)) {
    if (path === "") continue
    if (entry.resolved !== undefined) found.push(`${path}: has an address; see .npmrc`)
    if (entry.integrity === undefined) found.push(`${path}: has no hash`)
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      const isThere = foldersAbove(path).some((folder) => `${folder}node_modules/${name}` in packages)
      if (!isThere) found.push(`${path}: ${name} is not in the lock file; npm ci would refuse it`)
    }
  }
  return found
}

/** `node_modules/a/node_modules/b` looks for its packages there, then in `node_modules/a`, then at the top. */
function foldersAbove(path: string): Array<string> {
  const parts = path.split(/(?=\/node_modules\/)/)
  return ["", ...parts.map((_, index) => `${parts.slice(0, index + 1).join("")}/`)]
}
