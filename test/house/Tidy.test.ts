import { describe, expect, it } from "vitest"
import { readSource, repositoryFiles } from "./Sources.ts"
import { lockFileFaults, untidiness } from "./Tidy.ts"

const isText = (path: string) => !/\.(png|jpe?g|gif|ico|woff2?|wasm|parquet|pdf)$/.test(path)

describe("the house is tidy", () => {
  it("in every file", () => {
    const files = repositoryFiles().filter(isText).map(readSource)
    expect(files.flatMap(untidiness)).toEqual([])
  })

  it.each([
    ["src/tokens/A.ts", `// ${"TO"}${"DO"}: later`],
    ["README.md", `see /${"home"}/somebody/notes.md`],
    [".npmrc", `registry=https://${"registry"}.example.org/`],
    ["src/tokens/A.ts", "export {}\n".repeat(501)],
    ["test/A.ts", `const a = b as ${"any"}`]
  ])("%s is not with: %s", (path, text) => {
    expect(untidiness({ path, text })).toHaveLength(1)
  })

  it("and its dependencies install anywhere, in the versions that were tried", () => {
    const manifest = JSON.parse(readSource("package.json").text)
    const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(String(version)))).toEqual([])
    expect(lockFileFaults(JSON.parse(readSource("package-lock.json").text).packages)).toEqual([])
  })

  it("which a lock file with addresses, without hashes or of one platform would not", () => {
    const faults = lockFileFaults({
      "": {},
      "node_modules/a": { integrity: "x", resolved: "x" },
      "node_modules/b": {},
      "node_modules/c": { integrity: "x", optionalDependencies: { a: "1", d: "1", e: "1" } },
      "node_modules/c/node_modules/d": { integrity: "x" }
    })
    expect(faults).toHaveLength(3)
  })
})
