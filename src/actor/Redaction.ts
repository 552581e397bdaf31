/**
 * What of a signal may be kept in memory and shown to people.
 *
 * Owns: which fields hold prompt text, answers or secrets, and leaving them out, by each signal's own definition.
 * Does not decide: who may look (Authorization), or how long it is kept (Inspection, DeadLetters).
 */
import { Schema, SchemaAST } from "effect"
import type { AnySignal } from "../signal/Protocol.ts"
import { traitsOf } from "../signal/Signal.ts"

/** Fields that hold secrets: shown to nobody, whatever is asked for. */
const SECRET: ReadonlySet<string> = new Set(["secret", "alert_channels"])

/** Fields that hold prompt text, answers or secrets, in whatever signal. */
export const NEVER_SHOWN: ReadonlySet<string> = new Set([
  ...SECRET,
  "messages",
  "system",
  "tools",
  "raw_usage",
  "metadata",
  "content",
  "tool_calls"
])

const REDACTED = "[redacted]"
const UNSHOWABLE = "[cannot be shown]"

/** A value without the fields of these names, at any depth. */
export const redact = (value: unknown, names: ReadonlySet<string> = NEVER_SHOWN): Schema.Json => {
  if (typeof value !== "object" || value === null) return value as Schema.Json
  if (Array.isArray(value)) return value.map((item) => redact(item, names))
  const shown: Record<string, Schema.Json> = {}
  for (const [field, inner] of Object.entries(value)) {
    shown[field] = names.has(field) ? REDACTED : redact(inner, names)
  }
  return shown
}

type Lighten = (value: object) => object
/** `keep`: nothing to leave out. `drop`: it may hold what is left out, anywhere inside. */
type Lightness = "keep" | "drop" | Lighten

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const without = (value: object, dropped: ReadonlyArray<string>): object => {
  for (const field of dropped) {
    if (field in value)
      return Object.fromEntries(Object.entries(value).filter(([name]) => !dropped.includes(name)))
  }
  return value
}

/** The value itself where it has nothing of what is left out. */
const lightenWith =
  (dropped: ReadonlyArray<string>, inner: ReadonlyArray<readonly [string, Lighten]>): Lighten =>
  (value) => {
    let light = without(value, dropped)
    for (const [field, lighten] of inner) {
      const part = (light as Record<string, unknown>)[field]
      if (!isObject(part)) continue
      const lightPart = lighten(part)
      if (lightPart !== part) light = { ...light, [field]: lightPart }
    }
    return light
  }

/** How little has to be left out of what this schema describes: nearly always nothing, so that nothing is asked. */
const lightnessOf = (ast: SchemaAST.AST, names: ReadonlySet<string>): Lightness => {
  if (SchemaAST.isObjects(ast)) {
    const dropped: Array<string> = []
    const inner: Array<readonly [string, Lighten]> = []
    for (const { name, type } of ast.propertySignatures) {
      const field = String(name)
      const lightness = names.has(field) ? "drop" : lightnessOf(type, names)
      if (lightness === "drop") dropped.push(field)
      else if (lightness !== "keep") inner.push([field, lightness])
    }
    return dropped.length + inner.length === 0 ? "keep" : lightenWith(dropped, inner)
  }
  const parts = SchemaAST.isUnion(ast)
    ? ast.types
    : SchemaAST.isArrays(ast)
      ? [...ast.elements, ...ast.rest]
      : []
  return parts.every((part) => lightnessOf(part, names) === "keep") ? "keep" : "drop"
}

type Encode = (value: unknown) => unknown

const encoderOf = (schema: Schema.Top): Encode => {
  const encode = Schema.encodeUnknownSync(schema as Schema.Codec<unknown, unknown>)
  // What is shown must never disturb what is done.
  return (value) => {
    try {
      return encode(value)
    } catch {
      return UNSHOWABLE
    }
  }
}

interface ShownField {
  readonly encode: Encode
  /** Required, and left out: that it was there is shown. */
  readonly isMissed: boolean
}

/** Writes what is left of a struct, field by field. */
const writerOf = (schema: Schema.Top, names: ReadonlySet<string>): Encode => {
  const { ast } = schema
  if (!("fields" in schema) || !SchemaAST.isObjects(ast)) return encoderOf(schema)
  const fields = schema.fields as { readonly [name: string]: Schema.Top }
  const known = new Map<string, ShownField>()
  for (const { name, type } of ast.propertySignatures) {
    const field = String(name)
    const own = fields[field]
    if (own === undefined) continue
    const isLeftOut = names.has(field) || lightnessOf(type, names) === "drop"
    known.set(field, { encode: encoderOf(own), isMissed: isLeftOut && type.context?.isOptional !== true })
  }
  return (value) => {
    if (!isObject(value)) return UNSHOWABLE
    const written: Record<string, unknown> = {}
    for (const [field, { encode, isMissed }] of known) {
      const inner = (value as Record<string, unknown>)[field]
      if (inner !== undefined) written[field] = isMissed ? REDACTED : encode(inner)
      else if (isMissed) written[field] = REDACTED
    }
    return written
  }
}

/** How one signal is kept and shown. */
export interface Discretion {
  /** What may be kept of its payload. */
  readonly lightPayload: Lighten
  /** What may be kept of its answer; `undefined` where that is nothing: a query's may be large, a call's is text. */
  readonly lightAnswer: Lighten | undefined
  readonly showPayload: (payload: unknown) => Schema.Json
  readonly showAnswer: (answer: unknown) => Schema.Json
  /** The names of fields that are never shown. */
  readonly hidden: ReadonlySet<string>
}

const same: Lighten = (value) => value

const lightenerOf = (schema: Schema.Top, names: ReadonlySet<string>): Lighten | undefined => {
  const lightness = lightnessOf(schema.ast, names)
  if (lightness === "keep") return same
  return lightness === "drop" ? undefined : lightness
}

const make = (definition: AnySignal, always: ReadonlySet<string>): Discretion => {
  const { kind, sensitive } = traitsOf(definition)
  const hidden = sensitive.length === 0 ? always : new Set([...always, ...sensitive])
  const { payloadSchema, successSchema } = definition
  let writers: { readonly payload: Encode; readonly answer: Encode } | undefined
  const written = () => {
    writers ??= { payload: writerOf(payloadSchema, hidden), answer: writerOf(successSchema, hidden) }
    return writers
  }
  return {
    hidden,
    lightPayload: lightenerOf(payloadSchema, hidden) ?? (() => ({})),
    lightAnswer: kind === "query" ? undefined : lightenerOf(successSchema, hidden),
    showPayload: (payload) => redact(written().payload(payload), hidden),
    showAnswer: (answer) => redact(written().answer(answer), hidden)
  }
}

/** Of a signal that nobody has defined nothing is kept. */
const UNDEFINED: Discretion = {
  hidden: NEVER_SHOWN,
  lightPayload: () => ({}),
  lightAnswer: undefined,
  showPayload: () => ({}),
  showAnswer: () => null
}

type Known = WeakMap<AnySignal, Discretion>
const discreet: Known = new WeakMap()
const withContent: Known = new WeakMap()

const knownOf = (known: Known, definition: AnySignal, always: ReadonlySet<string>): Discretion => {
  let discretion = known.get(definition)
  if (discretion === undefined) {
    discretion = make(definition, always)
    known.set(definition, discretion)
  }
  return discretion
}

/** How a signal is kept and shown: worked out once, from its definition. */
export const discretionOf = (definition: AnySignal | undefined): Discretion =>
  definition === undefined ? UNDEFINED : knownOf(discreet, definition, NEVER_SHOWN)

/** The same for whoever asked for prompt text and answers: secrets stay hidden. */
export const contentOf = (definition: AnySignal | undefined): Discretion =>
  definition === undefined ? UNDEFINED : knownOf(withContent, definition, SECRET)
