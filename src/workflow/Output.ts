/**
 * What an agent answered, as the workflow takes it: a text, or JSON that matches a schema.
 *
 * Owns: asking for JSON in words, reading it strictly, and saying what is wrong with it.
 * Does not decide: what becomes of an answer that does not match (StepEnd).
 */
import { JsonSchema, Result, Schema, SchemaRepresentation } from "effect"
import { byteLength, toSentence } from "../signal/Text.ts"
import type { OutputSpec } from "../signal/WorkflowDefinition.ts"

/** All outputs of a workflow lie in its snapshot, which is written with every step. */
export const OUTPUT_BYTES_MAX = 65_536

const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"])

type Json = { readonly [name: string]: unknown }

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A type that there is not would match nothing, or everything. */
const unknownType = (schema: unknown): string | undefined => {
  if (Array.isArray(schema)) return schema.map(unknownType).find((found) => found !== undefined)
  if (!isObject(schema)) return undefined
  for (const [name, inner] of Object.entries(schema)) {
    const types = name === "type" ? [inner].flat().filter((type) => typeof type === "string") : []
    const unknown = types.find((type) => !TYPES.has(type))
    if (unknown !== undefined) return unknown
    const found = name === "const" || name === "enum" || name === "default" ? undefined : unknownType(inner)
    if (found !== undefined) return found
  }
  return undefined
}

const makeDecoder = (schema: Json) =>
  Schema.decodeUnknownResult(
    SchemaRepresentation.fromJsonSchemaDocument(
      JsonSchema.fromSchemaDraft2020_12(schema)
    ) as Schema.Codec<Schema.Json>,
    { errors: "all", onExcessProperty: "error" }
  )

/** Why a JSON Schema cannot be used, or `undefined`. */
export const schemaProblem = (schema: Json): string | undefined => {
  const unknown = unknownType(schema)
  if (unknown !== undefined) return `There is no type ${JSON.stringify(unknown)} in JSON Schema`
  try {
    makeDecoder(schema)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(/\s+/gu, " ") : "It cannot be read"
  }
}

const decoders = new WeakMap<object, ReturnType<typeof makeDecoder>>()

const decoderOf = (schema: Json): ReturnType<typeof makeDecoder> => {
  const known = decoders.get(schema)
  if (known !== undefined) return known
  const made = makeDecoder(schema)
  decoders.set(schema, made)
  return made
}

/** What is said to a model that has to answer with JSON. */
export const instructionsFor = (output: OutputSpec): string | undefined =>
  output.type === "text"
    ? undefined
    : `Answer with one JSON value and nothing else: no prose, no code fence. It must match this JSON Schema:\n${JSON.stringify(output.schema)}`

const parse = (content: string): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JSON.parse(content))
  } catch {
    return Result.fail("it is not JSON")
  }
}

/** The output, or what is wrong with the answer. */
export const outputOf = (spec: OutputSpec, content: string): Result.Result<Schema.Json, string> => {
  if (byteLength(content) > OUTPUT_BYTES_MAX)
    return Result.fail(`it is longer than ${OUTPUT_BYTES_MAX} bytes; ask for fewer tokens`)
  // Models do write it, and neither JSON columns nor prompts take it.
  if (spec.type === "text") return Result.succeed(content.replaceAll("\u0000", "").toWellFormed())
  return Result.flatMap(parse(content), (value) =>
    Result.mapError(decoderOf(spec.schema)(value), ({ message }) =>
      toSentence(message.replaceAll(/\s+/gu, " "))
    )
  )
}
