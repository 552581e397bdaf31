/** The programs of README do what it says of them, word by word. */
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { startBursar } from "../../src/index.ts"
import { makeFolder } from "../support/Program.ts"

const ROOT = new URL("../../", import.meta.url)
const run = promisify(execFile)

/** The TypeScript of README that imports this. */
const snippetWith = async (module: string): Promise<string> => {
  const readme = await readFile(new URL("README.md", ROOT), "utf8")
  const snippets = [...readme.matchAll(/```ts\n(.*?)```/gsu)].map(([, text = ""]) => text)
  const [found, ...others] = snippets.filter((text) => text.includes(`from "${module}"`))
  assert.deepStrictEqual(others, [])
  return found ?? assert.fail(`README imports no ${module}`)
}

/** As a project would have it that has installed the package. */
const installed = (text: string): string =>
  text
    .replaceAll(
      /from "bursar\/(\w+)"/gu,
      (_, part) => `from ${JSON.stringify(new URL(`src/${part}.ts`, ROOT).href)}`
    )
    .replaceAll(/from "effect"/gu, `from ${JSON.stringify(import.meta.resolve("effect"))}`)

const runs = async (text: string): Promise<string> => {
  const file = join(makeFolder(), "snippet.mts")
  writeFileSync(file, installed(text))
  const { stdout } = await run(process.execPath, [file])
  return stdout
}

describe("a program of README", () => {
  it("that tests what is built on it passes", async () => {
    assert.strictEqual(
      await runs(`${await snippetWith("bursar/testing")}\nconsole.log("passed")`),
      "passed\n"
    )
  })

  it("with an actor of its own is answered", async () => {
    const text = (await snippetWith("bursar/effect")).replace("./.bursar", makeFolder())
    assert.strictEqual(await runs(`${text}\nconsole.log(votes)`), "1\n")
  })

  it("that makes its budgets at each start has them once", async () => {
    const dataDirectory = makeFolder()
    const setUp = async () => {
      await using bursar = await startBursar({ dataDirectory })
      const made = await bursar.create_budget({
        request_id: "setup/each-user",
        name: "Each user",
        type: "user",
        entity_id: "*",
        period: "daily",
        limit: "1.00"
      })
      const { budgets } = await bursar.get_budget_status()
      return { id: made.budget_id, count: budgets.length }
    }
    const first = await setUp()
    assert.strictEqual(first.count, 1)
    assert.deepStrictEqual(await setUp(), first)
  })
})
