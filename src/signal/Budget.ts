/**
 * What a budget, its standing and an alert look like.
 *
 * Owns: their shapes. Does not decide: whether there is room (tokens/).
 */
import { Schema } from "effect"
import { Currency } from "./Currency.ts"
import { Decimal, NonNegativeDecimal } from "./Money.ts"
import { Count, Id, Name, PositiveCount, Sentence, Timestamp } from "./Text.ts"

export const BudgetType = Schema.Literals([
  "global",
  "team",
  "user",
  "project",
  "feature",
  "provider",
  "model",
  "agent",
  "operation",
  "workflow",
  "conversation"
])
export type BudgetType = typeof BudgetType.Type

export const Measure = Schema.Literals(["cost", "tokens", "requests"])
export type Measure = typeof Measure.Type

export const Period = Schema.Literals([
  "hourly",
  "daily",
  "weekly",
  "monthly",
  "quarterly",
  "yearly",
  "lifetime"
])
export type Period = typeof Period.Type

export const Weekday = Schema.Literals([
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday"
])
export type Weekday = typeof Weekday.Type

export const Enforcement = Schema.Literals(["hard", "soft"])
export type Enforcement = typeof Enforcement.Type

/** `exceeded`: all of it is spent, or more. `warning`: the lowest alert threshold is reached. */
export const BudgetState = Schema.Literals(["ok", "warning", "exceeded"])
export type BudgetState = typeof BudgetState.Type

/** Percentages of `limit + carried_over + override_total` at which an alert is sent, each once per period. */
export const AlertThresholds = Schema.Array(
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))
).check(Schema.isMaxLength(16))

export const OverridePolicy = Schema.Struct({
  requires_approval: Schema.Boolean,
  approvers: Schema.Array(Name).check(Schema.isMaxLength(16)),
  max_override_percentage: Count,
  notification_required: Schema.Boolean
}).annotate({ identifier: "OverridePolicy" })
export type OverridePolicy = typeof OverridePolicy.Type

export const DEFAULT_OVERRIDE_POLICY: OverridePolicy = {
  requires_approval: true,
  approvers: ["budget_admin"],
  max_override_percentage: 50,
  notification_required: true
}

/** What is left at the end of a period is carried over, at most `max`; less than `min` is not carried at all. */
export const Rollover = Schema.Struct({
  max: NonNegativeDecimal,
  min: Schema.optionalKey(NonNegativeDecimal)
}).annotate({ identifier: "Rollover" })
export type Rollover = typeof Rollover.Type

/** Where a budget stands: `remaining = limit + carried_over + override_total − spent − held`, and may be negative. */
export const BudgetStanding = Schema.Struct({
  budget_id: Id,
  name: Name,
  type: BudgetType,
  entity_id: Schema.NullOr(Id),
  measure: Measure,
  currency: Currency,
  limit: Decimal,
  spent: Decimal,
  held: Decimal,
  remaining: Decimal,
  percent_used: Schema.Finite.annotate({
    description: "spent / (limit + carried_over + override_total), in percent"
  }),
  state: BudgetState,
  resets_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "BudgetStanding" })
export type BudgetStanding = typeof BudgetStanding.Type

export const Budget = Schema.Struct({
  id: Id,
  name: Name,
  type: BudgetType,
  entity_id: Schema.NullOr(Id),
  measure: Measure,
  currency: Currency,
  limit: Decimal,
  period: Period,
  time_zone: Schema.String,
  week_starts_on: Weekday,
  period_start: Schema.NullOr(Timestamp),
  period_end: Schema.NullOr(Timestamp),
  spent: Decimal,
  held: Decimal,
  carried_over: Decimal,
  override_total: Decimal,
  remaining: Decimal,
  percent_used: Schema.Finite,
  state: BudgetState,
  alert_thresholds: Schema.Array(Schema.Int),
  alerts_sent: Schema.Array(Schema.Int),
  enforcement: Enforcement,
  rollover: Schema.NullOr(Rollover),
  override_policy: OverridePolicy,
  active: Schema.Boolean,
  created_at: Timestamp,
  updated_at: Timestamp,
  version: PositiveCount
}).annotate({ identifier: "Budget" })
export type Budget = typeof Budget.Type

/** A budget with how it is going. */
export const BudgetStatus = Schema.Struct({
  ...Budget.fields,
  projected_exhaustion: Schema.NullOr(Timestamp),
  burn_rate_per_hour: Decimal,
  open_holds: Count,
  pending_overrides: Count
}).annotate({ identifier: "BudgetStatus" })
export type BudgetStatus = typeof BudgetStatus.Type

export const AlertKind = Schema.Literals([
  "threshold",
  "exceeded",
  "projected",
  "unpriced",
  "anomaly",
  "hold_unsettled",
  "token_warning",
  "quarantined"
])
export type AlertKind = typeof AlertKind.Type

export const Alert = Schema.Struct({
  id: Id,
  kind: AlertKind,
  severity: Schema.Literals(["info", "warning", "critical"]),
  message: Sentence,
  budget_id: Schema.optionalKey(Id),
  at: Timestamp,
  data: Schema.Record(Schema.String, Schema.Json)
}).annotate({ identifier: "Alert" })
export type Alert = typeof Alert.Type
