/**
 * Reads source files for the house rules: what each imports and what it names, from its syntax tree, so that
 * neither a comment nor a string can be mistaken for code.
 */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, posix } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "vite"

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** A file by its path from the root of the repository, with slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

export interface Source extends SourceFile {
  /** Specifiers as written: static and dynamic imports, re-exports, import types, `new URL(…, import.meta.url)`. */
  readonly imports: ReadonlyArray<string>
  /** Every string literal that is no import. */
  readonly strings: ReadonlySet<string>
  /** Members of `process` that are used, also when imported by name from node:process. */
  readonly processMembers: ReadonlySet<string>
  readonly castsToAny: boolean
}

// --- Files ------------------------------------------------------------------------------------------------

const notOurs = new Set(["node_modules", "dist", "coverage", ".git", ".bursar", ".reports", ".test-program"])

/** What belongs to the repository: as git says, or every file where there is no git (an unpacked archive). */
export function repositoryFiles(): Array<string> {
  try {
    const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
    return listed.split("\n").filter((path) => path !== "" && isFile(path))
  } catch {
    return walk("")
  }
}

export const readSource = (path: string): SourceFile => ({
  path,
  text: readFileSync(join(root, path), "utf8")
})

export const isScript = (path: string) => /\.(ts|tsx|mjs)$/.test(path)

const isFile = (path: string) => statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true

function walk(folder: string): Array<string> {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (notOurs.has(entry.name)) return []
    const path = posix.join(folder, entry.name)
    return entry.isDirectory() ? walk(path) : [path]
  })
}

// --- Syntax -----------------------------------------------------------------------------------------------

interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

export function parseSource(file: SourceFile): Source {
  const parsed = parseSync(file.path, file.text)
  if (parsed.errors.length > 0) throw new Error(`${file.path}: ${parsed.errors[0]?.message}`)
  const imports: Array<string> = []
  const strings = new Set<string>()
  const processMembers = new Set<string>()
  let castsToAny = false

  visit(parsed.program as unknown as Node, (node) => {
    const specifier = importedBy(node)
    if (specifier !== undefined) {
      imports.push(specifier)
      if (specifier === "node:process" || specifier === "process") {
        for (const name of importedNames(node)) processMembers.add(name)
      }
      return
    }
    if (node.type === "Literal" && typeof node.value === "string") strings.add(node.value)
    if (node.type === "MemberExpression" && isNamed(node.object, "process")) {
      const property = node.property as Node
      processMembers.add(String(property.name ?? property.value))
    }
    if (node.type === "TSAsExpression" && (node.typeAnnotation as Node).type === "TSAnyKeyword") {
      castsToAny = true
    }
  })
  for (const specifier of imports) strings.delete(specifier)
  return { ...file, imports, strings, processMembers, castsToAny }
}

function visit(node: Node, see: (node: Node) => void): void {
  see(node)
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child === "object" && child !== null && "type" in child) visit(child as Node, see)
    }
  }
}

function importedBy(node: Node): string | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return literal(node.source)
    case "NewExpression": {
      const [first, second] = node.arguments as Array<Node>
      const isModulePath = isNamed(node.callee, "URL") && (second?.object as Node)?.type === "MetaProperty"
      // A folder or a file of another kind is no import.
      return isModulePath && isScript(literal(first) ?? "") ? literal(first) : undefined
    }
    default:
      return undefined
  }
}

const importedNames = (node: Node): Array<string> =>
  ((node.specifiers ?? []) as Array<Node>).map((it) => String((it.imported as Node | undefined)?.name))

const literal = (value: unknown): string | undefined => {
  const node = value as Node | null | undefined
  return node?.type === "Literal" && typeof node.value === "string" ? node.value : undefined
}

const isNamed = (value: unknown, name: string) => {
  const node = value as Node | undefined
  return node?.type === "Identifier" && node.name === name
}
