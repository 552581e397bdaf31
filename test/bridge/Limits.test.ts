import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue, Stream } from "effect"
import { makeRateLimiter, makeTally } from "../../src/bridge/Limits.ts"
import { ADMIN_KEY, type Json, makeKey, openClient, postSignals, startBridge, withBridge } from "./Fixture.ts"

const admin = { key: ADMIN_KEY }
const release = (id: unknown) => ({ jsonrpc: "2.0", id, method: "release_hold", params: { hold_id: "h" } })

describe("the rate of a key", () => {
  it("is a burst, then so many per second", () => {
    const rates = makeRateLimiter(10, 3)
    const taken = (count: number, now: number) => rates.take("k", count, now)
    assert.deepStrictEqual([taken(1, 0), taken(2, 0)], [0, 0])
    assert.strictEqual(taken(1, 0), 100)
    assert.strictEqual(taken(1, 99), 1)
    assert.strictEqual(taken(1, 100), 0)
    assert.strictEqual(taken(3, 200), 200)
    assert.strictEqual(taken(3, 10_000), 0)
    assert.strictEqual(rates.take("another", 3, 10_000), 0)
  })
  it("does not suffer from a clock that is set back", () => {
    const rates = makeRateLimiter(10, 1)
    assert.strictEqual(rates.take("k", 1, 5000), 0)
    assert.strictEqual(rates.take("k", 1, 0), 100)
    assert.strictEqual(rates.take("k", 1, 100), 0)
  })
  it("forgets keys that are idle, and never one that is not", () => {
    const rates = makeRateLimiter(1, 1)
    for (let count = 0; count < 10_000; count++) rates.take(`k${count}`, 1, count)
    rates.take("more", 1, 10_000)
    assert.isAbove(rates.take("k9999", 1, 10_000), 0)
  })
})

it("a tally counts per name", () => {
  const tally = makeTally(2)
  assert.deepStrictEqual(
    [tally.enter("a"), tally.enter("a"), tally.enter("a"), tally.enter("b")],
    [true, true, false, true]
  )
  tally.leave("a")
  assert.isTrue(tally.enter("a"))
  assert.strictEqual(tally.total(), 3)
})

describe("past a limit", () => {
  it.live("requests in flight are Overloaded, each with its id, and only those", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge({ limits: { inFlightMax: 3 } })
        const client = yield* openClient(wsUrl, admin)
        const gate = yield* Deferred.make<void>()
        stub.answers.set("release_hold", () => Effect.as(Deferred.await(gate), { released: true }))
        client.send([1, 2, 3, 4].map(release))
        client.send(release(5))
        const { id, error } = yield* client.next
        assert.deepStrictEqual([id, error.code, error.data._tag], [5, -32029, "Overloaded"])
        assert.isAbove(error.data.retry_after_ms, 0)
        yield* Deferred.succeed(gate, undefined)
        const answers: ReadonlyArray<Json> = yield* client.next
        const refused = answers.filter((answer) => answer.error !== undefined)
        assert.deepStrictEqual([answers.length, refused.map((answer) => answer.id)], [4, [4]])
        assert.isDefined((yield* client.call("release_hold", { hold_id: "h" })).result)
      })
    )
  )

  it.live("and at every other check of a door, whoever traces hears of the refusal", () =>
    withBridge(
      Effect.gen(function* () {
        const limits = { requestsPerSecondPerKey: 0.001, requestBurstPerKey: 6, subscriptionsPerTenantMax: 0 }
        const { bridge, stub, wsUrl } = yield* startBridge({ limits })
        const { key, key_id } = yield* makeKey(bridge, { roles: ["app"] })
        const client = yield* openClient(wsUrl, { key })
        yield* client.call("get_status", {})
        yield* client.call("release_hold", { hold: "h" })
        yield* client.call("subscribe", { topic: "budgets" })
        client.sendText("no JSON")
        yield* client.next
        client.send({ jsonrpc: "2.0", method: "nothing", params: {} })
        yield* client.call("release_hold", { hold_id: "h" })
        yield* client.call("release_hold", { hold_id: "h" })
        yield* postSignals(bridge, [release(1), 7], {}, key)
        assert.deepStrictEqual(
          stub.refused,
          [
            "get_status Forbidden",
            "release_hold InvalidParams",
            "subscribe Overloaded",
            " ParseError",
            "nothing UnknownSignal",
            "release_hold Overloaded",
            "release_hold Overloaded",
            " Overloaded"
          ].map((line) => `${line} ${key_id}`)
        )
      })
    )
  )

  it.live("requests of a key are Overloaded on every connection of it, and 429 over HTTP", () =>
    withBridge(
      Effect.gen(function* () {
        const limits = { requestsPerSecondPerKey: 0.001, requestBurstPerKey: 2 }
        const { bridge, wsUrl } = yield* startBridge({ limits })
        const { key } = yield* makeKey(bridge)
        const first = yield* openClient(wsUrl, { key })
        const second = yield* openClient(wsUrl, { key })
        assert.isDefined((yield* first.call("release_hold", { hold_id: "h" })).result)
        assert.isDefined((yield* second.call("release_hold", { hold_id: "h" })).result)
        const { error } = yield* second.call("release_hold", { hold_id: "h" })
        assert.strictEqual(error.data._tag, "Overloaded")
        first.sendText("{")
        assert.strictEqual((yield* first.next).error.data._tag, "Overloaded")
        const refused = yield* postSignals(bridge, release(1), {}, key)
        assert.deepStrictEqual([refused.status, refused.json.error.data._tag], [429, "Overloaded"])
        assert.isAtLeast(Number(refused.headers.get("retry-after")), 1)
        assert.strictEqual((yield* postSignals(bridge, release(1))).status, 200)
      })
    )
  )

  it.live("requests over HTTP in flight are 429", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, stub } = yield* startBridge({ limits: { inFlightMax: 1 } })
        const gate = yield* Deferred.make<void>()
        const isAsked = yield* Deferred.make<void>()
        stub.answers.set("release_hold", () =>
          Effect.as(Effect.andThen(Deferred.succeed(isAsked, undefined), Deferred.await(gate)), {
            released: true
          })
        )
        const fiber = yield* Effect.forkChild(postSignals(bridge, release(1)))
        yield* Deferred.await(isAsked)
        const refused = yield* postSignals(bridge, release(2))
        assert.deepStrictEqual([refused.status, refused.headers.get("retry-after")], [429, "1"])
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* Fiber.join(fiber)).status, 200)
      })
    )
  )

  it.live("connections of a tenant are refused with 429, and others are not", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, wsUrl } = yield* startBridge({ limits: { connectionsPerTenantMax: 1 } })
        const acme = yield* makeKey(bridge, { tenant: "acme" })
        const client = yield* openClient(wsUrl, acme)
        const refused = yield* Effect.flip(openClient(wsUrl, acme))
        assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [429, "1"])
        assert.strictEqual(JSON.parse(refused.body).error.data._tag, "Overloaded")
        yield* openClient(wsUrl, admin)
        client.ws.close()
        yield* client.closed
        yield* Effect.retry(openClient(wsUrl, acme), { while: ({ status }) => status === 429 })
      })
    )
  )

  it.live("subscriptions of a tenant are Overloaded, streaming calls among them, until one ends", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge({ limits: { subscriptionsPerTenantMax: 2 } })
        const one = yield* openClient(wsUrl, admin)
        const two = yield* openClient(wsUrl, admin)
        const ends = yield* Queue.unbounded<never>()
        stub.stream = Stream.fromQueue(ends)
        const complete = {
          provider: "p",
          model: "m",
          messages: [{ role: "user", content: "hi" }],
          stream: true
        }
        const { result } = yield* one.call("subscribe", { topic: "signals" })
        assert.isDefined((yield* one.call("complete", complete)).result)
        assert.strictEqual((yield* two.call("complete", complete)).error.data._tag, "Overloaded")
        assert.strictEqual((yield* two.call("subscribe", { topic: "usage" })).error.data._tag, "Overloaded")
        yield* one.call("unsubscribe", { subscription: result.subscription })
        assert.isDefined((yield* two.call("subscribe", { topic: "usage" })).result)
        two.ws.terminate()
        yield* two.closed
        const again = Effect.gen(function* () {
          const { error } = yield* one.call("subscribe", { topic: "usage" })
          return error === undefined ? undefined : yield* Effect.fail(error)
        })
        yield* Effect.retry(again, { while: (error: Json) => error.data._tag === "Overloaded" })
      })
    )
  )
})
