/**
 * Puts the texts of fields into the declaration files of the package, as the last step of building it. The compiler
 * leaves them out where it writes a type out again: fields that are spread, and what another file has defined.
 *
 * Owns: finding the fields that say nothing of themselves there. Does not decide: what is said of them (schemas/).
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Type } from "typescript/unstable/sync"
import { SIGNALS, type SignalName } from "../src/signal/Catalogue.ts"
import { at, isJson, type Json, objectsIn, type Types, textOf, withTypes } from "./FieldTexts.ts"

const root = fileURLToPath(new URL("../", import.meta.url))

/** Texts by where they go, by file. */
type Inserts = Map<string, Map<number, string>>

const put = ({ checker }: Types, inserts: Inserts, object: Type, name: string, text: string): void => {
  const declared = checker.getPropertyOfType(object, name)?.declarations[0]?.resolve()
  if (declared === undefined) return
  const { fileName } = declared.getSourceFile()
  if (!fileName.startsWith(`${root}dist/`)) return
  const places = inserts.get(fileName) ?? new Map<number, string>()
  inserts.set(fileName, places.set(declared.getStart(), text))
}

const look = (types: Types, schema: Json, type: Type, inserts: Inserts): void => {
  const definitions = isJson(schema.$defs) ? schema.$defs : {}
  const seen = new Set<string>()
  const visit = (node: unknown, candidates: ReadonlyArray<Type>): void => {
    if (!isJson(node)) return
    if (typeof node.$ref === "string") {
      const key = [node.$ref, ...candidates.map(({ id }) => id)].join(" ")
      if (seen.has(key)) return
      seen.add(key)
      visit(definitions[node.$ref.slice("#/$defs/".length)], candidates)
    }
    const properties = Object.entries(
      (isJson(node.properties) ? node.properties : {}) as Record<string, Json>
    )
    for (const object of candidates) {
      const names = types.checker.getPropertiesOfType(object).map(({ name }) => name)
      if (
        names.length !== properties.length ||
        !names.every((name) => properties.some(([it]) => it === name))
      )
        continue
      for (const [name, property] of properties) {
        const text = property.description
        if (typeof text === "string" && textOf(types, object, name) === "")
          put(types, inserts, object, name, text)
        visit(property, objectsIn(types, at(types, object, name)))
      }
    }
    for (const inner of [node.items, node.additionalProperties]) visit(inner, candidates)
    for (const inner of [node.anyOf, node.oneOf, node.allOf].flat()) visit(inner, candidates)
  }
  visit(schema, objectsIn(types, type))
}

const inserts: Inserts = new Map()
withTypes((types) => {
  const signals = types.constant("dist/signal/Catalogue.d.ts", "SIGNALS")
  const schemaOf = (name: string): Json => JSON.parse(readFileSync(`${root}schemas/${name}.json`, "utf8"))
  for (const name of Object.keys(SIGNALS) as Array<SignalName>) {
    look(types, schemaOf(name), at(types, signals, name, "payloadSchema", "Encoded"), inserts)
    look(types, schemaOf(`${name}.result`), at(types, signals, name, "successSchema", "Encoded"), inserts)
  }
  const event = types.constant("dist/signal/Subscriptions.d.ts", "Event")
  look(types, schemaOf("event"), at(types, event, "Encoded"), inserts)
}, "scripts/dist.tsconfig.json")

for (const [file, places] of inserts) {
  let text = readFileSync(file, "utf8")
  for (const [position, said] of [...places].sort(([a], [b]) => b - a)) {
    text = `${text.slice(0, position)}/** ${said.replaceAll("*/", "* /")} */ ${text.slice(position)}`
  }
  writeFileSync(file, text)
}
