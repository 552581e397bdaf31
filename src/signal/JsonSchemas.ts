/**
 * The language for clients that do not speak TypeScript: JSON Schemas, and an OpenRPC document.
 *
 * Owns: how they are derived from the signals' definitions. Does not decide: what a signal is.
 */
import { Schema } from "effect"
import { SIGNALS, type SignalName } from "./Catalogue.ts"
import { ALWAYS_POSSIBLE, ERROR_CODES } from "./Errors.ts"
import { InspectionEvent } from "./Inspection.ts"
import { RecordingLine } from "./Recording.ts"
import { traitsOf } from "./Signal.ts"
import { Event } from "./Subscriptions.ts"

type Json = { readonly [name: string]: unknown }

const DIALECT = "https://json-schema.org/draft/2020-12/schema"
const CONTRACT_VERSION = "1.0.0"

/** What goes in is strict: unknown fields are refused. What comes out may gain fields. */
const document = (schema: Schema.Top, title: string, onExcessProperty: "error" | "ignore"): Json => {
  const { schema: root, definitions } = Schema.toJsonSchemaDocument(schema, { onExcessProperty })
  const hasDefinitions = Object.keys(definitions).length > 0
  return { $schema: DIALECT, title, ...root, ...(hasDefinitions ? { $defs: definitions } : {}) }
}

/** The JSON Schema of a signal's params. */
export const paramsSchema = (name: SignalName): Json => ({
  ...document(SIGNALS[name].payloadSchema, name, "error"),
  description: traitsOf(SIGNALS[name]).description
})

/** The JSON Schema of a signal's answer. */
export const resultSchema = (name: SignalName): Json =>
  document(SIGNALS[name].successSchema, `${name} result`, "ignore")

const methodOf = (name: SignalName): Json => {
  const traits = traitsOf(SIGNALS[name])
  const params = paramsSchema(name)
  const required = new Set((params.required as ReadonlyArray<string> | undefined) ?? [])
  const properties = (params.properties as Json | undefined) ?? {}
  return {
    name,
    summary: traits.description,
    tags: [{ name: traits.family }, { name: traits.kind }],
    paramStructure: "by-name",
    params: Object.keys(properties).map((field) => ({
      name: field,
      required: required.has(field),
      schema: { $ref: `${name}.json#/properties/${field}` }
    })),
    errors: [...ALWAYS_POSSIBLE, ...traits.fails].map((tag) => ({ $ref: `#/components/errors/${tag}` })),
    result: { name: "result", schema: { $ref: `${name}.result.json` } },
    "x-roles": [...traits.roles, "admin"]
  }
}

/** The OpenRPC document of all signals; its schemas are the files beside it. */
export const openRpc = (): Json => ({
  openrpc: "1.3.2",
  info: {
    title: "Bursar signals",
    version: CONTRACT_VERSION,
    description: "The signals of a Bursar runtime, over WebSocket and HTTP at /signals.",
    license: { name: "MIT" }
  },
  methods: (Object.keys(SIGNALS) as Array<SignalName>).map(methodOf),
  components: {
    errors: Object.fromEntries(
      Object.entries(ERROR_CODES).map(([tag, code]) => [tag, { code, message: tag, data: { _tag: tag } }])
    )
  }
})

/** Every file of schemas/, by name. */
export const schemaFiles = (): { readonly [file: string]: Json } => {
  const files: Record<string, Json> = {}
  for (const name of Object.keys(SIGNALS) as Array<SignalName>) {
    files[`${name}.json`] = paramsSchema(name)
    files[`${name}.result.json`] = resultSchema(name)
  }
  files["event.json"] = document(Event, "event", "ignore")
  files["inspection.json"] = document(InspectionEvent, "inspection event", "ignore")
  files["recording.json"] = document(RecordingLine, "line of a recording", "ignore")
  files["openrpc.json"] = openRpc()
  return files
}
