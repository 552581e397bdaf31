/**
 * What a durable machine is asked and answers, as it goes from node to node.
 *
 * Owns: that it is written and read by the machine's own schemas, and what is said where the two nodes' do not agree.
 * Does not decide: how it travels (cluster/).
 */
import { Cause, Effect, Result, Schema } from "effect"
import { toInvalidParams } from "../signal/Decode.ts"
import { type InternalError, InvalidParams } from "../signal/Errors.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import { reportIncident } from "./Incident.ts"

/** A field that one of two versions does not have is not dropped: what was meant by it would be lost. */
const STRICT = { errors: "all", onExcessProperty: "error" } as const

type Codec = Schema.Codec<unknown, Schema.Json>
const CODECS = new WeakMap<Schema.Top, Codec>()

const codecOf = (schema: Schema.Top): Codec => {
  const known = CODECS.get(schema)
  if (known !== undefined) return known
  const made = Schema.toCodecJson(schema as Schema.Codec<unknown>) as Codec
  CODECS.set(schema, made)
  return made
}

/** A payload as it travels; it has been compared with its schema (PayloadCheck). */
export const writeParams = (
  definition: AnySignal,
  payload: unknown
): Result.Result<Schema.Json, InvalidParams> =>
  Result.mapError(Schema.encodeUnknownResult(codecOf(definition.payloadSchema))(payload), ({ issue }) =>
    toInvalidParams(issue, payload, definition._tag)
  )

/** `where`: whose schema does not accept it. */
export const readParams = (
  definition: AnySignal,
  params: unknown,
  where: string
): Result.Result<unknown, InvalidParams> =>
  Result.mapError(
    Schema.decodeUnknownResult(codecOf(definition.payloadSchema), STRICT)(params),
    ({ issue }) => {
      const { message, issues } = toInvalidParams(issue, params)
      return new InvalidParams({
        message: `${where} does not accept this ${definition._tag}: ${message}`,
        issues
      })
    }
  )

/** What the machine's rule answers is its author's: where it does not fit, who asked is told an incident. */
export const writeAnswer = (
  { _tag, successSchema }: AnySignal,
  success: unknown,
  address: string
): Effect.Effect<Schema.Json, InternalError> =>
  Effect.catchTag(Schema.encodeUnknownEffect(codecOf(successSchema))(success), "SchemaError", (error) =>
    Effect.flip(reportIncident(`The answer of ${address} to ${_tag}`, Cause.fail(error)))
  )

export const readAnswer = (
  { _tag, successSchema }: AnySignal,
  answer: Schema.Json,
  address: string
): Effect.Effect<unknown, InternalError> =>
  Effect.catchTag(Schema.decodeUnknownEffect(codecOf(successSchema))(answer), "SchemaError", (error) =>
    Effect.flip(
      reportIncident(
        `The answer of ${address} to ${_tag}, which has been done on another node and is not as this node knows it (are they of different versions?),`,
        Cause.fail(error)
      )
    )
  )
