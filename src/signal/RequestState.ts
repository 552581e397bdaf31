/**
 * The signals by which another part of the runtime asks what became of requests (what one still holds, what it has used,
 * what was said of workflows' calls after they had been counted), and settles one for a process that has died.
 *
 * Owns: their shapes. Clients never need them: they send their request again.
 */
import { Schema } from "effect"
import { Currency } from "./Currency.ts"
import { Decimal } from "./Money.ts"
import { command, query } from "./Signal.ts"
import { Count, HoldId, Id, PositiveCount, Sentence } from "./Text.ts"
import { TokenUsage } from "./Usage.ts"

export const FindRequest = query("find_request", {
  family: "tracking",
  roles: [],
  description: "Says what a request holds and has used, adjustments included.",
  payload: { request_id: Id },
  success: Schema.Struct({
    open_hold: Schema.NullOr(
      Schema.Struct({ hold_id: HoldId, provider: Schema.NullOr(Id), model: Schema.NullOr(Id) })
    ),
    is_posted: Schema.Boolean,
    attempts: Count,
    /** What a report that comes now goes under: a number of its own, or that of the guess that it was settled with. */
    next_attempt: PositiveCount,
    prompt_tokens: Count,
    completion_tokens: Count,
    cost: Decimal,
    currency: Currency,
    /** The last row that is counted here; 0 where there is none. */
    last_seq: Count
  })
})

export const FindAttempt = query("find_attempt", {
  family: "tracking",
  roles: [],
  description: "Says what an attempt amounts to, all of its rows together.",
  payload: { request_id: Id, attempt: PositiveCount },
  success: Schema.Struct({
    /** Its last row, with the counts and the costs of all; `null` where it is not recorded, or cleaned up. */
    usage: Schema.NullOr(TokenUsage)
  })
})

/** A hold that has ended meanwhile is left as it is. What the call itself reports later replaces the guess. */
export const SettleHold = command("settle_hold", {
  family: "tracking",
  roles: [],
  description:
    "Charges an open hold's call as what it is expected to have used: nobody hears of it any more.",
  payload: {
    hold_id: HoldId,
    provider: Id,
    model: Id,
    prompt_tokens: Count,
    /** Why nobody hears of it; goes into the row's metadata. */
    why: Sentence
  },
  success: Schema.Struct({
    /** `false`: nothing was held any more under this hold. */
    settled: Schema.Boolean
  })
})

/** Workflows that are asked about at once. */
export const ADJUSTED_WORKFLOWS_MAX = 1_000

export const FindAdjustments = query("find_adjustments", {
  family: "tracking",
  roles: [],
  description: "Lists what adjusts the usage of workflows, further attempts among it, the oldest first.",
  payload: {
    workflow_ids: Schema.Array(Id).check(Schema.isMaxLength(ADJUSTED_WORKFLOWS_MAX)),
    /** Only what came after this row. */
    after_seq: Count
  },
  success: Schema.Struct({
    items: Schema.Array(
      Schema.Struct({
        usage_seq: PositiveCount,
        workflow_id: Id,
        request_id: Id,
        /** What these change by: they may be negative. */
        prompt_tokens: Schema.Int,
        completion_tokens: Schema.Int,
        cost: Decimal
      })
    ),
    /** Where to go on after these; `null`: there are no more. */
    next_seq: Schema.NullOr(Count)
  })
})
