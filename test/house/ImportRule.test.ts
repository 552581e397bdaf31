import { describe, expect, it } from "vitest"
import { undeclaredPackages, violations } from "./ImportRule.ts"
import { isScript, readSource, repositoryFiles } from "./Sources.ts"

const isCode = (path: string) => /^(src|examples|test|scripts)\//.test(path) && isScript(path)

describe("the import rule", () => {
  it("holds in this repository", () => {
    const files = repositoryFiles().filter(isCode).map(readSource)
    expect(files.length).toBeGreaterThan(10)
    expect(violations(files)).toEqual([])
  })

  it("keeps the nodes out of the actors: one that is here is asked in the same way, however many nodes there are", () => {
    const files = repositoryFiles().filter((path) => path.startsWith("src/actor/") && isScript(path))
    const naming = files.filter((path) => /\bPlacement\b|\/cluster/.test(readSource(path).text))
    expect(naming).toEqual(["src/actor/Placement.ts"])
  })

  it.each([
    ["src/signal/A.ts", 'import { B } from "../actor/B.ts"'],
    ["src/actor/A.ts", 'import type { B } from "../tokens/B.ts"'],
    ["src/tokens/A.ts", 'export * from "../provider/B.ts"'],
    ["src/workflow/A.ts", 'export { B } from "../tokens/B.ts"'],
    ["src/provider/A.ts", 'const b = () => import("../store/B.ts")'],
    ["src/bridge/A.ts", 'import { B } from "../store/B.ts"'],
    ["src/cluster/A.ts", 'let b: import("../bridge/B.ts").B'],
    ["src/store/A.ts", 'const worker = new URL("../bridge/B.ts", import.meta.url)'],
    ["src/store/A.ts", 'import { Config } from "../Config.ts"'],
    ["src/tokens/A.ts", 'import {\n  B,\n  C\n} from /* a comment */ "../store/B.ts"'],
    ["src/console/A.tsx", 'import { B } from "../actor/B.ts"\nexport const a = <p>it isn\'t</p>'],
    ["src/console/A.ts", 'import { readFile } from "node:fs"'],
    ["src/actor/A.ts", 'import { B } from "../console/B.ts"'],
    ["src/index.ts", 'import "./main.ts"'],
    ["src/store/A.ts", 'import { B } from "../../test/support/B.ts"'],
    ["src/tokens/A.ts", 'import { PgClient } from "@effect/sql-pg"'],
    ["src/bridge/A.ts", 'import { SqlClient } from "effect/sql"'],
    ["src/cluster/A.ts", 'import * as SqlClient from "effect/sql/SqlClient"'],
    ["src/bridge/A.ts", "const a = process.env.HOME"],
    ["src/index.ts", 'const a = process["argv"]'],
    ["src/store/A.ts", 'import { env } from "node:process"'],
    ["src/main.ts", 'const a = process.env["BURSAR_PORT"]'],
    ["src/provider/A.ts", 'const key = "ANTHROPIC_API_KEY"'],
    ["src/somewhere/A.ts", "export {}"],
    ["src/actor/utils/A.ts", "export {}"],
    ["src/tokens/Helpers.ts", "export {}"],
    ["test/shared/A.ts", "export {}"],
    ["examples/01.ts", 'import { B } from "../src/tokens/B.ts"']
  ])("is broken by %s with: %s", (path, text) => {
    expect(violations([{ path, text }])).toHaveLength(1)
  })

  it.each([
    ["src/actor/A.ts", 'import { B } from "../signal/B.ts"'],
    ["src/tokens/A.ts", 'import { B } from "./deep/B.ts"\nimport { C } from "../actor/C.ts"'],
    ["src/store/A.ts", 'import { B } from "../tokens/B.ts"\nimport { PgClient } from "@effect/sql-pg"'],
    ["src/console/A.tsx", 'import { B } from "../signal/B.ts"\nimport { useState } from "react"'],
    ["src/tokens/A.ts", '// import { B } from "../store/B.ts"\nconst a = `import "../store/B.ts"`'],
    ["src/main.ts", 'import { B } from "./Config.ts"\nconst a = [process.env, process.argv]'],
    ["src/bridge/A.ts", 'const a = "set DATABASE_URL and start again"\nconst b = process.pid'],
    ["test/tokens/A.ts", 'import { B } from "../../src/store/B.ts"\nconst a = process.env.CI'],
    ["examples/01.ts", 'import { B } from "../src/index.ts"']
  ])("is kept by %s with: %s", (path, text) => {
    expect(violations([{ path, text }])).toEqual([])
  })

  it("finds circles between files, and each once", () => {
    const files = [
      { path: "src/tokens/C.ts", text: 'import "./A.ts"' },
      { path: "src/tokens/A.ts", text: 'import type { B } from "./B.ts"' },
      { path: "src/tokens/B.ts", text: 'export * from "./C.ts"\nimport "./D.ts"' },
      { path: "src/tokens/D.ts", text: "export {}" }
    ]
    expect(violations(files)).toEqual([
      "src/tokens/A.ts → src/tokens/B.ts → src/tokens/C.ts → src/tokens/A.ts: these files import each other in a circle"
    ])
  })

  it("lets production need only what production installs", () => {
    const declared = new Set(Object.keys(JSON.parse(readSource("package.json").text).dependencies))
    const files = repositoryFiles().filter(isCode).map(readSource)
    expect(undeclaredPackages(files, declared)).toEqual([])

    const broken = [
      { path: "src/actor/A.ts", text: 'import { B } from "@scope/b/c"\nimport { D } from "@scope/d/e"' },
      { path: "src/console/A.ts", text: 'import { B } from "react"' }
    ]
    expect(undeclaredPackages(broken, new Set(["@scope/d"]))).toHaveLength(1)
  })
})
