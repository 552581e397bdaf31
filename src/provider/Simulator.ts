/**
 * A built-in model for machines without keys.
 *
 * Owns: an adapter that needs no network: the text depends on the request alone, latency is real and on Effect's
 * clock, faults come in a fixed order, usage is counted exactly. Its records say provider "simulator".
 */
import { Effect, Stream } from "effect"
import type { FinishReason, ToolCall } from "../signal/Providers.ts"
import {
  type Adapter,
  type ModelAnswer,
  type ModelEvent,
  type ModelRequest,
  NO_USAGE,
  ProviderFailure,
  type ReportedUsage
} from "./Adapter.ts"
import { cutStream } from "./SdkFailure.ts"
import { jsonFor } from "./SimulatorJson.ts"
import { SIMULATOR_MODELS, type SimulatorFault, type SimulatorModel } from "./SimulatorModels.ts"
import { countPrompt, countTokens, cutToTokens, wordsFor } from "./SimulatorText.ts"

export const SIMULATOR = "simulator"

/** A prompt of this many tokens or more is half cached. */
const CACHED_FROM_TOKENS = 64

interface Script {
  readonly reasoningTokens: number
  readonly words: ReadonlyArray<string>
  readonly toolCall: ToolCall | undefined
  readonly finishReason: FinishReason
}

const failure = (status: number, message: string, retryAfterMs?: number): ProviderFailure =>
  new ProviderFailure({
    provider: SIMULATOR,
    status,
    isRetryable: status === 429 || status >= 500,
    retryAfterMs,
    message,
    usage: { counts: NO_USAGE },
    reachedProvider: true
  })

const unknownModel = (model: string, known: ReadonlyArray<string>): ProviderFailure =>
  failure(404, `the simulator has no model ${JSON.stringify(model)}; it has ${known.join(", ")}`)

/** Decides the whole answer: nothing but the request goes in. */
const scriptFor = (request: ModelRequest, model: SimulatorModel): Script => {
  const limit = request.maxCompletionTokens
  const reasoningTokens = Math.min(model.reasoningTokens, limit)
  const choice = request.toolChoice
  const tool =
    choice === "required" ? request.tools[0]?.name : typeof choice === "object" ? choice.name : undefined
  if (tool !== undefined) {
    const toolCall = { id: `call_${tool}`, name: tool, arguments: "{}" }
    return { reasoningTokens, words: [], toolCall, finishReason: "tool_calls" }
  }
  const all = jsonFor(request.system) ?? wordsFor(request)
  const words = cutToTokens(all, limit - reasoningTokens)
  return {
    reasoningTokens,
    words,
    toolCall: undefined,
    finishReason: words.length < all.length ? "length" : "stop"
  }
}

const usageFor = (
  request: ModelRequest,
  model: SimulatorModel,
  reasoningTokens: number,
  text: string
): ReportedUsage => {
  const prompt = countPrompt(request)
  const cached = model.cachesPrompts && prompt >= CACHED_FROM_TOKENS ? Math.floor(prompt / 2) : 0
  return {
    counts: {
      prompt_tokens: prompt,
      completion_tokens: reasoningTokens + countTokens(text),
      ...(cached > 0 && { prompt_tokens_details: { cached_tokens: cached } }),
      ...(reasoningTokens > 0 && { completion_tokens_details: { reasoning_tokens: reasoningTokens } })
    },
    response_model: request.model
  }
}

const toolText = ({ name, arguments: text }: ToolCall): string => name + text

const answerFor = (request: ModelRequest, model: SimulatorModel): ModelAnswer => {
  const { words, toolCall, reasoningTokens, finishReason } = scriptFor(request, model)
  const content = words.join("")
  const text = toolCall === undefined ? content : toolText(toolCall)
  return {
    content,
    toolCalls: toolCall === undefined ? [] : [toolCall],
    finishReason,
    usage: usageFor(request, model, reasoningTokens, text)
  }
}

/** The events of a stream, in order, as far as they get. */
const eventsFor = (
  request: ModelRequest,
  model: SimulatorModel,
  isCut: boolean
): ReadonlyArray<ModelEvent> => {
  const { words, toolCall, reasoningTokens, finishReason } = scriptFor(request, model)
  const texts: ReadonlyArray<ModelEvent> = words.map((text) => ({ _tag: "Text", text }))
  const start: ReadonlyArray<ModelEvent> = [{ _tag: "Usage", usage: usageFor(request, model, 0, "") }]
  if (isCut) return [...start, ...texts.slice(0, Math.ceil(texts.length / 2))]
  const text = toolCall === undefined ? words.join("") : toolText(toolCall)
  const call: ReadonlyArray<ModelEvent> =
    toolCall === undefined ? [] : [{ _tag: "ToolCallPart", index: 0, ...toolCall }]
  return [
    ...start,
    ...texts,
    ...call,
    { _tag: "Usage", usage: usageFor(request, model, reasoningTokens, text) },
    { _tag: "Finished", finishReason }
  ]
}

export interface SimulatorOptions {
  readonly models?: { readonly [model: string]: SimulatorModel }
}

export const simulator = (options: SimulatorOptions = {}): Adapter => {
  const models = new Map(Object.entries(options.models ?? SIMULATOR_MODELS))
  const calls = new Map<string, number>()

  /** The model, and what goes wrong with this call of it. */
  const next = (
    name: string
  ): Effect.Effect<readonly [SimulatorModel, SimulatorFault | undefined], ProviderFailure> =>
    Effect.suspend(() => {
      const model = models.get(name)
      if (model === undefined) return Effect.fail(unknownModel(name, [...models.keys()]))
      const count = calls.get(name) ?? 0
      calls.set(name, count + 1)
      return Effect.succeed([model, model.faults[count % model.faults.length]] as const)
    })

  const refuse = (fault: SimulatorFault | undefined): Effect.Effect<void, ProviderFailure> =>
    fault?.kind === "status"
      ? Effect.fail(failure(fault.status, `simulated ${fault.status}`, fault.retryAfterMs))
      : Effect.void

  return {
    name: SIMULATOR,
    tokenFactor: 1,
    models: [...models.keys()],
    countPrompt,
    call: Effect.fnUntraced(function* (request) {
      const [model, fault] = yield* next(request.model)
      yield* Effect.sleep(model.firstTokenMs)
      yield* refuse(fault?.kind === "cut" ? { kind: "status", status: 500 } : fault)
      yield* Effect.sleep(model.chunkMs)
      return answerFor(request, model)
    }),
    stream: (request) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const [model, fault] = yield* next(request.model)
          yield* Effect.sleep(model.firstTokenMs)
          yield* refuse(fault)
          const isCut = fault?.kind === "cut"
          const events = Stream.fromIterable(eventsFor(request, model, isCut), { chunkSize: 1 }).pipe(
            Stream.tap((event) => (event._tag === "Text" ? Effect.sleep(model.chunkMs) : Effect.void))
          )
          return isCut ? Stream.concat(events, Stream.fail(cutStream(SIMULATOR))) : events
        })
      )
  }
}
