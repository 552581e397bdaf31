import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { afterAll } from "vitest"

const EXAMPLE = fileURLToPath(new URL("../../examples/06-durable-machine.ts", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "bursar-example-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("examples/06-durable-machine.ts", () => {
  it("runs: an order that one process starts and another one ends", async () => {
    const env = { PATH: process.env.PATH ?? "", TMPDIR: folder }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [EXAMPLE], { env })
    assert.strictEqual(stdout, "ordered\ncharged: receipt for order/default/book:charge:2\n")
    assert.strictEqual(stderr, "")
  }, 180_000)
})
