/** The example of an actor of one's own does what README says. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, it } from "@effect/vitest"

const EXAMPLE = fileURLToPath(new URL("../../examples/07-own-actor.ts", import.meta.url))

it("examples/07-own-actor.ts runs, and ends", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bursar-test-"))
  const env = { PATH: process.env.PATH ?? "", TMPDIR: folder }
  const { stdout } = await promisify(execFile)(process.execPath, [EXAMPLE], { env })
  rmSync(folder, { recursive: true, force: true })
  assert.strictEqual(stdout, "The winner is tea\n")
})
