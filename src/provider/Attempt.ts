/**
 * One physical attempt of a call: how it ended, and what is reported of it.
 *
 * Owns: the status and the fields of its `track_usage`, within the contract's bounds.
 * Does not decide: whether it is the last attempt (Retry).
 */
import { Schema } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { AttemptRecord, FinishReason, ModelRef, ToolCall } from "../signal/Providers.ts"
import { byteLength } from "../signal/Text.ts"
import type { UsageStatus } from "../signal/Usage.ts"
import type { ProviderFailure } from "./Adapter.ts"
import type { Metered } from "./Meter.ts"

export interface Answer {
  readonly content: string
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly finishReason: FinishReason
}

/** How an attempt ended. `isSent: false`: the circuit or the provider's bound stopped it; nothing is reported. */
export type AttemptEnd = {
  readonly target: ModelRef
  readonly latencyMs: number
  readonly timeToFirstTokenMs: number | undefined
  readonly metered: Metered
} & (
  | { readonly kind: "answered"; readonly isSent: true; readonly answer: Answer }
  | { readonly kind: "failed"; readonly isSent: boolean; readonly failure: ProviderFailure }
  | { readonly kind: "cancelled"; readonly isSent: true; readonly why: string; readonly partial: Answer }
)

const VALUE_BYTES_MAX = 256
const RAW_BYTES_MAX = 60_000
const WHY_LENGTH_MAX = 300
const TOOLS_MAX = 128

const RawJson = Schema.Record(Schema.String, Schema.Json)

/** What the provider sent, if it is plain JSON and not too large to keep. */
const rawUsage = (raw: object | undefined) => {
  if (raw === undefined) return undefined
  const text = JSON.stringify(raw)
  if (byteLength(text) > RAW_BYTES_MAX) return undefined
  const parsed: unknown = JSON.parse(text)
  return Schema.is(RawJson)(parsed) ? parsed : undefined
}

const shortValue = (value: string | undefined): string | undefined =>
  value !== undefined && value !== "" && byteLength(value) <= VALUE_BYTES_MAX ? value : undefined

/** Counts that nobody reported are `estimated`, unless the reader went away: then it is `cancelled`. */
const statusOf = (end: AttemptEnd): UsageStatus => {
  if (end.kind === "cancelled") return "cancelled"
  if (end.metered.source === "estimated") return "estimated"
  return end.kind === "answered" ? "success" : "error"
}

export const trackPayload = (
  call: { readonly requestId: string; readonly attribution: Attribution },
  end: AttemptEnd,
  settling: { readonly attempt: number; readonly holdId: string | undefined; readonly settle: boolean }
): SignalPayload<"track_usage"> => {
  const { usage, source } = end.metered
  const responseModel = shortValue(usage.response_model)
  const serviceTier = shortValue(usage.service_tier)
  const raw = rawUsage(usage.raw_usage)
  const tools = end.kind === "answered" ? end.answer.toolCalls.map(({ name }) => name) : []
  return {
    ...call.attribution,
    request_id: call.requestId,
    attempt: settling.attempt,
    provider: end.target.provider,
    model: end.target.model,
    ...usage.counts,
    ...(settling.holdId !== undefined && { hold_id: settling.holdId }),
    settle: settling.settle,
    status: statusOf(end),
    latency_ms: end.latencyMs,
    ...(end.timeToFirstTokenMs !== undefined && { time_to_first_token_ms: end.timeToFirstTokenMs }),
    ...(responseModel !== undefined && { response_model: responseModel }),
    ...(serviceTier !== undefined && { service_tier: serviceTier }),
    ...(raw !== undefined && { raw_usage: raw }),
    ...(tools.length > 0 && { tools_used: [...new Set(tools)].slice(0, TOOLS_MAX) }),
    ...(source === "estimated" && { metadata: { usage_source: "estimated" } })
  }
}

/** What the answer tells of an attempt. */
export const recordOf = (end: AttemptEnd): AttemptRecord => ({
  ...end.target,
  status: end.kind === "answered" ? "success" : end.kind === "failed" ? "error" : "cancelled",
  latency_ms: end.latencyMs,
  why:
    end.kind === "answered"
      ? null
      : (end.kind === "cancelled"
          ? end.why
          : `${end.failure.status ?? "no answer"}: ${end.failure.message}`
        ).slice(0, WHY_LENGTH_MAX)
})
