/**
 * The port of one provider's API.
 *
 * Owns: what a call to a model is, what comes back, and how a call fails, in one shape for all providers.
 * Does not decide: whether a call may be made. It takes an `Admission`, which only an approved hold can make.
 */
import { Data, type Effect, type Stream } from "effect"
import { Kind } from "../signal/KnownOptions.ts"
import type { FinishReason, Message, ToolCall, ToolChoice, ToolDefinition } from "../signal/Providers.ts"
import type { Counts } from "../signal/Usage.ts"
import type { Admission } from "./Admission.ts"

export interface ModelRequest {
  readonly model: string
  readonly messages: ReadonlyArray<Message>
  readonly system: string | undefined
  readonly tools: ReadonlyArray<ToolDefinition>
  readonly toolChoice: ToolChoice | undefined
  /** Always sent: without it a call could cost more than what is held for it. */
  readonly maxCompletionTokens: number
  readonly temperature: number | undefined
}

/** Usage as a provider reported it, in the shape of `track_usage`. */
export interface ReportedUsage {
  readonly counts: Counts
  readonly response_model?: string
  readonly service_tier?: string
  /** The provider's own object, as it came. */
  readonly raw_usage?: object
}

export interface ModelAnswer {
  readonly content: string
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly finishReason: FinishReason
  /** `undefined`: the provider said nothing about it; it is estimated then, and never a silent zero. */
  readonly usage: ReportedUsage | undefined
}

/**
 * What a stream tells. `Usage` is cumulative: the last one counts. `Finished` comes last, once; a stream that
 * ends without it fails.
 */
export type ModelEvent =
  | { readonly _tag: "Text"; readonly text: string }
  /** Output that is not shown to the reader, but costs. */
  | { readonly _tag: "Reasoning"; readonly text: string }
  | {
      readonly _tag: "ToolCallPart"
      readonly index: number
      readonly id: string | undefined
      readonly name: string | undefined
      readonly arguments: string
    }
  | { readonly _tag: "Usage"; readonly usage: ReportedUsage }
  | { readonly _tag: "Finished"; readonly finishReason: FinishReason }

/** A call that failed at the provider or on the way to it. */
export class ProviderFailure extends Data.TaggedError("ProviderFailure")<{
  readonly provider: string
  /** The HTTP status, or what an error event inside a stream corresponds to; `null` when there was no answer. */
  readonly status: number | null
  readonly isRetryable: boolean
  /** How long the provider asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined
  readonly message: string
  /** What the failed call used, where that is known exactly: an error answer costs nothing. */
  readonly usage: ReportedUsage | undefined
  /** The request may have been read, so it may cost something. */
  readonly reachedProvider: boolean
}> {}

export interface Adapter {
  readonly name: string
  readonly call: (request: ModelRequest, admission: Admission) => Effect.Effect<ModelAnswer, ProviderFailure>
  readonly stream: (request: ModelRequest, admission: Admission) => Stream.Stream<ModelEvent, ProviderFailure>
  /** How many tokens this provider counts where o200k_base counts one: an upper bound of the usual. */
  readonly tokenFactor: number
  /** All models that it has, where it knows them: another one is misspelt. */
  readonly models?: ReadonlyArray<string>
  /** Counts exactly what the provider will count, where that is possible without asking it. */
  readonly countPrompt?: (request: Omit<ModelRequest, "maxCompletionTokens">) => number
}

/** A provider as a host gives it. */
export const ADAPTER = new Kind("a provider with name, call, stream and tokenFactor", (value) => {
  const { name, call, stream, tokenFactor } = Object(value) as Partial<Adapter>
  return (
    typeof name === "string" &&
    typeof call === "function" &&
    typeof stream === "function" &&
    Number(tokenFactor) > 0
  )
})

export const NO_USAGE: Counts = { prompt_tokens: 0, completion_tokens: 0 }
