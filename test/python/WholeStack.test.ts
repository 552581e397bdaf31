/** The Python example tells its story to the whole product. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, it } from "@effect/vitest"
import { makeDatabase, type ProgramOptions, startProgram } from "../support/Program.ts"
import { ADMIN_KEY } from "../support/Wire.ts"

const SCRIPT = fileURLToPath(new URL("../../examples/clients/python_http.py", import.meta.url))

const STORES: { readonly [name: string]: () => Promise<ProgramOptions> } = {
  "a Postgres server": async () => ({ databaseUrl: await makeDatabase() }),
  "the embedded store": async () => ({})
}

for (const [store, optionsOf] of Object.entries(STORES)) {
  it(`a Python script without dependencies tells the story to the program on ${store}`, async () => {
    const program = await startProgram(await optionsOf())
    const env = { ...process.env, BURSAR_URL: program.url, BURSAR_KEY: ADMIN_KEY }
    const { stdout } = await promisify(execFile)("python3", [SCRIPT], { env })
    assert.deepStrictEqual(stdout.trim().split("\n"), [
      "allowed: True held: 0.003",
      "cost: 0.002",
      "remaining: 0.008"
    ])
    await program.kill()
  })
}
