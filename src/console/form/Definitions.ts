/**
 * Every signal as a form needs it: its schema, its kind, and a check of what was typed.
 *
 * Owns: deriving them from src/signal, which is the same code that the server decides with; what is said of each field is its
 * JSDoc there, which `npm run generate` puts into field_texts.json.
 * Does not decide: whether a signal is taken (the server).
 */
import type { RJSFSchema, UiSchema } from "@rjsf/utils"
import { Result } from "effect"
import { isSignalName, SIGNALS, type SignalName } from "../../signal/Catalogue.ts"
import { decodePayload } from "../../signal/Decode.ts"
import { paramsSchema } from "../../signal/JsonSchemas.ts"
import { type SignalTraits, traitsOf } from "../../signal/Signal.ts"
import fieldTexts from "./field_texts.json" with { type: "json" }

export type Params = Record<string, unknown>

export interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

export interface Definition {
  readonly name: SignalName
  readonly traits: SignalTraits
  readonly schema: RJSFSchema
  readonly uiSchema: UiSchema<Params>
  readonly required: ReadonlyArray<string>
}

/** Fields that hold prose and want more than one line. */
const PROSE: UiSchema<Params> = {
  system: { "ui:widget": "textarea" },
  messages: { items: { content: { "ui:widget": "textarea" } } },
  alert_channels: { items: { secret: { "ui:widget": "password" } } }
}

const isOpenSchema = (schema: unknown): boolean =>
  typeof schema === "object" && schema !== null && Object.keys(schema).length === 0

/** Without the fields that this version refuses (their schema accepts nothing in particular), required ones first. */
const tidied = (schema: RJSFSchema): RJSFSchema => {
  const required = new Set(schema.required ?? [])
  const fields = Object.entries(schema.properties ?? {}).filter(([, field]) => !isOpenSchema(field))
  fields.sort(([a], [b]) => Number(required.has(b)) - Number(required.has(a)))
  return { ...schema, properties: Object.fromEntries(fields) }
}

/** Where a default is told, so that the form shows it and does not fill it in: what is left out is not sent. */
export const DEFAULT_HINT = "x-default"

/** Alternatives get names that a person can choose between; defaults become hints. */
const named = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(named)
  if (typeof value !== "object" || value === null) return value
  const copy: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value))
    copy[key === "default" ? DEFAULT_HINT : key] = named(inner)
  if (Array.isArray(copy.anyOf)) {
    copy.anyOf = copy.anyOf.map((option: RJSFSchema, index) => ({
      title: option.enum === undefined ? (option.type ?? `option ${index + 1}`) : "one of these",
      ...option
    }))
  }
  return copy
}

interface Node {
  readonly [name: string]: unknown
}

/** Puts texts beside the fields that they are about: each is found by its path. */
const described = (node: Node, texts: { readonly [path: string]: string }, path = ""): Node => {
  const copy: Record<string, unknown> = Array.isArray(node) ? ([...node] as never) : { ...node }
  for (const [name, inner] of Object.entries(node)) {
    if (typeof inner === "object" && inner !== null)
      copy[name] = described(inner as Node, texts, path === "" ? name : `${path}/${name}`)
  }
  const text = texts[path]
  if (text !== undefined) copy.description = text
  return copy
}

const describedParams = (name: SignalName): Node => {
  const { $defs = {}, ...schema } = paramsSchema(name)
  return {
    ...described(schema, fieldTexts.signals[name]),
    $defs: described($defs as Node, fieldTexts.shared)
  }
}

const definitions = new Map<SignalName, Definition>()

export const definitionOf = (name: SignalName): Definition => {
  const known = definitions.get(name)
  if (known !== undefined) return known
  const root = named(describedParams(name)) as RJSFSchema
  const fresh: Definition = {
    name,
    traits: traitsOf(SIGNALS[name]),
    schema: tidied(root),
    uiSchema: { ...PROSE, "ui:submitButtonOptions": { norender: true } },
    required: root.required ?? []
  }
  definitions.set(name, fresh)
  return fresh
}

/** Everything that is wrong with these params, in the server's own words. */
export const issuesWith = (name: SignalName, params: Params): ReadonlyArray<Issue> => {
  const decoded = decodePayload(name, params)
  return Result.isFailure(decoded) ? decoded.failure.issues : []
}

export const SIGNAL_NAMES: ReadonlyArray<SignalName> = Object.keys(SIGNALS).filter(isSignalName)

/** The signals of each family, in the order of the catalogue. */
export const familiesOf = (filter: string): ReadonlyArray<readonly [string, ReadonlyArray<SignalName>]> => {
  const families = new Map<string, Array<SignalName>>()
  for (const name of SIGNAL_NAMES) {
    const { family, description } = traitsOf(SIGNALS[name])
    if (!`${name} ${family} ${description}`.toLowerCase().includes(filter.toLowerCase())) continue
    families.set(family, [...(families.get(family) ?? []), name])
  }
  return [...families]
}

const RANDOM_BYTES = 6

/** An id for a command that is sent from here. */
const freshRequestId = (): string =>
  `console-${[...crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`

/** What a form starts with: a request id where one is required, so that sending again is safe, and the first item of a list. */
export const initialParams = ({ required, schema }: Definition): Params => {
  const params: Params = required.includes("request_id") ? { request_id: freshRequestId() } : {}
  for (const field of required) {
    const inner = schema.properties?.[field]
    const isList = typeof inner === "object" && inner.type === "array" && (inner.minItems ?? 0) > 0
    if (isList && typeof inner.items === "object" && "$ref" in inner.items) params[field] = [{}]
  }
  return params
}

/** Without what was left empty, so that a field that nobody filled is a field that is not sent. */
export const withoutEmpty = (params: Params): Params =>
  Object.fromEntries(
    Object.entries(params).filter(
      ([, value]) =>
        value !== undefined &&
        value !== "" &&
        !(Array.isArray(value) && value.length === 0) &&
        !(typeof value === "object" && value !== null && Object.keys(value).length === 0)
    )
  )

/** The same signal from a shell. */
export const curlOf = (origin: string, name: string, params: Params): string => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: name, params })
  return [
    `curl -sS ${origin}/signals`,
    `-H "Authorization: Bearer $BURSAR_KEY"`,
    `-H 'Content-Type: application/json'`,
    `-d '${body.replaceAll("'", `'\\''`)}'`
  ].join(" \\\n  ")
}
