/**
 * Every failure that a signal can answer with.
 *
 * Owns: the error classes, their JSON-RPC codes and their fields (signals.md, section 2).
 * Does not decide: when they happen. Each `message` says what to do about it.
 */
import { Schema } from "effect"
import { BudgetStanding } from "./Budget.ts"
import { Timestamp } from "./Text.ts"

const issue = Schema.Struct({
  path: Schema.Array(Schema.Union([Schema.String, Schema.Finite])),
  message: Schema.String
})

export class ParseError extends Schema.TaggedError<ParseError>()("ParseError", { message: Schema.String }) {}

export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  message: Schema.String
}) {}

export class UnknownSignal extends Schema.TaggedError<UnknownSignal>()("UnknownSignal", {
  message: Schema.String,
  signal: Schema.String
}) {}

export class InvalidParams extends Schema.TaggedError<InvalidParams>()("InvalidParams", {
  message: Schema.String,
  issues: Schema.Array(issue)
}) {}

export class InternalError extends Schema.TaggedError<InternalError>()("InternalError", {
  message: Schema.String,
  incident: Schema.String
}) {}

export class Unauthenticated extends Schema.TaggedError<Unauthenticated>()("Unauthenticated", {
  message: Schema.String
}) {}

export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {
  message: Schema.String,
  required_role: Schema.optionalKey(Schema.String)
}) {}

export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {
  message: Schema.String,
  kind: Schema.String,
  id: Schema.String
}) {}

/** Every exact case of a `Conflict`. */
export const ConflictReason = Schema.Literals([
  "request_reused_with_different_content",
  "hold_already_posted",
  "hold_already_released",
  "hold_of_another_request",
  "too_many_adjustments",
  "version_changed",
  "override_already_decided",
  "override_expired",
  "budget_inactive",
  "currency_in_use",
  "users_are_anonymised",
  "users_are_named",
  "workflow_id_in_use",
  "workflow_already_ended",
  "not_restartable",
  "machine_parked",
  "key_ended",
  "letter_not_redrivable"
])
export type ConflictReason = typeof ConflictReason.Type

export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", {
  message: Schema.String,
  reason: ConflictReason
}) {}

/** A budget that said no: its standing, what was asked of it, and by how much that is too much. */
export const Violation = Schema.Struct({
  ...BudgetStanding.fields,
  /** What this call asks of the budget, in its unit. */
  requested: BudgetStanding.fields.limit,
  /** By how much that is too much. */
  shortfall: BudgetStanding.fields.limit,
  /**
   * `available`: an override of the shortfall could be approved in this period. `pending`: one waits for a
   * decision. `none`: the policy's cap leaves no room for so much.
   */
  override: Schema.Literals(["available", "pending", "none"])
}).annotate({ identifier: "Violation" })
export type Violation = typeof Violation.Type

export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>()("BudgetExceeded", {
  message: Schema.String,
  reason: Schema.String,
  violations: Schema.Array(Violation),
  /** When asking again could work, as `check_budget` says it; null where waiting does not help. */
  retry_at: Schema.NullOr(Timestamp)
}) {
  /** As on the wire: amounts are decimal strings, times are RFC 3339. Without it JSON has no word for a `bigint`. */
  override toJSON(): typeof BudgetExceeded.Encoded {
    return encodeBudgetExceeded(this)
  }
}
const encodeBudgetExceeded = Schema.encodeSync(BudgetExceeded)

export class ProviderFailed extends Schema.TaggedError<ProviderFailed>()("ProviderFailed", {
  message: Schema.String,
  provider: Schema.String,
  status: Schema.NullOr(Schema.Int),
  retryable: Schema.Boolean,
  attempts: Schema.Int
}) {}

export class PriceUnknown extends Schema.TaggedError<PriceUnknown>()("PriceUnknown", {
  message: Schema.String,
  provider: Schema.String,
  model: Schema.String,
  nearest: Schema.Array(Schema.String)
}) {}

export class RateUnknown extends Schema.TaggedError<RateUnknown>()("RateUnknown", {
  message: Schema.String,
  base: Schema.String,
  currency: Schema.String
}) {}

export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", {
  message: Schema.String,
  retry_after_ms: Schema.Int
}) {}

export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  message: Schema.String,
  retry_after_ms: Schema.Int
}) {}

/** What any signal can fail with. */
export const SignalError = Schema.Union([
  ParseError,
  InvalidRequest,
  UnknownSignal,
  InvalidParams,
  InternalError,
  Unauthenticated,
  Forbidden,
  NotFound,
  Conflict,
  BudgetExceeded,
  ProviderFailed,
  PriceUnknown,
  RateUnknown,
  Overloaded,
  Unavailable
])
export type SignalError = typeof SignalError.Type

/** What every signal can fail with, whatever it is. */
export const ALWAYS_POSSIBLE = [
  "InvalidParams",
  "Unauthenticated",
  "Forbidden",
  "Overloaded",
  "Unavailable",
  "InternalError"
] as const satisfies ReadonlyArray<SignalError["_tag"]>

/** Of a message that is no signal: nothing that a signal answers. */
type NoSignal = "ParseError" | "InvalidRequest" | "UnknownSignal"

/** What only some signals can fail with: each says so in its definition. */
export type OwnError = Exclude<SignalError["_tag"], (typeof ALWAYS_POSSIBLE)[number] | NoSignal>

/** The JSON-RPC code of each error. */
export const ERROR_CODES: { readonly [Tag in SignalError["_tag"]]: number } = {
  ParseError: -32700,
  InvalidRequest: -32600,
  UnknownSignal: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
  Unauthenticated: -32001,
  Forbidden: -32003,
  NotFound: -32004,
  Conflict: -32009,
  BudgetExceeded: -32010,
  ProviderFailed: -32011,
  PriceUnknown: -32012,
  RateUnknown: -32013,
  Overloaded: -32029,
  Unavailable: -32050
}

/** `InvalidParams` for one field. */
export const invalidParam = (path: ReadonlyArray<string | number>, message: string): InvalidParams =>
  new InvalidParams({
    message: `${path.join(".") || "params"}: ${message}`,
    issues: [{ path, message }]
  })
