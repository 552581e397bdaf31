import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { simulator } from "../../src/provider/Simulator.ts"
import { jsonFor } from "../../src/provider/SimulatorJson.ts"
import { SIMULATOR_MODELS, SIMULATOR_PRICES } from "../../src/provider/SimulatorModels.ts"
import { pass } from "../../src/testing.ts"
import { costOf } from "./support/FakeKeeper.ts"
import { ground, makeWorld, principal, request } from "./support/World.ts"

const asked = (model: string, id: string, fields: Parameters<typeof request>[0] = {}) =>
  request({
    provider: "simulator",
    model,
    request_id: id,
    messages: [{ role: "user", content: "Tell me what a ledger is for. ".repeat(20) }],
    max_completion_tokens: 200,
    ...fields
  })

describe("the simulator", () => {
  it.effect("says the same to the same request, plain and streaming, at the same cost", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([simulator()])
      const plain = yield* Effect.forkChild(providers.complete(asked("sim-slow", "a"), principal))
      const streamed = yield* Effect.forkChild(
        providers.complete(asked("sim-slow", "b", { stream: true }), principal)
      )
      yield* pass(20_000, 100)
      const [one, two] = [yield* Fiber.join(plain), yield* Fiber.join(streamed)]
      assert.isAbove(one.content.length, 20)
      assert.strictEqual(one.content, two.content)
      assert.strictEqual(one.usage.cost, two.usage.cost)
      assert.strictEqual(one.usage.provider, "simulator")
      assert.strictEqual(one.usage.completion_tokens_details?.reasoning_tokens, 24)
      assert.isAbove(one.usage.prompt_tokens_details?.cached_tokens ?? 0, 0)
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("streams in time: pieces come one after the other", () =>
    Effect.gen(function* () {
      const { providers } = yield* makeWorld([simulator()])
      const topic = yield* providers.stream(asked("sim-slow", "a"), principal)
      const seen: Array<number> = []
      const reader = yield* Effect.forkChild(
        Stream.runForEach(topic.events, () =>
          Effect.sync(() => {
            seen.push(seen.length)
          })
        )
      )
      yield* pass(800, 100)
      assert.strictEqual(seen.length, 0)
      yield* pass(240, 120)
      assert.strictEqual(seen.length, 2)
      yield* pass(20_000, 120)
      yield* Fiber.join(reader)
      assert.isAbove(seen.length, 20)
    }).pipe(Effect.provide(ground))
  )

  it.effect("fails in a fixed order where it is flaky, and every call comes through by retry", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([simulator()])
      for (const id of ["a", "b", "c"]) {
        const fiber = yield* Effect.forkChild(
          providers.complete(asked("sim-flaky", id, { stream: true }), principal)
        )
        yield* pass(20_000, 50)
        assert.strictEqual((yield* Fiber.join(fiber)).attempts.length, 2)
      }
      const statuses = keeper.tracked.map(({ payload }) => payload.status)
      assert.deepStrictEqual(statuses, ["error", "success", "error", "success", "estimated", "success"])
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("keeps to the limit of its output", () =>
    Effect.gen(function* () {
      const { providers } = yield* makeWorld([simulator()])
      const fiber = yield* Effect.forkChild(
        providers.complete(asked("sim-fast", "a", { max_completion_tokens: 10 }), principal)
      )
      yield* pass(1_000)
      const completion = yield* Fiber.join(fiber)
      assert.strictEqual(completion.finish_reason, "length")
      assert.isAtMost(completion.usage.completion_tokens, 10)
    }).pipe(Effect.provide(ground))
  )

  it.effect("holds what it costs: its estimate of the input is its count of it", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([simulator({ models: { plain: { ...STEADY } } })])
      const fiber = yield* Effect.forkChild(
        providers.complete(asked("plain", "a", { max_completion_tokens: 10 }), principal)
      )
      yield* pass(1_000)
      const { usage } = yield* Fiber.join(fiber)
      const held = costOf("plain", { prompt_tokens: usage.prompt_tokens, completion_tokens: 10 })
      assert.strictEqual(keeper.heldAtMost, held)
    }).pipe(Effect.provide(ground))
  )

  it.effect("calls a tool when it has to", () =>
    Effect.gen(function* () {
      const { providers } = yield* makeWorld([simulator()])
      const tools = [{ name: "get_weather", parameters: {} }]
      const fiber = yield* Effect.forkChild(
        providers.complete(
          asked("sim-fast", "a", { tools, tool_choice: "required", stream: true }),
          principal
        )
      )
      yield* pass(1_000, 50)
      const completion = yield* Fiber.join(fiber)
      assert.strictEqual(completion.finish_reason, "tool_calls")
      assert.strictEqual(completion.tool_calls?.[0]?.name, "get_weather")
    }).pipe(Effect.provide(ground))
  )

  it.effect("says which models it has", () =>
    Effect.gen(function* () {
      const { providers } = yield* makeWorld([simulator()])
      const fiber = yield* Effect.forkChild(Effect.flip(providers.complete(asked("gpt-9", "a"), principal)))
      yield* pass(1_000)
      assert.include((yield* Fiber.join(fiber)).message, "sim-fast")
    }).pipe(Effect.provide(ground))
  )

  it("has a price for every model, and none is free", () => {
    for (const model of Object.keys(SIMULATOR_MODELS)) {
      const price = SIMULATOR_PRICES.find((known) => known.model === model)
      assert.isTrue(price !== undefined && price.prompt_per_million > 0n && price.completion_per_million > 0n)
    }
  })
})

const STEADY = { firstTokenMs: 1, chunkMs: 1, faults: [], reasoningTokens: 0, cachesPrompts: false }

describe("JSON from the simulator", () => {
  const jsonOf = (schema: object) =>
    jsonFor(`Be brief.\n\nIt must match this JSON Schema:\n${JSON.stringify(schema)}`)

  it.each([
    [
      "an object with what is required",
      { required: ["a"], properties: { a: { type: "string" }, b: {} } },
      '{"a":""}'
    ],
    ["numbers within their bounds", { type: "number", exclusiveMinimum: 2, maximum: 3 }, "2.5"],
    ["a negative integer", { type: "integer", maximum: -2 }, "-2"],
    ["a choice", { anyOf: [{ const: "x" }, { type: "null" }] }, '"x"']
  ])("is %s", (_, schema, expected) => {
    assert.strictEqual(jsonOf(schema)?.join(""), expected)
    assert.strictEqual(
      jsonOf(schema)?.every((piece) => piece.length <= 4),
      true
    )
  })

  it("is bounded, whatever a schema wants", () => {
    const self = {
      type: "object",
      required: ["l", "r"],
      properties: { l: { $ref: "#/$defs/S" }, r: { $ref: "#/$defs/S" } }
    }
    assert.isBelow(jsonOf({ $ref: "#/$defs/S", $defs: { S: self } })?.join("").length ?? 0, 200_000)
    const wide = (items: object) => ({ type: "array", minItems: 1e9, items })
    assert.isBelow(
      jsonOf(wide(wide(wide({ type: "string", minLength: 1e9 }))))?.join("").length ?? 0,
      200_000
    )
  })

  it("is none where none is asked for", () => {
    assert.isUndefined(jsonFor(undefined))
    assert.isUndefined(jsonFor("What is a JSON Schema:\n{no}"))
  })
})
