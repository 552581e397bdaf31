/** Empties `dist` before it is built again: what was built of a file that is gone must not be packed. */
import { rmSync } from "node:fs"
import { join } from "node:path"

rmSync(join(import.meta.dirname, "..", "dist"), { recursive: true, force: true })
