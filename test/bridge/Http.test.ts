import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { ADMIN_KEY, http, makeKey, postSignals, rawRequest, startBridge, withBridge } from "./Fixture.ts"

const call = (id: unknown, method: string, params: unknown = {}) => ({ jsonrpc: "2.0", id, method, params })
const good = call(1, "release_hold", { hold_id: "h" })

describe("POST /signals", () => {
  it.live("answers 200 with the JSON-RPC answer, also when the signal was refused", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge()
        const answer = yield* postSignals(bridge, good)
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(answer.json, { jsonrpc: "2.0", id: 1, result: { released: true } })
        assert.include(answer.headers.get("content-type"), "application/json")
        const unknown = yield* postSignals(bridge, call("x", "nothing"))
        assert.deepStrictEqual([unknown.status, unknown.json.error.code], [200, -32601])
        const batch = yield* postSignals(bridge, [good, { jsonrpc: "2.0", method: "nothing" }, 1])
        assert.deepStrictEqual([batch.status, batch.json.length], [200, 2])
      })
    )
  )

  it.live("answers notifications alone with 204", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, stub } = yield* startBridge()
        const tell = { jsonrpc: "2.0", method: "release_hold", params: { hold_id: "h" } }
        const one = yield* postSignals(bridge, tell)
        const many = yield* postSignals(bridge, [tell, { jsonrpc: "2.0", method: "nothing" }])
        assert.deepStrictEqual([one.status, one.text, many.status, many.text], [204, "", 204, ""])
        assert.lengthOf(stub.asked, 2)
      })
    )
  )

  it.live("refuses what is no JSON-RPC with the right status", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge()
        const statusOf = (body: unknown, headers: Record<string, string> = {}, key = ADMIN_KEY) =>
          Effect.map(postSignals(bridge, body, headers, key), ({ status, json }) => [
            status,
            json.error.data._tag
          ])
        assert.deepStrictEqual(yield* statusOf("{"), [400, "ParseError"])
        assert.deepStrictEqual(yield* statusOf(""), [400, "ParseError"])
        assert.deepStrictEqual(yield* statusOf("[]"), [400, "InvalidRequest"])
        assert.deepStrictEqual(yield* statusOf(good, { "Content-Type": "text/plain" }), [
          415,
          "InvalidRequest"
        ])
        assert.deepStrictEqual(
          yield* statusOf(good, { "Content-Type": "application/json; charset=utf-16" }),
          [415, "InvalidRequest"]
        )
        assert.deepStrictEqual(yield* statusOf(good, { "Content-Encoding": "gzip" }), [415, "InvalidRequest"])
        assert.deepStrictEqual(yield* statusOf(good, {}, "wrong"), [401, "Unauthenticated"])
        assert.deepStrictEqual(yield* statusOf(" ".repeat(1_048_577)), [413, "InvalidRequest"])
        const exact = JSON.stringify(good).padEnd(1_048_576)
        assert.strictEqual((yield* postSignals(bridge, exact)).status, 200)
        const utf8 = yield* postSignals(bridge, good, { "Content-Type": 'Application/JSON; charset="UTF-8"' })
        assert.strictEqual(utf8.status, 200)
      })
    )
  )

  it.live("refuses a chunked body that grows past 1 MiB, and text that is not UTF-8", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge()
        const headers = { "Content-Type": "application/json", Authorization: `Bearer ${ADMIN_KEY}` }
        const chunk = new Uint8Array(262_144).fill(32)
        const stream = ReadableStream.from(Array.from({ length: 5 }, () => chunk))
        const chunked = { method: "POST", headers, body: stream, duplex: "half" } as RequestInit
        assert.strictEqual((yield* http(`${bridge.url}/signals`, chunked)).status, 413)
        const broken = yield* http(`${bridge.url}/signals`, {
          method: "POST",
          headers,
          body: new Uint8Array([0x22, 0xff, 0x22])
        })
        assert.deepStrictEqual([broken.status, broken.json.error.data._tag], [400, "ParseError"])
      })
    )
  )

  it.live("has no streams and no subscriptions", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, stub } = yield* startBridge()
        const complete = {
          provider: "p",
          model: "m",
          messages: [{ role: "user", content: "hi" }],
          stream: true
        }
        for (const body of [
          call(1, "complete", complete),
          call(1, "subscribe", { topic: "signals" }),
          call(1, "unsubscribe", { subscription: "s" })
        ]) {
          const { status, json } = yield* postSignals(bridge, body)
          assert.deepStrictEqual([status, json.error.code], [200, -32600])
        }
        assert.lengthOf(stub.asked, 0)
      })
    )
  )
})

describe("the other paths", () => {
  it.live("says what is wrong with a path, a method or a host", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge({ allowedHosts: ["bursar.example"] })
        const statusOf = (path: string, init: RequestInit = {}) =>
          Effect.map(http(`${bridge.url}${path}`, init), ({ status }) => status)
        assert.strictEqual(yield* statusOf("/nowhere"), 404)
        assert.strictEqual(yield* statusOf("/../../etc/passwd"), 404)
        assert.strictEqual(yield* statusOf("/signals"), 426)
        assert.strictEqual(yield* statusOf("/signal", { method: "POST" }), 404)
        assert.strictEqual(yield* statusOf("/signals", { method: "PUT" }), 405)
        assert.strictEqual(yield* statusOf("/session", { method: "GET" }), 405)
        assert.strictEqual(yield* statusOf("/constructor"), 404)
        const hosts = [
          ["bursar.example", "404"],
          ["BURSAR.example:8443", "404"],
          ["localhost:1", "404"],
          ["[::1]:4680", "404"],
          ["evil.example", "403"],
          ["bursar.example.evil.example", "403"],
          ["", "403"]
        ]
        for (const [host, status] of hosts) {
          const answer = yield* rawRequest(bridge, ["GET /nowhere HTTP/1.1", `Host: ${host}`])
          assert.include(answer.split("\r\n")[0], ` ${status} `, host)
        }
        const probe = yield* rawRequest(bridge, ["GET /healthz HTTP/1.1", "Host: 10.0.0.7"])
        assert.include(probe, " 200 ")
      })
    )
  )

  it.live("tells health and readiness apart", () =>
    withBridge(
      Effect.gen(function* () {
        let ready = false
        const isReady = Effect.sync(() => ({ ready, why: ready ? "" : "migrations are running" }))
        const { bridge } = yield* startBridge({ isReady })
        assert.strictEqual((yield* http(`${bridge.url}/healthz`)).status, 200)
        const before = yield* http(`${bridge.url}/readyz`)
        assert.deepStrictEqual(
          [before.status, before.json],
          [503, { ready: false, why: "migrations are running" }]
        )
        ready = true
        assert.strictEqual((yield* http(`${bridge.url}/readyz`)).status, 200)
        assert.strictEqual((yield* http(`${bridge.url}/healthz`, { method: "HEAD" })).text, "")
      })
    )
  )

  it.live("shows metrics without tenants; elsewhere than on loopback only to a key", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge()
        const { key } = yield* makeKey(bridge, { tenant: "acme-tenant" })
        yield* postSignals(bridge, good, {}, key)
        const local = yield* http(`${bridge.url}/metrics`)
        assert.include(local.headers.get("content-type"), "text/plain; version=0.0.4")
        assert.match(local.text, /bursar_signals_total\{[^}]*signal="release_hold"[^}]*\} \d+/u)
        assert.match(local.text, /bursar_connections 0/u)
        assert.notInclude(local.text, "acme-tenant")
        const open = yield* startBridge({ host: "0.0.0.0" })
        assert.strictEqual((yield* http(`${open.bridge.url}/metrics`)).status, 401)
        const headers = { Authorization: `Bearer ${ADMIN_KEY}` }
        assert.strictEqual((yield* http(`${open.bridge.url}/metrics`, { headers })).status, 200)
      })
    )
  )

  it.live("serves the console's files and nothing else", () =>
    withBridge(
      Effect.gen(function* () {
        const directory = mkdtempSync(join(tmpdir(), "bursar-console-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
        mkdirSync(join(directory, "console", "assets"), { recursive: true })
        writeFileSync(join(directory, "secret.txt"), "secret")
        writeFileSync(join(directory, "console", "index.html"), "<!doctype html>")
        writeFileSync(join(directory, "console", "mark.svg"), "<svg/>")
        writeFileSync(join(directory, "console", "assets", "index-D3f9x_2a.js"), "1")
        const { bridge } = yield* startBridge({ consoleDirectory: join(directory, "console") })
        const page = yield* http(`${bridge.url}/`)
        assert.deepStrictEqual([page.status, page.text], [200, "<!doctype html>"])
        assert.strictEqual(page.headers.get("cache-control"), "no-cache")
        assert.strictEqual(page.headers.get("x-content-type-options"), "nosniff")
        assert.strictEqual(page.headers.get("referrer-policy"), "no-referrer")
        assert.include(page.headers.get("content-security-policy"), "default-src 'none'; script-src 'self';")
        const script = yield* http(`${bridge.url}/assets/index-D3f9x_2a.js`)
        assert.strictEqual(script.headers.get("content-type"), "text/javascript; charset=utf-8")
        assert.include(script.headers.get("cache-control"), "immutable")
        const mark = yield* http(`${bridge.url}/mark.svg`)
        assert.strictEqual(mark.headers.get("content-type"), "image/svg+xml")
        const etag = mark.headers.get("etag") ?? ""
        const again = yield* http(`${bridge.url}/mark.svg`, { headers: { "If-None-Match": etag } })
        assert.deepStrictEqual([again.status, again.text], [304, ""])
        for (const path of [
          "/../secret.txt",
          "/%2e%2e/secret.txt",
          "/assets/../../secret.txt",
          "/assets",
          "/assets/"
        ]) {
          const answer = yield* rawRequest(bridge, [`GET ${path} HTTP/1.1`, "Host: localhost"])
          assert.include(answer, " 404 ", path)
        }
      })
    )
  )

  it.live("says that the console is not built where it is not", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge({ consoleDirectory: "/nowhere" })
        const page = yield* http(`${bridge.url}/`)
        assert.strictEqual(page.status, 404)
        assert.include(page.text, "npm run build")
      })
    )
  )

  it.live("says which address was taken", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge()
        const error = yield* Effect.flip(startBridge({ port: bridge.port, adminKey: Redacted.make("k") }))
        assert.strictEqual(error._tag, "BridgeFailed")
        assert.include(error.message, String(bridge.port))
      })
    )
  )
})
