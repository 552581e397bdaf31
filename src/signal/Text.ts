/**
 * The bounded building blocks of every payload: ids, names, counts, times, free-form objects.
 *
 * Owns: what a well-formed value is and how large it may be (signals.md, section 2).
 * Does not decide: what a field means.
 */
import { Effect, Schema, SchemaTransformation } from "effect"
import { rememberingLast } from "./LastWritten.ts"

const VALUE_BYTES_MAX = 256
const MESSAGE_BYTES_MAX = 1024
const METADATA_BYTES_MAX = 4096
const METADATA_DEPTH_MAX = 4
const RAW_BYTES_MAX = 65_536
const RAW_DEPTH_MAX = 16
export const TAGS_MAX = 16

const utf8 = new TextEncoder()

/** Bytes of `text` in UTF-8. */
export const byteLength = (text: string): number => utf8.encode(text).byteLength

const fitsBytes = (text: string, bytesMax: number): boolean =>
  text.length * 3 <= bytesMax || (text.length <= bytesMax && byteLength(text) <= bytesMax)

/** Why a text of a caller cannot be taken, without quoting it. */
export const textProblem = (text: string, bytesMax: number): string | undefined => {
  if (!fitsBytes(text, bytesMax)) return `Expected at most ${bytesMax} bytes of UTF-8`
  if (text.includes("\u0000")) return "Expected text without U+0000"
  if (!text.isWellFormed()) return "Expected well-formed Unicode (a lone surrogate was found)"
  return undefined
}

const boundedText = (bytesMax: number, lengthMin = 0) =>
  Schema.String.check(
    Schema.isMinLength(lengthMin, { expected: "a text that is not empty" }),
    Schema.makeFilter((text: string) => textProblem(text, bytesMax) ?? true, {
      toJsonSchema: () => ({ maxLength: bytesMax })
    })
  )

/** An id or a value of attribution: 1 to 256 bytes. */
export const Id = boundedText(VALUE_BYTES_MAX, 1)

/** A hold's id. It carries the id of its request, so it may be longer than other ids. */
export const HoldId = boundedText(VALUE_BYTES_MAX + 64, 1)

/** A name that a person reads: 1 to 256 bytes. */
export const Name = boundedText(VALUE_BYTES_MAX, 1)

/** A sentence that a person reads: up to 1,024 bytes. */
export const Sentence = boundedText(MESSAGE_BYTES_MAX)

/** A text cut to what a `Sentence` can carry. */
export const toSentence = (text: string): string =>
  fitsBytes(text, MESSAGE_BYTES_MAX) ? text : `${text.slice(0, MESSAGE_BYTES_MAX / 4).toWellFormed()}…`

/** Text of a prompt or an answer: bounded by the frame that carries it. */
export const Prose = Schema.String.check(
  Schema.makeFilter(
    (text: string) =>
      (text.includes("\u0000") && "Expected text without U+0000") ||
      (!text.isWellFormed() && "Expected well-formed Unicode (a lone surrogate was found)") ||
      true
  )
)

/** A non-negative safe integer. */
export const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** A positive safe integer. */
export const PositiveCount = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

const TIMESTAMP_PATTERN =
  /^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|\+00:00)$/u

const isRealInstant = (text: string): boolean => {
  const instant = new Date(text)
  return !Number.isNaN(instant.getTime()) && instant.getUTCDate() === Number(text.slice(8, 10))
}

/** Milliseconds since 1970 in memory, RFC 3339 in UTC on the wire. Digits past the millisecond are cut off. */
export type Millis = number

/** The last millisecond of the year 9999: a later one has no four-digit year. */
const MILLIS_MAX: Millis = 253_402_300_799_999

export const formatTimestamp = rememberingLast<Millis>(4, (at) => new Date(at).toISOString())

export const Timestamp = Schema.String.check(
  Schema.isPattern(TIMESTAMP_PATTERN, {
    expected: 'a time of RFC 3339 in UTC like "2026-11-23T09:30:00Z"'
  }).abort(),
  Schema.makeFilter((text: string) => isRealInstant(text) || "Expected a day that exists")
)
  .annotate({ format: "date-time" })
  .pipe(
    Schema.decodeTo(
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: MILLIS_MAX })),
      SchemaTransformation.transform({ decode: (text: string) => Date.parse(text), encode: formatTimestamp })
    )
  )

const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"])

/** Names that are refused as keys at any depth, because they reach into JavaScript's own objects. */
export const isForbiddenKey = (key: string): boolean => FORBIDDEN_KEYS.has(key)

const structureProblem = (value: unknown, depthMax: number): string | undefined => {
  if (typeof value === "string") return textProblem(value, RAW_BYTES_MAX)
  if (typeof value !== "object" || value === null) return undefined
  if (depthMax === 0) return "Expected less nesting"
  for (const key of Object.keys(value)) {
    if (isForbiddenKey(key)) return `Expected no key named ${key}`
    const problem =
      textProblem(key, VALUE_BYTES_MAX) ??
      structureProblem((value as Record<string, unknown>)[key], depthMax - 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

const jsonObject = (bytesMax: number, depthMax: number) =>
  Schema.Record(Schema.String, Schema.Json).check(
    Schema.makeFilter((value: { readonly [key: string]: Schema.Json }) => {
      const problem = structureProblem(value, depthMax)
      if (problem !== undefined) return problem
      return fitsBytes(JSON.stringify(value), bytesMax) || `Expected at most ${bytesMax} bytes of JSON`
    })
  )

/** Any JSON value of a caller, bounded in bytes and in depth. */
export const boundedJson = (bytesMax: number, depthMax: number) =>
  Schema.Json.check(
    Schema.makeFilter((value: Schema.Json) => {
      const problem = structureProblem(value, depthMax)
      if (problem !== undefined) return problem
      return fitsBytes(JSON.stringify(value), bytesMax) || `Expected at most ${bytesMax} bytes of JSON`
    })
  )

/** Free-form facts of the caller: at most 4 KiB of JSON, 4 levels deep. */
export const Metadata = jsonObject(METADATA_BYTES_MAX, METADATA_DEPTH_MAX)

/** A provider's own usage object, kept as it came: at most 64 KiB of JSON, 16 levels deep. */
export const RawObject = jsonObject(RAW_BYTES_MAX, RAW_DEPTH_MAX)

const TAG_NAME = /^[a-z0-9][a-z0-9_.-]{0,63}$/u

/** Up to 16 tags: names of `[a-z0-9_.-]`, values of up to 256 bytes. */
export const Tags = Schema.Record(
  Schema.String.check(
    Schema.isPattern(TAG_NAME, { expected: "a name of a-z, 0-9, _, . and -, at most 64 long" }),
    Schema.makeFilter((name: string) => !isForbiddenKey(name) || `Expected no key named ${name}`)
  ),
  boundedText(VALUE_BYTES_MAX)
).check(
  Schema.makeFilter(
    (tags: { readonly [name: string]: string }) =>
      Object.keys(tags).length <= TAGS_MAX || `Expected at most ${TAGS_MAX} tags`
  )
)

/** A field that may be absent and then has this value. The default also stands in the JSON Schema. */
export const withDefault = <S extends Schema.Top & { readonly Encoded: unknown }>(
  schema: S,
  value: S["Encoded"]
) =>
  (schema.annotate({ default: value as never }) as S).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(value))
  )

export { optionalKey as optional } from "effect/Schema"

/** A field of the contract that this version refuses, so that nobody relies on it by accident. */
export const notYet = (what: string) =>
  Schema.Unknown.check(
    Schema.makeFilter(() => `Not available in this version: ${what}. Leave it out`, {
      toJsonSchema: () => ({ not: {} })
    })
  )
