/**
 * JSON that the simulator answers, where it is asked for some.
 *
 * Owns: finding the schema at the end of a system prompt ("… JSON Schema:" and the schema on the next line, as workflows
 * ask), and the smallest value that matches it, the same each time.
 * Does not decide: whether an answer matches (whoever asked).
 */
type Json = { readonly [name: string]: unknown }

const ASKED = /JSON Schema:\n(\{[\s\S]*\})\s*$/u
const DEPTH_MAX = 32
/** Values and letters of one answer: a schema that wants more, or itself again and again, gets `null` from there on. */
const SIZE_MAX = 10_000

interface Asked {
  readonly root: Json
  left: number
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const at = (schema: Json, name: string): unknown => (Object.hasOwn(schema, name) ? schema[name] : undefined)

const countAt = (schema: Json, name: string): number => {
  const count = at(schema, name)
  return typeof count === "number" && count > 0 ? Math.min(Math.ceil(count), SIZE_MAX) : 0
}

/** Zero, or what is nearest to it within the bounds. */
const smallestNumber = (schema: Json, isInteger: boolean): number => {
  const bound = (name: string): number | undefined => {
    const value = at(schema, name)
    return typeof value === "number" ? value : undefined
  }
  const step = bound("multipleOf") ?? (isInteger ? 1 : 0.5)
  const above = bound("exclusiveMinimum")
  const below = bound("exclusiveMaximum")
  const least = Math.max(
    bound("minimum") ?? Number.NEGATIVE_INFINITY,
    above === undefined ? Number.NEGATIVE_INFINITY : Math.floor(above / step) * step + step
  )
  const most = Math.min(
    bound("maximum") ?? Number.POSITIVE_INFINITY,
    below === undefined ? Number.POSITIVE_INFINITY : Math.ceil(below / step) * step - step
  )
  if (least > 0) return Math.ceil(least / step) * step
  return most < 0 ? Math.floor(most / step) * step : 0
}

const typeOf = (schema: Json): unknown => {
  const [type] = [at(schema, "type") ?? []].flat()
  if (type !== undefined) return type
  return isObject(at(schema, "properties")) || Array.isArray(at(schema, "required")) ? "object" : "null"
}

const take = (asked: Asked, count: number): number => {
  const taken = Math.min(count, Math.max(0, asked.left))
  asked.left -= taken
  return taken
}

const smallestObject = (asked: Asked, schema: Json, depth: number): Json => {
  const required = at(schema, "required")
  const properties = at(schema, "properties")
  const names = Array.isArray(required) ? required.filter((name) => typeof name === "string") : []
  return Object.fromEntries(
    names.map((name: string) => {
      const inner = isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : {}
      return [name, smallest(asked, inner, depth + 1)]
    })
  )
}

const smallest = (asked: Asked, schema: unknown, depth = 0): unknown => {
  asked.left -= 1
  if (!isObject(schema) || depth > DEPTH_MAX || asked.left < 0) return null
  if (Object.hasOwn(schema, "const")) return at(schema, "const")
  const options = at(schema, "enum")
  if (Array.isArray(options)) return options[0]
  const ref = at(schema, "$ref")
  if (typeof ref === "string") {
    const defs = at(asked.root, "$defs")
    const name = ref.replace("#/$defs/", "")
    return smallest(asked, isObject(defs) ? at(defs, name) : undefined, depth + 1)
  }
  const [choice] = [at(schema, "anyOf") ?? at(schema, "oneOf") ?? []].flat()
  if (choice !== undefined) return smallest(asked, choice, depth + 1)
  switch (typeOf(schema)) {
    case "object":
      return smallestObject(asked, schema, depth)
    case "array":
      return Array.from({ length: Math.min(countAt(schema, "minItems"), Math.max(0, asked.left)) }, () =>
        smallest(asked, at(schema, "items"), depth + 1)
      )
    case "string":
      return "a".repeat(take(asked, countAt(schema, "minLength")))
    case "integer":
      return smallestNumber(schema, true)
    case "number":
      return smallestNumber(schema, false)
    case "boolean":
      return false
    default:
      return null
  }
}

/** The answer in pieces of a token each; `undefined` where no JSON is asked for. */
export const jsonFor = (system: string | undefined): ReadonlyArray<string> | undefined => {
  const text = system === undefined ? undefined : ASKED.exec(system)?.[1]
  if (text === undefined) return undefined
  try {
    const schema: unknown = JSON.parse(text)
    if (!isObject(schema)) return undefined
    return JSON.stringify(smallest({ root: schema, left: SIZE_MAX }, schema)).match(/[\s\S]{1,4}/gu) ?? []
  } catch {
    return undefined
  }
}
