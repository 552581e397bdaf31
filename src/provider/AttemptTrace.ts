/**
 * The span and the metrics of an attempt, by the names of OpenTelemetry's conventions for generative AI
 * (https://github.com/open-telemetry/semantic-conventions-genai, `gen_ai.inference.client`), still in development there.
 *
 * Owns: those names, the buckets, and what of an attempt they say. No tenant and no key is ever a label of a metric.
 * Does not decide: when an attempt begins or ends (Call).
 */
import { type Context, Exit, Metric, type Tracer } from "effect"
import { costFacts, describe, type ParentSpan, type SpanFacts, type Tracing } from "../actor/Tracing.ts"
import type { ModelRef } from "../signal/Providers.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import type { ModelRequest } from "./Adapter.ts"
import type { AttemptEnd } from "./Attempt.ts"
import type { CallIdentity } from "./CallMoney.ts"

const OPERATION = "chat"

const TOKEN_BUCKETS = Array.from({ length: 14 }, (_, power) => 4 ** power)
const SECOND_BUCKETS = Array.from({ length: 14 }, (_, power) => 0.01 * 2 ** power)

const tokenUsage = Metric.histogram("gen_ai.client.token.usage", {
  description: "Number of input and output tokens used",
  boundaries: TOKEN_BUCKETS,
  attributes: { unit: "{token}" }
})
const duration = Metric.histogram("gen_ai.client.operation.duration", {
  description: "GenAI operation duration",
  boundaries: SECOND_BUCKETS,
  attributes: { unit: "s" }
})

const errorTypeOf = (end: AttemptEnd): string | undefined => {
  if (end.kind === "cancelled") return "cancelled"
  if (end.kind !== "failed") return undefined
  return end.failure.status === null ? "no_answer" : String(end.failure.status)
}

/** Counts an attempt that ended. One that never reached its provider is none. */
export const measure = (end: AttemptEnd, services: Context.Context<never>): void => {
  if (!end.isSent) return
  const { counts } = end.metered.usage
  const labels = {
    "gen_ai.operation.name": OPERATION,
    "gen_ai.provider.name": end.target.provider,
    "gen_ai.request.model": end.target.model
  }
  const error = errorTypeOf(end)
  const failed = error === undefined ? labels : { ...labels, "error.type": error }
  Metric.withAttributes(duration, failed).updateUnsafe(end.latencyMs / 1000, services)
  const counted = (type: string, tokens: number) =>
    Metric.withAttributes(tokenUsage, { ...labels, "gen_ai.token.type": type }).updateUnsafe(tokens, services)
  if (counts.prompt_tokens > 0) counted("input", counts.prompt_tokens)
  if (counts.completion_tokens > 0) counted("output", counts.completion_tokens)
}

/** The span of one attempt: it is as long as the attempt, and told what the attempt cost once that is recorded. */
export class AttemptTrace {
  readonly #tracing: Tracing
  readonly #span: Tracer.Span

  constructor(
    tracing: Tracing,
    parent: ParentSpan | undefined,
    call: CallIdentity,
    target: ModelRef,
    request: ModelRequest,
    isStream: boolean,
    facts: SpanFacts
  ) {
    this.#tracing = tracing
    this.#span = tracing.begin(`${OPERATION} ${target.model}`, "client", parent, {
      "gen_ai.operation.name": OPERATION,
      "gen_ai.provider.name": target.provider,
      "gen_ai.request.model": target.model,
      "gen_ai.request.max_tokens": request.maxCompletionTokens,
      "gen_ai.request.temperature": request.temperature,
      "gen_ai.request.stream": isStream,
      "gen_ai.conversation.id": call.attribution.conversation_id,
      "gen_ai.agent.name": call.attribution.agent,
      "bursar.tenant": call.principal.tenant,
      "bursar.request_id": call.requestId,
      ...facts,
      ...(tracing.content ? contentFacts(request) : {})
    })
  }

  /** `usage`: what was recorded of it; absent where nothing was, or not yet. */
  end(end: AttemptEnd, usage: TokenUsage | undefined): void {
    const { counts, response_model } = end.metered.usage
    const details = counts.prompt_tokens_details
    const error = errorTypeOf(end)
    const answer = end.kind === "answered" ? end.answer : end.kind === "cancelled" ? end.partial : undefined
    describe(this.#span, {
      "gen_ai.response.model": response_model,
      "gen_ai.response.finish_reasons": answer === undefined ? undefined : [answer.finishReason],
      "gen_ai.response.time_to_first_chunk":
        end.timeToFirstTokenMs === undefined ? undefined : end.timeToFirstTokenMs / 1000,
      "gen_ai.usage.input_tokens": counts.prompt_tokens,
      "gen_ai.usage.output_tokens": counts.completion_tokens,
      "gen_ai.usage.cache_read.input_tokens": details?.cached_tokens,
      "gen_ai.usage.cache_creation.input_tokens": cacheWritesOf(details),
      "gen_ai.usage.reasoning.output_tokens": counts.completion_tokens_details?.reasoning_tokens,
      "error.type": error,
      "bursar.sent": end.isSent,
      "bursar.usage_source": end.metered.source,
      ...(usage === undefined ? {} : { ...costFacts(usage), "bursar.attempt": usage.attempt }),
      ...(this.#tracing.content && answer !== undefined
        ? { "gen_ai.output.messages": messagesJson([{ role: "assistant", content: answer.content }]) }
        : {})
    })
    const failure = end.kind === "failed" ? new AttemptFailed(end.failure.message, error) : undefined
    this.#tracing.end(this.#span, failure === undefined ? Exit.void : Exit.fail(failure), end.latencyMs)
  }
}

/** What a span says of a failure: its message, and no stack of ours. */
class AttemptFailed extends Error {
  constructor(message: string, type: string | undefined) {
    super(message)
    this.name = type ?? "failed"
    this.stack = `${this.name}: ${message}`
  }
}

const cacheWritesOf = (
  details: { readonly cache_write_5m_tokens?: number; readonly cache_write_1h_tokens?: number } | undefined
): number | undefined =>
  details?.cache_write_5m_tokens === undefined && details?.cache_write_1h_tokens === undefined
    ? undefined
    : (details.cache_write_5m_tokens ?? 0) + (details.cache_write_1h_tokens ?? 0)

const messagesJson = (
  messages: ReadonlyArray<{ readonly role: string; readonly content?: unknown }>
): string =>
  JSON.stringify(messages.map(({ role, content }) => ({ role, parts: [{ type: "text", content }] })))

const contentFacts = ({ messages, system }: ModelRequest): SpanFacts => ({
  "gen_ai.input.messages": messagesJson(messages),
  "gen_ai.system_instructions":
    system === undefined ? undefined : JSON.stringify([{ type: "text", content: system }])
})
