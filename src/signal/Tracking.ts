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
  /** Items of one page. */
  limit: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })), 100),
  /**
   * `next_cursor` of the page before, with the same filter. It belongs to a snapshot: what is written later neither
   * shifts nor repeats items.
   */
  cursor: optional(Schema.String.check(Schema.isMaxLength(1024)))
}

export const TrackUsage = command("track_usage", {
  family: "tracking",
  roles: ["app"],
  description: "Records what one attempt of a call used. The answer means: it is durable.",
  fails: ["NotFound", "PriceUnknown"],
  payload: trackUsageFields,
  rule: countsProblem,
  success: Schema.Struct({
    /** The report is durable. With `budget_check_mode: "async"` it is decided, and written right after. */
    tracked: Schema.Literal(true),
    /** Whether it was known already: then `usage` is the first answer's, and nothing was charged. */
    duplicate: Schema.Boolean,
    /** The row as it is kept, with its cost. */
    usage: TokenUsage,
    /** Where every budget that it counts in stands now. */
    budgets: Schema.Array(BudgetStanding),
    /** What it gave rise to; empty for a repeat. */
    alerts: Schema.Array(Alert)
  })
})

export const CorrectUsage = command("correct_usage", {
  family: "tracking",
  roles: ["budget_admin"],
  description:
    "Brings an attempt to the counts that are right, by a row with the difference that is booked where the first row was. The same correction again changes nothing.",
  fails: ["NotFound", "PriceUnknown"],
  payload: {
    /** The request whose usage is wrong. */
    request_id: Id,
    /** Which of its attempts; may be absent where there is only one. */
    attempt: optional(AttemptNumber),
    /** All of the attempt's counts, as they should have been. */
    usage: Counts,
    /** Why, for the audit trail and the row. */
    reason: Sentence.check(Schema.isMinLength(1, { expected: "a text that is not empty" }))
  },
  rule: ({ usage }: { readonly usage: Counts }) => {
    const problem = countsProblem(usage)
    return problem && { ...problem, path: ["usage", ...problem.path] }
  },
  success: Schema.Struct({
    /** The attempt has these counts now. */
    corrected: Schema.Literal(true),
    /** Nothing was changed: the attempt had these counts, or was corrected like this before. */
    duplicate: Schema.Boolean,
    /** The adjustment; of a duplicate the row that was there. */
    usage: TokenUsage,
    /** Where every budget that it counts in stands now. */
    budgets: Schema.Array(BudgetStanding),
    /** What it gave rise to. */
    alerts: Schema.Array(Alert)
  })
})

export const usageFilterFields = {
  /** From this `booked_at` on; default: from the beginning. */
  from: optional(Timestamp),
  /** Before this `booked_at`; default: up to now. */
  to: optional(Timestamp),
  /** Only of this provider. */
  provider: optional(Id),
  /** Only of this model. */
  model: optional(Id),
  /** Only attempts that ended so. */
  status: optional(UsageStatus),
  ...attributionFields
}

export const UsageTotals = Schema.Struct({
  /** Calls, however many attempts each had. */
  requests: Count,
  /** All input, adjustments included. */
  prompt_tokens: Count,
  /** All output, adjustments included. */
  completion_tokens: Count,
  /** `prompt_tokens` + `completion_tokens`. */
  total_tokens: Count,
  /** In `currency`, with all digits; what is unpriced counts as zero until it is priced. */
  cost: Decimal,
  /** The tenant's. */
  currency: Currency
}).annotate({ identifier: "UsageTotals" })
export type UsageTotals = typeof UsageTotals.Type

export const GetUsage = query("get_usage", {
  family: "tracking",
  roles: ["app", "analyst"],
  description: "Lists recorded usage, newest first, with totals over the whole filter on the first page.",
  payload: { ...usageFilterFields, ...pageFields },
  success: Schema.Struct({
    /** One row per attempt or adjustment, newest first. */
    items: Schema.Array(TokenUsage),
    /** For the next page; null on the last. */
    next_cursor: Schema.NullOr(Schema.String),
    /** Of the whole filter; on the first page only. */
    totals: optional(UsageTotals)
  })
})
