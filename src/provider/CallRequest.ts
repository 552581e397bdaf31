/**
 * What a `complete` asks for, as a call needs it.
 *
 * Owns: the models in their order, the request to each, and the digest that tells whether two requests with one id
 * are the same. Does not decide: which model is best.
 */
import { createHash } from "node:crypto"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { ModelRef } from "../signal/Providers.ts"
import type { ModelRequest } from "./Adapter.ts"

export type CompletePayload = SignalPayload<"complete">

export const targetsOf = (payload: CompletePayload): readonly [ModelRef, ...Array<ModelRef>] => [
  { provider: payload.provider, model: payload.model },
  ...payload.fallback
]

export const requestFor = (
  payload: CompletePayload,
  target: ModelRef
): Omit<ModelRequest, "maxCompletionTokens"> => ({
  model: target.model,
  messages: payload.messages,
  system: payload.system,
  tools: payload.tools ?? [],
  toolChoice: payload.tool_choice,
  temperature: payload.temperature
})

const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, inner]) => [name, canonical(inner)])
}

/** Over everything but the id, and whether the text is streamed: that is how it is delivered, not what it is. */
export const digestOf = (payload: CompletePayload): string => {
  const { request_id: _, stream: __, ...content } = payload
  return createHash("sha256")
    .update(JSON.stringify(canonical(content)))
    .digest("base64url")
}
