/** The examples of actors of one's own do what README says. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, it } from "@effect/vitest"

const SAID: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["08-own-actor.ts", ["The winner is tea"]],
  [
    "09-machine-actor.ts",
    [
      "crossing/default/main-street: green",
      "crossing/default/main-street/pedestrians: stop",
      "pushed: yellow",
      "ended: done in over"
    ]
  ]
]

for (const [name, lines] of SAID)
  it(`examples/${name} runs, and ends`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "bursar-test-"))
    const env = { PATH: process.env.PATH ?? "", TMPDIR: folder }
    const example = fileURLToPath(new URL(`../../examples/${name}`, import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [example], { env })
    rmSync(folder, { recursive: true, force: true })
    assert.deepStrictEqual(stdout.trimEnd().split("\n"), lines)
  })
