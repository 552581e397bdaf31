/** Subscriptions and streaming calls: nothing is lost where nothing may be, and one gap is told where something was. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Queue, Stream } from "effect"
import { makeEventBuffer } from "../../src/bridge/EventBuffer.ts"
import { ProviderFailed } from "../../src/signal/Errors.ts"
import type { TopicEvent } from "../../src/signal/SignalRouter.ts"
import { ADMIN_KEY, type Client, type Json, openClient, startBridge, until, withBridge } from "./Fixture.ts"

const admin = { key: ADMIN_KEY }
const complete = { provider: "p", model: "m", messages: [{ role: "user", content: "hi" }], stream: true }
const text = (content: string, cursor: string | null = null): TopicEvent => ({
  cursor,
  event: { text: content }
})
const LARGE = "x".repeat(32_768)

const nextTurn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** Makes the client read nothing, as one that is busy with something else. */
const stall = ({ ws }: Client) => ws.pause()

const readUntil = (client: Client, isLast: (event: Json) => boolean) =>
  Effect.gen(function* () {
    const events: Array<Json> = []
    while (true) {
      const { params } = yield* client.next
      events.push(params.event)
      if (isLast(params.event)) return events
    }
  })

describe("a buffer of events", () => {
  it("tells everything that was dropped as one gap, in its place", () => {
    const buffer = makeEventBuffer<number>(3)
    for (const value of [1, 2, 3, 4, 5]) buffer.push(value)
    assert.deepStrictEqual(buffer.shift(), { value: 1 })
    // There is room again, but the reader has not caught up: the gap goes on.
    buffer.push(6)
    assert.deepStrictEqual(
      [buffer.shift(), buffer.shift(), buffer.shift()],
      [{ value: 2 }, { value: 3 }, { gap: 3 }]
    )
    buffer.push(7)
    assert.deepStrictEqual([buffer.shift(), buffer.shift()], [{ value: 7 }, undefined])
  })
})

describe("a streaming call", () => {
  it.live("is answered with its subscription, then sends its text in order, then ends", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge()
        stub.stream = Stream.fromIterable([
          text("a"),
          text("b", "c1"),
          { cursor: null, event: { finished: { finish_reason: "stop", completion: { content: "ab" } } } }
        ])
        const client = yield* openClient(wsUrl, admin)
        const { result } = yield* client.call("complete", complete)
        assert.deepStrictEqual(Object.keys(result), ["subscription"])
        const { subscription } = result
        const event = (cursor: string | null, what: Json) => ({
          jsonrpc: "2.0",
          method: "event",
          params: { subscription, cursor, event: what }
        })
        assert.deepStrictEqual(yield* client.next, event(null, { text: "a" }))
        assert.deepStrictEqual(yield* client.next, event("c1", { text: "b" }))
        const finished = { finish_reason: "stop", completion: { content: "ab" } }
        assert.deepStrictEqual(yield* client.next, event(null, { finished }))
        const over = yield* client.call("unsubscribe", { subscription })
        assert.deepInclude(over.error.data, { _tag: "NotFound", kind: "subscription", id: subscription })
      })
    )
  )

  it.live("says how it failed", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge()
        const failure = new ProviderFailed({
          message: "no",
          provider: "p",
          status: 500,
          retryable: true,
          attempts: 3
        })
        stub.stream = Stream.concat(Stream.succeed(text("a")), Stream.fail(failure))
        const client = yield* openClient(wsUrl, admin)
        yield* client.call("complete", complete)
        const events = yield* readUntil(client, (event) => "failed" in event)
        assert.deepStrictEqual(events[0], { text: "a" })
        assert.deepInclude(events[1].failed, { code: -32011, message: "no" })
        assert.strictEqual(events[1].failed.data.attempts, 3)
      })
    )
  )

  it.live("in a batch sends nothing before the batch is answered", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge()
        const gate = yield* Deferred.make<void>()
        const isAsked = yield* Deferred.make<void>()
        stub.stream = Stream.succeed(text("a"))
        stub.answers.set("release_hold", () =>
          Effect.as(Effect.andThen(Deferred.succeed(isAsked, undefined), Deferred.await(gate)), {
            released: true
          })
        )
        const client = yield* openClient(wsUrl, admin)
        client.send([
          { jsonrpc: "2.0", id: 1, method: "complete", params: complete },
          { jsonrpc: "2.0", id: 2, method: "release_hold", params: { hold_id: "h" } }
        ])
        yield* Deferred.await(isAsked)
        yield* Deferred.succeed(gate, undefined)
        assert.lengthOf(yield* client.next, 2)
        assert.deepStrictEqual((yield* client.next).params.event, { text: "a" })
      })
    )
  )

  for (const ending of ["unsubscribe", "close", "terminate"] as const) {
    it.live(`is cancelled by ${ending}`, () =>
      withBridge(
        Effect.gen(function* () {
          const { stub, wsUrl } = yield* startBridge()
          const cancelled = yield* Deferred.make<void>()
          stub.stream = Stream.fromEffect(
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(cancelled, undefined))
          )
          const client = yield* openClient(wsUrl, admin)
          const { result } = yield* client.call("complete", complete)
          if (ending === "unsubscribe") {
            assert.deepStrictEqual((yield* client.call("unsubscribe", result)).result, { unsubscribed: true })
            assert.isTrue(yield* Deferred.isDone(cancelled))
          } else client.ws[ending]()
          yield* Deferred.await(cancelled)
        })
      )
    )
  }

  it.live("waits for a slow reader, and loses nothing", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge()
        const count = 400
        let produced = 0
        stub.stream = Stream.range(1, count).pipe(
          Stream.rechunk(1),
          Stream.tap(() => Effect.sync(() => produced++)),
          Stream.map((index) => text(`${index} ${LARGE}`))
        )
        const client = yield* openClient(wsUrl, admin)
        const other = yield* openClient(wsUrl, admin)
        stall(client)
        client.send({ jsonrpc: "2.0", id: 1, method: "complete", params: complete })
        // The socket's buffers fill, and then the call is held back: as soon as nothing moves for a while of turns.
        let before = -1
        yield* until(() => {
          const isStill = produced > 0 && produced === before
          before = produced
          return isStill ? true : undefined
        })
        assert.isBelow(produced, count)
        assert.isDefined((yield* other.call("get_pricing", {})).result)
        client.ws.resume()
        assert.isDefined((yield* client.next).result)
        const events = yield* readUntil(client, (event) => event.text.startsWith(`${count} `))
        const order = events.map((event) => Number.parseInt(event.text, 10))
        assert.deepStrictEqual(
          order,
          Array.from({ length: count }, (_, index) => index + 1)
        )
      })
    )
  )
})

describe("a subscription", () => {
  const open = (client: Client, topic: string) =>
    Effect.map(client.call("subscribe", { topic }), ({ result }) => result.subscription as string)

  it.live("is answered with its cursor, and delivers until it is closed", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge()
        const queue = yield* Queue.unbounded<TopicEvent>()
        stub.topic = Stream.fromQueue(queue)
        const client = yield* openClient(wsUrl, admin)
        const { result } = yield* client.call("subscribe", { topic: "usage" })
        assert.strictEqual(result.cursor, "c0")
        yield* Queue.offer(queue, text("a", "c1"))
        assert.strictEqual((yield* client.next).params.cursor, "c1")
        yield* client.call("unsubscribe", { subscription: result.subscription })
        yield* Queue.offer(queue, text("b", "c2"))
        assert.isDefined((yield* client.call("get_pricing", {})).result)
      })
    )
  )

  it.live("belongs to its connection", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl } = yield* startBridge()
        const owner = yield* openClient(wsUrl, admin)
        const other = yield* openClient(wsUrl, admin)
        const subscription = yield* open(owner, "signals")
        const { error } = yield* other.call("unsubscribe", { subscription })
        assert.strictEqual(error.data._tag, "NotFound")
        assert.isDefined((yield* owner.call("unsubscribe", { subscription })).result)
      })
    )
  )

  it.live("of a topic that lives in the store waits for a slow reader, and loses nothing", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge({ limits: { eventBufferMax: 10 } })
        const count = 600
        for (const topic of ["usage", "alerts", "workflows"]) {
          stub.topic = Stream.range(1, count).pipe(
            Stream.rechunk(1),
            Stream.map((index) => text(`${index} ${LARGE}`, String(index)))
          )
          const slow = yield* openClient(wsUrl, admin)
          yield* open(slow, topic)
          stall(slow)
          yield* nextTurn
          slow.ws.resume()
          const events = yield* readUntil(slow, (event) => event.text?.startsWith(`${count} `) === true)
          assert.deepStrictEqual(
            events.map((event) => Number.parseInt(event.text, 10)),
            Array.from({ length: count }, (_, index) => index + 1),
            topic
          )
        }
      })
    )
  )

  it.live("gives a slow reader one gap, and keeps nobody else waiting", () =>
    withBridge(
      Effect.gen(function* () {
        const { stub, wsUrl } = yield* startBridge({ limits: { eventBufferMax: 10 } })
        const count = 600
        const go = yield* Deferred.make<void>()
        const done = yield* Deferred.make<void>()
        const rest = yield* Queue.unbounded<TopicEvent>()
        const flood = Stream.range(1, count).pipe(
          Stream.rechunk(1),
          // One per turn of the event loop: only a reader that does not read falls behind.
          Stream.tap(() => nextTurn),
          Stream.map((index) => text(`${index} ${LARGE}`)),
          Stream.onEnd(Deferred.succeed(done, undefined))
        )
        stub.topic = Stream.concat(
          Stream.drain(Stream.fromEffect(Deferred.await(go))),
          Stream.concat(flood, Stream.fromQueue(rest))
        )
        const slow = yield* openClient(wsUrl, admin)
        yield* open(slow, "signals")
        stub.topic = Stream.concat(
          Stream.drain(Stream.fromEffect(Deferred.await(go))),
          Stream.succeed(text("for both"))
        )
        const quick = yield* openClient(wsUrl, admin)
        yield* open(quick, "signals")
        stall(slow)
        yield* Deferred.succeed(go, undefined)
        yield* Deferred.await(done)
        assert.deepStrictEqual((yield* quick.next).params.event, { text: "for both" })
        slow.ws.resume()
        const caughtUp = yield* readUntil(slow, (event) => "gap" in event)
        yield* Queue.offer(rest, text("after"))
        const events = [...caughtUp, ...(yield* readUntil(slow, (event) => event.text === "after"))]
        const gaps = events.filter((event) => "gap" in event)
        const numbers = events
          .flatMap((event) => ("text" in event ? [Number.parseInt(event.text, 10)] : []))
          .slice(0, -1)
        assert.lengthOf(gaps, 1)
        assert.deepStrictEqual(
          numbers,
          Array.from({ length: numbers.length }, (_, index) => index + 1)
        )
        assert.strictEqual(numbers.length + gaps[0].gap, count)
        assert.isBelow(numbers.length, count)
      })
    )
  )

  it.live("of a client that does not read its answers holds back its requests, not the server", () =>
    withBridge(
      Effect.gen(function* () {
        const limits = { answerBacklogBytesMax: 65_536, requestBurstPerKey: 1_000_000 }
        const { stub, wsUrl } = yield* startBridge({ limits })
        stub.answers.set("get_usage", () => Effect.succeed({ items: [], next_cursor: LARGE }))
        const client = yield* openClient(wsUrl, admin)
        const other = yield* openClient(wsUrl, admin)
        stall(client)
        const count = 2000
        for (let id = 0; id < count; id++) client.send({ jsonrpc: "2.0", id, method: "get_usage" })
        let before = -1
        yield* until(() => {
          const isStill = stub.asked.length > 0 && stub.asked.length === before
          before = stub.asked.length
          return isStill ? true : undefined
        })
        assert.isBelow(stub.asked.length, count)
        assert.isDefined((yield* other.call("get_pricing", {})).result)
        client.ws.resume()
        for (let id = 0; id < count; id++) assert.strictEqual((yield* client.next).id, id)
      })
    )
  )
})
