/**
 * What the simulator says: text that depends on the request alone.
 *
 * Owns: the text, its pieces, and the count of tokens: one for four bytes of UTF-8, rounded up.
 */
import { byteLength } from "../signal/Text.ts"
import type { ModelRequest } from "./Adapter.ts"

const BYTES_PER_TOKEN = 4
const MESSAGE_OVERHEAD = 4
const WORDS_MIN = 24
const WORDS_MAX = 96

const WORDS =
  "the a budget holds every call before it leaves and counts what comes back so that nothing is spent in silence one ledger many agents each asks first then works reports and rests numbers agree at the end of the day".split(
    " "
  )

export const countTokens = (text: string): number => Math.ceil(byteLength(text) / BYTES_PER_TOKEN)

/** The input of a request as this provider counts it. */
export const countPrompt = (request: Omit<ModelRequest, "maxCompletionTokens">): number => {
  let tokens = MESSAGE_OVERHEAD
  if (request.system !== undefined) tokens += countTokens(request.system) + MESSAGE_OVERHEAD
  for (const { content } of request.messages) tokens += countTokens(content) + MESSAGE_OVERHEAD
  if (request.tools.length > 0) tokens += countTokens(JSON.stringify(request.tools))
  return tokens
}

/** FNV-1a, 32 bits. */
const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0
  }
  return value
}

/** Numbers from a seed (mulberry32): the same seed gives the same numbers. */
const numbersFrom = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** The words of the answer, each with the space before it, as they are streamed. */
export const wordsFor = (request: ModelRequest): ReadonlyArray<string> => {
  const number = numbersFrom(hash(JSON.stringify([request.model, request.system ?? "", request.messages])))
  const count = WORDS_MIN + number(WORDS_MAX - WORDS_MIN)
  return Array.from({ length: count }, (_, index) => {
    const word = WORDS[number(WORDS.length)] ?? "so"
    if (index === 0) return `${word.charAt(0).toUpperCase()}${word.slice(1)}`
    return index === count - 1 ? ` ${word}.` : ` ${word}`
  })
}

/** As many of the words as fit into a number of tokens. */
export const cutToTokens = (words: ReadonlyArray<string>, tokensMax: number): ReadonlyArray<string> => {
  let text = ""
  for (const [index, word] of words.entries()) {
    text += word
    if (countTokens(text) > tokensMax) return words.slice(0, index)
  }
  return words
}
