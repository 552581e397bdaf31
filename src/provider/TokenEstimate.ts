/**
 * How many tokens a prompt will be, before it is sent.
 *
 * Owns: the estimate: o200k_base of all text, times a factor for providers with another tokenizer, plus what
 * wraps each message. It rather exceeds the provider's count than falls short of it.
 * Does not decide: what is charged. The provider's count is the truth.
 */
import { Effect } from "effect"
import type { Adapter, ModelRequest } from "./Adapter.ts"

type Encoding = typeof import("gpt-tokenizer/encoding/o200k_base")

/** Text is counted in slices of this many characters, and others may run between two of them. */
const SLICE_CHARACTERS = 1024
/** Past this many characters the rest is taken at two bytes a token, which is about twice the usual. */
const COUNTED_CHARACTERS_MAX = 262_144
const REST_BYTES_PER_TOKEN = 2

/** OpenAI's cookbook, "How to count tokens": 3 tokens a message, 1 for its role, 3 for the start of the answer. */
const MESSAGE_TOKENS = 4
const ANSWER_TOKENS = 3
/** What announces tools at all; Anthropic, "Tool use": up to 346 tokens on the models without a cheaper one. */
const TOOLS_TOKENS = 350
const TOOL_TOKENS = 12

/** Text such as `<|endoftext|>` is text here, never a token of control. */
const PLAIN_TEXT = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() }

let loading: Promise<Encoding> | undefined

/** Loaded with the first call, once: it takes a fifth of a second. */
const encoding = Effect.promise(() => {
  loading ??= import("gpt-tokenizer/encoding/o200k_base")
  return loading
})

const sliceEnd = (text: string, start: number): number => {
  const end = Math.min(start + SLICE_CHARACTERS, text.length)
  const last = text.charCodeAt(end - 1)
  const splitsPair = end < text.length && last >= 0xd800 && last <= 0xdbff
  return splitsPair && end - start > 1 ? end - 1 : end
}

/** Tokens of a text in o200k_base. Slicing only ever adds tokens. */
export const countText = (text: string): Effect.Effect<number> =>
  Effect.gen(function* () {
    if (text === "") return 0
    const { countTokens } = yield* encoding
    let tokens = 0
    let start = 0
    while (start < text.length && start < COUNTED_CHARACTERS_MAX) {
      if (start > 0) yield* Effect.yieldNow
      const end = sliceEnd(text, start)
      tokens += countTokens(text.slice(start, end), PLAIN_TEXT)
      start = end
    }
    return tokens + Math.ceil(Buffer.byteLength(text.slice(start)) / REST_BYTES_PER_TOKEN)
  })

/** Tokens of output as a provider would count them. */
export const estimateOutput = (adapter: Pick<Adapter, "tokenFactor">, text: string): Effect.Effect<number> =>
  Effect.map(countText(text), (tokens) => Math.ceil(tokens * adapter.tokenFactor))

export const estimatePrompt = (
  adapter: Pick<Adapter, "tokenFactor" | "countPrompt">,
  request: Omit<ModelRequest, "maxCompletionTokens">
): Effect.Effect<number> =>
  Effect.gen(function* () {
    if (adapter.countPrompt !== undefined) return adapter.countPrompt(request)
    let tokens = ANSWER_TOKENS
    if (request.system !== undefined) tokens += MESSAGE_TOKENS + (yield* countText(request.system))
    for (const { content } of request.messages) tokens += MESSAGE_TOKENS + (yield* countText(content))
    if (request.tools.length > 0) tokens += TOOLS_TOKENS
    for (const tool of request.tools) tokens += TOOL_TOKENS + (yield* countText(JSON.stringify(tool)))
    return Math.ceil(tokens * adapter.tokenFactor)
  })
