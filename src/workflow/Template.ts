/**
 * Prompts with places that are filled in: `{{input}}`, `{{input.topic}}`, `{{research}}`, `{{research.title}}`.
 *
 * Owns: how a place is written, and what stands in it: a text as it is, everything else as JSON.
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

/** The prompt with everything in its place; as an error, the place for which there is nothing. */
export const fillIn = (
  template: string,
  values: { readonly [name: string]: Schema.Json }
): Result.Result<string, string> => {
  let missing: string | undefined
  const text = template.replaceAll(PLACE, (whole: string, inner: string) => {
    const place = placeOf(inner)
    const value =
      place === undefined || !Object.hasOwn(values, place.name)
        ? undefined
        : valueAt(values[place.name] ?? null, place.fields)
    if (value === undefined) missing ??= whole
    return value === undefined ? "" : written(value)
  })
  return missing === undefined ? Result.succeed(text) : Result.fail(missing)
}
