/**
 * What a call used: the counts a provider reported, and the record that is kept of them.
 *
 * Owns: the shapes and the arithmetic rules between counts. Does not decide: what they cost (PriceBook).
 */
import { Schema } from "effect"
import { attributionFields } from "./Attribution.ts"
import { Currency } from "./Currency.ts"
import { ExchangeRates } from "./ExchangeRates.ts"
import { Decimal } from "./Money.ts"
import {
  Count,
  HoldId,
  Id,
  Metadata,
  Name,
  optional,
  PositiveCount,
  RawObject,
  Sentence,
  Timestamp,
  withDefault
} from "./Text.ts"

export const PromptDetails = Schema.Struct({
  cached_tokens: optional(Count),
  cache_write_5m_tokens: optional(Count),
  cache_write_1h_tokens: optional(Count),
  audio_tokens: optional(Count),
  image_tokens: optional(Count)
}).annotate({ identifier: "PromptDetails" })
export type PromptDetails = typeof PromptDetails.Type

export const CompletionDetails = Schema.Struct({
  reasoning_tokens: optional(Count),
  audio_tokens: optional(Count)
}).annotate({ identifier: "CompletionDetails" })
export type CompletionDetails = typeof CompletionDetails.Type

/** The counts of one attempt. `prompt_tokens` is all input, cached or not; `completion_tokens` all output. */
export const countFields = {
  prompt_tokens: Count,
  completion_tokens: Count,
  prompt_tokens_details: optional(PromptDetails),
  completion_tokens_details: optional(CompletionDetails)
}
export const Counts = Schema.Struct(countFields)
export type Counts = typeof Counts.Type

/** Says which rule the counts break, or `undefined`. No detail exceeds its total; cache parts fit in the prompt. */
export const countsProblem = (
  counts: Counts
): { path: ReadonlyArray<string>; message: string } | undefined => {
  const prompt = counts.prompt_tokens_details ?? {}
  const completion = counts.completion_tokens_details ?? {}
  for (const [name, tokens] of Object.entries(prompt)) {
    if (tokens > counts.prompt_tokens) {
      return { path: ["prompt_tokens_details", name], message: "Expected at most prompt_tokens" }
    }
  }
  for (const [name, tokens] of Object.entries(completion)) {
    if (tokens > counts.completion_tokens) {
      return { path: ["completion_tokens_details", name], message: "Expected at most completion_tokens" }
    }
  }
  const cache =
    (prompt.cached_tokens ?? 0) + (prompt.cache_write_5m_tokens ?? 0) + (prompt.cache_write_1h_tokens ?? 0)
  if (cache > counts.prompt_tokens) {
    return {
      path: ["prompt_tokens_details"],
      message: "Expected cached and cache-write tokens together to be at most prompt_tokens"
    }
  }
  if (!Number.isSafeInteger(counts.prompt_tokens + counts.completion_tokens)) {
    return { path: ["completion_tokens"], message: "Expected a total that is a safe integer" }
  }
  return undefined
}

export const UsageStatus = Schema.Literals(["success", "error", "cancelled", "estimated"])
export type UsageStatus = typeof UsageStatus.Type

export const CostStatus = Schema.Literals(["priced", "free", "unpriced"])
export type CostStatus = typeof CostStatus.Type

/** Attempts of one request that are kept apart; more are refused. */
export const ATTEMPTS_MAX = 100

const details = {
  response_model: optional(Id),
  latency_ms: optional(Count),
  time_to_first_token_ms: optional(Count),
  service_tier: optional(Id),
  tools_used: optional(Schema.Array(Name).check(Schema.isMaxLength(128))),
  reported_cost: optional(Decimal),
  raw_usage: optional(RawObject),
  prompt_hash: optional(Id),
  prefix_hash: optional(Id),
  prompt_parts: optional(
    Schema.Struct({
      system: optional(Count),
      tools: optional(Count),
      history: optional(Count),
      text: optional(Count)
    })
  ),
  metadata: optional(Metadata)
}

/** Which attempt of a request, from 1 on. */
export const AttemptNumber = PositiveCount.check(Schema.isLessThanOrEqualTo(ATTEMPTS_MAX))

/** What a caller reports of one attempt. */
export const trackUsageFields = {
  request_id: Id,
  attempt: withDefault(AttemptNumber, 1),
  provider: Id,
  model: Id,
  ...countFields,
  ...attributionFields,
  hold_id: optional(HoldId),
  settle: withDefault(Schema.Boolean, true),
  timestamp: optional(Timestamp),
  status: withDefault(UsageStatus, "success"),
  ...details
}

export const TokenType = Schema.Literals([
  "input",
  "cache_read",
  "cache_write_5m",
  "cache_write_1h",
  "input_audio",
  "input_image",
  "output",
  "output_audio",
  "request"
])
export type TokenType = typeof TokenType.Type

/**
 * One line of a cost: `tokens` at `price_per_million` (for `request`: a count, at the price of a million of them),
 * times `factor` where the call's service tier has one.
 */
export const CostLine = Schema.Struct({
  token_type: TokenType,
  tokens: Schema.Int,
  price_per_million: Decimal,
  factor: optional(Decimal),
  cost: Decimal
}).annotate({ identifier: "CostLine" })
export type CostLine = typeof CostLine.Type

/** Signed: an adjustment row says by how much a count has changed. */
const SignedCount = Schema.Int

/** A usage as it is kept. Rows are never changed: an adjustment is a row of its own, and names what it `adjusts`. */
export const TokenUsage = Schema.Struct({
  id: Id,
  usage_seq: PositiveCount,
  request_id: Id,
  attempt: PositiveCount,
  provider: Id,
  model: Id,
  prompt_tokens: SignedCount,
  completion_tokens: SignedCount,
  prompt_tokens_details: optional(Schema.Record(Schema.String, SignedCount)),
  completion_tokens_details: optional(Schema.Record(Schema.String, SignedCount)),
  total_tokens: SignedCount,
  ...attributionFields,
  hold_id: optional(HoldId),
  settle: Schema.Boolean,
  timestamp: Timestamp,
  recorded_at: Timestamp,
  booked_at: Timestamp,
  status: UsageStatus,
  ...details,
  cost: Decimal,
  currency: Currency,
  price_currency: Currency,
  exchange_rate: Decimal,
  /** What a unit of `currency` was in the currencies of the budgets that it was charged to, where they are others. */
  budget_rates: optional(ExchangeRates),
  cost_breakdown: Schema.Array(CostLine),
  price_id: Schema.NullOr(Id),
  cost_status: CostStatus,
  overage: Decimal,
  late: Schema.Boolean,
  estimated_tokens: Schema.NullOr(Count),
  estimated_cost: Schema.NullOr(Decimal),
  adjusts: optional(Id),
  /** Why an attempt was corrected. */
  reason: optional(Sentence)
}).annotate({ identifier: "TokenUsage" })
export type TokenUsage = typeof TokenUsage.Type
