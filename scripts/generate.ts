/**
 * Writes what is derived from src/: schemas/, with a JSON Schema per signal, one of all events, openrpc.json and the
 * tables; and src/host/SignalMethods.ts, a method per signal. The texts of fields are their JSDoc in src/signal. A test
 * holds that all of it is current.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { generatedFiles } from "./Generated.ts"

const root = fileURLToPath(new URL("../", import.meta.url))

const files = generatedFiles()
rmSync(`${root}schemas`, { recursive: true, force: true })
mkdirSync(`${root}schemas`)
for (const [path, text] of Object.entries(files)) writeFileSync(`${root}${path}`, text)
