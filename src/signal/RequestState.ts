/**
 * The signal by which another part of the runtime asks what became of a request: what it still holds, what it has used.
 *
 * Owns: its shape. Clients never need it: they send their request again.
 */
import { Schema } from "effect"
import { Currency } from "./Currency.ts"
import { Decimal } from "./Money.ts"
import { query } from "./Signal.ts"
import { Count, HoldId, Id, PositiveCount } from "./Text.ts"

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
    next_attempt: PositiveCount,
    prompt_tokens: Count,
    completion_tokens: Count,
    cost: Decimal,
    currency: Currency
  })
})
