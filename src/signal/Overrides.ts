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
  /** What `decide_override` calls `override_id`. */
  id: Id,
  /** The budget that it raises; of a standing, its default. */
  budget_id: Id,
  /** The budget's type. */
  type: BudgetType,
  /** Whose budget it is; null where it is `global`. */
  entity_id: Schema.NullOr(Id),
  /** The unit of the amounts. */
  measure: Measure,
  /** Of the amounts, where `measure` is `cost`. */
  currency: Currency,
  /** `expired`: its time has come, whether it was pending or approved; `approved_amount` tells which. */
  status: OverrideStatus,
  /** What was asked for. */
  amount: Decimal,
  /** What was approved; null until then, or where it was denied. */
  approved_amount: Schema.NullOr(Decimal),
  /** Why more is needed, as the asker wrote. */
  reason: Sentence,
  /** What the decider wrote. */
  note: Schema.NullOr(Sentence),
  /** The period that it is for; null for `lifetime`. */
  period_start: Schema.NullOr(Timestamp),
  /** When that period ends; null for `lifetime`. */
  period_end: Schema.NullOr(Timestamp),
  /** The owner of the key that asked. */
  requested_by: Name,
  /** When it was asked for. */
  requested_at: Timestamp,
  /** The owner of the key that decided; null where the budget's policy did. */
  decided_by: Schema.NullOr(Name),
  /** Null while it is pending. */
  decided_at: Schema.NullOr(Timestamp),
  /** When it ends: with its period or before; null: never. */
  expires_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "Override" })
export type Override = typeof Override.Type

export const RequestOverride = command("request_override", {
  family: "budgets",
  roles: ["app"],
  description: "Asks for more room in a budget until its current period ends, or until an earlier time.",
  fails: ["NotFound"],
  payload: {
    /** The budget that has no room: `violations` name it. */
    budget_id: Id,
    /** Whose standing, where the budget is a default; default: the one that the key is forced to. */
    entity_id: optional(Id),
    /** How much more, in the budget's unit. More than its `max_override_percentage` leaves is refused. */
    amount: NonNegativeDecimal,
    /** For whoever decides. */
    reason: Sentence.check(Schema.isMinLength(1, { expected: "a reason, for whoever decides" })),
    /** When it ends, before the period does; default: with the period. */
    expires_at: optional(Timestamp)
  },
  success: Schema.Struct({
    /** For `decide_override`. */
    override_id: Id,
    /** `approved` at once where the budget's policy requires no approval. */
    status: Schema.Literals(["pending", "approved"]),
    /** As it is kept. */
    override: Override
  })
})

export const DecideOverride = command("decide_override", {
  family: "budgets",
  roles: ["budget_admin"],
  description:
    "Approves or denies an override. The key that decides has another owner than the key that asked.",
  fails: ["NotFound"],
  payload: {
    /** The one to decide; it must be pending. */
    override_id: Id,
    /** `approve` raises the budget at once, and wakes whoever waits for room. */
    decision: Schema.Literals(["approve", "deny"]),
    /** What is approved, where it is other than what was asked for. */
    amount: optional(NonNegativeDecimal),
    /** For whoever asked. */
    note: optional(Sentence)
  },
  rule: ({ decision, amount }: { readonly decision: string; readonly amount?: bigint }) =>
    decision === "deny" && amount !== undefined
      ? { path: ["amount"], message: "What is denied has no amount: leave it out" }
      : undefined,
  success: Schema.Struct({
    /** As it stands now. */
    override: Override
  })
})

export const ListOverrides = query("list_overrides", {
  family: "budgets",
  roles: ["analyst", "budget_admin"],
  description: "Lists overrides, newest first.",
  payload: {
    /** Only these. */
    status: optional(OverrideStatus),
    /** Only of this budget. */
    budget_id: optional(Id),
    ...pageFields
  },
  success: Schema.Struct({
    /** Newest first. */
    items: Schema.Array(Override),
    /** For the next page; null on the last. */
    next_cursor: Schema.NullOr(Schema.String)
  })
})
