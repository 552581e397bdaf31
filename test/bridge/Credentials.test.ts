/** Connections end with what they rest on, and with the other side's silence. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Stream } from "effect"
import { KeyStore } from "../../src/bridge/KeyStore.ts"
import { ADMIN, ADMIN_KEY, makeKey, openClient, postSignals, startBridge, withBridge } from "./Fixture.ts"

const admin = { key: ADMIN_KEY }

describe("a revoked key", () => {
  it.live("closes its connections with 4001, no others, and opens none", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, wsUrl } = yield* startBridge()
        const made = yield* makeKey(bridge, { roles: ["app"] })
        const client = yield* openClient(wsUrl, made)
        const second = yield* openClient(wsUrl, made)
        const other = yield* openClient(wsUrl, admin)
        const { result } = yield* other.call("revoke_key", { key_id: made.key_id })
        assert.deepStrictEqual(result, { revoked: true })
        assert.strictEqual((yield* client.closed).code, 4001)
        assert.strictEqual((yield* second.closed).code, 4001)
        assert.isDefined((yield* other.call("get_pricing", {})).result)
        assert.strictEqual((yield* Effect.flip(openClient(wsUrl, made))).status, 401)
        const body = { jsonrpc: "2.0", id: 1, method: "get_pricing" }
        assert.strictEqual((yield* postSignals(bridge, body, {}, made.key)).status, 401)
      })
    )
  )

  it.live("cancels the calls that stream to it at once, also when its client does not read", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, stub, wsUrl } = yield* startBridge()
        const made = yield* makeKey(bridge)
        const cancelled = yield* Deferred.make<void>()
        stub.stream = Stream.fromEffect(
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(cancelled, undefined))
        )
        const client = yield* openClient(wsUrl, made)
        const messages = [{ role: "user", content: "hi" }]
        yield* client.call("complete", { provider: "p", model: "m", messages, stream: true })
        client.ws.pause()
        yield* bridge.credentials.keys.revoke({ key_id: made.key_id }, ADMIN)
        yield* Deferred.await(cancelled)
      })
    )
  )

  it.live("that another process revoked is noticed with the heartbeat", () =>
    Effect.gen(function* () {
      const real = yield* Clock.Clock
      let aheadMs = 0
      // The clock jumps past the time for which a verified key is believed.
      const clock = { ...real, currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + aheadMs }
      const jumping = Object.assign(Object.create(Object.getPrototypeOf(real) as object), clock, {
        currentTimeMillis: Effect.sync(() => real.currentTimeMillisUnsafe() + aheadMs)
      }) as Clock.Clock
      yield* withBridge(
        Effect.gen(function* () {
          const { bridge, wsUrl } = yield* startBridge({ heartbeatMs: 10 })
          const made = yield* makeKey(bridge)
          const client = yield* openClient(wsUrl, made)
          yield* (yield* KeyStore).revoke(made.key_id, null, 1)
          aheadMs = 30_000
          assert.strictEqual((yield* client.closed).code, 4001)
        })
      ).pipe(Effect.provideService(Clock.Clock, jumping))
    })
  )

  it.live("that expires closes its connections with 4001", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, wsUrl } = yield* startBridge({ heartbeatMs: 20 })
        const now = yield* Clock.currentTimeMillis
        const { key } = yield* makeKey(bridge, { expires_at: now + 300 })
        const client = yield* openClient(wsUrl, { key })
        assert.strictEqual((yield* client.closed).code, 4001)
        assert.isAtLeast(yield* Clock.currentTimeMillis, now + 299)
      })
    )
  )
})

describe("heartbeats", () => {
  it.live("go both ways", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl } = yield* startBridge({ heartbeatMs: 5 })
        const client = yield* openClient(wsUrl, admin)
        const pings = yield* Deferred.make<void>()
        const pong = yield* Deferred.make<string>()
        let seen = 0
        client.ws.on("ping", () => {
          if (++seen === 5) Effect.runFork(Deferred.succeed(pings, undefined))
        })
        client.ws.on("pong", (data) => Effect.runFork(Deferred.succeed(pong, String(data))))
        client.ws.ping("are you there?")
        assert.strictEqual(yield* Deferred.await(pong), "are you there?")
        yield* Deferred.await(pings)
        assert.isDefined((yield* client.call("get_pricing", {})).result)
      })
    )
  )

  it.live("end a connection whose client answers none", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl } = yield* startBridge({ heartbeatMs: 5 })
        const silent = yield* openClient(wsUrl, { ...admin, autoPong: false })
        // Cut off, not closed: there is nobody to shake hands with.
        assert.strictEqual((yield* silent.closed).code, 1006)
      })
    )
  )
})
