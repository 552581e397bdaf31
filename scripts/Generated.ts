/**
 * The generated files, by their paths.
 *
 * Owns: which there are, and that no field is without a text. Does not decide: what a schema is (src/signal/JsonSchemas),
 * or what is said of a field (its JSDoc).
 */
import { SIGNALS, type SignalName } from "../src/signal/Catalogue.ts"
import { schemaFiles } from "../src/signal/JsonSchemas.ts"
import { TABLES } from "../src/store/Tables.ts"
import { at, type Json, type Types, withTexts, withTypes } from "./FieldTexts.ts"
import { formTexts } from "./FormTexts.ts"
import { methodsFile } from "./Methods.ts"

/** The files that are of no signal: where their type is. */
const OTHERS = [
  ["event.json", "src/signal/Subscriptions.ts", "Event"],
  ["inspection.json", "src/signal/Inspection.ts", "InspectionEvent"],
  ["recording.json", "src/signal/Recording.ts", "RecordingLine"]
] as const

/** The params of the OpenRPC document, with the texts that the schemas have. */
const describedMethods = (openrpc: Json, schemas: { readonly [file: string]: Json }): Json => ({
  ...openrpc,
  methods: (openrpc.methods as ReadonlyArray<{ name: string; params: ReadonlyArray<{ name: string }> }>).map(
    (method) => ({
      ...method,
      params: method.params.map(({ name, ...param }) => {
        const properties = schemas[`${method.name}.json`]?.properties as { readonly [field: string]: Json }
        return { name, description: properties[name]?.description, ...param }
      })
    })
  )
})

const describedFiles = (types: Types): { readonly [file: string]: Json } => {
  const signals = types.constant("src/signal/Catalogue.ts", "SIGNALS")
  const plain = schemaFiles()
  const files: Record<string, Json> = {}
  const missing: Array<string> = []
  const describe = (file: string, type: Parameters<typeof withTexts>[2]) => {
    const title = file.replace(/\.json$/u, "")
    files[file] = withTexts(types, plain[file] as Json, type, title, (path) => missing.push(path))
  }
  for (const name of Object.keys(SIGNALS) as Array<SignalName>) {
    describe(`${name}.json`, at(types, signals, name, "payloadSchema", "Encoded"))
    describe(`${name}.result.json`, at(types, signals, name, "successSchema", "Encoded"))
  }
  for (const [file, path, constant] of OTHERS) {
    describe(file, at(types, types.constant(path, constant), "Encoded"))
  }
  if (missing.length > 0) {
    const list = [...new Set(missing)].sort().join("\n  ")
    throw new Error(`These fields need a text, as JSDoc where src/signal defines them:\n  ${list}`)
  }
  return { ...files, "openrpc.json": describedMethods(plain["openrpc.json"] as Json, files) }
}

/** Every generated file: what is written there. Throws where a field has no text. */
export const generatedFiles = (): { readonly [path: string]: string } => {
  const files = withTypes(describedFiles)
  return {
    ...Object.fromEntries(
      Object.entries(files).map(([name, content]) => [
        `schemas/${name}`,
        `${JSON.stringify(content, null, 2)}\n`
      ])
    ),
    "schemas/database.sql": `-- The tables of the store. The program makes them, and a partition of usage for each month.\n\n${TABLES.join(";\n\n")};\n`,
    "src/console/form/field_texts.json": formTexts(
      Object.fromEntries(Object.keys(SIGNALS).map((name) => [name, files[`${name}.json`] as Json]))
    ),
    "src/host/SignalMethods.ts": methodsFile()
  }
}
