/** The testing kit: a runtime in milliseconds, time that passes when it is told to, scripts, probes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { expectTypeOf } from "vitest"
import { ActorSystem, command, protocol, query, tenantAddress } from "../../src/effect.ts"
import { BudgetExceeded, InvalidParams, NotFound, ProviderFailed, Unavailable } from "../../src/index.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import {
  answers,
  fails,
  makeProbe,
  moneyOf,
  NotSeen,
  openHoldsOf,
  scriptedProvider,
  standingOf,
  startTestBursar,
  staysSilent,
  type TestOptions,
  testLayer,
  usageOf
} from "../../src/testing.ts"

const CALL = {
  provider: "scripted",
  model: "m",
  messages: [{ role: "user" as const, content: "0123456789" }],
  max_completion_tokens: 10
}

/** A million tokens are a million dollars, of whatever kind. */
const started = async (options: TestOptions = {}) => {
  const bursar = await startTestBursar(options)
  const pricing = { prompt_per_million: "1000000", completion_per_million: "1000000" }
  await bursar.update_pricing({ provider: "scripted", model: "m", pricing })
  return bursar
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error
  )

describe("a test runtime", () => {
  it("is a runtime of its own, that begins when it is told to", async () => {
    await using one = await startTestBursar({ startAt: "2030-03-04T05:06:07.000Z", tenant: "acme" })
    await using other = await startTestBursar()
    assert.strictEqual(one.now().toISOString(), "2030-03-04T05:06:07.000Z")
    assert.strictEqual(other.now().getUTCDay(), 1)
    await one.create_budget({ name: "n", type: "global", period: "daily", limit: "1" })
    assert.lengthOf((await one.get_budget_status()).budgets, 1)
    assert.lengthOf((await other.get_budget_status()).budgets, 0)
    assert.strictEqual((await one.get_status()).tenant, "acme")
    assert.instanceOf(await failureOf(startTestBursar({ startAt: "never" })), InvalidParams)
  })

  it("answers the same in each run", async () => {
    const run = async () => {
      const provider = scriptedProvider([answers("one two three"), fails(500), answers("four")])
      await using bursar = await started({ providers: [provider] })
      await bursar.create_budget({ name: "n", type: "user", entity_id: "*", period: "daily", limit: "100" })
      const calls = ["a", "b"].map((id) =>
        bursar.complete({ ...CALL, request_id: id, user_id: id }).catch((error: unknown) => error)
      )
      await bursar.advance("1 minute")
      const told = await Promise.all(calls)
      const usage = await usageOf(bursar)
      return JSON.stringify([
        told,
        usage,
        bursar.signals.map(({ signal, at, outcome }) => [signal, at, outcome])
      ])
    }
    assert.strictEqual(await run(), await run())
  })

  it("lets a hold end at its deadline, and a budget begin anew, in no time", async () => {
    await using bursar = await started({ startAt: "2026-06-01T23:00:00Z" })
    await bursar.create_budget({ name: "n", type: "global", period: "daily", limit: "100" })
    const check = { provider: "scripted", model: "m", estimated_prompt_tokens: 90, max_completion_tokens: 0 }
    assert.isTrue((await bursar.check_budget({ ...check, request_id: "a" })).allowed)
    assert.isFalse((await bursar.check_budget({ ...check, request_id: "b" })).allowed)
    await bursar.advance("599 seconds")
    assert.strictEqual(await openHoldsOf(bursar), 1)
    await bursar.advance("1 second")
    assert.strictEqual(await openHoldsOf(bursar), 0)
    await bursar.track_usage({
      request_id: "c",
      provider: "scripted",
      model: "m",
      prompt_tokens: 90,
      completion_tokens: 0
    })
    assert.deepStrictEqual(await moneyOf(bursar, "global"), { spent: "90", held: "0", remaining: "10" })
    await bursar.advance("1 hour")
    assert.deepStrictEqual(await moneyOf(bursar, "global"), { spent: "0", held: "0", remaining: "100" })
    assert.strictEqual((await standingOf(bursar, "global")).period_start, "2026-06-02T00:00:00.000Z")
  })

  it("tells what actors were asked and answered", async () => {
    const provider = scriptedProvider([answers("Hello.")])
    await using bursar = await started({ providers: [provider] })
    await bursar.complete({ ...CALL, request_id: "r" })
    const asked = await bursar.expectSignal("check_budget", ({ request_id }) => request_id === "r")
    assert.strictEqual(asked.outcome, "ok")
    await bursar.expectSignal("track_usage")
    const missing = await failureOf(bursar.expectSignal("track_usage"))
    assert.instanceOf(missing, NotSeen)
    assert.include(missing.message, "complete")
  })

  it("ends in order, with calls that would never end", async () => {
    const bursar = await started({ providers: [scriptedProvider([staysSilent])] })
    const call = failureOf(bursar.complete(CALL))
    await bursar.settle()
    await bursar.close()
    assert.instanceOf(await call, Unavailable)
  })
})

describe("a scripted provider", () => {
  it("says its lines in order, and tells what it was asked", async () => {
    const provider = scriptedProvider([
      answers("Hello, you two."),
      answers({
        toolCalls: [{ id: "c1", name: "look_up", arguments: '{"what":"it"}' }],
        usage: { prompt_tokens: 7, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 3 } }
      })
    ])
    await using bursar = await started({ providers: [provider] })
    const first = await bursar.complete(CALL)
    assert.strictEqual(first.content, "Hello, you two.")
    assert.deepInclude(first.usage, { prompt_tokens: 10, completion_tokens: 15, cost: "25" })
    const second = await bursar.complete({ ...CALL, temperature: 0.5 })
    assert.strictEqual(second.finish_reason, "tool_calls")
    assert.strictEqual(second.tool_calls?.[0]?.name, "look_up")
    assert.strictEqual(second.usage.prompt_tokens_details?.cached_tokens, 3)
    assert.deepStrictEqual(
      provider.requests.map(({ temperature, maxCompletionTokens }) => [temperature, maxCompletionTokens]),
      [
        [undefined, 10],
        [0.5, 10]
      ]
    )
    assert.strictEqual(provider.left, 0)
    const after = await failureOf(bursar.complete(CALL))
    assert.instanceOf(after, ProviderFailed)
    assert.include(after.message, "no line")
    provider.say(answers("more"))
    assert.strictEqual((await bursar.complete(CALL)).content, "more")
  })

  it("streams its pieces at their moments", async () => {
    const provider = scriptedProvider([
      answers({ text: ["a", "b", "c"], afterMs: 1_000, everyMs: 100 }),
      answers({ text: "one two", thenFails: { status: null, usage: null } })
    ])
    await using bursar = await started({ providers: [provider] })
    const stream = await bursar.stream({ ...CALL, max_attempts: 1 })
    const read: Array<string> = []
    const reading = (async () => {
      for await (const text of stream.texts()) read.push(text)
    })()
    const at: Array<string> = []
    for (const wait of [999, 1, 99, 1, 100]) {
      await bursar.advance(wait)
      at.push(read.join(""))
    }
    assert.deepStrictEqual(at, ["", "a", "a", "ab", "abc"])
    await reading
    const cut = await bursar.stream({ ...CALL, max_attempts: 1 })
    const failed = await failureOf(
      (async () => {
        for await (const text of cut.texts()) read.push(text)
      })()
    )
    assert.instanceOf(failed, ProviderFailed)
    assert.strictEqual(read.join(""), "abcone two")
    const [last] = await usageOf(bursar)
    assert.strictEqual(last?.status, "estimated")
    assert.notStrictEqual(last?.cost, "0")
  })

  it("fails as it is told to, and is tried again when that was said", async () => {
    const provider = scriptedProvider([
      fails({ status: 429, retryAfterMs: 30_000 }),
      fails(503),
      answers("at last")
    ])
    await using bursar = await started({ providers: [provider] })
    const call = bursar.complete(CALL)
    await bursar.advance(29_000)
    assert.lengthOf(provider.requests, 1)
    await bursar.advance("1 minute")
    const { content, attempts } = await call
    assert.strictEqual(content, "at last")
    assert.deepStrictEqual(
      attempts.map(({ status }) => status),
      ["error", "error", "success"]
    )
  })

  it("is not reached by a call that a budget refuses", async () => {
    const provider = scriptedProvider([answers("never")], { name: "mine" })
    await using bursar = await startTestBursar({ providers: [provider] })
    await bursar.create_budget({
      name: "n",
      type: "global",
      measure: "requests",
      period: "daily",
      limit: "0"
    })
    assert.instanceOf(await failureOf(bursar.complete({ ...CALL, provider: "mine" })), BudgetExceeded)
    assert.lengthOf(provider.requests, 0)
  })

  it("that says nothing of usage is estimated, and never free", async () => {
    const provider = scriptedProvider([answers({ text: "some words here", usage: null })])
    await using bursar = await started({ providers: [provider] })
    const { usage } = await bursar.complete(CALL)
    assert.strictEqual(usage.status, "estimated")
    assert.isAbove(Number(usage.cost), 0)
  })
})

const about = { family: "host", roles: ["app"], description: "A signal of a test's own." } as const
const Pay = command("pay", {
  ...about,
  payload: { coins: Schema.Int },
  success: Schema.Struct({ total: Schema.Int })
})
const Total = query("total", { ...about, payload: {}, success: Schema.Struct({ total: Schema.Int }) })
const TILL = protocol(Pay, Total)

describe("a probe", () => {
  const WHO = installationPrincipal()

  it.effect("records what it gets, answers what it was told to, and lets the test answer the rest", () =>
    Effect.gen(function* () {
      const probe = yield* makeProbe({
        address: tenantAddress("till", "default"),
        protocol: TILL,
        answers: {
          total: () => ({ total: 7 })
        }
      })
      assert.deepStrictEqual(yield* probe.ref.ask("total", {}, WHO), { total: 7 })
      const paid = yield* Effect.forkChild(probe.ref.ask("pay", { coins: 3 }, WHO), {
        startImmediately: true
      })
      yield* probe.ref.ask("total", {}, WHO)
      const pay = yield* probe.expectSignal("pay", ({ coins }) => coins === 3)
      expectTypeOf(pay.payload.coins).toEqualTypeOf<number>()
      assert.isUndefined(paid.pollUnsafe())
      pay.fail(new NotFound({ kind: "coin", id: "3", message: "m" }))
      assert.instanceOf(yield* Effect.flip(Fiber.join(paid)), NotFound)
      assert.strictEqual(probe.received.length, 2)
      const extra = yield* Effect.flip(probe.expectNothing)
      assert.include(extra.message, "total, total")
      yield* probe.expectSignal("total")
      yield* probe.expectSignal("total")
      yield* probe.expectNothing
      const missing = yield* Effect.flip(probe.expectSignal("pay"))
      assert.include(missing.message, "The signal pay did not come")
    }).pipe(Effect.provide(testLayer()))
  )

  it.effect("has to be the first at its address: where somebody lives already, it says so", () =>
    Effect.gen(function* () {
      const address = tenantAddress("till", "default")
      yield* makeProbe({ address, protocol: TILL })
      const second = yield* Effect.exit(makeProbe({ address, protocol: TILL }))
      assert.include(String(second), "Somebody lives at till/default already: make the probe first")
    }).pipe(Effect.provide(testLayer()))
  )

  it.effect("is an actor among the others", () =>
    Effect.gen(function* () {
      yield* makeProbe({ address: tenantAddress("till", "default"), protocol: TILL })
      const system = yield* ActorSystem
      assert.strictEqual(system.entry("till/default")?.info.status, "running")
    }).pipe(Effect.provide(testLayer()))
  )
})
