/** The official SDK against a server that is exact to the wire: lessons 5, 6, 7, 8 and 10. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { anthropic } from "../../src/provider/Anthropic.ts"
import type { CompletePayload } from "../../src/provider/CallRequest.ts"
import { formatAmount } from "../../src/signal/Money.ts"
import * as wire from "./mocks/AnthropicWire.ts"
import { frames, hangUp, json, mockServer, type Reply, silence } from "./mocks/MockServer.ts"
import { ground, makeWorld, principal, request } from "./support/World.ts"

const asked = (fields: Partial<CompletePayload> = {}) =>
  request({
    provider: "anthropic",
    model: "claude-test",
    system: "Be brief.",
    messages: [{ role: "user", content: "Hello, Claude" }],
    ...fields
  })

const open = (...replies: ReadonlyArray<Reply>) =>
  Effect.gen(function* () {
    const server = yield* mockServer(...replies)
    const adapter = anthropic({ apiKey: "key-1", baseURL: server.url })
    const retry = { backoffMs: 1, backoffMaxMs: 1, retryAfterMaxMs: 1_000 }
    return { server, ...(yield* makeWorld([adapter], { settings: { retry } })) }
  })

interface Golden {
  readonly name: string
  readonly usage: object
  /** What `message_delta` reports of it; the rest stands in `message_start`. */
  readonly inDelta: object
  readonly prompt: number
  readonly completion: number
  readonly details: object
  readonly reasoning?: number
  /** At $3 input, $0.30 cached, $3.75 and $6 written for 5 minutes and 1 hour, $15 output, per million. */
  readonly cost: string
}

const NO_CACHE = { cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }

const GOLDEN: ReadonlyArray<Golden> = [
  {
    name: "nothing cached",
    usage: { input_tokens: 25, ...NO_CACHE, output_tokens: 15 },
    inDelta: { output_tokens: 15 },
    prompt: 25,
    completion: 15,
    details: {},
    cost: "0.0003" // 25 × 3 + 15 × 15
  },
  {
    name: "a cache is written, lifetime not told",
    usage: {
      input_tokens: 21,
      cache_creation_input_tokens: 188_086,
      cache_read_input_tokens: 0,
      output_tokens: 393
    },
    inDelta: { output_tokens: 393 },
    prompt: 188_107,
    completion: 393,
    details: { cache_write_5m_tokens: 188_086 },
    cost: "0.7112805" // 21 × 3 + 188,086 × 3.75 + 393 × 15
  },
  {
    name: "a cache is read and written for both lifetimes",
    usage: {
      input_tokens: 2048,
      cache_read_input_tokens: 1800,
      cache_creation_input_tokens: 248,
      cache_creation: { ephemeral_5m_input_tokens: 148, ephemeral_1h_input_tokens: 100 },
      output_tokens: 503
    },
    inDelta: {
      input_tokens: 2048,
      cache_read_input_tokens: 1800,
      cache_creation_input_tokens: 248,
      output_tokens: 503
    },
    prompt: 4096,
    completion: 503,
    details: { cached_tokens: 1800, cache_write_5m_tokens: 148, cache_write_1h_tokens: 100 },
    cost: "0.015384" // 2,048 × 3 + 1,800 × 0.30 + 148 × 3.75 + 100 × 6 + 503 × 15
  },
  {
    name: "thinking is output",
    usage: {
      input_tokens: 30,
      ...NO_CACHE,
      output_tokens: 500,
      output_tokens_details: { thinking_tokens: 420 }
    },
    inDelta: { output_tokens: 500, output_tokens_details: { thinking_tokens: 420 } },
    prompt: 30,
    completion: 500,
    details: {},
    reasoning: 420,
    cost: "0.00759" // 30 × 3 + 500 × 15
  }
]

const withService = (usage: object) => ({ ...usage, service_tier: "standard", server_tool_use: null })

describe("Anthropic's counts", () => {
  for (const golden of GOLDEN) {
    for (const isStream of [false, true]) {
      it.live(`${golden.name}, ${isStream ? "streaming" : "plain"}`, () =>
        Effect.gen(function* () {
          const reply = isStream
            ? wire.stream(
                withService({ ...golden.usage, output_tokens: 1 }),
                golden.inDelta,
                "Hi! ",
                "I am Claude."
              )
            : wire.plain(withService(golden.usage), "Hi! I am Claude.")
          const { providers, keeper } = yield* open(reply)
          const completion = yield* providers.complete(asked({ stream: isStream }), principal)
          assert.strictEqual(completion.content, "Hi! I am Claude.")
          const { usage } = completion
          assert.deepInclude(usage, {
            prompt_tokens: golden.prompt,
            completion_tokens: golden.completion,
            status: "success",
            response_model: "claude-test-20261001",
            service_tier: "standard"
          })
          assert.deepStrictEqual(usage.prompt_tokens_details ?? {}, golden.details)
          assert.strictEqual(usage.completion_tokens_details?.reasoning_tokens, golden.reasoning)
          assert.strictEqual(formatAmount(usage.cost), golden.cost)
          assert.strictEqual(formatAmount(keeper.spent), golden.cost)
          assert.strictEqual(keeper.held, 0n)
        }).pipe(Effect.provide(ground))
      )
    }
  }

  it.live("are cumulative in a stream: the last value counts, not the sum", () =>
    Effect.gen(function* () {
      const { providers } = yield* open(
        frames([
          wire.start({ input_tokens: 25, ...NO_CACHE, output_tokens: 1 }),
          wire.block(0, { type: "text", text: "" }),
          wire.text("Hi"),
          wire.messageDelta({ output_tokens: 5 }, null),
          wire.messageDelta({ output_tokens: 15 }),
          wire.messageStop
        ])
      )
      const { usage } = yield* providers.complete(asked({ stream: true }), principal)
      assert.strictEqual(usage.completion_tokens, 15)
    }).pipe(Effect.provide(ground))
  )
})

describe("Anthropic's wire", () => {
  it.live("gets the key, the limit, the system text, and no retry of the SDK", () =>
    Effect.gen(function* () {
      const { providers, server } = yield* open(wire.plain({ input_tokens: 5, output_tokens: 5 }))
      const messages = [
        { role: "system" as const, content: "More rules." },
        { role: "user" as const, content: "Hello" }
      ]
      yield* providers.complete(asked({ messages, temperature: 0.5 }), principal)
      const [seen] = server.seen
      assert.strictEqual(seen?.path, "/v1/messages")
      assert.strictEqual(seen?.headers.authorization, "Bearer key-1")
      assert.strictEqual(seen?.headers["x-stainless-retry-count"], "0")
      assert.deepStrictEqual(seen?.body, {
        model: "claude-test",
        max_tokens: 100,
        system: "Be brief.\n\nMore rules.",
        messages: [{ role: "user", content: "Hello" }],
        temperature: 0.5
      })
    }).pipe(Effect.provide(ground))
  )

  it.live("a limit that is large is sent as it is, also in a plain call", () =>
    Effect.gen(function* () {
      const { providers, server } = yield* open(wire.plain({ input_tokens: 5, output_tokens: 5 }))
      yield* providers.complete(asked({ max_completion_tokens: 64_000 }), principal)
      assert.strictEqual(server.seen[0]?.body.max_tokens, 64_000)
    }).pipe(Effect.provide(ground))
  )

  const tool = {
    name: "get_weather",
    description: "the weather",
    parameters: { type: "object", properties: {} }
  }
  const use = { type: "tool_use", id: "toolu_01", name: "get_weather", input: { city: "Paris" } }

  it.live("carries tools both ways, plain and streaming", () =>
    Effect.gen(function* () {
      const usage = { input_tokens: 400, ...NO_CACHE, output_tokens: 40 }
      const { providers, server, keeper } = yield* open(
        json(200, wire.message(usage, [{ type: "text", text: "I look." }, use], "tool_use")),
        frames([
          wire.start({ ...usage, output_tokens: 1 }),
          wire.block(0, { type: "text", text: "" }),
          wire.text("I look."),
          wire.blockStop(0),
          wire.block(1, { ...use, input: {} }),
          wire.delta(1, { type: "input_json_delta", partial_json: "" }),
          wire.delta(1, { type: "input_json_delta", partial_json: '{"city":' }),
          wire.delta(1, { type: "input_json_delta", partial_json: '"Paris"}' }),
          wire.blockStop(1),
          wire.messageDelta({ output_tokens: 40 }, "tool_use"),
          wire.messageStop
        ])
      )
      const fields = { tools: [tool], tool_choice: { name: "get_weather" } }
      const plain = yield* providers.complete(asked({ ...fields, request_id: "a" }), principal)
      const streamed = yield* providers.complete(
        asked({ ...fields, request_id: "b", stream: true }),
        principal
      )
      for (const completion of [plain, streamed]) {
        assert.strictEqual(completion.content, "I look.")
        assert.strictEqual(completion.finish_reason, "tool_calls")
        assert.deepStrictEqual(completion.tool_calls, [
          { id: "toolu_01", name: "get_weather", arguments: '{"city":"Paris"}' }
        ])
      }
      assert.deepInclude(server.seen[0]?.body, {
        tools: [{ name: "get_weather", description: "the weather", input_schema: tool.parameters }],
        tool_choice: { type: "tool", name: "get_weather" }
      })
      assert.deepStrictEqual(keeper.tracked[0]?.payload.tools_used, ["get_weather"])
      assert.strictEqual(keeper.tracked[0]?.cost, keeper.tracked[1]?.cost)
    }).pipe(Effect.provide(ground))
  )
})

describe("Anthropic's failures", () => {
  const success = wire.plain({ input_tokens: 25, ...NO_CACHE, output_tokens: 15 })
  const failures: ReadonlyArray<readonly [string, Reply, string]> = [
    ["429 with retry-after-ms", wire.error(429, "rate_limit_error", { "retry-after-ms": "2" }), "error 0+0"],
    ["429 with retry-after 0", wire.error(429, "rate_limit_error", { "retry-after": "0" }), "error 0+0"],
    ["500", wire.error(500, "api_error"), "error 0+0"],
    ["529", wire.error(529, "overloaded_error"), "error 0+0"],
    ["a connection that breaks after the request was sent", hangUp, "estimated 26+0"]
  ]
  for (const [name, reply, first] of failures) {
    it.live(`${name}, then success: two tracked attempts of one request`, () =>
      Effect.gen(function* () {
        const { providers, keeper, server } = yield* open(reply, success)
        const completion = yield* providers.complete(asked(), principal)
        assert.strictEqual(completion.attempts.length, 2)
        assert.strictEqual(server.seen.length, 2)
        const [before = "", after] = keeper.attempts
        assert.isTrue(before.startsWith(`1 claude-test ${first}`), before)
        assert.strictEqual(after, "2 claude-test success 25+15 $0.0003 settled")
        assert.strictEqual(keeper.held, 0n)
      }).pipe(Effect.provide(ground))
    )
  }

  const final: ReadonlyArray<readonly [number, string]> = [
    [400, "invalid_request_error"],
    [401, "authentication_error"],
    [404, "not_found_error"],
    [413, "request_too_large"]
  ]
  for (const [status, type] of final) {
    it.live(`${status} is not tried again and costs nothing`, () =>
      Effect.gen(function* () {
        const { providers, keeper, server } = yield* open(wire.error(status, type), success)
        const error = yield* Effect.flip(providers.complete(asked(), principal))
        assert.deepInclude(error, { _tag: "ProviderFailed", status, retryable: false, attempts: 1 })
        assert.strictEqual(server.seen.length, 1)
        assert.deepStrictEqual(keeper.attempts, ["1 claude-test error 0+0 $0 settled"])
      }).pipe(Effect.provide(ground))
    )
  }

  it.live("a port where nobody listens costs nothing", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(Effect.map(mockServer(), (server) => server.url))
      const { providers, keeper } = yield* makeWorld([anthropic({ apiKey: "k", baseURL: url })])
      const error = yield* Effect.flip(providers.complete(asked({ max_attempts: 1 }), principal))
      assert.deepInclude(error, { _tag: "ProviderFailed", status: null, retryable: true })
      assert.deepStrictEqual(keeper.attempts, ["1 claude-test error 0+0 $0 settled"])
    }).pipe(Effect.provide(ground))
  )

  it.live("an answer that never comes is a timeout, and its input is charged as estimated", () =>
    Effect.gen(function* () {
      const server = yield* mockServer(silence)
      const { providers, keeper } = yield* makeWorld([
        anthropic({ apiKey: "k", baseURL: server.url, timeoutMs: 30 })
      ])
      const error = yield* Effect.flip(providers.complete(asked({ max_attempts: 1 }), principal))
      assert.deepInclude(error, { _tag: "ProviderFailed", status: null, retryable: true })
      assert.match(keeper.attempts[0] ?? "", /^1 claude-test estimated 26\+0 /u)
    }).pipe(Effect.provide(ground))
  )
})

describe("Anthropic's streams that go wrong", () => {
  const begun = [
    wire.start({ input_tokens: 25, ...NO_CACHE, output_tokens: 1 }),
    wire.block(0, { type: "text", text: "" }),
    wire.ping,
    wire.text("one two ")
  ]
  const succeeds = wire.stream({ input_tokens: 25, output_tokens: 1 }, { output_tokens: 15 }, "Hi")

  it.live("an overloaded_error event before anything else is free and tried again", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* open(frames([wire.overloaded]), succeeds)
      yield* providers.complete(asked({ stream: true }), principal)
      assert.strictEqual(keeper.attempts[0], "1 claude-test error 0+0 $0")
    }).pipe(Effect.provide(ground))
  )

  // Reported input, and o200k_base of "one two " (3 tokens) times 1.5, rounded up.
  const broken = "estimated 25+5 $0.00015"
  const endings: ReadonlyArray<readonly [string, Reply]> = [
    ["an overloaded_error event", frames([...begun, wire.overloaded])],
    ["a connection that breaks", frames(begun, "cut")],
    ["an end without message_stop", frames(begun)]
  ]
  for (const [name, reply] of endings) {
    it.live(`${name} in the middle costs the input and what was received`, () =>
      Effect.gen(function* () {
        const { providers, keeper } = yield* open(reply, succeeds)
        const completion = yield* providers.complete(asked({ stream: true }), principal)
        assert.strictEqual(completion.content, "Hi")
        assert.deepStrictEqual(keeper.attempts, [
          `1 claude-test ${broken}`,
          "2 claude-test success 25+15 $0.0003 settled"
        ])
        assert.strictEqual(keeper.asks[2], "extend 30t $0.00015")
      }).pipe(Effect.provide(ground))
    )
  }

  it.live("a reader that goes away after k pieces ends the request, and is charged", () =>
    Effect.gen(function* () {
      const { providers, keeper, server } = yield* open(frames([...begun, wire.text("three ")], "stay"))
      const topic = yield* providers.stream(asked(), principal)
      const seen: Array<string> = []
      yield* topic.events.pipe(
        Stream.takeUntil(({ event }) => {
          if ("text" in event) seen.push(event.text)
          return seen.join("").includes("three")
        }),
        Stream.runDrain
      )
      yield* Effect.promise(() => server.clientClosed)
      while (keeper.tracked.length === 0) yield* Effect.yieldNow
      assert.strictEqual(seen.join(""), "one two three ")
      assert.deepStrictEqual(keeper.attempts, ["1 claude-test cancelled 25+6 $0.000165 settled"])
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.live("a plain call whose caller goes away aborts the request", () =>
    Effect.gen(function* () {
      const { providers, keeper, server } = yield* open(silence)
      const exit = yield* Effect.exit(
        Effect.raceFirst(
          providers.complete(asked(), principal),
          Effect.gen(function* () {
            while (server.seen.length === 0) yield* Effect.yieldNow
            return yield* Effect.interrupt
          })
        )
      )
      assert.isTrue(Exit.isFailure(exit))
      yield* Effect.promise(() => server.clientClosed)
      while (keeper.tracked.length === 0) yield* Effect.yieldNow
      assert.match(keeper.attempts[0] ?? "", /^1 claude-test cancelled 26\+0 /u)
    }).pipe(Effect.provide(ground))
  )
})
