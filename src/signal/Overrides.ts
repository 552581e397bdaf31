/**
 * Overrides: an approved rise of one budget for one period, and the signals that ask for one and decide it
 * (signals.md, section 4).
 *
 * Owns: their shapes. Does not decide: whether there is room for one, or who may decide it (tokens/).
 */
import { Schema } from "effect"
import { BudgetType, Measure } from "./Budget.ts"
import { Currency } from "./Currency.ts"
import { Decimal, NonNegativeDecimal } from "./Money.ts"
import { command, query } from "./Signal.ts"
import { Id, Name, optional, Sentence, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

/** `expired`: its time has come, whether it was pending or approved; `approved_amount` tells which. */
export const OverrideStatus = Schema.Literals(["pending", "approved", "denied", "expired"])
export type OverrideStatus = typeof OverrideStatus.Type

export const Override = Schema.Struct({
  id: Id,
  budget_id: Id,
  type: BudgetType,
  entity_id: Schema.NullOr(Id),
  measure: Measure,
  currency: Currency,
  status: OverrideStatus,
  amount: Decimal.annotate({ description: "what was asked for" }),
  approved_amount: Schema.NullOr(Decimal),
  reason: Sentence,
  note: Schema.NullOr(Sentence),
  period_start: Schema.NullOr(Timestamp),
  period_end: Schema.NullOr(Timestamp),
  requested_by: Name.annotate({ description: "the owner of the key that asked" }),
  requested_at: Timestamp,
  decided_by: Schema.NullOr(Name).annotate({
    description: "the owner of the key that decided; null where the budget's policy did"
  }),
  decided_at: Schema.NullOr(Timestamp),
  expires_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "Override" })
export type Override = typeof Override.Type

export const RequestOverride = command("request_override", {
  family: "budgets",
  roles: ["app"],
  description: "Asks for more room in a budget until its current period ends, or until an earlier time.",
  payload: {
    budget_id: Id,
    entity_id: optional(Id),
    amount: NonNegativeDecimal,
    reason: Sentence.check(Schema.isMinLength(1, { expected: "a reason, for whoever decides" })),
    expires_at: optional(Timestamp)
  },
  success: Schema.Struct({
    override_id: Id,
    status: Schema.Literals(["pending", "approved"]),
    override: Override
  })
})

export const DecideOverride = command("decide_override", {
  family: "budgets",
  roles: ["budget_admin"],
  description:
    "Approves or denies an override. The key that decides has another owner than the key that asked.",
  payload: {
    override_id: Id,
    decision: Schema.Literals(["approve", "deny"]),
    amount: optional(NonNegativeDecimal),
    note: optional(Sentence)
  },
  rule: ({ decision, amount }: { readonly decision: string; readonly amount?: bigint }) =>
    decision === "deny" && amount !== undefined
      ? { path: ["amount"], message: "What is denied has no amount: leave it out" }
      : undefined,
  success: Schema.Struct({ override: Override })
})

export const ListOverrides = query("list_overrides", {
  family: "budgets",
  roles: ["analyst", "budget_admin"],
  description: "Lists overrides, newest first.",
  payload: { status: optional(OverrideStatus), budget_id: optional(Id), ...pageFields },
  success: Schema.Struct({ items: Schema.Array(Override), next_cursor: Schema.NullOr(Schema.String) })
})
