import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import type { ModelEvent } from "../../src/provider/Adapter.ts"
import { cutStream } from "../../src/provider/SdkFailure.ts"
import type { Event } from "../../src/signal/Subscriptions.ts"
import { pass, settle } from "../../src/testing.ts"
import { answer, fail, ScriptedAdapter, type Step, text, usage } from "./support/ScriptedAdapter.ts"
import { ground, makeWorld, principal, request } from "./support/World.ts"

const finished: ModelEvent = { _tag: "Finished", finishReason: "stop" }
const counted = (prompt: number, completion: number): ModelEvent => ({
  _tag: "Usage",
  usage: usage(prompt, completion)
})

const whole = (...pieces: ReadonlyArray<string>): Step => ({
  kind: "stream",
  events: [...text(...pieces), counted(12, 7), finished]
})

const wordsOf = (events: ReadonlyArray<{ readonly event: Event }>): ReadonlyArray<string> =>
  events.map(({ event }) => {
    if ("text" in event) return event.text
    if ("finished" in event) return `finished ${event.finished.finish_reason}`
    if ("failed" in event) return `failed ${(event.failed as { code: number }).code}`
    return "other"
  })

describe("a streamed call", () => {
  it.effect("gives its text in order and complete, then how it ended", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([whole("Hel", "lo", ".")])])
      const topic = yield* providers.stream(request(), principal)
      const events = yield* Stream.runCollect(topic.events)
      const words = wordsOf(events)
      assert.strictEqual(words.slice(0, -1).join(""), "Hello.")
      assert.strictEqual(words.at(-1), "finished stop")
      const last = events.at(-1)?.event
      assert.isTrue(last !== undefined && "finished" in last)
      if (last !== undefined && "finished" in last) {
        assert.deepInclude(last.finished.completion as object, { request_id: "r1", content: "Hello." })
        assert.strictEqual((last.finished.completion as { usage: { cost: string } }).usage.cost, "0.000026")
      }
      assert.deepStrictEqual(keeper.attempts, ["1 model-a success 12+7 $0.000026 settled"])
    }).pipe(Effect.provide(ground))
  )

  it.effect("costs what the same plain call costs", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([
        new ScriptedAdapter([whole("Hello."), answer("Hello.", usage(12, 7))])
      ])
      yield* Stream.runDrain((yield* providers.stream(request({ request_id: "a" }), principal)).events)
      yield* providers.complete(request({ request_id: "b" }), principal)
      assert.strictEqual(keeper.tracked[0]?.cost, keeper.tracked[1]?.cost)
      assert.isAbove(Number(keeper.tracked[0]?.cost), 0)
    }).pipe(Effect.provide(ground))
  )

  it.effect("that budget refuses fails before a subscription is made", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([whole("Hello.")])
      const { providers, keeper } = yield* makeWorld([adapter])
      keeper.limit = 0n
      const error = yield* Effect.flip(providers.stream(request(), principal))
      assert.strictEqual(error._tag, "BudgetExceeded")
      assert.strictEqual(adapter.requests.length, 0)
    }).pipe(Effect.provide(ground))
  )

  it.effect("is charged for input and what was received when the reader goes away after k pieces", () =>
    Effect.gen(function* () {
      const events = [counted(12, 1), ...text("one ", "two ", "three ", "four ", "five ")]
      const { providers, keeper, log } = yield* makeWorld([
        new ScriptedAdapter([{ kind: "stream", events, everyMs: 100, ending: "never" }])
      ])
      const topic = yield* providers.stream(request(), principal)
      const reader = yield* Effect.forkChild(topic.events.pipe(Stream.take(3), Stream.runCollect))
      yield* pass(500, 100)
      assert.deepStrictEqual(wordsOf(yield* Fiber.join(reader)), ["one ", "two ", "three "])
      yield* settle
      // o200k_base: "one two three " is 4 tokens, of which the last is the space; the input is as reported.
      assert.deepStrictEqual(keeper.attempts, ["1 model-a cancelled 12+4 $0.00002 settled"])
      assert.strictEqual(keeper.held, 0n)
      const kept = log.calls.get("default/r1")?.outcome
      assert.isTrue(
        kept !== undefined && "completion" in kept && kept.completion.finish_reason === "cancelled"
      )
    }).pipe(Effect.provide(ground))
  )

  it.effect("is a success when the reader goes away after the provider finished", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([whole("Hello.")])])
      const gate = keeper.gate("track")
      const topic = yield* providers.stream(request(), principal)
      yield* topic.events.pipe(Stream.take(1), Stream.runDrain)
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(keeper.attempts, ["1 model-a success 12+7 $0.000026 settled"])
    }).pipe(Effect.provide(ground))
  )

  it.effect("that breaks off in a reader's hands is not tried again, and charged as estimated", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([
        {
          kind: "stream",
          events: [counted(12, 1), ...text("Hello there")],
          everyMs: 100,
          ending: cutStream("scripted")
        },
        whole("again")
      ])
      const { providers, keeper } = yield* makeWorld([adapter])
      const topic = yield* providers.stream(request(), principal)
      const reader = yield* Effect.forkChild(Stream.runCollect(topic.events))
      yield* pass(1_000, 100)
      assert.deepStrictEqual(wordsOf(yield* Fiber.join(reader)), ["Hello there", "failed -32011"])
      assert.strictEqual(adapter.requests.length, 1)
      assert.deepStrictEqual(keeper.attempts, ["1 model-a estimated 12+2 $0.000016 settled"])
    }).pipe(Effect.provide(ground))
  )

  it.effect("that fails before any text is tried again", () =>
    Effect.gen(function* () {
      const { providers, keeper } = yield* makeWorld([new ScriptedAdapter([fail(529), whole("Hello.")])])
      const topic = yield* providers.stream(request(), principal)
      const reader = yield* Effect.forkChild(Stream.runCollect(topic.events))
      yield* pass(500)
      assert.deepStrictEqual(wordsOf(yield* Fiber.join(reader)), ["Hello.", "finished stop"])
      assert.strictEqual(keeper.attempts.length, 2)
    }).pipe(Effect.provide(ground))
  )

  it.effect("waits for its reader: the provider is read no faster than the text is taken", () =>
    Effect.gen(function* () {
      let read = 0
      const adapter = new ScriptedAdapter([])
      const pieces = Stream.fromIterable(text(...Array.from({ length: 100 }, (_, index) => `${index} `)), {
        chunkSize: 1
      }).pipe(
        Stream.tap(() =>
          Effect.sync(() => {
            read += 1
          })
        )
      )
      adapter.stream = () => Stream.concat(pieces, Stream.fromIterable([counted(12, 100), finished]))
      const { providers } = yield* makeWorld([adapter], { settings: { windowPieces: 8 } })
      const topic = yield* providers.stream(request(), principal)
      yield* settle
      assert.isAtMost(read, 10)
      const events = yield* Stream.runCollect(topic.events)
      assert.strictEqual(
        wordsOf(events).slice(0, -1).join(""),
        Array.from({ length: 100 }, (_, index) => `${index} `).join("")
      )
    }).pipe(Effect.provide(ground))
  )

  it.effect("whose reader takes nothing for too long is ended as cancelled", () =>
    Effect.gen(function* () {
      const adapter = new ScriptedAdapter([
        { kind: "stream", events: text(...Array.from({ length: 50 }, () => "word ")), ending: "never" }
      ])
      const { providers, keeper } = yield* makeWorld([adapter], {
        settings: { windowPieces: 4, stallMs: 1_000 }
      })
      yield* providers.stream(request(), principal)
      yield* pass(1_000)
      yield* pass(1_000)
      assert.strictEqual(keeper.held, 0n)
      assert.match(keeper.attempts[0] ?? "", /cancelled/u)
    }).pipe(Effect.provide(ground))
  )

  it.effect("tells its progress with every state, and at most once per interval in between", () =>
    Effect.gen(function* () {
      const events = [counted(12, 0), ...text(...Array.from({ length: 20 }, () => "four"))]
      const { providers, progress } = yield* makeWorld([
        new ScriptedAdapter([{ kind: "stream", events: [...events, counted(12, 20), finished], everyMs: 50 }])
      ])
      const fiber = yield* Effect.forkChild(providers.complete(request({ stream: true }), principal))
      yield* pass(1_200, 50)
      yield* Fiber.join(fiber)
      yield* settle
      const told = progress.map(({ state, completion_tokens }) => `${state} ${completion_tokens}`)
      assert.strictEqual(told[0], "calling 0")
      assert.strictEqual(told.at(-1), "done 20")
      const streaming = progress.filter(({ state }) => state === "calling")
      assert.isAtLeast(streaming.length, 4)
      assert.isAtMost(streaming.length, 6)
      assert.isAbove(Number(streaming.at(-1)?.cost), 0)
    }).pipe(Effect.provide(ground))
  )

  it.effect("whose input outgrows its hold asks for more, or stops, as the caller wants", () =>
    Effect.gen(function* () {
      const events = [counted(50, 0), ...text("Hi"), counted(50, 1), finished]
      const { providers, keeper } = yield* makeWorld([
        new ScriptedAdapter([
          { kind: "stream", events },
          { kind: "stream", events },
          { kind: "stream", events }
        ])
      ])
      const call = (id: string, onOverrun: "extend" | "stop" | "finish") =>
        providers.complete(request({ request_id: id, stream: true, on_overrun: onOverrun }), principal)
      assert.strictEqual((yield* call("a", "extend")).content, "Hi")
      assert.deepStrictEqual(keeper.asks.splice(0), [
        "check model-a",
        "extend 40t $0.00004",
        "track 1 success"
      ])
      const stopped = yield* call("b", "stop")
      assert.deepStrictEqual([stopped.content, stopped.finish_reason], ["", "length"])
      assert.deepStrictEqual(keeper.asks.splice(0), ["check model-a", "track 1 estimated"])
      assert.strictEqual((yield* call("c", "finish")).content, "Hi")
      assert.deepStrictEqual(keeper.asks.splice(0), ["check model-a", "track 1 success"])
    }).pipe(Effect.provide(ground))
  )
})
