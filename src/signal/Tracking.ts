/** The signals that record and read usage (signals.md, section 3). */
import { Schema } from "effect"
import { attributionFields } from "./Attribution.ts"
import { Alert, BudgetStanding } from "./Budget.ts"
import { Currency } from "./Currency.ts"
import { Decimal } from "./Money.ts"
import { command, query } from "./Signal.ts"
import { Count, Id, optional, Sentence, Timestamp, withDefault } from "./Text.ts"
import { AttemptNumber, Counts, countsProblem, TokenUsage, trackUsageFields, UsageStatus } from "./Usage.ts"

/** How many items a list answers at once. */
export const pageFields = {
  limit: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })), 100),
  cursor: optional(Schema.String.check(Schema.isMaxLength(1024)))
}

export const TrackUsage = command("track_usage", {
  family: "tracking",
  roles: ["app"],
  description: "Records what one attempt of a call used. The answer means: it is durable.",
  payload: trackUsageFields,
  rule: countsProblem,
  success: Schema.Struct({
    tracked: Schema.Literal(true),
    duplicate: Schema.Boolean,
    usage: TokenUsage,
    budgets: Schema.Array(BudgetStanding),
    alerts: Schema.Array(Alert)
  })
})

export const CorrectUsage = command("correct_usage", {
  family: "tracking",
  roles: ["budget_admin"],
  description:
    "Brings an attempt to the counts that are right, by a row with the difference that is booked where the first row was. The same correction again changes nothing.",
  payload: {
    /** The request whose usage is wrong. */
    request_id: Id,
    /** May be absent where there is only one. */
    attempt: optional(AttemptNumber),
    /** All of the attempt's counts, as they should have been. */
    usage: Counts,
    reason: Sentence.check(Schema.isMinLength(1, { expected: "a text that is not empty" }))
  },
  rule: ({ usage }: { readonly usage: Counts }) => {
    const problem = countsProblem(usage)
    return problem && { ...problem, path: ["usage", ...problem.path] }
  },
  success: Schema.Struct({
    corrected: Schema.Literal(true),
    /** Nothing was changed: the attempt had these counts, or was corrected like this before. */
    duplicate: Schema.Boolean,
    /** The adjustment; of a duplicate the row that was there. */
    usage: TokenUsage,
    budgets: Schema.Array(BudgetStanding),
    alerts: Schema.Array(Alert)
  })
})

export const usageFilterFields = {
  from: optional(Timestamp),
  to: optional(Timestamp),
  provider: optional(Id),
  model: optional(Id),
  status: optional(UsageStatus),
  ...attributionFields
}

export const UsageTotals = Schema.Struct({
  requests: Count,
  prompt_tokens: Count,
  completion_tokens: Count,
  total_tokens: Count,
  cost: Decimal,
  currency: Currency
}).annotate({ identifier: "UsageTotals" })
export type UsageTotals = typeof UsageTotals.Type

export const GetUsage = query("get_usage", {
  family: "tracking",
  roles: ["app", "analyst"],
  description: "Lists recorded usage, newest first, with totals over the whole filter on the first page.",
  payload: { ...usageFilterFields, ...pageFields },
  success: Schema.Struct({
    items: Schema.Array(TokenUsage),
    next_cursor: Schema.NullOr(Schema.String),
    totals: optional(UsageTotals)
  })
})
