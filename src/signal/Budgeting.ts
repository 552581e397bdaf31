/** The signals that make budgets and ask them for room (signals.md, section 4). */
import { Schema } from "effect"
import { attributionFields } from "./Attribution.ts"
import {
  Alert,
  AlertThresholds,
  Budget,
  BudgetStanding,
  BudgetStatus,
  BudgetType,
  DEFAULT_OVERRIDE_POLICY,
  Enforcement,
  Measure,
  OverridePolicy,
  Period,
  Rollover,
  Weekday
} from "./Budget.ts"
import { Currency, CurrencyInForce } from "./Currency.ts"
import { Violation } from "./Errors.ts"
import { Decimal, NonNegativeDecimal } from "./Money.ts"
import { command, query } from "./Signal.ts"
import { Count, HoldId, Id, Name, optional, PositiveCount, Sentence, Timestamp, withDefault } from "./Text.ts"
import { TimeZoneOrUtc } from "./TimeZone.ts"

export const CreateBudget = command("create_budget", {
  family: "budgets",
  roles: ["budget_admin"],
  description: "Sets a limit on what something may spend in a period.",
  payload: {
    name: Name,
    type: BudgetType,
    /** `*`: a default, with a standing of its own for everyone who has no budget of that type and period. */
    entity_id: optional(Id),
    period: Period,
    limit: NonNegativeDecimal,
    measure: withDefault(Measure, "cost"),
    currency: optional(CurrencyInForce),
    time_zone: TimeZoneOrUtc,
    week_starts_on: withDefault(Weekday, "monday"),
    alert_thresholds: withDefault(AlertThresholds, [50, 80, 90]),
    enforcement: withDefault(Enforcement, "hard"),
    rollover: optional(Rollover),
    override_policy: withDefault(OverridePolicy, DEFAULT_OVERRIDE_POLICY),
    active: withDefault(Schema.Boolean, true)
  },
  success: Schema.Struct({ budget_id: Id, budget: Budget })
})

export const UpdateBudget = command("update_budget", {
  family: "budgets",
  roles: ["budget_admin"],
  description: "Changes a budget. Lowering a limit revokes no hold; an inactive budget goes on counting.",
  payload: {
    budget_id: Id,
    updates: Schema.Struct({
      name: optional(Name),
      limit: optional(NonNegativeDecimal),
      active: optional(Schema.Boolean),
      alert_thresholds: optional(AlertThresholds),
      enforcement: optional(Enforcement),
      /** `null`: what is left is not carried over any more. */
      rollover: optional(Schema.NullOr(Rollover)),
      override_policy: optional(OverridePolicy)
    }),
    expected_version: optional(PositiveCount)
  },
  success: Schema.Struct({ budget: Budget })
})

export const GetBudgetStatus = query("get_budget_status", {
  family: "budgets",
  roles: ["app", "analyst", "budget_admin"],
  description: "Says where budgets stand: spent, held, remaining, and when they run out at this rate.",
  payload: {
    budget_id: optional(Id),
    type: optional(BudgetType),
    entity_id: optional(Id),
    include_inactive: withDefault(Schema.Boolean, false)
  },
  success: Schema.Struct({ budgets: Schema.Array(BudgetStatus) })
})

export const HOLD_TTL_MS_MAX = 86_400_000
const holdTtl = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: HOLD_TTL_MS_MAX }))

/** What a call is expected to use. */
export const estimateFields = {
  estimated_prompt_tokens: optional(Count),
  max_completion_tokens: optional(Count),
  estimated_tokens: optional(Count),
  estimated_cost: optional(NonNegativeDecimal),
  currency: optional(CurrencyInForce)
}

const approved = Schema.Struct({
  allowed: Schema.Literal(true),
  hold_id: optional(HoldId),
  expires_at: optional(Timestamp),
  estimated_tokens: Count,
  estimated_cost: Decimal,
  currency: Currency,
  budgets: Schema.Array(BudgetStanding),
  warnings: Schema.Array(Alert)
})

const refused = Schema.Struct({
  allowed: Schema.Literal(false),
  reason: Sentence,
  estimated_tokens: Count,
  estimated_cost: Decimal,
  currency: Currency,
  violations: Schema.Array(Violation),
  retry_at: Schema.NullOr(Timestamp),
  alternatives: Schema.Array(Schema.Struct({ provider: Id, model: Id, estimated_cost: Decimal }))
})

/** Approval of a call, with its hold; or the refusal, with every budget that has no room. */
export const Approval = Schema.Union([approved, refused]).annotate({ identifier: "Approval" })
export type Approval = typeof Approval.Type

/** The data of the warning of an approval that `on_store_down: "allow"` gave without a hold. */
export const ADMITTED_WITHOUT_HOLD = { admitted_without_hold: true } as const

/** Whether a call may be made by this approval: it has a hold, or says that it was admitted without one by policy. */
export const admitsCall = (approval: Extract<Approval, { readonly allowed: true }>): boolean =>
  approval.hold_id !== undefined || approval.warnings.some(({ data }) => data.admitted_without_hold === true)

export const CheckBudget = command("check_budget", {
  family: "budgets",
  roles: ["app"],
  description:
    "Asks for approval before a call, and holds the money it may cost in every budget that applies.",
  payload: {
    request_id: Id,
    provider: optional(Id),
    model: optional(Id),
    service_tier: optional(Id),
    ...estimateFields,
    ...attributionFields,
    hold: withDefault(Schema.Boolean, true),
    hold_ttl_ms: withDefault(holdTtl, 600_000)
  },
  success: Approval
})

export const ExtendHold = command("extend_hold", {
  family: "budgets",
  roles: ["app"],
  description: "Asks for more room, or more time, for an open hold.",
  payload: {
    hold_id: HoldId,
    by: optional(Schema.Struct({ tokens: optional(Count), cost: optional(NonNegativeDecimal) })),
    ttl_ms: optional(holdTtl)
  },
  success: Approval
})

export const ReleaseHold = command("release_hold", {
  family: "budgets",
  roles: ["app"],
  description: "Gives back what was held for a call that will not be made.",
  payload: { hold_id: HoldId, reason: optional(Sentence) },
  success: Schema.Struct({ released: Schema.Literal(true) })
})
