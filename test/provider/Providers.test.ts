import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { pass, settle } from "../../src/testing.ts"
import { answer, fail, lost, ScriptedAdapter } from "./support/ScriptedAdapter.ts"
import { ground, makeWorld, principal, request } from "./support/World.ts"

const messages = (content: string) => [{ role: "user" as const, content }]

describe("one request id is one call", () => {
  it.effect("the same content joins the call that runs", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([answer(), answer("Second.")])
      const { providers, keeper } = yield* makeWorld([adapter])
      const gate = keeper.gate("check")
      const first = yield* Effect.forkChild(providers.complete(request(), principal))
      const second = yield* Effect.forkChild(providers.complete(request(), principal))
      const read = yield* Effect.forkChild(
        Effect.flatMap(providers.stream(request(), principal), ({ events }) => Stream.runCollect(events))
      )
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      const [one, two] = [yield* Fiber.join(first), yield* Fiber.join(second)]
      assert.strictEqual(one, two)
      assert.deepStrictEqual(
        (yield* Fiber.join(read)).map(({ event }) => Object.keys(event)[0]),
        ["text", "finished"]
      )
      assert.strictEqual(adapter.requests.length, 1)
      assert.strictEqual(keeper.tracked.length, 1)
    }).pipe(Effect.provide(ground))
  )

  it.effect("is known while it runs and when it has ended, and never for other content", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([answer()])])
      const isKnown = () => providers.isKnown(request(), principal)
      const other = request({ messages: messages("something else") })
      assert.isFalse(yield* isKnown())
      const gate = keeper.gate("check")
      const first = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* settle
      assert.isTrue(yield* isKnown())
      assert.isFalse(yield* providers.isKnown(other, principal))
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      assert.isTrue(yield* isKnown())
      assert.isFalse(yield* providers.isKnown(other, principal))
      assert.isFalse(yield* providers.isKnown(request(), installationPrincipal("another")))
    }).pipe(Effect.provide(ground))
  )

  it.effect("other content is a Conflict, while it runs and afterwards", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([answer()])])
      const gate = keeper.gate("check")
      const first = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* settle
      const other = request({ messages: messages("something else") })
      const during = yield* Effect.flip(providers.complete(other, principal))
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      const after = yield* Effect.flip(providers.complete(other, principal))
      for (const error of [during, after]) {
        assert.deepInclude(error, { _tag: "Conflict", reason: "request_reused_with_different_content" })
      }
      assert.strictEqual(keeper.tracked.length, 1)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a finished call answers its first result", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([answer(), answer("Second.")])
      const { providers } = yield* makeWorld([adapter])
      const first = yield* providers.complete(request(), principal)
      assert.deepStrictEqual(yield* providers.complete(request(), principal), first)
      const topic = yield* providers.stream(request(), principal)
      const events = yield* Stream.runCollect(topic.events)
      assert.deepStrictEqual(events[0]?.event, { text: "Hello." })
      assert.strictEqual(adapter.requests.length, 1)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a failure that was charged is answered again; one that was not is tried afresh", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([lost(true), answer()])
      const { providers, keeper } = yield* makeWorld([adapter])
      const charged = request({ max_attempts: 1 })
      const first = yield* Effect.flip(providers.complete(charged, principal))
      assert.deepStrictEqual(yield* Effect.flip(providers.complete(charged, principal)), first)
      assert.strictEqual(adapter.requests.length, 1)
      keeper.limit = keeper.spent
      const refused = request({ request_id: "r2" })
      assert.strictEqual((yield* Effect.flip(providers.complete(refused, principal)))._tag, "BudgetExceeded")
      keeper.limit *= 1_000_000n
      assert.strictEqual((yield* providers.complete(refused, principal)).content, "Hello.")
    }).pipe(Effect.provide(ground))
  )

  it.effect("the same id of two tenants is two calls", () =>
    Effect.gen(function* () {
      const { providers } = yield* makeWorld([new ScriptedAdapter([answer("a"), answer("b")])])
      const one = yield* providers.complete(request(), principal)
      const two = yield* providers.complete(
        request({ messages: messages("other") }),
        installationPrincipal("acme")
      )
      assert.deepStrictEqual([one.content, two.content], ["a", "b"])
    }).pipe(Effect.provide(ground))
  )

  it.effect("a call goes on while one of those who wait for it is left", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([{ ...answer(), afterMs: 1_000 } as never])
      const { providers, keeper } = yield* makeWorld([adapter])
      const first = yield* Effect.forkChild(providers.complete(request(), principal))
      const second = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* pass(1_000)
      assert.strictEqual((yield* Fiber.join(second)).content, "Hello.")
      assert.deepStrictEqual(keeper.attempts, ["1 model-a success 10+5 $0.00002 settled"])
    }).pipe(Effect.provide(ground))
  )

  it.effect("a request without an id gets one", () =>
    Effect.gen(function* () {
      const { providers } = yield* makeWorld([new ScriptedAdapter([answer(), answer()])])
      const { request_id: _, ...nameless } = request()
      const one = yield* providers.complete(nameless, principal)
      const two = yield* providers.complete(nameless, principal)
      assert.match(one.request_id, /^req_/u)
      assert.notStrictEqual(one.request_id, two.request_id)
    }).pipe(Effect.provide(ground))
  )
})

describe("bounds", () => {
  it.effect("so many run, so many wait, one more is Overloaded", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter(
        Array.from({ length: 5 }, () => ({ ...answer(), afterMs: 1_000 }) as never)
      )
      const { providers, keeper, system } = yield* makeWorld([adapter], {
        guard: { concurrency: 2, waiting: 3 }
      })
      const call = (id: number) => providers.complete(request({ request_id: `r${id}` }), principal)
      const calls = yield* Effect.forEach([1, 2, 3, 4, 5], (id) =>
        Effect.tap(Effect.forkChild(call(id), { startImmediately: true }), () => settle)
      )
      const error = yield* Effect.flip(call(6))
      assert.strictEqual(error._tag, "Overloaded")
      assert.strictEqual(adapter.requests.length, 2)
      assert.strictEqual(keeper.openHolds, 2)
      assert.strictEqual(system.entries().filter(({ info }) => info.kind === "call").length, 2)
      yield* pass(3_000, 1_000)
      for (const fiber of calls) assert.strictEqual((yield* Fiber.join(fiber)).content, "Hello.")
      assert.strictEqual(keeper.openHolds, 0)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a call whose caller left while it waited is never begun", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([{ ...answer(), afterMs: 1_000 } as never, answer("Third.")])
      const { providers, keeper } = yield* makeWorld([adapter], { guard: { concurrency: 1 } })
      const call = (id: string) =>
        Effect.tap(
          Effect.forkChild(providers.complete(request({ request_id: id }), principal), {
            startImmediately: true
          }),
          () => settle
        )
      const first = yield* call("a")
      const second = yield* call("b")
      const third = yield* call("c")
      yield* Fiber.interrupt(second)
      yield* pass(1_000)
      yield* Fiber.join(first)
      assert.strictEqual((yield* Fiber.join(third)).content, "Third.")
      assert.strictEqual(adapter.requests.length, 2)
      assert.strictEqual(keeper.holds.length, 2)
    }).pipe(Effect.provide(ground))
  )

  it.effect("a provider's actor that was stopped comes back with the next call", () =>
    Effect.gen(function* () {
      const { providers, system } = yield* makeWorld([new ScriptedAdapter([answer(), answer("Again.")])], {
        guard: { concurrency: 1 }
      })
      yield* providers.complete(request(), principal)
      const provider = system.entries().find(({ info }) => info.kind === "provider")
      assert.strictEqual(provider?.info.address, "provider/scripted")
      if (provider !== undefined) yield* system.stop(provider.address)
      const again = yield* providers.complete(request({ request_id: "r2" }), principal)
      assert.strictEqual(again.content, "Again.")
    }).pipe(Effect.provide(ground))
  )
})

describe("what is shown of a call", () => {
  it.effect("is its statechart and its facts, and no text of it", () =>
    Effect.gen(function* () {
      const { providers, system } = yield* makeWorld([new ScriptedAdapter([{ kind: "never" }])])
      yield* Effect.forkChild(
        providers.complete(request({ messages: messages("a secret"), system: "also secret" }), principal)
      )
      yield* settle
      const entry = system.entry("call/default/r1")
      assert.strictEqual(entry?.info.state, "calling")
      assert.strictEqual(entry?.info.parent, "provider/scripted")
      const { machine, context } = entry?.insight() ?? { machine: null, context: {} }
      assert.includeMembers(machine?.states.map(({ id }) => id) ?? [], [
        "estimating",
        "awaiting_budget",
        "calling",
        "reporting",
        "backing_off",
        "falling_back",
        "done",
        "refused",
        "failed",
        "cancelled"
      ])
      assert.deepInclude(context, { request_id: "r1", hold_id: "hold_1", attempt: 1 })
      assert.notInclude(JSON.stringify(context), "secret")
    }).pipe(Effect.provide(ground))
  )
})

describe("a provider that is not there", () => {
  const configuredBy = { anthropic: "ANTHROPIC_API_KEY", openai: "OPENAI_API_KEY" }

  it.effect("is named, with those that are there and with what configures it", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([])], { configuredBy })
      const missing = yield* Effect.flip(providers.complete(request({ provider: "openai" }), principal))
      assert.include(missing.message, "OPENAI_API_KEY")
      assert.include(missing.message, "scripted")
      const fallback = [{ provider: "nope", model: "x" }]
      const unknown = yield* Effect.flip(providers.complete(request({ fallback }), principal))
      assert.strictEqual(unknown._tag, "InvalidParams")
      if (unknown._tag === "InvalidParams") {
        assert.deepStrictEqual(unknown.issues[0]?.path, ["fallback", 0, "provider"])
      }
      assert.deepStrictEqual(keeper.asks, [])
    }).pipe(Effect.provide(ground))
  )
})

describe("a fallback to a provider without a free place", () => {
  it.effect("does not wait for one", () =>
    Effect.gen(function* () {
      const first = new ScriptedAdapter([fail(400)], "first")
      const second = new ScriptedAdapter([{ kind: "never" }], "second")
      const { providers, keeper } = yield* makeWorld([first, second], { guard: { concurrency: 1 } })
      const busy = yield* Effect.forkChild(
        providers.complete(request({ provider: "second", request_id: "busy" }), principal)
      )
      yield* settle
      const error = yield* Effect.flip(
        providers.complete(
          request({ provider: "first", fallback: [{ provider: "second", model: "model-b" }] }),
          principal
        )
      )
      assert.deepInclude(error, { _tag: "ProviderFailed", provider: "second", retryable: true })
      assert.strictEqual(second.requests.length, 1)
      yield* Fiber.interrupt(busy)
      yield* settle
      assert.strictEqual(keeper.held, 0n)
    }).pipe(Effect.provide(ground))
  )
})

describe("an approval without a hold (lessons 15 and 17)", () => {
  it.effect("passes where it was given by policy: the call is made, and reported without a hold", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([lost(true), answer()])
      const { providers, keeper } = yield* makeWorld([adapter])
      keeper.withoutHold = "by policy"
      const call = yield* Effect.forkChild(providers.complete(request(), principal))
      yield* pass(60_000, 1_000)
      assert.strictEqual((yield* Fiber.join(call)).content, "Hello.")
      assert.strictEqual(adapter.requests.length, 2)
      assert.deepStrictEqual(
        keeper.tracked.map(({ payload }) => payload.hold_id),
        [undefined, undefined]
      )
      assert.strictEqual(keeper.holds.length, 0)
    }).pipe(Effect.provide(ground))
  )

  it.effect("reaches no provider otherwise", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([answer()])
      const { providers, keeper } = yield* makeWorld([adapter])
      keeper.withoutHold = "unsaid"
      const error = yield* Effect.flip(providers.complete(request(), principal))
      assert.strictEqual(error._tag, "InternalError")
      assert.strictEqual(adapter.requests.length, 0)
    }).pipe(Effect.provide(ground))
  )
})
