/**
 * What a `complete` asks for, as a call needs it.
 *
 * Owns: the models in their order, the request to each, and the digest that tells whether two requests with one id
 * are the same. Does not decide: which model is best.
 */
import { createHash } from "node:crypto"
import { canonicalJson } from "../signal/Canonical.ts"
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

/** Over everything but the id, and whether the text is streamed: that is how it is delivered, not what it is. */
export const digestOf = (payload: CompletePayload): string => {
  const { request_id: _, stream: __, ...content } = payload
  return createHash("sha256").update(canonicalJson(content)).digest("base64url")
}
