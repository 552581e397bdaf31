/**
 * Checks values against the JSON Schemas that are generated, by what JSON Schema 2020-12 says of the words in them.
 *
 * It knows only the words that occur; any other fails the test, so that nothing passes unread.
 */
type Json = { readonly [word: string]: unknown }

const TYPES: { readonly [type: string]: (value: unknown) => boolean } = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: Array.isArray,
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value)
}

const SAYS_NOTHING = new Set(["$schema", "$defs", "title", "description", "properties", "required"])

const isObject = (value: unknown): value is Json => TYPES.object?.(value) === true

/** Each word: what is wrong with the value, or nothing. */
const WORDS: { readonly [word: string]: (limit: never, value: never) => boolean } = {
  const: (limit: unknown, value: unknown) => limit === value,
  enum: (limit: ReadonlyArray<unknown>, value: unknown) => limit.includes(value),
  minimum: (limit: number, value: unknown) => typeof value !== "number" || value >= limit,
  maximum: (limit: number, value: unknown) => typeof value !== "number" || value <= limit,
  minLength: (limit: number, value: unknown) => typeof value !== "string" || [...value].length >= limit,
  maxLength: (limit: number, value: unknown) => typeof value !== "string" || [...value].length <= limit,
  pattern: (limit: string, value: unknown) => typeof value !== "string" || new RegExp(limit, "u").test(value),
  type: (limit: string | ReadonlyArray<string>, value: unknown) =>
    [limit].flat().some((type) => TYPES[type as string]?.(value) === true)
}

const inner = (schema: Json, value: Json, root: Json, path: string): ReadonlyArray<string> => {
  const properties = (schema.properties ?? {}) as { readonly [name: string]: Json }
  const missing = ((schema.required ?? []) as ReadonlyArray<string>).filter((name) => !(name in value))
  const rest = schema.additionalProperties
  return [
    ...missing.map((name) => `${path}.${name} is missing`),
    ...Object.entries(value).flatMap(([name, field]) => {
      const own = properties[name] ?? (isObject(rest) ? rest : undefined)
      if (own !== undefined) return problemsOf(own, field, root, `${path}.${name}`)
      return rest === false ? [`${path}.${name} is not known`] : []
    })
  ]
}

/** Everything that is wrong with a value, by its schema. */
export const problemsOf = (
  schema: Json,
  value: unknown,
  root = schema,
  path = "$"
): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const [word, limit] of Object.entries(schema)) {
    if (SAYS_NOTHING.has(word) || word === "additionalProperties") continue
    if (word === "$ref") {
      const name = String(limit).replace("#/$defs/", "")
      const target = (root.$defs as { readonly [name: string]: Json })[name]
      if (target === undefined) throw new Error(`${limit} leads nowhere`)
      found.push(...problemsOf(target, value, root, path))
    } else if (word === "anyOf" || word === "allOf") {
      const each = (limit as ReadonlyArray<Json>).map((one) => problemsOf(one, value, root, path))
      if (word === "allOf") found.push(...each.flat())
      else if (!each.some((problems) => problems.length === 0)) found.push(each.flat().join(" | "))
    } else {
      const holds = WORDS[word]
      if (holds === undefined) throw new Error(`This test does not know the word ${word} of JSON Schema`)
      if (!holds(limit as never, value as never)) found.push(`${path}: ${word} ${JSON.stringify(limit)}`)
    }
  }
  return isObject(value) ? [...found, ...inner(schema, value, root, path)] : found
}
