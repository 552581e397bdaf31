/**
 * Whether what an actor in this process is sent is what its signal says.
 *
 * Owns: comparing a payload with its schema as strictly as what comes over a wire: no unknown fields, all issues; and that it
 * is sent in somebody's name.
 * Does not decide: who is looked at. TypeScript has looked at what typed code sends, so an ask between actors is not
 * looked at on its way; what a durable machine is sent becomes durable, so it is; and whoever spawns an actor for
 * callers without types says so (`checksPayloads`).
 */
import { Result, Schema } from "effect"
import { toInvalidParams } from "../signal/Decode.ts"
import { type InvalidParams, invalidParam } from "../signal/Errors.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import type { AnyEnvelope } from "./Envelope.ts"

const STRICT = { errors: "all", onExcessProperty: "error" } as const

type Check = (payload: unknown) => Result.Result<unknown, Schema.SchemaError>

const CHECKS = new WeakMap<AnySignal, Check>()

const checkOf = (definition: AnySignal): Check => {
  const known = CHECKS.get(definition)
  if (known !== undefined) return known
  // What an actor takes is decoded: amounts are integers, moments are numbers.
  const decoded = Schema.toType(definition.payloadSchema) as unknown as Schema.Codec<unknown>
  const check: Check = Schema.decodeUnknownResult(decoded, STRICT)
  CHECKS.set(definition, check)
  return check
}

const NOBODY = invalidParam(
  ["principal"],
  "Say in whose name it is sent: installationPrincipal(tenant, owner)"
)

/** What is wrong with a payload, if anything. */
const payloadProblem = (definition: AnySignal, payload: unknown): InvalidParams | undefined => {
  const checked = checkOf(definition)(payload)
  return Result.isFailure(checked)
    ? toInvalidParams(checked.failure.issue, payload, definition._tag)
    : undefined
}

/** What is wrong with a signal as it was sent, if anything. One that its receiver does not have is for that to refuse. */
export const sendingProblem = ({
  definition,
  payload,
  principal
}: Pick<AnyEnvelope, "definition" | "payload" | "principal">): InvalidParams | undefined => {
  if (principal === undefined) return NOBODY
  return definition === undefined ? undefined : payloadProblem(definition, payload)
}
