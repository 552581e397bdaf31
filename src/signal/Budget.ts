/**
 * What a budget, its standing and an alert look like.
 *
 * Owns: their shapes. Does not decide: whether there is room (tokens/).
 */
import { Schema, Struct } from "effect"
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
  /** `false`: a `request_override` is approved at once, up to the cap. */
  requires_approval: Schema.Boolean,
  /**
   * Roles, or owners of keys, that may decide; an `admin` may always, and nobody decides what the same owner asked
   * for. At most 16.
   */
  approvers: Schema.Array(Name).check(Schema.isMaxLength(16)),
  /** What may be approved in one period all in all, in percent of `limit`. What has expired counts as well. */
  max_override_percentage: Count,
  /** Kept with the policy. An override is told on the topic `budgets` whatever it says. */
  notification_required: Schema.Boolean
}).annotate({ identifier: "OverridePolicy" })
export type OverridePolicy = typeof OverridePolicy.Type

/** What is said of a policy: the rest is as `DEFAULT_OVERRIDE_POLICY` has it, or as it was before. */
export const OverridePolicyTerms = OverridePolicy.mapFields(Struct.map(Schema.optionalKey)).annotate({
  identifier: "OverridePolicyTerms"
})

export const DEFAULT_OVERRIDE_POLICY: OverridePolicy = {
  requires_approval: true,
  approvers: ["budget_admin"],
  max_override_percentage: 50,
  notification_required: true
}

/** What is left at the end of a period is carried over, at most `max`; less than `min` is not carried at all. */
export const Rollover = Schema.Struct({
  /** The most that is carried over, in the budget's unit. */
  max: NonNegativeDecimal,
  /** Less than this is not carried over at all; default: 0. */
  min: Schema.optionalKey(NonNegativeDecimal)
}).annotate({ identifier: "Rollover" })
export type Rollover = typeof Rollover.Type

/** Where a budget stands: `remaining = limit + carried_over + override_total − spent − held`, and may be negative. */
export const BudgetStanding = Schema.Struct({
  /** The budget; of a standing in a default, the default, and `entity_id` says whose it is. */
  budget_id: Id,
  /** For people. */
  name: Name,
  /** Which field of attribution it matches; `global` matches everything. */
  type: BudgetType,
  /** The value that it matches; null where it is `global`. */
  entity_id: Schema.NullOr(Id),
  /** What is counted: money, tokens, or calls. */
  measure: Measure,
  /** Of the amounts, where `measure` is `cost`. */
  currency: Currency,
  /** Of one period, in the budget's unit. */
  limit: Decimal,
  /** What was used in this period. */
  spent: Decimal,
  /** What is reserved for calls on their way. */
  held: Decimal,
  /** `limit + carried_over + override_total − spent − held`; may be negative. */
  remaining: Decimal,
  /** `spent / (limit + carried_over + override_total)`, in percent, two decimals, rounded down. */
  percent_used: Schema.Finite,
  /** `exceeded`: all of it is spent, or more. `warning`: the lowest alert threshold is reached. */
  state: BudgetState,
  /** When the next period begins; null for `lifetime`. */
  resets_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "BudgetStanding" })
export type BudgetStanding = typeof BudgetStanding.Type

export const Budget = Schema.Struct({
  /** What other signals call `budget_id`. */
  id: Id,
  /** For people. */
  name: Name,
  /** Which field of attribution it matches; `global` matches everything. */
  type: BudgetType,
  /** The value that it matches; `*` is a default for each who has none; null where it is `global`. */
  entity_id: Schema.NullOr(Id),
  /** What is counted: money, tokens, or calls. */
  measure: Measure,
  /** Of the amounts, where `measure` is `cost`. */
  currency: Currency,
  /** Of one period, in the budget's unit. */
  limit: Decimal,
  /** How long a limit holds before it begins anew; `lifetime` never does. */
  period: Period,
  /** Whose midnights, weeks and months bound the periods, by its name in the IANA database. */
  time_zone: Schema.String,
  /** The first day of a `weekly` period. */
  week_starts_on: Weekday,
  /** When the current period began; null for `lifetime`. */
  period_start: Schema.NullOr(Timestamp),
  /** When the next one begins; null for `lifetime`. */
  period_end: Schema.NullOr(Timestamp),
  /** What was used in this period. */
  spent: Decimal,
  /** What is reserved for calls on their way. */
  held: Decimal,
  /** What the last period left, by `rollover`. */
  carried_over: Decimal,
  /** What was approved for this period, and has not ended. */
  override_total: Decimal,
  /** `limit + carried_over + override_total − spent − held`; may be negative. */
  remaining: Decimal,
  /** `spent / (limit + carried_over + override_total)`, in percent, two decimals, rounded down. */
  percent_used: Schema.Finite,
  /** `exceeded`: all of it is spent, or more. `warning`: the lowest alert threshold is reached. */
  state: BudgetState,
  /** Percentages of `limit + carried_over + override_total` at which an alert is sent, each once per period. */
  alert_thresholds: Schema.Array(Schema.Int),
  /** Those that were sent in this period, or were reached before the budget was made. */
  alerts_sent: Schema.Array(Schema.Int),
  /** `hard` refuses what has no room; `soft` only warns. */
  enforcement: Enforcement,
  /** What is carried into the next period; null: nothing. */
  rollover: Schema.NullOr(Rollover),
  /** Who may approve more in a period, and how much. */
  override_policy: OverridePolicy,
  /** An inactive budget refuses nothing and goes on counting. */
  active: Schema.Boolean,
  /** When `create_budget` made it. */
  created_at: Timestamp,
  /** When its definition last changed; spending does not count. */
  updated_at: Timestamp,
  /** Of its definition, from 1 on; `update_budget` takes it as `expected_version`. */
  version: PositiveCount
}).annotate({ identifier: "Budget" })
export type Budget = typeof Budget.Type

/** A budget with how it is going. */
export const BudgetStatus = Schema.Struct({
  ...Budget.fields,
  /** When nothing remains at `burn_rate_per_hour`; null where that is not before the period ends. */
  projected_exhaustion: Schema.NullOr(Timestamp),
  /** What was spent in this period, divided by its hours so far. */
  burn_rate_per_hour: Decimal,
  /** Calls that have money held here. */
  open_holds: Count,
  /** Overrides of this period that wait for a decision. */
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
  /** The same wherever the alert is told: an alert that comes twice has it twice. */
  id: Id,
  /**
   * `threshold`, `exceeded`, `projected`: a budget; `unpriced`: usage without a price; `hold_unsettled`: a hold
   * expired and its call never reported; `token_warning`: a workflow's own budget; `quarantined`: what came for a
   * tenant could not be taken; `anomaly`: anything else that should not be.
   */
  kind: AlertKind,
  /** `critical`: a limit is reached, or something was lost or cannot be counted. */
  severity: Schema.Literals(["info", "warning", "critical"]),
  /** What happened and what to do, for people. */
  message: Sentence,
  /** The budget that it is about, if it is about one. */
  budget_id: Schema.optionalKey(Id),
  /** When it happened. */
  at: Timestamp,
  /** The facts of the message by name; which there are depends on `kind`. */
  data: Schema.Record(Schema.String, Schema.Json)
}).annotate({ identifier: "Alert" })
export type Alert = typeof Alert.Type
