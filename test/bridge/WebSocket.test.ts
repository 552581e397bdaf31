import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Queue, Scope } from "effect"
import type { DeadLetter } from "../../src/bridge/Door.ts"
import { layerMemory } from "../../src/bridge/MemoryCredentials.ts"
import { NotFound } from "../../src/signal/Errors.ts"
import { ADMIN_KEY, type Json, openClient, postSignals, startBridge, withBridge } from "./Fixture.ts"

const key = ADMIN_KEY
const admin = { key }
const request = (id: unknown, method: string, params?: unknown) => ({ jsonrpc: "2.0", id, method, params })

describe("JSON-RPC over a WebSocket", () => {
  it.live("answers with the id that came, of every type", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl } = yield* startBridge()
        const client = yield* openClient(wsUrl, admin)
        for (const id of [1, 0, -1, 1.5, "1", "", "ü", null]) {
          const answer = yield* client.call("release_hold", { hold_id: "h" }, id)
          assert.deepStrictEqual(answer, { jsonrpc: "2.0", id, result: { released: true } })
        }
      })
    )
  )

  it.live("names each error as JSON-RPC does", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl } = yield* startBridge()
        const client = yield* openClient(wsUrl, admin)
        const errorOf = (text: string) => {
          client.sendText(text)
          return Effect.map(client.next, ({ id, error }: Json) => [id, error.code, error.data._tag])
        }
        assert.deepStrictEqual(yield* errorOf("{"), [null, -32700, "ParseError"])
        assert.deepStrictEqual(yield* errorOf('{"id":4}'), [4, -32600, "InvalidRequest"])
        assert.deepStrictEqual(yield* errorOf("[]"), [null, -32600, "InvalidRequest"])
        const unknown = JSON.stringify(request(5, "track_usge", {}))
        assert.deepStrictEqual(yield* errorOf(unknown), [5, -32601, "UnknownSignal"])
        const reserved = JSON.stringify(request(6, "rpc.discover"))
        assert.deepStrictEqual(yield* errorOf(reserved), [6, -32601, "UnknownSignal"])
        const inherited = JSON.stringify(request(7, "toString"))
        assert.deepStrictEqual(yield* errorOf(inherited), [7, -32601, "UnknownSignal"])
        const positional = JSON.stringify(request(8, "release_hold", ["h"]))
        assert.deepStrictEqual(yield* errorOf(positional), [8, -32602, "InvalidParams"])
      })
    )
  )

  it.live("reports every issue of the params, with the nearest right name", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl, stub } = yield* startBridge()
        const client = yield* openClient(wsUrl, admin)
        const answer = yield* client.call("track_usage", { request_id: "", modle: "x", prompt_tokens: -1 })
        const issues: ReadonlyArray<{ path: ReadonlyArray<string>; message: string }> =
          answer.error.data.issues
        const paths = issues.map(({ path }) => path.join(".")).sort()
        assert.deepStrictEqual(paths, [
          "completion_tokens",
          "model",
          "modle",
          "prompt_tokens",
          "provider",
          "request_id"
        ])
        assert.include(issues.find(({ path }) => path[0] === "modle")?.message, '"model"')
        assert.strictEqual(answer.error.code, -32602)
        assert.lengthOf(stub.asked, 0)
      })
    )
  )

  it.live("answers a batch as one, in any order, without its notifications", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl, stub } = yield* startBridge()
        const client = yield* openClient(wsUrl, admin)
        client.send([
          request(1, "release_hold", { hold_id: "a" }),
          { jsonrpc: "2.0", method: "release_hold", params: { hold_id: "b" } },
          7,
          request("x", "nothing"),
          { jsonrpc: "2.0", method: "nothing" }
        ])
        const answers: ReadonlyArray<Json> = yield* client.next
        const seen = answers.map(({ id, error }) => `${id} ${error?.data._tag ?? "ok"}`).sort()
        assert.deepStrictEqual(seen, ["1 ok", "null InvalidRequest", "x UnknownSignal"])
        assert.lengthOf(stub.asked, 2)
      })
    )
  )

  it.live("never answers notifications, and keeps those that failed as dead letters", () =>
    withBridge(
      Effect.gen(function* () {
        const letters = yield* Queue.unbounded<DeadLetter>()
        const { wsUrl, stub } = yield* startBridge({ onDeadLetter: (letter) => Queue.offer(letters, letter) })
        const client = yield* openClient(wsUrl, admin)
        stub.answers.set("release_hold", () =>
          Effect.fail(new NotFound({ message: "no hold", kind: "hold", id: "h" }))
        )
        client.send({ jsonrpc: "2.0", method: "release_hold", params: { hold_id: "h" } })
        client.send([
          { jsonrpc: "2.0", method: "nowhere" },
          { jsonrpc: "2.0", method: "release_hold", params: [] }
        ])
        client.send({ jsonrpc: "2.0", method: "subscribe", params: { topic: "signals" } })
        const answer = yield* client.call("get_pricing", {}, "last")
        assert.strictEqual(answer.id, "last")
        const tags = [yield* Queue.take(letters), yield* Queue.take(letters), yield* Queue.take(letters)]
        tags.push(yield* Queue.take(letters))
        const seen = tags.map(({ method, error }) => `${method} ${error._tag}`).sort()
        assert.deepStrictEqual(seen, [
          "nowhere UnknownSignal",
          "release_hold InvalidParams",
          "release_hold NotFound",
          "subscribe InvalidRequest"
        ])
        assert.deepStrictEqual(tags[0]?.principal.keyId, "installation")
      })
    )
  )

  it.live("answers out of order: a slow call holds nobody up", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl, stub } = yield* startBridge()
        const client = yield* openClient(wsUrl, admin)
        const gate = yield* Deferred.make<void>()
        stub.answers.set("release_hold", () => Effect.as(Deferred.await(gate), { released: true }))
        client.send(request("slow", "release_hold", { hold_id: "h" }))
        client.send(request("fast", "get_pricing", {}))
        assert.strictEqual((yield* client.next).id, "fast")
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* client.next).id, "slow")
      })
    )
  )

  it.live("shows a defect as the incident of one log line, and nothing of what is inside", () => {
    const lines: Array<string> = []
    const remember = Logger.map(Logger.formatJson, (line) => void lines.push(line))
    return withBridge(
      Effect.gen(function* () {
        const { bridge, wsUrl, stub } = yield* startBridge()
        const client = yield* openClient(wsUrl, admin)
        stub.answers.set("release_hold", () => Effect.die(new Error("SELECT secret FROM keys")))
        const answer = yield* client.call("release_hold", { hold_id: "h" })
        assert.deepStrictEqual([answer.error.code, answer.error.data._tag], [-32603, "InternalError"])
        assert.notInclude(JSON.stringify(answer), "SELECT")
        const logged = lines.filter((line) => line.includes(answer.error.data.incident))
        assert.lengthOf(logged, 1)
        assert.include(logged[0], "SELECT secret FROM keys")
        stub.answers.set("check_budget", () => Effect.succeed({ neither: "allowed nor refused" }))
        const unencodable = yield* client.call("check_budget", { request_id: "r" })
        assert.strictEqual(unencodable.error.data._tag, "InternalError")
        stub.answers.set("release_hold", () => {
          throw new Error("thrown before there was an effect")
        })
        const thrown = yield* client.call("release_hold", { hold_id: "h" })
        assert.strictEqual(thrown.error.data._tag, "InternalError")
        const overHttp = yield* postSignals(bridge, request(1, "release_hold", { hold_id: "h" }))
        assert.deepStrictEqual([overHttp.status, overHttp.json.error.data._tag], [200, "InternalError"])
        assert.isDefined((yield* client.call("get_pricing", {})).result)
      })
    ).pipe(Effect.provide(Logger.layer([remember])))
  })

  it.live("echoes only bursar.v1 of the subprotocols, and takes the key from the other", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl } = yield* startBridge()
        const client = yield* openClient(wsUrl, { protocols: ["bursar.v1", `bearer.${key}`] })
        assert.strictEqual(client.ws.protocol, "bursar.v1")
        assert.isDefined((yield* client.call("get_pricing", {})).result)
      })
    )
  )

  it.live("refuses an upgrade with the status that says why", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl, bridge } = yield* startBridge()
        const statusOf = (url: string, options: Parameters<typeof openClient>[1]) =>
          Effect.map(Effect.flip(openClient(url, options)), ({ status }) => status)
        assert.strictEqual(yield* statusOf(wsUrl, {}), 401)
        assert.strictEqual(yield* statusOf(wsUrl, { key: "wrong" }), 401)
        assert.strictEqual(yield* statusOf(wsUrl, { key: `bk_${"0".repeat(18)}_${"a".repeat(43)}` }), 401)
        assert.strictEqual(yield* statusOf(wsUrl.replace("/signals", "/other"), { key }), 404)
        assert.strictEqual(yield* statusOf(wsUrl, { key, headers: { Host: "evil.example" } }), 403)
        assert.strictEqual(
          yield* statusOf(wsUrl, {
            headers: { Cookie: `bursar_${bridge.port}=x`, Origin: "http://evil.example" }
          }),
          403
        )
      })
    )
  )

  it.live("closes binary frames with 1003 and frames over 1 MiB with 1009", () =>
    withBridge(
      Effect.gen(function* () {
        const { wsUrl } = yield* startBridge()
        const binary = yield* openClient(wsUrl, admin)
        binary.ws.send(Buffer.from("{}"))
        assert.strictEqual((yield* binary.closed).code, 1003)
        const exact = yield* openClient(wsUrl, admin)
        const envelope = JSON.stringify(request(1, "release_hold", { hold_id: "" }))
        const padding = " ".repeat(1_048_576 - envelope.length)
        exact.sendText(envelope + padding)
        assert.strictEqual((yield* exact.next).error.data._tag, "InvalidParams")
        exact.sendText(`${envelope + padding} `)
        assert.strictEqual((yield* exact.closed).code, 1009)
      })
    )
  )

  it.live("answers what is in flight before it closes with 1001", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const isAsked = yield* Deferred.make<void>()
      const bridgeScope = yield* Scope.make()
      const { stub, wsUrl } = yield* startBridge().pipe(Effect.provideService(Scope.Scope, bridgeScope))
      stub.answers.set("release_hold", () =>
        Effect.as(Effect.andThen(Deferred.succeed(isAsked, undefined), Deferred.await(gate)), {
          released: true
        })
      )
      const client = yield* openClient(wsUrl, admin)
      client.send(request(1, "release_hold", { hold_id: "h" }))
      yield* Deferred.await(isAsked)
      const closing = yield* Effect.forkChild(Scope.close(bridgeScope, Exit.void), { startImmediately: true })
      const refused = yield* client.call("get_pricing", {}, 2)
      assert.strictEqual(refused.error.data._tag, "Unavailable")
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual((yield* client.next).result, { released: true })
      assert.strictEqual((yield* client.closed).code, 1001)
      yield* Fiber.join(closing)
    }).pipe(Effect.scoped, Effect.provide(layerMemory))
  )
})
