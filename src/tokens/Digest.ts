/**
 * Tells whether a signal that is sent again has the same content.
 *
 * Owns: which fields count as content, and their digest.
 */
import { hash } from "node:crypto"
import { ATTRIBUTION_FIELDS, type Attribution } from "../signal/Attribution.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"

const digestOf = (parts: ReadonlyArray<unknown>): string =>
  hash("sha256", JSON.stringify(parts), "base64url").slice(0, 22)

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
export const contentDigest = (payload: unknown): string => digestOf([canonical(payload)])
