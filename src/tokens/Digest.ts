/**
 * Tells whether a signal that is sent again has the same content.
 *
 * Owns: which fields count as content, and their digest.
 */
import { ATTRIBUTION_FIELDS, type Attribution } from "../signal/Attribution.ts"
import { canonicalJson } from "../signal/Canonical.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"

const mixLow = (low: number, value: number): number => Math.imul(low ^ value, 0x01000193)
const mixHigh = (high: number, value: number): number => Math.imul(high ^ value ^ (high >>> 15), 0x85ebca6b)

/** Five bits as a character from "0" to "O". */
const character = (bits: number): number => 48 + (bits & 31)

/** 64 bits as 13 characters. In one step: two calls of `toString(36)` take ten times as long. */
const inCharacters = (high: number, low: number): string =>
  String.fromCharCode(
    character(high >>> 27),
    character(high >>> 22),
    character(high >>> 17),
    character(high >>> 12),
    character(high >>> 7),
    character(high >>> 2),
    character((high << 3) | (low >>> 29)),
    character(low >>> 24),
    character(low >>> 19),
    character(low >>> 14),
    character(low >>> 9),
    character(low >>> 4),
    character(low << 1)
  )

/**
 * A 64-bit digest (two lanes of FNV-1a with a final avalanche), fed part by part. It is compared only with the digest
 * of the same request id, so that it guards against mistakes; it is no secret and no signature.
 */
class Digest {
  // As signed 32-bit integers from the start: they are kept as such, not as floats.
  #low = 0x811c9dc5 | 0
  #high = 0x01000193

  /** A text, or that there is none. Its length closes it, so that parts cannot run into each other. */
  text(text: string | null | undefined): this {
    if (text === null || text === undefined) return this.#mix(-1)
    let [low, high] = [this.#low, this.#high]
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      low = mixLow(low, code)
      high = mixHigh(high, code)
    }
    this.#low = low
    this.#high = high
    return this.#mix(text.length)
  }

  /** A safe integer, or that there is none. */
  number(value: number | undefined): this {
    if (value === undefined) return this.#mix(-1)
    return this.#mix(value | 0).#mix(Math.floor(value / 0x1_0000_0000))
  }

  end(): string {
    const low = Math.imul(this.#low ^ (this.#low >>> 16), 0xc2b2ae35)
    const high = Math.imul(this.#high ^ (this.#high >>> 13) ^ low, 0x27d4eb2f)
    return inCharacters(high, low)
  }

  #mix(value: number): this {
    this.#low = mixLow(this.#low, value)
    this.#high = mixHigh(this.#high, value)
    return this
  }
}

const addAttribution = (digest: Digest, attribution: Attribution): void => {
  for (const field of ATTRIBUTION_FIELDS) digest.text(attribution[field])
  const { tags } = attribution
  if (tags === undefined) return
  for (const name of Object.keys(tags).sort()) digest.text(name).text(tags[name])
}

/** The content of a usage report: provider, model, counts, status, tier, hold and attribution. */
export const usageDigest = (payload: SignalPayload<"track_usage">): string => {
  const digest = new Digest()
  const prompt = payload.prompt_tokens_details
  const completion = payload.completion_tokens_details
  digest
    .text(payload.provider)
    .text(payload.model)
    .number(payload.prompt_tokens)
    .number(payload.completion_tokens)
    .number(prompt?.cached_tokens ?? 0)
    .number(prompt?.cache_write_5m_tokens ?? 0)
    .number(prompt?.cache_write_1h_tokens ?? 0)
    .number(prompt?.audio_tokens ?? 0)
    .number(prompt?.image_tokens ?? 0)
    .number(completion?.reasoning_tokens ?? 0)
    .number(completion?.audio_tokens ?? 0)
    .text(payload.status)
    .text(payload.service_tier)
    .text(payload.hold_id)
  addAttribution(digest, payload)
  return digest.end()
}

/** The content of a request for approval. */
export const holdDigest = (payload: SignalPayload<"check_budget">): string => {
  const digest = new Digest()
  digest
    .text(payload.provider)
    .text(payload.model)
    .number(payload.estimated_prompt_tokens)
    .number(payload.max_completion_tokens)
    .number(payload.estimated_tokens)
    .text(payload.estimated_cost?.toString())
    .text(payload.currency)
    .text(payload.service_tier)
    .number(payload.hold_ttl_ms)
  addAttribution(digest, payload)
  return digest.end()
}

/** The content of any other command: all of its payload, whatever the order of its fields. */
export const contentDigest = (payload: unknown): string => new Digest().text(canonicalJson(payload)).end()
