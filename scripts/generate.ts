/**
 * Writes schemas/: a JSON Schema per signal, one of all events, and openrpc.json. All of it is derived from
 * src/signal; a test holds that it is current.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { schemaFiles } from "../src/signal/JsonSchemas.ts"

const directory = fileURLToPath(new URL("../schemas/", import.meta.url))

rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
for (const [name, content] of Object.entries(schemaFiles())) {
  writeFileSync(`${directory}${name}`, `${JSON.stringify(content, null, 2)}\n`)
}
