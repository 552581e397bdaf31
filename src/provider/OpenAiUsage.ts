/**
 * OpenAI's usage in the shape of `track_usage`.
 *
 * Source: OpenAI's API reference, "The chat completion object" (`usage`): `prompt_tokens` counts the whole prompt,
 * `cached_tokens` and `cache_write_tokens` included; `completion_tokens` counts `reasoning_tokens` and rejected
 * predictions, too; and the guide "Prompt caching". Parts that would not fit into their total are cut to it,
 * because totals are what is billed, and endpoints have been seen to report more cached tokens than input.
 */
import type { Counts } from "../signal/Usage.ts"
import type { ReportedUsage } from "./Adapter.ts"

export interface OpenAiUsage {
  readonly prompt_tokens?: number | null
  readonly completion_tokens?: number | null
  readonly prompt_tokens_details?: {
    readonly cached_tokens?: number | null
    readonly cache_write_tokens?: number | null
    readonly audio_tokens?: number | null
    readonly image_tokens?: number | null
  } | null
  readonly completion_tokens_details?: {
    readonly reasoning_tokens?: number | null
    readonly audio_tokens?: number | null
  } | null
}

/** Takes parts out of a total, one after the other, and never more than is left. */
const partsOf = (total: number) => {
  let left = total
  return (tokens: number | null | undefined): number => {
    const part = Math.min(Math.max(tokens ?? 0, 0), left)
    left -= part
    return part
  }
}

const countsOf = (usage: OpenAiUsage): Counts => {
  const prompt = usage.prompt_tokens ?? 0
  const completion = usage.completion_tokens ?? 0
  const ofPrompt = partsOf(prompt)
  const cached = ofPrompt(usage.prompt_tokens_details?.cached_tokens)
  const written = ofPrompt(usage.prompt_tokens_details?.cache_write_tokens)
  const audioIn = ofPrompt(usage.prompt_tokens_details?.audio_tokens)
  const imageIn = ofPrompt(usage.prompt_tokens_details?.image_tokens)
  const ofCompletion = partsOf(completion)
  const reasoning = ofCompletion(usage.completion_tokens_details?.reasoning_tokens)
  const audioOut = ofCompletion(usage.completion_tokens_details?.audio_tokens)
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    ...(cached + written + audioIn + imageIn > 0 && {
      prompt_tokens_details: {
        ...(cached > 0 && { cached_tokens: cached }),
        ...(written > 0 && { cache_write_5m_tokens: written }),
        ...(audioIn > 0 && { audio_tokens: audioIn }),
        ...(imageIn > 0 && { image_tokens: imageIn })
      }
    }),
    ...(reasoning + audioOut > 0 && {
      completion_tokens_details: {
        ...(reasoning > 0 && { reasoning_tokens: reasoning }),
        ...(audioOut > 0 && { audio_tokens: audioOut })
      }
    })
  }
}

export const openAiUsage = (
  usage: OpenAiUsage,
  model: string | undefined,
  serviceTier: string | null | undefined
): ReportedUsage => ({
  counts: countsOf(usage),
  ...(model !== undefined && model !== "" && { response_model: model }),
  ...(serviceTier != null && { service_tier: serviceTier }),
  raw_usage: usage
})
