import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { countTokens } from "gpt-tokenizer/encoding/o200k_base"
import { countText, estimatePrompt } from "../../src/provider/TokenEstimate.ts"

const asked = (content: string) => ({
  model: "m",
  messages: [{ role: "user" as const, content }],
  system: undefined,
  tools: [],
  toolChoice: undefined,
  temperature: undefined
})

describe("the estimate of a prompt", () => {
  const texts: ReadonlyArray<readonly [string, string]> = [
    ["nothing", ""],
    ["a word", "hello"],
    ["prose over many slices", "The quick brown fox jumps over the lazy dog. ".repeat(200)],
    ["no spaces at all", "abcdefghij".repeat(500)],
    ["pairs of surrogates at every cut", "👩‍🚀".repeat(700)],
    ["what looks like a token of control", "<|endoftext|>"]
  ]
  for (const [name, text] of texts) {
    it.effect(`${name} is never below the count of the whole, and not far above`, () =>
      Effect.gen(function* () {
        const whole =
          text === "" ? 0 : countTokens(text, { allowedSpecial: new Set(), disallowedSpecial: new Set() })
        const counted = yield* countText(text)
        assert.isAtLeast(counted, whole)
        assert.isAtMost(counted, whole * 1.05 + 1)
      })
    )
  }

  it.effect("a text past what is counted is taken at two bytes a token", () =>
    Effect.gen(function* () {
      const tokens = yield* countText("word ".repeat(60_000))
      assert.isAbove(tokens, 60_000)
      assert.isBelow(tokens, 80_000)
    })
  )

  it.effect("has a factor for other tokenizers, and counts tools and what wraps a message", () =>
    Effect.gen(function* () {
      const openai = yield* estimatePrompt({ tokenFactor: 1 }, asked("hello"))
      assert.strictEqual(openai, 3 + 4 + 1)
      assert.strictEqual(yield* estimatePrompt({ tokenFactor: 1.5 }, asked("hello")), 12)
      const tools = [{ name: "get_weather", parameters: { type: "object" } }]
      assert.isAbove(yield* estimatePrompt({ tokenFactor: 1 }, { ...asked("hello"), tools }), openai + 350)
    })
  )
})
