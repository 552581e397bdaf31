/** A server that closes says so at once, answers what it has begun, and begins nothing. */
import { connect } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import type { Bridge } from "../../src/bridge/Bridge.ts"
import { ADMIN_KEY, openClient, startBridge, until, withBridge } from "./Fixture.ts"

const admin = { key: ADMIN_KEY }
const request = (id: unknown, method: string, params: object = {}) =>
  JSON.stringify({ jsonrpc: "2.0", id, method, params })

/** A bridge that is closed by the test, with a call that is answered when the test says so. */
const closable = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const { bridge, stub, wsUrl } = yield* Effect.provideService(startBridge(), Scope.Scope, scope)
  const gate = yield* Deferred.make<void>()
  stub.answers.set("release_hold", () => Effect.as(Deferred.await(gate), { released: true }))
  const isAsked = (name: string) => stub.asked.some((asked) => asked.name === name)
  return {
    bridge,
    stub,
    wsUrl,
    isAsked,
    untilAsked: until(() => (isAsked("release_hold") ? true : undefined)),
    answer: Deferred.succeed(gate, undefined),
    close: Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
  }
})

/** One connection that is kept, on which requests are sent without waiting for their answers. */
const keptConnection = (bridge: Bridge) => {
  const socket = connect(bridge.port, "127.0.0.1")
  let text = ""
  socket.on("data", (chunk) => {
    text += String(chunk)
  })
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()))
  return {
    post: (body: string) =>
      socket.write(
        `POST /signals HTTP/1.1\r\nHost: 127.0.0.1:${bridge.port}\r\nContent-Type: application/json\r\nAuthorization: Bearer ${ADMIN_KEY}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
      ),
    get: (path: string) => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${bridge.port}\r\n\r\n`),
    /** All that came, once the server has closed it. */
    ended: Effect.map(
      Effect.promise(() => ended),
      () => text.split(/(?=HTTP\/1\.1 )/u)
    )
  }
}

describe("a server that closes", () => {
  it.live("closes a connection that waits for nothing, while another one still has its call", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl, untilAsked, answer, close } = yield* closable
        const busy = yield* openClient(wsUrl, admin)
        const idle = yield* openClient(wsUrl, admin)
        busy.sendText(request(1, "release_hold", { hold_id: "h" }))
        yield* untilAsked
        const closing = yield* close
        const { code, reason } = yield* idle.closed
        assert.deepStrictEqual(
          [code, reason],
          [1001, "This server is closing: connect to another node, or again soon"]
        )
        yield* answer
        assert.deepStrictEqual((yield* busy.next).result, { released: true })
        assert.strictEqual((yield* busy.closed).code, 1001)
        yield* Fiber.join(closing)
      })
    )
  )

  it.live("begins nothing for who still has a call: it says that another node is to be asked, and when", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl, untilAsked, isAsked, answer, close } = yield* closable
        const client = yield* openClient(wsUrl, admin)
        client.sendText(request(1, "release_hold", { hold_id: "h" }))
        yield* untilAsked
        const closing = yield* close
        const { error } = yield* client.call("get_pricing", {}, 2)
        assert.deepStrictEqual([error.data._tag, error.data.retry_after_ms], ["Unavailable", 100])
        assert.include(error.message, "to another node")
        assert.isFalse(isAsked("get_pricing"))
        yield* answer
        yield* Fiber.join(closing)
      })
    )
  )

  it.live(
    "does the same over HTTP: what came before is answered, what comes on a kept connection is not begun",
    () =>
      withBridge(
        Effect.gen(function* () {
          const { bridge, stub, isAsked, answer, close } = yield* closable
          const [kept, probe] = [keptConnection(bridge), keptConnection(bridge)]
          for (const connection of [kept, probe])
            connection.post(request(1, "release_hold", { hold_id: "h" }))
          yield* until(() => (stub.asked.length === 2 ? true : undefined))
          const closing = yield* close
          kept.post(request(2, "get_pricing"))
          probe.get("/readyz")
          probe.post(request(3, "get_pricing"))
          yield* until(() => (stub.refused.length === 2 ? true : undefined))
          yield* answer
          const [first = "", last = ""] = yield* kept.ended
          const [, ready = ""] = yield* probe.ended
          assert.include(first, '"result":{"released":true}')
          assert.match(ready, /^HTTP\/1\.1 503 [\s\S]*"the server is closing"/u)
          assert.match(last, /"id":2,[\s\S]*"_tag":"Unavailable","retry_after_ms":100/u)
          assert.match(last, /\r\nConnection: close\r\n/u)
          assert.isFalse(isAsked("get_pricing"))
          yield* Fiber.join(closing)
        })
      )
  )
})
