import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Unavailable } from "../../src/signal/Errors.ts"
import { parseAmount } from "../../src/signal/Money.ts"
import { pass, settle } from "../../src/testing.ts"
import { answer, fail, lost, ScriptedAdapter } from "./support/ScriptedAdapter.ts"
import { ground, makeWorld, principal, request } from "./support/World.ts"

const unavailable = () => new Unavailable({ message: "the store is away", retry_after_ms: 100 })

describe("a plain call", () => {
  it.effect("asks, calls, reports, answers", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([answer()])
      const { providers, keeper, states } = yield* makeWorld([adapter])
      const completion = yield* providers.complete(request(), principal)
      assert.strictEqual(completion.content, "Hello.")
      assert.strictEqual(completion.usage.user_id, "ada")
      assert.deepStrictEqual(keeper.asks, ["check model-a", "track 1 success"])
      assert.deepStrictEqual(keeper.attempts, ["1 model-a success 10+5 $0.00002 settled"])
      assert.deepStrictEqual(states, ["estimating", "awaiting_budget", "calling", "reporting", "done"])
      assert.strictEqual(adapter.requests[0]?.maxCompletionTokens, 100)
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("sends the limit that is held where the request names none", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([answer()])
      const { providers } = yield* makeWorld([adapter])
      const { max_completion_tokens: _, ...unbounded } = request()
      yield* providers.complete(unbounded, principal)
      assert.strictEqual(adapter.requests[0]?.maxCompletionTokens, 1000)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a refused call never reaches the provider", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([answer()])
      const { providers, keeper, states } = yield* makeWorld([adapter])
      keeper.limit = 0n
      const error = yield* Effect.flip(providers.complete(request(), principal))
      assert.strictEqual(error._tag, "BudgetExceeded")
      assert.strictEqual(adapter.requests.length, 0)
      assert.deepStrictEqual(keeper.asks, ["check model-a"])
      assert.strictEqual(states.at(-1), "refused")
    }).pipe(Effect.provide(ground))
  )

  it.effect("an answer without usage is estimated, never a silent zero", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([
        new ScriptedAdapter([
          {
            ...answer("Hello there."),
            answer: { content: "Hello there.", toolCalls: [], finishReason: "stop", usage: undefined }
          } as never
        ])
      ])
      yield* providers.complete(request(), principal)
      assert.deepStrictEqual(keeper.attempts, ["1 model-a estimated 10+3 $0.000016 settled"])
    }).pipe(Effect.provide(ground))
  )
})

describe("an adapter that breaks", () => {
  it.effect("has made an attempt, which is reported and charged as estimated", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([])
      adapter.call = () => Effect.die(new Error("not what is documented"))
      const { providers, keeper } = yield* makeWorld([adapter])
      const error = yield* Effect.flip(providers.complete(request(), principal))
      assert.deepInclude(error, { _tag: "ProviderFailed", retryable: false, attempts: 1 })
      assert.deepStrictEqual(keeper.attempts, ["1 model-a estimated 10+0 $0.00001 settled"])
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )
})

describe("retries", () => {
  it.effect("a 429 then success is two tracked attempts of one request", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([fail(429, 2_000), answer()])
      const { providers, keeper, states } = yield* makeWorld([adapter])
      const fiber = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* pass(1_999)
      assert.strictEqual(states.at(-1), "backing_off")
      assert.strictEqual(adapter.requests.length, 1)
      yield* pass(1)
      const completion = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        completion.attempts.map(({ status, why }) => `${status} ${why}`),
        ["error 429: said 429", "success null"]
      )
      assert.deepStrictEqual(keeper.attempts, [
        "1 model-a error 0+0 $0",
        "2 model-a success 10+5 $0.00002 settled"
      ])
      assert.deepStrictEqual(keeper.asks, [
        "check model-a",
        "track 1 error",
        "extend 0t $0",
        "track 2 success"
      ])
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("backs off exponentially and gives up after max_attempts", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([fail(500), fail(500), fail(500), answer()])
      const { providers, keeper } = yield* makeWorld([adapter])
      const fiber = yield* Effect.forkChild(Effect.flip(providers.complete(request(), principal)))
      const seen: Array<number> = []
      for (const ms of [499, 1, 999, 1]) {
        yield* pass(ms)
        seen.push(adapter.requests.length)
      }
      assert.deepStrictEqual(seen, [1, 2, 2, 3])
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "ProviderFailed", status: 500, retryable: true, attempts: 3 })
      assert.deepStrictEqual(keeper.attempts, [
        "1 model-a error 0+0 $0",
        "2 model-a error 0+0 $0",
        "3 model-a error 0+0 $0 settled"
      ])
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a lost answer is charged as estimated, and the hold is brought back up by it", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([lost(true), answer()])])
      const fiber = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* pass(500)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(keeper.asks, [
        "check model-a",
        "track 1 estimated",
        "extend 10t $0.00001",
        "track 2 success"
      ])
      assert.deepStrictEqual(keeper.attempts[0], "1 model-a estimated 10+0 $0.00001")
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a connection that was never made costs nothing", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([lost(false), answer()])])
      const fiber = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* pass(500)
      yield* Fiber.join(fiber)
      assert.strictEqual(keeper.attempts[0], "1 model-a error 0+0 $0")
    }).pipe(Effect.provide(ground))
  )

  it.effect("a retry that the budget refuses is not made", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([lost(true), answer()])
      const { providers, keeper } = yield* makeWorld([adapter])
      const fiber = yield* Effect.forkChild(Effect.flip(providers.complete(request(), principal)))
      yield* settle
      keeper.limit = keeper.spent + keeper.held
      yield* pass(500)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "BudgetExceeded")
      assert.strictEqual(adapter.requests.length, 1)
      assert.strictEqual(keeper.held, 0n)
      assert.strictEqual(keeper.spent, parseAmount("0.00001"))
    }).pipe(Effect.provide(ground))
  )

  it.effect("a hold that is gone by the time of the retry is asked for anew", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([fail(503), answer()])])
      const fiber = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* settle
      for (const hold of keeper.holds) hold.state = "released"
      yield* pass(500)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(keeper.asks, [
        "check model-a",
        "track 1 error",
        "extend 0t $0",
        "check model-a",
        "track 2 success"
      ])
    }).pipe(Effect.provide(ground))
  )

  for (const [status, attempts] of [
    [400, 1],
    [401, 1],
    [404, 1],
    [429, 3],
    [500, 3],
    [529, 3]
  ] as const) {
    it.effect(`${status} is tried ${attempts} times`, () =>
      Effect.gen(function* () {
        const adapter = new ScriptedAdapter([fail(status), fail(status), fail(status)])
        const { providers, keeper } = yield* makeWorld([adapter])
        const fiber = yield* Effect.forkChild(Effect.flip(providers.complete(request(), principal)))
        yield* pass(10_000, 500)
        const error = yield* Fiber.join(fiber)
        assert.deepInclude(error, { _tag: "ProviderFailed", status, attempts })
        assert.strictEqual(adapter.requests.length, attempts)
        assert.strictEqual(keeper.openHolds, 0)
      }).pipe(Effect.provide(ground))
    )
  }

  it.effect("a provider that asks for too long a pause is not waited for", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([fail(429, 3_600_000)])
      const { providers, keeper } = yield* makeWorld([adapter])
      const error = yield* Effect.flip(providers.complete(request(), principal))
      assert.deepInclude(error, { _tag: "ProviderFailed", status: 429, retryable: true })
      assert.deepStrictEqual(keeper.attempts, ["1 model-a error 0+0 $0 settled"])
    }).pipe(Effect.provide(ground))
  )
})

describe("fallback", () => {
  it.effect("the next model is asked for anew, under the same request", () =>
    Effect.gen(function* () {
      const first = new ScriptedAdapter([fail(400, undefined, "first")], "first")
      const second = new ScriptedAdapter([answer()], "second")
      const { providers, keeper, states } = yield* makeWorld([first, second])
      const completion = yield* providers.complete(
        request({ provider: "first", fallback: [{ provider: "second", model: "model-b" }] }),
        principal
      )
      assert.deepInclude(completion, { provider: "second", model: "model-b" })
      assert.deepStrictEqual(keeper.asks, [
        "check model-a",
        "track 1 error",
        "release",
        "check model-b",
        "track 2 success"
      ])
      assert.isTrue(states.includes("falling_back"))
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a fallback that budget refuses never reaches its provider", () =>
    Effect.gen(function* () {
      const first = new ScriptedAdapter([fail(400)], "first")
      const second = new ScriptedAdapter([answer()], "second")
      const { providers, keeper } = yield* makeWorld([first, second])
      keeper.limit = parseAmount("0.00021")
      const fiber = yield* Effect.forkChild(
        Effect.flip(
          providers.complete(
            request({ provider: "first", fallback: [{ provider: "second", model: "claude-test" }] }),
            principal
          )
        )
      )
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "BudgetExceeded")
      assert.strictEqual(second.requests.length, 0)
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )
})

describe("the deadline", () => {
  it.effect("ends a call that hangs, and charges what may have been used", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([{ kind: "never" }])])
      const fiber = yield* Effect.forkChild(
        Effect.flip(providers.complete(request({ deadline_ms: 5_000 }), principal))
      )
      yield* pass(5_000)
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "ProviderFailed", status: null, retryable: true })
      assert.include(error.message, "5000 ms")
      assert.deepStrictEqual(keeper.attempts, ["1 model-a estimated 10+0 $0.00001 settled"])
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a pause that would pass it is not begun", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([fail(429, 10_000), answer()])
      const { providers } = yield* makeWorld([adapter])
      const error = yield* Effect.flip(providers.complete(request({ deadline_ms: 5_000 }), principal))
      assert.deepInclude(error, { _tag: "ProviderFailed", status: 429 })
      assert.strictEqual(adapter.requests.length, 1)
    }).pipe(Effect.provide(ground))
  )
})

describe("the report", () => {
  it.effect("is sent again under the same attempt while the store is away, and charged once", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([answer()])])
      keeper.losesAnswers.add("track")
      keeper.failNext("track", unavailable(), unavailable())
      const fiber = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* pass(1_000, 100)
      const completion = yield* Fiber.join(fiber)
      assert.strictEqual(completion.content, "Hello.")
      assert.deepStrictEqual(keeper.asks.slice(1), ["track 1 success", "track 1 success", "track 1 success"])
      assert.strictEqual(keeper.tracked.length, 1)
      assert.strictEqual(keeper.spent, parseAmount("0.00002"))
    }).pipe(Effect.provide(ground))
  )

  it.effect("that has to be given up fails the call, and leaves the hold to its deadline", () =>
    Effect.gen(function* () {
      const { providers, keeper, states } = yield* makeWorld([new ScriptedAdapter([answer()])])
      keeper.failNext("track", ...Array.from({ length: 100 }, unavailable))
      const fiber = yield* Effect.forkChild(Effect.flip(providers.complete(request(), principal)))
      yield* pass(320_000, 5_000)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "Unavailable")
      assert.strictEqual(states.at(-1), "failed")
      assert.strictEqual(keeper.openHolds, 1)
    }).pipe(Effect.provide(ground))
  )

  it.effect("skips attempt numbers that an earlier life of the request used", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([answer()])])
      yield* keeper.track(
        {
          request_id: "r1",
          attempt: 1,
          provider: "scripted",
          model: "model-a",
          prompt_tokens: 1,
          completion_tokens: 1,
          settle: false,
          status: "estimated"
        },
        principal
      )
      const completion = yield* providers.complete(request(), principal)
      assert.strictEqual(completion.usage.attempt, 2)
    }).pipe(Effect.provide(ground))
  )
})

describe("the hold", () => {
  it.effect("of a long call is prolonged before it expires", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld(
        [new ScriptedAdapter([{ ...answer(), afterMs: 25_000 } as never])],
        { settings: { holdTtlMs: 10_000 } }
      )
      const fiber = yield* Effect.forkChild(providers.complete(request(), principal))
      for (let second = 0; second < 25; second += 1) {
        yield* pass(1_000)
        const hold = keeper.holds[0]
        if (hold?.state === "held") assert.isAbove(hold.expiresAt, (second + 1) * 1000)
      }
      yield* Fiber.join(fiber)
      assert.strictEqual(keeper.asks.filter((ask) => ask === "extend ttl").length, 4)
    }).pipe(Effect.provide(ground))
  )
})

describe("a provider that is down", () => {
  it.effect("is not asked, and nothing is held for it, until the circuit closes", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([fail(500), fail(500), answer()])
      const { providers, keeper } = yield* makeWorld([adapter], { guard: { failuresMax: 2, openMs: 1_000 } })
      const call = (id: string) => providers.complete(request({ request_id: id, max_attempts: 1 }), principal)
      yield* Effect.flip(call("a"))
      yield* Effect.flip(call("b"))
      const error = yield* Effect.flip(call("c"))
      assert.deepInclude(error, { _tag: "ProviderFailed", status: null, retryable: true })
      assert.strictEqual(adapter.requests.length, 2)
      assert.strictEqual(keeper.asks.filter((ask) => ask.startsWith("check")).length, 2)
      yield* pass(1_000)
      assert.strictEqual((yield* call("c")).content, "Hello.")
    }).pipe(Effect.provide(ground))
  )
})

describe("interruption of a plain call", () => {
  it.effect("ends it as cancelled and charges the estimate of its input", () =>
    Effect.gen(function* () {
      const { providers, keeper, states } = yield* makeWorld([new ScriptedAdapter([{ kind: "never" }])])
      const fiber = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* settle
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(keeper.attempts, ["1 model-a cancelled 10+0 $0.00001 settled"])
      assert.strictEqual(states.at(-1), "cancelled")
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )
})
