/**
 * Four projects, because they need different things of the machine: `unit` needs nothing but npm, `browser` a
 * Chromium, `package` npm's registry, `python` a python3. One Postgres server serves whichever of them run.
 */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const project = (name: string, include: Array<string>, exclude: Array<string> = []) => ({
  test: {
    name,
    include,
    exclude,
    environment: "node" as const,
    pool: "forks" as const,
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})

/** Each test file has a process of its own, and the same modules to load: what Node compiled for one serves the next. */
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL("node_modules/.cache/bursar-tests", import.meta.url))

export default defineConfig({
  test: {
    // At the root, so that it runs once, however many projects take part.
    globalSetup: ["test/support/GlobalSetup.ts"],
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      project(
        "unit",
        ["test/**/*.test.ts", "test/**/*.test.tsx"],
        ["test/browser/**", "test/package/**", "test/python/**"]
      ),
      project("browser", ["test/browser/**/*.test.ts"]),
      project("package", ["test/package/**/*.test.ts"]),
      project("python", ["test/python/**/*.test.ts"])
    ]
  }
})
