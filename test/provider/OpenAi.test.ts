/** The official SDK against a server that is exact to the wire: lessons 5, 6, 7, 8 and 10. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { CompletePayload } from "../../src/provider/CallRequest.ts"
import { openAi } from "../../src/provider/OpenAi.ts"
import { formatAmount } from "../../src/signal/Money.ts"
import { frames, mockServer, type Reply } from "./mocks/MockServer.ts"
import * as wire from "./mocks/OpenAiWire.ts"
import { ground, makeWorld, principal, request } from "./support/World.ts"

const asked = (fields: Partial<CompletePayload> = {}) =>
  request({
    provider: "openai",
    model: "gpt-test",
    system: "Be brief.",
    messages: [{ role: "user", content: "Hello" }],
    ...fields
  })

const open = (...replies: ReadonlyArray<Reply>) =>
  Effect.gen(function* () {
    const server = yield* mockServer(...replies)
    const adapter = openAi({ apiKey: "key-1", baseURL: `${server.url}/v1` })
    const retry = { backoffMs: 1, backoffMaxMs: 1, retryAfterMaxMs: 1_000 }
    return { server, ...(yield* makeWorld([adapter], { settings: { retry } })) }
  })

interface Golden {
  readonly name: string
  readonly usage: object
  readonly prompt: number
  readonly completion: number
  readonly promptDetails: object
  readonly completionDetails: object
  /** At $2.50 input, $1.25 cached, $10 output, per million. */
  readonly cost: string
}

const totals = (prompt: number, completion: number) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion
})
const NO_REASONING = {
  reasoning_tokens: 0,
  audio_tokens: 0,
  accepted_prediction_tokens: 0,
  rejected_prediction_tokens: 0
}

const GOLDEN: ReadonlyArray<Golden> = [
  {
    name: "nothing cached",
    usage: {
      ...totals(19, 10),
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
      completion_tokens_details: NO_REASONING
    },
    prompt: 19,
    completion: 10,
    promptDetails: {},
    completionDetails: {},
    cost: "0.0001475" // 19 × 2.50 + 10 × 10
  },
  {
    name: "cached tokens are a part of the prompt",
    usage: {
      ...totals(2006, 300),
      prompt_tokens_details: { cached_tokens: 1920, audio_tokens: 0 },
      completion_tokens_details: NO_REASONING
    },
    prompt: 2006,
    completion: 300,
    promptDetails: { cached_tokens: 1920 },
    completionDetails: {},
    cost: "0.005615" // 86 × 2.50 + 1,920 × 1.25 + 300 × 10
  },
  {
    name: "reasoning tokens are a part of the output",
    usage: { ...totals(75, 1186), completion_tokens_details: { ...NO_REASONING, reasoning_tokens: 1024 } },
    prompt: 75,
    completion: 1186,
    promptDetails: {},
    completionDetails: { reasoning_tokens: 1024 },
    cost: "0.0120475" // 75 × 2.50 + 1,186 × 10
  },
  {
    name: "audio stands beside cached tokens",
    usage: {
      ...totals(2100, 40),
      prompt_tokens_details: { cached_tokens: 1000, audio_tokens: 500 },
      completion_tokens_details: { ...NO_REASONING, audio_tokens: 10 }
    },
    prompt: 2100,
    completion: 40,
    promptDetails: { cached_tokens: 1000, audio_tokens: 500 },
    completionDetails: { audio_tokens: 10 },
    cost: "0.0044" // 1,100 × 2.50 + 1,000 × 1.25 + 40 × 10
  },
  {
    name: "more cached tokens than prompt are cut to the prompt",
    usage: { ...totals(100, 1), prompt_tokens_details: { cached_tokens: 150 } },
    prompt: 100,
    completion: 1,
    promptDetails: { cached_tokens: 100 },
    completionDetails: {},
    cost: "0.000135" // 100 × 1.25 + 1 × 10
  }
]

describe("OpenAI's counts", () => {
  for (const golden of GOLDEN) {
    for (const isStream of [false, true]) {
      it.live(`${golden.name}, ${isStream ? "streaming" : "plain"}`, () =>
        Effect.gen(function* () {
          const reply = isStream
            ? wire.stream([
                wire.role,
                wire.text("Hel"),
                wire.text("lo!"),
                wire.finish(),
                wire.chunk([], golden.usage)
              ])
            : wire.plain(golden.usage)
          const { providers, keeper } = yield* open(reply)
          const { content, usage } = yield* providers.complete(asked({ stream: isStream }), principal)
          assert.strictEqual(content, "Hello!")
          assert.deepInclude(usage, {
            prompt_tokens: golden.prompt,
            completion_tokens: golden.completion,
            status: "success",
            response_model: "gpt-test-2026-10-01",
            service_tier: "default"
          })
          assert.deepStrictEqual(usage.prompt_tokens_details ?? {}, golden.promptDetails)
          assert.deepStrictEqual(usage.completion_tokens_details ?? {}, golden.completionDetails)
          assert.strictEqual(formatAmount(usage.cost), golden.cost)
          assert.strictEqual(formatAmount(keeper.spent), golden.cost)
          assert.strictEqual(keeper.held, 0n)
        }).pipe(Effect.provide(ground))
      )
    }
  }
})

describe("OpenAI's usage in a stream", () => {
  const usage = totals(19, 10)
  const words = [wire.role, wire.text("Hel"), wire.text("lo!")]
  const places: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["in the last chunk, without choices", [...words, wire.finish(), wire.chunk([], usage)]],
    ["in the last but one chunk", [...words, wire.finish(), wire.chunk([], usage), wire.chunk([])]],
    ["in the last chunk, with a choice", [...words, wire.finish("stop", usage)]],
    ["twice", [...words, wire.finish("stop", usage), wire.chunk([], usage)]],
    [
      "in every chunk, as the count so far",
      [
        wire.role,
        wire.text("Hel", totals(19, 4)),
        wire.text("lo!", totals(19, 9)),
        wire.finish("stop", totals(19, 10))
      ]
    ]
  ]
  for (const [name, list] of places) {
    it.live(`${name}: counted once`, () =>
      Effect.gen(function* () {
        const { providers, keeper } = yield* open(wire.stream(list))
        const { content } = yield* providers.complete(asked({ stream: true }), principal)
        assert.strictEqual(content, "Hello!")
        assert.deepStrictEqual(keeper.attempts, ["1 gpt-test success 19+10 $0.0001475 settled"])
      }).pipe(Effect.provide(ground))
    )
  }

  it.live("nowhere: estimated, never a silent zero", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* open(wire.stream([...words, wire.finish()]))
      yield* providers.complete(asked({ stream: true }), principal)
      // 3 for the answer, 4 and 3 for the system text, 4 and 1 for the message; "Hello!" is 2.
      assert.deepStrictEqual(keeper.attempts, ["1 gpt-test estimated 15+2 $0.0000575 settled"])
      assert.deepStrictEqual(keeper.tracked[0]?.payload.metadata, { usage_source: "estimated" })
    }).pipe(Effect.provide(ground))
  )
})

describe("OpenAI's wire", () => {
  it.live("gets the key, the limit, a request for usage, and no retry of the SDK", () =>
    Effect.gen(function* () {
      const { providers, server } = yield* open(
        wire.stream([wire.role, wire.text("Hi"), wire.finish(), wire.chunk([], totals(1, 1))])
      )
      yield* providers.complete(asked({ stream: true, temperature: 0.2 }), principal)
      const [seen] = server.seen
      assert.strictEqual(seen?.path, "/v1/chat/completions")
      assert.strictEqual(seen?.headers.authorization, "Bearer key-1")
      assert.strictEqual(seen?.headers["x-stainless-retry-count"], "0")
      assert.deepStrictEqual(seen?.body, {
        model: "gpt-test",
        max_completion_tokens: 100,
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hello" }
        ],
        temperature: 0.2,
        stream: true,
        stream_options: { include_usage: true }
      })
    }).pipe(Effect.provide(ground))
  )

  it.live("carries tools both ways, plain and streaming", () =>
    Effect.gen(function* () {
      const call = {
        id: "call_1",
        type: "function",
        function: { name: "get_weather", arguments: '{"city":"Paris"}' }
      }
      const usage = totals(60, 20)
      const part = (fields: object, extra: object = {}) =>
        wire.chunk([wire.choice({ tool_calls: [{ index: 0, ...extra, function: fields }] })])
      const { providers, server } = yield* open(
        wire.plain(usage, null, {
          message: { role: "assistant", content: null, refusal: null, tool_calls: [call] },
          finish_reason: "tool_calls"
        }),
        wire.stream([
          wire.role,
          part({ name: "get_weather", arguments: "" }, { id: "call_1", type: "function" }),
          part({ arguments: '{"city":' }),
          part({ arguments: '"Paris"}' }),
          wire.finish("tool_calls"),
          wire.chunk([], usage)
        ])
      )
      const tools = [{ name: "get_weather", parameters: { type: "object" } }]
      const fields = { tools, tool_choice: "required" as const }
      const plain = yield* providers.complete(asked({ ...fields, request_id: "a" }), principal)
      const streamed = yield* providers.complete(
        asked({ ...fields, request_id: "b", stream: true }),
        principal
      )
      for (const completion of [plain, streamed]) {
        assert.strictEqual(completion.finish_reason, "tool_calls")
        assert.deepStrictEqual(completion.tool_calls, [
          { id: "call_1", name: "get_weather", arguments: '{"city":"Paris"}' }
        ])
      }
      assert.deepInclude(server.seen[0]?.body, {
        tools: [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }],
        tool_choice: "required"
      })
    }).pipe(Effect.provide(ground))
  )
})

describe("OpenAI's failures", () => {
  const success = wire.plain(totals(19, 10))
  for (const [status, headers] of [
    [429, { "retry-after": "0" }],
    [429, { "retry-after-ms": "1.5" }],
    [500, {}],
    [503, {}]
  ] as const) {
    it.live(`${status} ${JSON.stringify(headers)}, then success: two tracked attempts of one request`, () =>
      Effect.gen(function* () {
        const { providers, keeper } = yield* open(wire.error(status, null, headers), success)
        const completion = yield* providers.complete(asked(), principal)
        assert.strictEqual(completion.attempts.length, 2)
        assert.deepStrictEqual(keeper.attempts, [
          "1 gpt-test error 0+0 $0",
          "2 gpt-test success 19+10 $0.0001475 settled"
        ])
      }).pipe(Effect.provide(ground))
    )
  }

  for (const [status, code, headers] of [
    [400, "context_length_exceeded", {}],
    [401, "invalid_api_key", {}],
    [429, "insufficient_quota", {}],
    [500, null, { "x-should-retry": "false" }]
  ] as const) {
    it.live(`${status} ${code ?? "that says so"} is not tried again`, () =>
      Effect.gen(function* () {
        const { providers, server } = yield* open(wire.error(status, code, headers), success)
        const error = yield* Effect.flip(providers.complete(asked(), principal))
        assert.deepInclude(error, { _tag: "ProviderFailed", status, retryable: false, attempts: 1 })
        assert.strictEqual(server.seen.length, 1)
      }).pipe(Effect.provide(ground))
    )
  }

  const told = wire.data({
    error: { message: "The server had an error", type: "server_error", param: null, code: null }
  })
  for (const [name, reply] of [
    ["an error event", frames([wire.role, wire.text("one two "), told])],
    ["a connection that breaks", frames([wire.role, wire.text("one two ")], "cut")],
    ["an end without finish_reason", frames([wire.role, wire.text("one two "), wire.DONE])]
  ] as const) {
    it.live(`${name} in the middle of a stream costs the estimated input and what was received`, () =>
      Effect.gen(function* () {
        const { providers, keeper } = yield* open(
          reply,
          wire.stream([wire.text("Hi"), wire.finish("stop", totals(19, 10))])
        )
        yield* providers.complete(asked({ stream: true }), principal)
        assert.deepStrictEqual(keeper.attempts, [
          "1 gpt-test estimated 15+3 $0.0000675",
          "2 gpt-test success 19+10 $0.0001475 settled"
        ])
      }).pipe(Effect.provide(ground))
    )
  }

  it.live("a reader that goes away after k pieces ends the request, and is charged", () =>
    Effect.gen(function* () {
      const { providers, keeper, server } = yield* open(frames([wire.role, wire.text("one two ")], "stay"))
      const topic = yield* providers.stream(asked(), principal)
      yield* topic.events.pipe(Stream.take(1), Stream.runDrain)
      yield* Effect.promise(() => server.clientClosed)
      while (keeper.tracked.length === 0) yield* Effect.yieldNow
      assert.deepStrictEqual(keeper.attempts, ["1 gpt-test cancelled 15+3 $0.0000675 settled"])
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )
})
