/**
 * Writes schemas/: a JSON Schema per signal, one of all events, and openrpc.json, all derived from src/signal; and
 * the tables, from src/store. A test holds that it is current.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { schemaFiles } from "../src/signal/JsonSchemas.ts"
import { TABLES } from "../src/store/Tables.ts"

const directory = fileURLToPath(new URL("../schemas/", import.meta.url))

rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
for (const [name, content] of Object.entries(schemaFiles())) {
  writeFileSync(`${directory}${name}`, `${JSON.stringify(content, null, 2)}\n`)
}
writeFileSync(
  `${directory}database.sql`,
  `-- The tables of the store. The program makes them, and a partition of usage for each month.\n\n${TABLES.join(";\n\n")};\n`
)
