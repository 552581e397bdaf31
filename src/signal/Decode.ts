/**
 * Turns what came over a wire into a payload, or says everything that is wrong with it.
 *
 * Owns: strict decoding (unknown fields are refused, all issues are reported) and the wording of the issues.
 * Does not decide: who may send the signal (Authorization).
 */
import { Result, Schema, SchemaAST, SchemaIssue } from "effect"
import {
  ACTOR_SIGNALS,
  type ActorSignalName,
  isSignalName,
  SIGNALS,
  type SignalName,
  type SignalPayload,
  type SignalResult,
  type SignalSuccess
} from "./Catalogue.ts"
import { encoderOf } from "./Encode.ts"
import { InvalidParams, SignalError, UnknownSignal } from "./Errors.ts"
import { nearest } from "./Nearest.ts"
import { Event } from "./Subscriptions.ts"
import { isForbiddenKey } from "./Text.ts"

const STRICT = { errors: "all", onExcessProperty: "error" } as const
const ISSUES_MAX = 50
/** Marks the message of an unknown field, and carries the names that were possible to where the path is known. */
const UNKNOWN_FIELD = "\u0001"
/** Between the fields of an object and the places of fields that are inside of it. */
const INSIDE = "\u0003"
const INSIDE_DEPTH_MAX = 3
/** Marks the message of a name that cannot stand here, and carries what names must be. */
const WRONG_NAME = "\u0002"

/** What the names of a record must be, such as the currencies of `{EUR: …}`. */
const namesMustBe = ({ indexSignatures }: SchemaAST.Objects): string =>
  indexSignatures
    .flatMap(({ parameter }) => parameter.checks ?? [])
    .map(({ annotations }) => annotations?.expected)
    .find((expected) => typeof expected === "string") ?? "another name"

/** The objects that a value can be. Lists are none: a field of their items belongs to no item in particular. */
const objectsOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.Objects> => {
  if (SchemaAST.isObjects(ast)) return [ast]
  return SchemaAST.isUnion(ast) ? ast.types.flatMap(objectsOf) : []
}

/** The paths of all fields inside of an object's fields: `workflow.request_override`. */
const pathsInside = (ast: SchemaAST.Objects, depth = 1): ReadonlyArray<string> =>
  ast.propertySignatures.flatMap(({ name, type }) =>
    objectsOf(type).flatMap((object) => [
      ...object.propertySignatures.map((inner) => `${String(name)}.${String(inner.name)}`),
      ...(depth < INSIDE_DEPTH_MAX ? pathsInside(object, depth + 1) : []).map(
        (path) => `${String(name)}.${path}`
      )
    ])
  )

/** Where a field belongs that is unknown where it stands, if it is known in exactly one place inside. */
const placeOf = (field: string, paths: ReadonlyArray<string>): string | undefined => {
  const places = new Set(
    paths.filter((path) => path.endsWith(`.${field}`)).map((path) => path.slice(0, -field.length - 1))
  )
  return places.size === 1 ? [...places][0] : undefined
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    const fields = "ast" in issue && SchemaAST.isObjects(issue.ast) ? issue.ast : undefined
    const names = fields?.propertySignatures.map(({ name }) => String(name)) ?? []
    if (issue._tag === "InvalidType" && names.length > 0) return `Expected an object with ${names.join(", ")}`
    if (issue._tag !== "UnexpectedKey") return SchemaIssue.defaultLeafHook(issue)
    if (fields !== undefined && fields.indexSignatures.length > 0) return WRONG_NAME + namesMustBe(fields)
    const inside = fields === undefined ? [] : pathsInside(fields)
    return UNKNOWN_FIELD + names.join(UNKNOWN_FIELD) + INSIDE + inside.join(INSIDE)
  }
})

const pathSegment = (segment: unknown): string | number =>
  typeof segment === "number" ? segment : String(segment)

const wordingOf = (message: string, path: ReadonlyArray<string | number>): string => {
  if (message === "Missing key") return "This field is required"
  const field = String(path.at(-1))
  if (message.startsWith(WRONG_NAME)) {
    if (isForbiddenKey(field)) return `Expected no key named ${field}`
    return `Expected ${message.slice(WRONG_NAME.length)}: ${JSON.stringify(field)} is none`
  }
  if (!message.startsWith(UNKNOWN_FIELD)) return message
  const [known = "", ...inside] = message.split(INSIDE)
  const names = known.split(UNKNOWN_FIELD).filter((name) => name !== "")
  const place = placeOf(field, inside)
  if (place !== undefined) return `Unknown field here. It belongs inside ${JSON.stringify(place)}`
  if (names.length === 0) return `Unexpected name ${JSON.stringify(field)}`
  const guess = nearest(field, names)
  return guess === undefined
    ? `Unknown field. Known are: ${names.join(", ")}`
    : `Unknown field. Did you mean ${JSON.stringify(guess)}?`
}

const A_CHOICE = /^Expected "[^"]*"(?: \| "[^"]*")+$/u

const NOTHING_GIVEN = ". It is there and undefined: leave it out where there is none"

/** Which of the words that could stand here was probably meant; in the same process a field may be there and be nothing. */
const hintFor = (message: string, value: unknown, isThere: boolean): string => {
  if (value === undefined && isThere) return NOTHING_GIVEN
  if (typeof value !== "string" || !A_CHOICE.test(message)) return ""
  const guess = nearest(value, message.match(/(?<=")[^"|]+(?=")/gu) ?? [])
  return guess === undefined ? "" : `. Did you mean ${JSON.stringify(guess)}?`
}

const valueAt = (value: unknown, path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (inner, segment) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, segment)
        ? (inner as { readonly [field: string]: unknown })[segment]
        : undefined,
    value
  )

/** Whether the last field of a path is there, whatever it is. */
const isThereAt = (value: unknown, path: ReadonlyArray<string | number>): boolean => {
  const [field, ...above] = [...path].reverse()
  const holder = valueAt(value, above.reverse())
  return field !== undefined && typeof holder === "object" && holder !== null && Object.hasOwn(holder, field)
}

/** Everything that a schema error says of a value, as the issues of `InvalidParams`. */
export const issuesOf = (error: SchemaIssue.Issue, value?: unknown): InvalidParams["issues"] =>
  formatIssue(error)
    .issues.slice(0, ISSUES_MAX)
    .map(({ message, path }) => {
      const segments = (path ?? []).map(pathSegment)
      const wording = wordingOf(message, segments)
      const hint = hintFor(wording, valueAt(value, segments), isThereAt(value, segments))
      return { path: segments, message: wording + hint }
    })

const summaryOf = (issues: InvalidParams["issues"], whole: string): string => {
  const [first, ...others] = issues
  if (first === undefined) return "The params are not as the signal's schema says"
  const where = first.path.join(".") || whole
  return `${where}: ${first.message}${others.length > 0 ? ` (and ${others.length} more, see issues)` : ""}`
}

/** What a schema error says, as one error that names the first issue and carries all. `whole`: what the value is called. */
export const toInvalidParams = (
  error: SchemaIssue.Issue,
  value?: unknown,
  whole = "params"
): InvalidParams => {
  const issues = issuesOf(error, value)
  return new InvalidParams({ message: summaryOf(issues, whole), issues })
}

type Decoder = (params: unknown) => Result.Result<unknown, Schema.SchemaError>
type Encoder = (value: unknown) => unknown

const lazily = <Name extends ActorSignalName, A>(make: (name: Name) => A) => {
  const made = new Map<Name, A>()
  return (name: Name): A => {
    const known = made.get(name)
    if (known !== undefined) return known
    const fresh = make(name)
    made.set(name, fresh)
    return fresh
  }
}

const schemaOf = (schema: Schema.Top) => schema as Schema.Codec<unknown, unknown>

const payloadDecoder = lazily<ActorSignalName, Decoder>((name) =>
  Schema.decodeUnknownResult(schemaOf(ACTOR_SIGNALS[name].payloadSchema), STRICT)
)
const successEncoder = lazily<ActorSignalName, Encoder>((name) =>
  encoderOf(ACTOR_SIGNALS[name].successSchema)
)
const successDecoder = lazily<ActorSignalName, Encoder>((name) =>
  Schema.decodeUnknownSync(schemaOf(ACTOR_SIGNALS[name].successSchema))
)
const encodeError = Schema.encodeSync(SignalError)
const decodeErrorData = Schema.decodeUnknownSync(SignalError)

/** The signal of this name that a door may let in, or `UnknownSignal` with the nearest known name. */
export const findSignal = (name: string): Result.Result<SignalName, UnknownSignal> => {
  if (isSignalName(name)) return Result.succeed(name)
  const guess = nearest(name, Object.keys(SIGNALS))
  const hint = guess === undefined ? "see schemas/openrpc.json for all signals" : `did you mean ${guess}?`
  return Result.fail(
    new UnknownSignal({
      message: `There is no signal ${JSON.stringify(name.slice(0, 100))}: ${hint}`,
      signal: name.slice(0, 100)
    })
  )
}

/** The payload of a signal, strictly decoded. Absent params are an empty object. */
export const decodePayload = <Name extends ActorSignalName>(
  name: Name,
  params: unknown
): Result.Result<SignalPayload<Name>, InvalidParams> =>
  Result.mapError(payloadDecoder(name)(params ?? {}), (error) =>
    toInvalidParams(error.issue, params)
  ) as Result.Result<SignalPayload<Name>, InvalidParams>

/** An answer as it is written on the wire. */
export const encodeSuccess = <Name extends ActorSignalName>(
  name: Name,
  success: SignalSuccess<Name>
): SignalResult<Name> => successEncoder(name)(success) as SignalResult<Name>

const eventEncoder = encoderOf(Event)

/** An event as it is written on the wire. */
export const encodeEvent = (event: Event): typeof Event.Encoded => eventEncoder(event) as typeof Event.Encoded

/** An answer as it was written on the wire, read back. */
export const decodeSuccess = <Name extends ActorSignalName>(
  name: Name,
  result: unknown
): SignalSuccess<Name> => successDecoder(name)(result) as SignalSuccess<Name>

/** An error's fields as they are written into `data`: everything but the message, and with its `_tag`. */
export const encodeErrorData = (
  error: SignalError
): { readonly _tag: string; readonly [field: string]: unknown } => {
  const { message: _, ...data } = encodeError(error)
  return data
}

/** The error that an event `failed` carries, as the class that it is. */
export const decodeError = (failed: { readonly message: string; readonly data: object }): SignalError =>
  decodeErrorData({ ...failed.data, message: failed.message })
