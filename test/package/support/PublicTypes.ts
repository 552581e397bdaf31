/**
 * Which types the declarations of an entry name that nobody can import from it.
 *
 * Owns: reading declarations as the compiler writes them: each at the beginning of a line, its imports by name.
 * Does not decide: which of them a host may do without (Package.test).
 */
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"

interface Module {
  /** What each name stands for: where it is declared, and under which name. */
  readonly imported: ReadonlyMap<string, Declared>
  readonly passedOn: ReadonlyMap<string, Declared>
  readonly all: ReadonlyArray<string>
  /** What is declared here, and its text. */
  readonly declared: ReadonlyMap<string, string>
}

interface Declared {
  readonly path: string
  readonly name: string
}

const BRACES = /^(import|export)(?: type)? \{([^}]*)\} from "(\.[^"]+)"/gmu
const ALL = /^export \* from "(\.[^"]+)"/gmu
const DECLARATION =
  /^(?:export )?(?:declare )?(?:abstract )?(?:interface|class|type|const|function) (\w+)[\s\S]*?(?=^(?:export|declare|interface|type|import|class|const|function)\b|$(?![\s\S]))/gmu

const read = (path: string): Module => {
  const text = readFileSync(path, "utf8").replaceAll(/\/\*[\s\S]*?\*\//gu, "")
  const fileOf = (from: string) => join(dirname(path), from.replace(/\.(ts|js)$/u, ".d.ts"))
  const named = (wanted: string) =>
    new Map(
      [...text.matchAll(BRACES)]
        .filter(([, keyword]) => keyword === wanted)
        .flatMap(([, , names = "", from = ""]) =>
          names
            .split(",")
            .map((one) => one.trim().replace(/^type /u, ""))
            .filter((one) => one !== "")
            .map((one): readonly [string, Declared] => {
              const [name = one, as = name] = one.split(" as ")
              return [as, { path: fileOf(from), name }]
            })
        )
    )
  return {
    imported: named("import"),
    passedOn: named("export"),
    all: [...text.matchAll(ALL)].map(([, from = ""]) => fileOf(from)),
    declared: new Map([...text.matchAll(DECLARATION)].map(([whole, name = ""]) => [name, whole]))
  }
}

/** `entry`: the path of a `.d.ts`; into those that are `closed` nobody looks. Answers `NAME (named by NAME)`, sorted. */
export const namedAndNotExported = (
  entry: string,
  closed: ReadonlySet<string> = new Set()
): ReadonlyArray<string> => {
  const modules = new Map<string, Module>()
  const moduleOf = (path: string): Module => {
    const known = modules.get(path) ?? read(path)
    modules.set(path, known)
    return known
  }
  const keyOf = ({ path, name }: Declared) => `${path} ${name}`
  /** Where a name is declared, through those that pass it on. */
  const origin = ({ path, name }: Declared): Declared => {
    const { passedOn, imported, declared } = moduleOf(path)
    const further = passedOn.get(name) ?? (declared.has(name) ? undefined : imported.get(name))
    return further === undefined ? { path, name } : origin(further)
  }
  const isExported = (text: string) => text.startsWith("export ")
  const exportedBy = (path: string): ReadonlyArray<Declared> => {
    const { passedOn, all, declared } = moduleOf(path)
    return [
      ...[...passedOn.values()].map(origin),
      ...all.flatMap(exportedBy),
      ...[...declared].flatMap(([name, text]) => (isExported(text) ? [{ path, name }] : []))
    ]
  }
  const exported = exportedBy(entry)
  const importable = new Set(exported.map(keyOf))
  const missing = new Map<string, string>()
  const seen = new Set<string>()
  const look = (at: Declared, by: string): void => {
    if (seen.has(keyOf(at)) || closed.has(at.name)) return
    seen.add(keyOf(at))
    const { declared, imported } = moduleOf(at.path)
    const text = declared.get(at.name)?.replaceAll(/"[^"\n]*"/gu, '""') ?? ""
    for (const [name] of text.matchAll(/\b[A-Z]\w*/gu)) {
      const further = imported.get(name)
      const named = further === undefined ? { path: at.path, name } : origin(further)
      const inner = moduleOf(named.path).declared.get(named.name)
      if (inner === undefined || importable.has(keyOf(named))) continue
      // What its own module keeps to itself is a part of whoever uses it.
      if (isExported(inner)) missing.set(named.name, `${named.name} (named by ${by})`)
      else look(named, by)
    }
  }
  for (const one of exported) look(one, one.name)
  return [...missing.values()].sort()
}
