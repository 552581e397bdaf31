/**
 * Anthropic's usage in the shape of `track_usage`.
 *
 * Source: Anthropic's API reference, "Messages" (object `usage`: "Total input tokens in a request is the
 * summation of input_tokens, cache_creation_input_tokens, and cache_read_input_tokens"; `output_tokens` is "the
 * inclusive, authoritative total used for billing"), "Prompt caching" (`cache_creation` by lifetime; the default
 * lifetime is 5 minutes) and "Streaming messages" (counts in `message_delta` are cumulative).
 */
import type { Counts } from "../signal/Usage.ts"
import type { ReportedUsage } from "./Adapter.ts"

/** The fields that count tokens, of a plain answer, of `message_start` and of `message_delta`. */
export interface AnthropicUsage {
  readonly input_tokens?: number | null
  readonly output_tokens?: number | null
  readonly cache_creation_input_tokens?: number | null
  readonly cache_read_input_tokens?: number | null
  readonly cache_creation?: {
    readonly ephemeral_5m_input_tokens?: number | null
    readonly ephemeral_1h_input_tokens?: number | null
  } | null
  readonly output_tokens_details?: { readonly thinking_tokens?: number | null } | null
  readonly service_tier?: string | null
}

/** A later report over an earlier one: what it names wins, what it leaves out or calls `null` stays. */
export const mergeUsage = (earlier: AnthropicUsage, later: AnthropicUsage): AnthropicUsage => {
  const merged: Record<string, unknown> = { ...earlier }
  for (const [field, value] of Object.entries(later)) {
    if (value !== null && value !== undefined) merged[field] = value
  }
  return merged
}

const cacheWrites = (usage: AnthropicUsage): { readonly fiveMinutes: number; readonly oneHour: number } => {
  const byLifetime =
    (usage.cache_creation?.ephemeral_5m_input_tokens ?? 0) +
    (usage.cache_creation?.ephemeral_1h_input_tokens ?? 0)
  const total = Math.max(usage.cache_creation_input_tokens ?? 0, byLifetime)
  const oneHour = usage.cache_creation?.ephemeral_1h_input_tokens ?? 0
  return { fiveMinutes: total - oneHour, oneHour }
}

const countsOf = (usage: AnthropicUsage): Counts => {
  const { fiveMinutes, oneHour } = cacheWrites(usage)
  const cached = usage.cache_read_input_tokens ?? 0
  const completion = usage.output_tokens ?? 0
  const thinking = Math.min(usage.output_tokens_details?.thinking_tokens ?? 0, completion)
  return {
    prompt_tokens: (usage.input_tokens ?? 0) + cached + fiveMinutes + oneHour,
    completion_tokens: completion,
    ...(cached + fiveMinutes + oneHour > 0 && {
      prompt_tokens_details: {
        ...(cached > 0 && { cached_tokens: cached }),
        ...(fiveMinutes > 0 && { cache_write_5m_tokens: fiveMinutes }),
        ...(oneHour > 0 && { cache_write_1h_tokens: oneHour })
      }
    }),
    ...(thinking > 0 && { completion_tokens_details: { reasoning_tokens: thinking } })
  }
}

export const anthropicUsage = (usage: AnthropicUsage, model: string | undefined): ReportedUsage => ({
  counts: countsOf(usage),
  ...(model !== undefined && { response_model: model }),
  ...(usage.service_tier != null && { service_tier: usage.service_tier }),
  raw_usage: usage
})
