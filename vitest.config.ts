/**
 * Five projects, because they need different things of the machine: `pure` and `unit` need nothing but npm, `browser` a
 * Chromium, `package` npm's registry, `python` a python3. One Postgres server serves whichever of them run.
 */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * Folders whose tests leave nothing behind in their process. Their files share processes, and the modules that these have
 * loaded: loading takes longer than most of them run. A file of the others has a process of its own.
 */
const PURE = ["actor", "bridge", "console", "house", "provider", "signal", "tokens", "workflow"]
/** What takes longest comes first, so that no processor is without work at the end. */
const LONG = ["/simulation/Ledger.", "/durability/Kill", "/bench/", "/cluster/", "/simulation/", "/runtime/"]

class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = LONG.findIndex((part) => moduleId.includes(part))
      return found === -1 ? LONG.length : found
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

interface Files {
  readonly include: Array<string>
  readonly exclude?: Array<string>
  readonly isolate?: boolean
}

const project = (name: string, files: Files) => ({
  test: {
    name,
    exclude: [],
    ...files,
    environment: "node" as const,
    pool: "forks" as const,
    // Against what never ends. A machine with much else to do is slower by a factor of ten.
    testTimeout: 180_000,
    hookTimeout: 180_000
  }
})

const of = (...folders: ReadonlyArray<string>) => folders.map((folder) => `test/${folder}/**/*.test.{ts,tsx}`)

// Processes load the same modules again and again: what Node compiled for one serves the next.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/bursar-tests", import.meta.url))

export default defineConfig({
  test: {
    // At the root, so that it runs once, however many projects take part.
    globalSetup: ["test/support/GlobalSetup.ts"],
    // More than processors: many tests wait for the programs that they have started.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    sequence: { sequencer: LongFirst },
    projects: [
      project("pure", { include: of(...PURE), isolate: false }),
      project("unit", {
        include: of("**"),
        exclude: of(...PURE, "browser", "package", "python")
      }),
      project("browser", { include: of("browser") }),
      project("package", { include: of("package") }),
      project("python", { include: of("python") })
    ]
  }
})
