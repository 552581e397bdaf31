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
  /** Input that was read from the provider's cache; a part of `prompt_tokens`. */
  cached_tokens: optional(Count),
  /** Input that was written into a cache for 5 minutes; a part of `prompt_tokens`. */
  cache_write_5m_tokens: optional(Count),
  /** Input that was written into a cache for an hour; a part of `prompt_tokens`. */
  cache_write_1h_tokens: optional(Count),
  /** Audio input; a part of `prompt_tokens`. */
  audio_tokens: optional(Count),
  /** Image input; a part of `prompt_tokens`. */
  image_tokens: optional(Count)
}).annotate({ identifier: "PromptDetails" })
export type PromptDetails = typeof PromptDetails.Type

export const CompletionDetails = Schema.Struct({
  /** Thinking; a part of `completion_tokens`, charged like other output. */
  reasoning_tokens: optional(Count),
  /** Audio output; a part of `completion_tokens`. */
  audio_tokens: optional(Count)
}).annotate({ identifier: "CompletionDetails" })
export type CompletionDetails = typeof CompletionDetails.Type

/** The counts of one attempt. `prompt_tokens` is all input, cached or not; `completion_tokens` all output. */
export const countFields = {
  /** All input, cached or not. */
  prompt_tokens: Count,
  /** All output, reasoning included. */
  completion_tokens: Count,
  /**
   * Parts of `prompt_tokens` that have rates of their own. None exceeds it; cached and cache-write tokens together
   * do not either.
   */
  prompt_tokens_details: optional(PromptDetails),
  /** Parts of `completion_tokens`. None exceeds it. */
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
  /** The model as the provider named it in its answer, where that is another name than `model`. */
  response_model: optional(Id),
  /** From sending the call to the end of its answer. */
  latency_ms: optional(Count),
  /** From sending the call to the first piece of its answer. */
  time_to_first_token_ms: optional(Count),
  /**
   * The provider's tier, such as `batch`: a price may have a factor for it. One that the price does not know is
   * charged at the plain price.
   */
  service_tier: optional(Id),
  /** Names of the tools that were called; at most 128. */
  tools_used: optional(Schema.Array(Name).check(Schema.isMaxLength(128))),
  /** What the provider says that it cost, as a decimal. Kept, and never charged: the price book decides. */
  reported_cost: optional(Decimal),
  /** The provider's own usage object, kept as it came; at most 64 KiB of JSON, 16 levels deep. */
  raw_usage: optional(RawObject),
  /** A hash that you make of the whole prompt. Kept as it is. */
  prompt_hash: optional(Id),
  /** A hash that you make of the prompt's beginning that calls share. Kept as it is. */
  prefix_hash: optional(Id),
  /** Tokens of each part of the prompt, as you counted them. Kept as they are. */
  prompt_parts: optional(
    Schema.Struct({
      /** Of the system prompt. */
      system: optional(Count),
      /** Of the definitions of tools. */
      tools: optional(Count),
      /** Of earlier messages. */
      history: optional(Count),
      /** Of what is new. */
      text: optional(Count)
    })
  ),
  /** Facts of your own: at most 4 KiB of JSON, 4 levels deep. Kept as they are. */
  metadata: optional(Metadata)
}

/** Which attempt of a request, from 1 on. */
export const AttemptNumber = PositiveCount.check(Schema.isLessThanOrEqualTo(ATTEMPTS_MAX))

/** What a caller reports of one attempt. */
export const trackUsageFields = {
  /** The call. With `attempt` it is unique: the same report again changes nothing, another one is a `Conflict`. */
  request_id: Id,
  /** Which try of the call this is, from 1 on; at most 100. Each is a row, and charged. */
  attempt: withDefault(AttemptNumber, 1),
  /** As the price book names it, such as `anthropic`. */
  provider: Id,
  /** As the price book names it. One without a price is recorded as `unpriced`. */
  model: Id,
  ...countFields,
  ...attributionFields,
  /** The hold that `check_budget` gave. Left out, the open hold of the same `request_id` is posted. */
  hold_id: optional(HoldId),
  /**
   * `true`: the call is over, and what is left of its hold goes back. `false`: this attempt failed and will be
   * tried again; it is charged, the hold shrinks by that and stays open.
   */
  settle: withDefault(Schema.Boolean, true),
  /**
   * When the call was made; default: now. Without a hold it decides the period and the price. Older than 48 hours
   * counts as 48 hours ago, and is `late`.
   */
  timestamp: optional(Timestamp),
  /**
   * How the attempt ended; each is charged. `estimated`: the counts are a guess, which one final report may
   * replace.
   */
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
  /** What is charged on this line; `request` is the charge per request. */
  token_type: TokenType,
  /** How many; for `request`, 1. Negative on an adjustment. */
  tokens: Schema.Int,
  /** In the price's currency; for `request`, a million times the charge. */
  price_per_million: Decimal,
  /** Of the call's service tier, where the price has one. */
  factor: optional(Decimal),
  /** `tokens` × `price_per_million` × `factor`, rounded once, in the price's currency. */
  cost: Decimal
}).annotate({ identifier: "CostLine" })
export type CostLine = typeof CostLine.Type

/** Signed: an adjustment row says by how much a count has changed. */
const SignedCount = Schema.Int

/** A usage as it is kept. Rows are never changed: an adjustment is a row of its own, and names what it `adjusts`. */
export const TokenUsage = Schema.Struct({
  /** Of this row; what `adjusts` refers to. */
  id: Id,
  /** The row's place among all of the tenant's, without gaps. */
  usage_seq: PositiveCount,
  /** The call that this is an attempt of. */
  request_id: Id,
  /** Which try of the call, from 1 on. */
  attempt: PositiveCount,
  /** As it was reported. */
  provider: Id,
  /** As it was reported; prices and budgets go by it. */
  model: Id,
  /** All input, cached or not; of an adjustment, by how much it has changed. */
  prompt_tokens: SignedCount,
  /** All output, reasoning included; of an adjustment, by how much it has changed. */
  completion_tokens: SignedCount,
  /** Parts of `prompt_tokens`, by name. */
  prompt_tokens_details: optional(Schema.Record(Schema.String, SignedCount)),
  /** Parts of `completion_tokens`, by name. */
  completion_tokens_details: optional(Schema.Record(Schema.String, SignedCount)),
  /** `prompt_tokens` + `completion_tokens`. */
  total_tokens: SignedCount,
  ...attributionFields,
  /** The hold of the call, where there was one. */
  hold_id: optional(HoldId),
  /** Whether the report ended the call, and with it the hold. */
  settle: Schema.Boolean,
  /** When the call was made, as it was reported. */
  timestamp: Timestamp,
  /** When the report came. */
  recorded_at: Timestamp,
  /**
   * Decides period, price and reports: when the hold was made, else `timestamp`, at most 48 hours before
   * `recorded_at`. `from` and `to` filter by it.
   */
  booked_at: Timestamp,
  /** How the attempt ended; `estimated` until its final report. */
  status: UsageStatus,
  ...details,
  /** In `currency`, with all digits; zero where `cost_status` is `unpriced` or `free`. */
  cost: Decimal,
  /** The tenant's, in which everything is added up. */
  currency: Currency,
  /** The currency of the price and of `cost_breakdown`. */
  price_currency: Currency,
  /** What a unit of `price_currency` was in `currency`. */
  exchange_rate: Decimal,
  /** What a unit of `currency` was in the currencies of the budgets that it was charged to, where they are others. */
  budget_rates: optional(ExchangeRates),
  /** The lines of the cost, in `price_currency`. */
  cost_breakdown: Schema.Array(CostLine),
  /** The price that it was charged at; null while it has none. */
  price_id: Schema.NullOr(Id),
  /** `priced`; `free`: its price is zero; `unpriced`: it has no price yet, and `update_pricing` gives it one. */
  cost_status: CostStatus,
  /** What it cost beyond the money that was still held for it, in `currency`. */
  overage: Decimal,
  /** Whether it was booked 48 hours back because it was older. */
  late: Schema.Boolean,
  /** What its hold expected; null without a hold. */
  estimated_tokens: Schema.NullOr(Count),
  /** What its hold expected, in `currency`; null without a hold, or where the hold was in another currency. */
  estimated_cost: Schema.NullOr(Decimal),
  /** Of an adjustment: the `id` of the row that it corrects or prices. */
  adjusts: optional(Id),
  /** Why an attempt was corrected. */
  reason: optional(Sentence)
}).annotate({ identifier: "TokenUsage" })
export type TokenUsage = typeof TokenUsage.Type
