/** An embedded store in this process, with our tables, gone when its layer closes. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { embeddedLayer } from "../../src/store/embedded/EmbeddedPostgres.ts"
import { fillWithStore } from "./EmbeddedData.ts"

const directory = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = mkdtempSync(join(tmpdir(), "bursar-test-"))
    await fillWithStore(folder)
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** One store for all who share the layer; another one each time that it is built. */
export const embeddedStore = Layer.unwrap(
  Effect.map(directory, (folder) => embeddedLayer({ directory: folder }))
)
