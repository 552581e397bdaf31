/**
 * Which fields an answer can have, by its JSON Schema.
 *
 * Owns: saying that a field is in no answer that matches, where the schema tells. Where it names `properties`, a field
 * beside them is taken for misspelt, unless `additionalProperties` is given (`true`, or a schema of them).
 * Does not decide: whether a field that may be left out is there (Template).
 */
import { nearest } from "../signal/Nearest.ts"

type Json = { readonly [name: string]: unknown }

/** With these, which fields there are does not follow from `properties` alone. */
const OPEN = ["anyOf", "oneOf", "allOf", "not", "if", "patternProperties", "$dynamicRef"]
const DEPTH_MAX = 32
const NAMED_MAX = 20

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const at = (schema: Json, name: string): unknown => (Object.hasOwn(schema, name) ? schema[name] : undefined)

/** A schema with its `$ref` followed; `undefined` where it says nothing of fields. */
const resolved = (root: Json, schema: unknown, depth = 0): Json | undefined => {
  if (!isObject(schema) || depth > DEPTH_MAX) return undefined
  const ref = at(schema, "$ref")
  if (typeof ref !== "string") return OPEN.some((word) => Object.hasOwn(schema, word)) ? undefined : schema
  const name = /^#\/\$defs\/([^/]+)$/u.exec(ref)?.[1]
  const defs = at(root, "$defs")
  return name === undefined || !isObject(defs) ? undefined : resolved(root, at(defs, name), depth + 1)
}

const typesOf = (schema: Json): ReadonlyArray<unknown> => [at(schema, "type") ?? []].flat()

/** Why the answer cannot have these fields, or `undefined` where it may. */
export const fieldProblem = (
  root: Json,
  agent: string,
  fields: ReadonlyArray<string>
): string | undefined => {
  let schema = resolved(root, root)
  let path = agent
  for (const field of fields) {
    if (schema === undefined) return undefined
    const types = typesOf(schema)
    if (types.length > 0 && !types.includes("object") && !types.includes("array"))
      return `${path} is ${types.join(" or ")} by its schema, which has no fields`
    const properties = at(schema, "properties")
    const isArray = types.includes("array")
    if (isArray) schema = resolved(root, at(schema, "items"))
    else if (!isObject(properties)) return undefined
    else if (Object.hasOwn(properties, field)) schema = resolved(root, properties[field])
    else if (isOpen(schema)) return undefined
    else {
      const names = Object.keys(properties)
      const guess = nearest(field, names)
      const hint = guess === undefined ? "" : `. Did you mean ${JSON.stringify(guess)}?`
      const known = names.length === 0 ? "none" : names.slice(0, NAMED_MAX).join(", ")
      return `${path} has no field ${JSON.stringify(field)} by its schema, which has ${known}${hint}`
    }
    path = `${path}.${field}`
  }
  return undefined
}

const isOpen = (schema: Json): boolean => {
  const additional = at(schema, "additionalProperties")
  return additional === true || isObject(additional)
}
