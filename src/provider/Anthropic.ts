/**
 * Anthropic's Messages API through its official SDK.
 *
 * Owns: the request's and the answer's shape there (API reference, "Messages"; "Streaming messages").
 * Does not decide: retries (Retry). The SDK's own are off, so that every physical attempt is seen and counted.
 */
import Anthropic, { APIConnectionError, APIConnectionTimeoutError, APIError } from "@anthropic-ai/sdk"
import { Effect } from "effect"
import type { FinishReason, ToolCall } from "../signal/Providers.ts"
import type { Adapter, ModelAnswer, ModelEvent, ModelRequest } from "./Adapter.ts"
import { type AnthropicUsage, anthropicUsage, mergeUsage } from "./AnthropicUsage.ts"
import { type SdkSettings, sdkCall, sdkStream, type Translator } from "./SdkStream.ts"

export interface AnthropicOptions {
  readonly apiKey: string
  readonly baseURL?: string
  readonly name?: string
  /** For the answer to begin; and the longest silence inside a stream. */
  readonly timeoutMs?: number
}

const DEFAULT_BASE_URL = "https://api.anthropic.com"
const DEFAULT_TIMEOUT_MS = 600_000

/** Claude's tokenizer makes more tokens of a text than o200k_base; newer models up to a third more again. */
const TOKEN_FACTOR = 1.5

const FINISH_REASONS: { readonly [reason: string]: FinishReason | undefined } = {
  end_turn: "stop",
  stop_sequence: "stop",
  pause_turn: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  refusal: "content_filter"
}
const finishReasonOf = (reason: string | null): FinishReason => FINISH_REASONS[reason ?? ""] ?? "stop"

const systemOf = (request: ModelRequest): string | undefined => {
  const parts = request.messages.filter(({ role }) => role === "system").map(({ content }) => content)
  const all = request.system === undefined ? parts : [request.system, ...parts]
  return all.length === 0 ? undefined : all.join("\n\n")
}

const toolChoiceOf = (choice: ModelRequest["toolChoice"]): Anthropic.ToolChoice | undefined => {
  if (choice === undefined) return undefined
  if (typeof choice === "object") return { type: "tool", name: choice.name }
  return { type: choice === "required" ? "any" : choice }
}

const paramsOf = (request: ModelRequest): Anthropic.MessageCreateParamsNonStreaming => {
  const system = systemOf(request)
  const toolChoice = toolChoiceOf(request.toolChoice)
  return {
    model: request.model,
    max_tokens: request.maxCompletionTokens,
    messages: request.messages.flatMap(({ role, content }) => (role === "system" ? [] : [{ role, content }])),
    ...(system !== undefined && { system }),
    ...(request.temperature !== undefined && { temperature: request.temperature }),
    ...(request.tools.length > 0 && {
      tools: request.tools.map(({ name, description, parameters }) => ({
        name,
        ...(description !== undefined && { description }),
        input_schema: { ...parameters, type: "object" as const }
      }))
    }),
    ...(toolChoice !== undefined && request.tools.length > 0 && { tool_choice: toolChoice })
  }
}

const answerOf = (message: Anthropic.Message): ModelAnswer => {
  const toolCalls: Array<ToolCall> = []
  let content = ""
  for (const block of message.content) {
    if (block.type === "text") content += block.text
    else if (block.type === "tool_use") {
      toolCalls.push({ id: block.id, name: block.name, arguments: JSON.stringify(block.input) })
    }
  }
  return {
    content,
    toolCalls,
    finishReason: finishReasonOf(message.stop_reason),
    usage: anthropicUsage(message.usage, message.model)
  }
}

const blockStarted = (event: Anthropic.RawContentBlockStartEvent): ReadonlyArray<ModelEvent> => {
  const block = event.content_block
  if (block.type === "text" && block.text !== "") return [{ _tag: "Text", text: block.text }]
  if (block.type !== "tool_use") return []
  return [{ _tag: "ToolCallPart", index: event.index, id: block.id, name: block.name, arguments: "" }]
}

const blockGrew = (event: Anthropic.RawContentBlockDeltaEvent): ReadonlyArray<ModelEvent> => {
  const { delta, index } = event
  if (delta.type === "text_delta") return [{ _tag: "Text", text: delta.text }]
  if (delta.type === "thinking_delta") return [{ _tag: "Reasoning", text: delta.thinking }]
  if (delta.type !== "input_json_delta") return []
  return [{ _tag: "ToolCallPart", index, id: undefined, name: undefined, arguments: delta.partial_json }]
}

/** `message_start` tells the input, each `message_delta` the output so far: the last value counts. */
const makeTranslator = (): Translator<Anthropic.RawMessageStreamEvent> => {
  let usage: AnthropicUsage = {}
  let model: string | undefined
  let finishReason: FinishReason | undefined
  let isStopped = false
  return {
    take: (event) => {
      switch (event.type) {
        case "message_start":
          usage = mergeUsage(usage, event.message.usage)
          model = event.message.model
          return [{ _tag: "Usage", usage: anthropicUsage(usage, model) }]
        case "message_delta":
          usage = mergeUsage(usage, event.usage)
          if (event.delta.stop_reason !== null) finishReason = finishReasonOf(event.delta.stop_reason)
          return [{ _tag: "Usage", usage: anthropicUsage(usage, model) }]
        case "content_block_start":
          return blockStarted(event)
        case "content_block_delta":
          return blockGrew(event)
        case "message_stop":
          isStopped = true
          return [{ _tag: "Finished", finishReason: finishReason ?? "stop" }]
        default:
          return []
      }
    },
    end: () => (isStopped ? [] : undefined)
  }
}

export const anthropic = (options: AnthropicOptions): Adapter => {
  const provider = options.name ?? "anthropic"
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const client = new Anthropic({
    apiKey: options.apiKey,
    authToken: null,
    baseURL: options.baseURL ?? DEFAULT_BASE_URL,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: "off"
  })
  const settings: SdkSettings = {
    provider,
    classes: { APIError, APIConnectionError, APIConnectionTimeoutError },
    idleTimeoutMs: timeoutMs
  }
  return {
    name: provider,
    tokenFactor: TOKEN_FACTOR,
    // The SDK refuses large `max_tokens` in a plain call unless a timeout is given: it is.
    call: (request) =>
      sdkCall(settings, (signal) =>
        client.messages.create(paramsOf(request), { signal, timeout: timeoutMs })
      ).pipe(Effect.map(answerOf)),
    stream: (request) =>
      sdkStream(
        settings,
        (signal) =>
          client.messages.create({ ...paramsOf(request), stream: true }, { signal, timeout: timeoutMs }),
        makeTranslator
      )
  }
}
