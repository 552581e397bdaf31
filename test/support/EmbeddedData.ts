/**
 * Data directories of the embedded store, copied from one that our migrations made: making one takes seconds of a
 * processor, a copy hardly any. Tests of the making itself start from an empty directory.
 *
 * Owns: the template, made once in a run by whoever wants the first copy. Does not decide: when a copy is deleted.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Layer } from "effect"

const VARIABLE = "TEST_EMBEDDED_TEMPLATE"
const MADE_WITHIN_MS = 120_000

/** Names the place of the template to every process of the run. Answers how to delete it. */
export function prepareEmbedded(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "bursar-embedded-"))
  process.env[VARIABLE] = folder
  return () => rmSync(folder, { recursive: true, force: true })
}

/** Fills a directory with an embedded store that has our tables and nothing in them. */
export async function fillWithStore(directory: string): Promise<void> {
  const template = process.env[VARIABLE]
  if (template === undefined) throw new Error("There is no embedded template: run the tests by npm test.")
  await made(template)
  await cp(join(template, "data"), directory, { recursive: true })
}

async function made(template: string): Promise<void> {
  const [ready, taken] = [join(template, "ready"), join(template, "taken")]
  for (let waitedMs = 0; !existsSync(ready); waitedMs += 50) {
    if (isFirst(taken)) {
      await make(join(template, "data")).catch((error: unknown) => {
        rmSync(join(template, "data"), { recursive: true, force: true })
        rmSync(taken, { recursive: true })
        throw error
      })
      writeFileSync(ready, "")
    } else if (waitedMs > MADE_WITHIN_MS) throw new Error(`Nobody made the embedded template in ${template}.`)
    else await sleep(50)
  }
}

function isFirst(taken: string): boolean {
  try {
    mkdirSync(taken)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    throw error
  }
}

/** Loaded where it is needed: most tests of programs want no store of their own. */
async function make(directory: string): Promise<void> {
  const { embeddedLayer } = await import("../../src/store/embedded/EmbeddedPostgres.ts")
  const { migrationsLayer } = await import("../../src/store/Migrations.ts")
  const made = migrationsLayer.pipe(Layer.provide(embeddedLayer({ directory })))
  await Effect.runPromise(Effect.scoped(Layer.build(made)))
}
