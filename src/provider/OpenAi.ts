/**
 * OpenAI's chat completions through its official SDK.
 *
 * Owns: the request's and the answer's shape there (API reference, "Create chat completion"; "The chat completion
 * chunk object").
 * Does not decide: retries (Retry). The SDK's own are off, so that every physical attempt is seen and counted.
 */
import { Effect } from "effect"
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai"
import type { FinishReason } from "../signal/Providers.ts"
import type { Adapter, ModelAnswer, ModelEvent, ModelRequest } from "./Adapter.ts"
import { openAiUsage } from "./OpenAiUsage.ts"
import { type SdkSettings, sdkCall, sdkStream, type Translator } from "./SdkStream.ts"

export interface OpenAiOptions {
  readonly apiKey: string
  readonly baseURL?: string
  readonly name?: string
  /** For the answer to begin; and the longest silence inside a stream. */
  readonly timeoutMs?: number
}

type Chat = OpenAI.Chat.Completions.ChatCompletion
type Chunk = OpenAI.Chat.Completions.ChatCompletionChunk
type Params = OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming
type ToolOption = OpenAI.Chat.Completions.ChatCompletionToolChoiceOption

const DEFAULT_BASE_URL = "https://api.openai.com/v1"
const DEFAULT_TIMEOUT_MS = 600_000

const FINISH_REASONS: { readonly [reason: string]: FinishReason | undefined } = {
  stop: "stop",
  length: "length",
  tool_calls: "tool_calls",
  function_call: "tool_calls",
  content_filter: "content_filter"
}
const finishReasonOf = (reason: string | null | undefined): FinishReason =>
  FINISH_REASONS[reason ?? ""] ?? "stop"

const toolChoiceOf = (choice: ModelRequest["toolChoice"]): ToolOption | undefined =>
  typeof choice === "object" ? { type: "function", function: { name: choice.name } } : choice

const paramsOf = (request: ModelRequest): Params => {
  const toolChoice = toolChoiceOf(request.toolChoice)
  return {
    model: request.model,
    max_completion_tokens: request.maxCompletionTokens,
    messages: [
      ...(request.system === undefined ? [] : [{ role: "system" as const, content: request.system }]),
      ...request.messages.map(({ role, content }) => ({ role, content }))
    ],
    ...(request.temperature !== undefined && { temperature: request.temperature }),
    ...(request.tools.length > 0 && {
      tools: request.tools.map(({ name, description, parameters }) => ({
        type: "function" as const,
        function: { name, ...(description !== undefined && { description }), parameters }
      }))
    }),
    ...(toolChoice !== undefined && request.tools.length > 0 && { tool_choice: toolChoice })
  }
}

const answerOf = (chat: Chat): ModelAnswer => {
  const choice = chat.choices[0]
  return {
    content: choice?.message.content ?? choice?.message.refusal ?? "",
    toolCalls: (choice?.message.tool_calls ?? []).flatMap((call) =>
      call.type === "function"
        ? [{ id: call.id, name: call.function.name, arguments: call.function.arguments }]
        : []
    ),
    finishReason: finishReasonOf(choice?.finish_reason),
    usage: chat.usage == null ? undefined : openAiUsage(chat.usage, chat.model, chat.service_tier)
  }
}

const partsOf = (chunk: Chunk): Array<ModelEvent> => {
  const events: Array<ModelEvent> = []
  const delta = chunk.choices[0]?.delta
  const text = delta?.content ?? delta?.refusal
  if (text != null && text !== "") events.push({ _tag: "Text", text })
  for (const part of delta?.tool_calls ?? []) {
    events.push({
      _tag: "ToolCallPart",
      index: part.index,
      id: part.id,
      name: part.function?.name,
      arguments: part.function?.arguments ?? ""
    })
  }
  return events
}

/** Usage may come in a chunk of its own after the last choice, with a choice, or more than once: the last counts. */
const makeTranslator = (): Translator<Chunk> => {
  let finishReason: FinishReason | undefined
  let tier: string | null | undefined
  return {
    take: (chunk) => {
      const events = partsOf(chunk)
      tier = chunk.service_tier ?? tier
      const reason = chunk.choices[0]?.finish_reason
      if (reason != null) finishReason = finishReasonOf(reason)
      if (chunk.usage != null)
        events.push({ _tag: "Usage", usage: openAiUsage(chunk.usage, chunk.model, tier) })
      return events
    },
    end: () => (finishReason === undefined ? undefined : [{ _tag: "Finished", finishReason }])
  }
}

export const openAi = (options: OpenAiOptions): Adapter => {
  const provider = options.name ?? "openai"
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const client = new OpenAI({
    apiKey: options.apiKey,
    organization: null,
    project: null,
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
    tokenFactor: 1,
    call: (request) =>
      sdkCall(settings, (signal) => client.chat.completions.create(paramsOf(request), { signal })).pipe(
        Effect.map(answerOf)
      ),
    stream: (request) =>
      sdkStream(
        settings,
        (signal) =>
          client.chat.completions.create(
            { ...paramsOf(request), stream: true, stream_options: { include_usage: true } },
            { signal }
          ),
        makeTranslator
      )
  }
}
