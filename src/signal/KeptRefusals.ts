/** The signal that shows why calls were refused. The contract is silent about it: this one is ours. */
import { Schema } from "effect"
import { Attribution, attributionFields } from "./Attribution.ts"
import { Alternative, RefusalKind } from "./Budgeting.ts"
import { Currency } from "./Currency.ts"
import { Violation } from "./Errors.ts"
import { Decimal } from "./Money.ts"
import { query } from "./Signal.ts"
import { Count, Id, optional, PositiveCount, Sentence, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

/** What was asked, for whom, and why it was refused: of refusals that are told as one, the last. */
export const RefusedRequest = Schema.Struct({
  /** The request that was refused; of `extend_hold` the one that the hold belongs to. */
  request_id: Id,
  /** What was refused; `complete` and workflows send these, too. */
  signal: Schema.Literals(["check_budget", "extend_hold"]),
  /** What kind of reason it was. */
  kind: RefusalKind,
  /** The id of the key that asked. */
  principal: Schema.String,
  /** Whose key it is. */
  owner: Schema.String,
  /** Who and what the call was for. */
  attribution: Attribution,
  /** Who was to be called; `null` where nobody was named. */
  provider: Schema.NullOr(Id),
  /** What was to be called; `null` where none was named. */
  model: Schema.NullOr(Id),
  /** What was asked for. */
  estimated_tokens: Count,
  /** What was asked for, in `currency`. */
  estimated_cost: Decimal,
  /** The tenant's. */
  currency: Currency,
  /** The sentence that was answered. */
  reason: Sentence,
  /** The first sixteen hard budgets that had no room, as they stood. */
  violations: Schema.Array(Violation),
  /** How many more had none. */
  more_violations: Count,
  /** When asking again could work, as it was answered. */
  retry_at: Schema.NullOr(Timestamp),
  /** Cheaper models for which there was room. */
  alternatives: Schema.Array(Alternative)
})
export type RefusedRequest = typeof RefusedRequest.Type

export const Refusal = Schema.Struct({
  /** The tenant's number of it. */
  refusal_id: Id,
  /** How often: the same request, refused for the same reason by the same budgets within an hour of the clock, is one refusal. */
  count: PositiveCount,
  /** When it was refused first. */
  first_at: Timestamp,
  /** When it was refused last. */
  last_at: Timestamp,
  ...RefusedRequest.fields
}).annotate({ identifier: "Refusal" })
export type Refusal = typeof Refusal.Type

export const ListRefusals = query("list_refusals", {
  family: "budgets",
  roles: ["app", "analyst"],
  description:
    "Says why calls were refused, the newest first: every check_budget and extend_hold that a budget or a rule refused, also those of complete and of workflows. The newest ten thousand are kept.",
  payload: {
    /** Only of this request. */
    request_id: optional(Id),
    /** Only what this budget refused. */
    budget_id: optional(Id),
    /** Only what was refused at this moment or later. */
    from: optional(Timestamp),
    /** Only what was refused before this moment. */
    to: optional(Timestamp),
    ...attributionFields,
    ...pageFields
  },
  success: Schema.Struct({
    /** The newest first. */
    items: Schema.Array(Refusal),
    /** Where the next page begins; `null` after the last. */
    next_cursor: Schema.NullOr(Schema.String),
    /** How many are gone because there were too many. */
    dropped: Count
  })
})
