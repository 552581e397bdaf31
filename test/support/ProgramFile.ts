/**
 * The program in one file: its many modules take a second of a processor at each start, and tests start it hundreds
 * of times.
 *
 * Owns: making it once for what src/ says now, and where it lies. Does not decide: who runs it. Some tests run src/main.ts as
 * `npm start` does (`isFromSource`), and test/package what people install.
 */
import { createHash, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
/** Two folders deep, as src/runtime is: from there the program finds schemas/ and the console. */
const FOLDER = join(ROOT, ".test-program")
const KEPT_MS = 3_600_000

export const SOURCE = join(ROOT, "src", "main.ts")

let made: Promise<string> | undefined

/** The path of the program's one file, of the sources as they are now. */
export const programFile = (): Promise<string> => {
  made ??= make()
  return made
}

async function make(): Promise<string> {
  const folder = join(FOLDER, digestOfSources())
  const main = join(folder, "main.js")
  if (existsSync(main)) return main
  const mine = join(FOLDER, `making-${randomBytes(6).toString("hex")}`)
  mkdirSync(mine, { recursive: true })
  await bundle(mine)
  try {
    renameSync(mine, folder)
  } catch (error) {
    rmSync(mine, { recursive: true, force: true })
    // Whoever was quicker has made the same.
    if (!existsSync(main)) throw error
  }
  for (const name of readdirSync(FOLDER)) {
    const made = statSync(join(FOLDER, name), { throwIfNoEntry: false })
    if (made !== undefined && Date.now() - made.mtimeMs > KEPT_MS)
      rmSync(join(FOLDER, name), { recursive: true, force: true })
  }
  return main
}

function digestOfSources(): string {
  const hash = createHash("sha256").update(readFileSync(join(ROOT, "package-lock.json")))
  hash.update(readFileSync(fileURLToPath(import.meta.url)))
  const files = readdirSync(join(ROOT, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
  for (const file of files.sort()) hash.update(`${file}\n`).update(readFileSync(file))
  return hash.digest("hex").slice(0, 16)
}

async function bundle(folder: string): Promise<void> {
  const { build } = await import("vite")
  await build({
    root: ROOT,
    configFile: false,
    envDir: false,
    publicDir: false,
    logLevel: "error",
    ssr: {
      noExternal: true,
      // What finds its own files, what is large and seldom wanted, and what need not be there.
      external: [
        "@electric-sql/pglite",
        "@pydantic/genai-prices",
        "gpt-tokenizer",
        "pg-native",
        "bufferutil",
        "utf-8-validate"
      ]
    },
    build: {
      ssr: true,
      outDir: folder,
      minify: false,
      target: "node24",
      rolldownOptions: {
        input: { main: SOURCE, Worker: join(ROOT, "src", "store", "embedded", "Worker.ts") },
        output: { keepNames: true, entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" }
      }
    }
  })
}
