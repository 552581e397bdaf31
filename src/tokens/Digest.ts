/**
 * Tells whether a signal that is sent again has the same content.
 *
 * Owns: which fields count as content, and their digest.
 */
import { ATTRIBUTION_FIELDS, type Attribution } from "../signal/Attribution.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"

/** Separates parts: no text of a payload contains it. */
const SEPARATOR = "\u0000"

/**
 * A 64-bit digest (two lanes of FNV-1a with a final avalanche). It is compared only with the digest of the same
 * request id, so that it guards against mistakes; it is no secret and no signature.
 */
const digestOf = (parts: ReadonlyArray<unknown>): string => {
  const text = parts.join(SEPARATOR)
  let low = 0x811c9dc5
  let high = 0x01000193 ^ text.length
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
  }
  low = Math.imul(low ^ (low >>> 16), 0xc2b2ae35)
  high = Math.imul(high ^ (high >>> 13) ^ low, 0x27d4eb2f)
  return ((high >>> 0) * 0x100000 + (low >>> 12)).toString(36) + (low & 0xfff).toString(36)
}

const attributionParts = (attribution: Attribution): ReadonlyArray<unknown> => {
  const parts: Array<unknown> = ATTRIBUTION_FIELDS.map((field) => attribution[field] ?? null)
  const { tags } = attribution
  if (tags !== undefined) {
    for (const name of Object.keys(tags).sort()) parts.push(name, tags[name])
  }
  return parts
}

/** The content of a usage report: provider, model, counts, status, tier, hold and attribution. */
export const usageDigest = (payload: SignalPayload<"track_usage">): string => {
  const prompt = payload.prompt_tokens_details
  const completion = payload.completion_tokens_details
  return digestOf([
    payload.provider,
    payload.model,
    payload.prompt_tokens,
    payload.completion_tokens,
    prompt?.cached_tokens ?? 0,
    prompt?.cache_write_5m_tokens ?? 0,
    prompt?.cache_write_1h_tokens ?? 0,
    prompt?.audio_tokens ?? 0,
    prompt?.image_tokens ?? 0,
    completion?.reasoning_tokens ?? 0,
    completion?.audio_tokens ?? 0,
    payload.status,
    payload.settle,
    payload.service_tier ?? null,
    payload.hold_id ?? null,
    ...attributionParts(payload)
  ])
}

/** The content of a request for approval. */
export const holdDigest = (payload: SignalPayload<"check_budget">): string =>
  digestOf([
    payload.provider ?? null,
    payload.model ?? null,
    payload.estimated_prompt_tokens ?? null,
    payload.max_completion_tokens ?? null,
    payload.estimated_tokens ?? null,
    payload.estimated_cost?.toString() ?? null,
    payload.currency ?? null,
    payload.hold_ttl_ms,
    ...attributionParts(payload)
  ])

const canonical = (value: unknown): unknown => {
  if (typeof value === "bigint") return `${value}n`
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => [name, canonical(inner)])
}

/** The content of any other command: all of its payload, whatever the order of its fields. */
export const contentDigest = (payload: unknown): string => digestOf([JSON.stringify(canonical(payload))])
