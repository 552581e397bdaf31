/**
 * What the form library asks about a value while it draws.
 *
 * Owns: which of several alternatives a value belongs to. It is read from the schema by hand: the usual validator
 * compiles code from strings, which our content security policy forbids.
 * Does not decide: whether params are right (Definitions, with the server's own decoder).
 */
import type { RJSFSchema, ValidatorType } from "@rjsf/utils"
import type { Params } from "./Definitions.ts"

const resolve = (schema: RJSFSchema, root: RJSFSchema): RJSFSchema => {
  const name = /^#\/\$defs\/(.+)$/u.exec(schema.$ref ?? "")?.[1]
  const target = name === undefined ? undefined : root.$defs?.[name]
  return typeof target === "object" ? (target as RJSFSchema) : schema
}

const TYPE_TESTS: { readonly [type: string]: (value: unknown) => boolean } = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: Array.isArray,
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value)
}

/** Does the value have the shape of the schema: type, enumeration, required and known fields? */
const fits = (given: RJSFSchema, value: unknown, root: RJSFSchema): boolean => {
  const schema = resolve(given, root)
  const types = schema.type === undefined ? [] : [schema.type].flat()
  if (types.length > 0 && !types.some((type) => TYPE_TESTS[type]?.(value))) return false
  if (schema.enum !== undefined && !schema.enum.includes(value as never)) return false
  if (schema.const !== undefined && schema.const !== value) return false
  const alternatives = schema.anyOf ?? schema.oneOf
  if (
    alternatives !== undefined &&
    !alternatives.some((one) => typeof one === "object" && fits(one, value, root))
  ) {
    return false
  }
  if (!TYPE_TESTS.object?.(value)) return true
  const fields = value as { readonly [field: string]: unknown }
  if (schema.required?.some((field) => fields[field] === undefined)) return false
  return Object.entries(schema.properties ?? {}).every(
    ([field, inner]) =>
      fields[field] === undefined || typeof inner !== "object" || fits(inner, fields[field], root)
  )
}

export const validator: ValidatorType<Params> = {
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  isValid: (schema, value, root) => fits(schema, value, root),
  rawValidation: () => ({})
}
