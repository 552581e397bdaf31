/**
 * Prompts with places that are filled in: `{{input}}`, `{{input.topic}}`, `{{research}}`, `{{research.title}}`.
 *
 * Owns: how a place is written, and what stands in it: a text as it is, everything else as JSON; how long it may get.
 * Does not decide: which names a prompt may use (Definition).
 */
import { Result, type Schema } from "effect"

const PLACE = /\{\{([^{}]*)\}\}/gu
const PATH = /^[a-z][a-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*$/u

/** A place of a prompt: the name, and the fields inside of it. */
export interface Place {
  readonly name: string
  readonly fields: ReadonlyArray<string>
}

const placeOf = (text: string): Place | undefined => {
  const path = text.trim()
  if (!PATH.test(path)) return undefined
  const [name = "", ...fields] = path.split(".")
  return { name, fields }
}

/** The places of a prompt; as an error, one that cannot be read. */
export const placesOf = (template: string): Result.Result<ReadonlyArray<Place>, string> => {
  const places: Array<Place> = []
  for (const [whole, inner = ""] of template.matchAll(PLACE)) {
    const place = placeOf(inner)
    if (place === undefined) return Result.fail(whole.slice(0, 100))
    places.push(place)
  }
  return Result.succeed(places)
}

/** What is at the fields of a value, or `undefined`. */
export const valueAt = (value: Schema.Json, fields: ReadonlyArray<string>): Schema.Json | undefined => {
  let inner: Schema.Json | undefined = value
  for (const field of fields) {
    if (typeof inner !== "object" || inner === null || !Object.hasOwn(inner, field)) return undefined
    inner = (inner as { readonly [field: string]: Schema.Json })[field]
  }
  return inner
}

const written = (value: Schema.Json): string => (typeof value === "string" ? value : JSON.stringify(value))

/** Bytes of one prompt with everything in its place: a short one can name a long input thousands of times. */
const FILLED_BYTES_MAX = 1_048_576

const valueFor = (
  values: { readonly [name: string]: Schema.Json },
  inner: string
): Schema.Json | undefined => {
  const place = placeOf(inner)
  return place === undefined || !Object.hasOwn(values, place.name)
    ? undefined
    : valueAt(values[place.name] ?? null, place.fields)
}

/** The prompt with everything in its place; as an error, what is wrong with it. Nothing is built past the bound. */
export const fillIn = (
  template: string,
  values: { readonly [name: string]: Schema.Json }
): Result.Result<string, string> => {
  const parts: Array<string> = []
  let bytes = 0
  let end = 0
  const add = (part: string): boolean => {
    bytes += Buffer.byteLength(part)
    parts.push(part)
    return bytes <= FILLED_BYTES_MAX
  }
  for (const { 0: whole, 1: inner = "", index } of template.matchAll(PLACE)) {
    const value = valueFor(values, inner)
    if (value === undefined) return Result.fail(`has ${whole}, and nothing is there`)
    const fits = add(template.slice(end, index)) && add(written(value))
    if (!fits) return Result.fail(`is longer than ${FILLED_BYTES_MAX} bytes with everything in its place`)
    end = index + whole.length
  }
  return add(template.slice(end))
    ? Result.succeed(parts.join(""))
    : Result.fail(`is longer than ${FILLED_BYTES_MAX} bytes with everything in its place`)
}
