import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Bridge } from "../../src/bridge/Bridge.ts"
import { Keys, layer as keysLayer } from "../../src/bridge/Keys.ts"
import { layerMemory } from "../../src/bridge/MemoryCredentials.ts"
import { LINK_TTL_MS, makeOneTimeLinks } from "../../src/bridge/OneTimeLinks.ts"
import { make as makeSessions, SESSION_TTL_MS } from "../../src/bridge/Sessions.ts"
import { ADMIN, ADMIN_KEY, http, makeKey, openClient, startBridge, withBridge } from "./Fixture.ts"

const signIn = (bridge: Bridge, key: string, headers: Record<string, string> = {}) =>
  http(`${bridge.url}/session`, { method: "POST", headers: { Authorization: `Bearer ${key}`, ...headers } })

const cookieIn = (headers: Headers): string => headers.get("set-cookie")?.split(";")[0] ?? ""

const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "release_hold", params: { hold_id: "h" } })

const post = (bridge: Bridge, headers: Record<string, string>) =>
  http(`${bridge.url}/signals`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: call
  })

describe("sessions over HTTP", () => {
  it.live("opens a session for a key, with a cookie that scripts and other sites cannot use", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge()
        const { key } = yield* makeKey(bridge, { roles: ["app"], tenant: "acme" })
        const answer = yield* signIn(bridge, key)
        assert.strictEqual(answer.status, 200)
        assert.deepStrictEqual(answer.json.tenant, "acme")
        assert.match(
          answer.headers.get("set-cookie") ?? "",
          new RegExp(
            `^bursar_${bridge.port}=[\\w-]{43}; Path=/; Max-Age=43(200|199); HttpOnly; SameSite=Strict$`,
            "u"
          )
        )
        assert.strictEqual((yield* signIn(bridge, "wrong")).status, 401)
        assert.strictEqual((yield* http(`${bridge.url}/session`, { method: "POST" })).status, 401)
      })
    )
  )

  it.live("is Secure only when a trusted proxy says that it speaks TLS", () =>
    withBridge(
      Effect.gen(function* () {
        const plain = yield* startBridge()
        const trusting = yield* startBridge({ trustsProxy: true })
        const secure = { "X-Forwarded-Proto": "https" }
        const setCookie = (bridge: Bridge, headers: Record<string, string>) =>
          Effect.map(signIn(bridge, ADMIN_KEY, headers), (answer) => answer.headers.get("set-cookie") ?? "")
        assert.notInclude(yield* setCookie(plain.bridge, secure), "Secure")
        assert.include(yield* setCookie(trusting.bridge, secure), "; Secure")
        assert.notInclude(yield* setCookie(trusting.bridge, {}), "Secure")
      })
    )
  )

  it.live("takes a cookie only with an Origin of ours", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, wsUrl } = yield* startBridge({ allowedOrigins: ["https://console.example"] })
        const Cookie = cookieIn((yield* signIn(bridge, ADMIN_KEY)).headers)
        const statusWith = (headers: Record<string, string>) =>
          Effect.map(post(bridge, { Cookie, ...headers }), ({ status }) => status)
        assert.strictEqual(yield* statusWith({ Origin: bridge.url }), 200)
        assert.strictEqual(yield* statusWith({ Origin: "https://console.example" }), 200)
        assert.strictEqual(yield* statusWith({}), 403)
        assert.strictEqual(yield* statusWith({ Origin: "null" }), 403)
        assert.strictEqual(yield* statusWith({ Origin: "http://evil.example" }), 403)
        assert.strictEqual(yield* statusWith({ Origin: `http://127.0.0.1:${bridge.port + 1}` }), 403)
        assert.strictEqual(yield* statusWith({ Origin: bridge.url.replace("http", "https") }), 403)
        const forged = { Cookie: `${Cookie.split("=")[0]}=${"a".repeat(43)}`, Origin: bridge.url }
        assert.strictEqual((yield* post(bridge, forged)).status, 401)
        const client = yield* openClient(wsUrl, {
          protocols: ["bursar.v1"],
          headers: { Cookie, Origin: bridge.url }
        })
        assert.deepStrictEqual((yield* client.call("release_hold", { hold_id: "h" })).result, {
          released: true
        })
        for (const headers of [{ Cookie }, { Cookie, Origin: "http://evil.example" }]) {
          assert.strictEqual((yield* Effect.flip(openClient(wsUrl, { headers }))).status, 403)
        }
      })
    )
  )

  it.live("tells a signed-in page who it is, and nobody else", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge({ about: { version: "1.2.3", playground: true } })
        const Cookie = cookieIn((yield* signIn(bridge, ADMIN_KEY)).headers)
        const get = (headers: Record<string, string>) => http(`${bridge.url}/console.json`, { headers })
        assert.strictEqual((yield* get({})).status, 401)
        assert.strictEqual((yield* get({ Cookie })).status, 403)
        const { json } = yield* get({ Cookie, Origin: bridge.url })
        assert.deepInclude(json, { tenant: "default", version: "1.2.3", playground: true, roles: ["admin"] })
      })
    )
  )

  it.live("ends with DELETE /session, and closes the sockets that rest on it", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, wsUrl } = yield* startBridge()
        const headers = { Cookie: cookieIn((yield* signIn(bridge, ADMIN_KEY)).headers), Origin: bridge.url }
        const other = { ...headers, Cookie: cookieIn((yield* signIn(bridge, ADMIN_KEY)).headers) }
        const client = yield* openClient(wsUrl, { headers })
        const untouched = yield* openClient(wsUrl, { headers: other })
        const ended = yield* http(`${bridge.url}/session`, { method: "DELETE", headers })
        assert.strictEqual(ended.status, 204)
        assert.include(ended.headers.get("set-cookie"), "Max-Age=0")
        assert.strictEqual((yield* client.closed).code, 4001)
        assert.strictEqual((yield* post(bridge, headers)).status, 401)
        assert.isDefined((yield* untouched.call("release_hold", { hold_id: "h" })).result)
        const byKey = { Authorization: `Bearer ${ADMIN_KEY}` }
        assert.strictEqual(
          (yield* http(`${bridge.url}/session`, { method: "DELETE", headers: byKey })).status,
          400
        )
      })
    )
  )

  it.live("survives a restart of the server", () =>
    withBridge(
      Effect.gen(function* () {
        const first = yield* Scope.make()
        const before = yield* startBridge().pipe(Effect.provideService(Scope.Scope, first))
        const Cookie = cookieIn((yield* signIn(before.bridge, ADMIN_KEY)).headers)
        yield* Scope.close(first, Exit.void)
        const { bridge } = yield* startBridge({ port: before.bridge.port })
        assert.strictEqual((yield* post(bridge, { Cookie, Origin: bridge.url })).status, 200)
      })
    )
  )

  it.live("is void when the installation's key was replaced", () =>
    withBridge(
      Effect.gen(function* () {
        const first = yield* Scope.make()
        const before = yield* startBridge().pipe(Effect.provideService(Scope.Scope, first))
        const Cookie = cookieIn((yield* signIn(before.bridge, ADMIN_KEY)).headers)
        yield* Scope.close(first, Exit.void)
        const { bridge } = yield* startBridge({
          port: before.bridge.port,
          adminKey: Redacted.make("another")
        })
        assert.strictEqual((yield* post(bridge, { Cookie, Origin: bridge.url })).status, 401)
      })
    )
  )

  it.live("opens by a one-time link, once", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge } = yield* startBridge()
        const link = bridge.oneTimeLink()
        assert.strictEqual((yield* http(link, { method: "HEAD" })).status, 404)
        const opened = yield* http(link)
        assert.deepStrictEqual([opened.status, opened.headers.get("location")], [303, "/"])
        const Cookie = cookieIn(opened.headers)
        assert.strictEqual((yield* post(bridge, { Cookie, Origin: bridge.url })).status, 200)
        const again = yield* http(link)
        assert.deepStrictEqual([again.status, again.headers.get("set-cookie")], [403, null])
        assert.strictEqual((yield* http(`${bridge.url}/?code=guess`)).status, 403)
        assert.strictEqual((yield* http(`${bridge.url}/?code=`)).status, 403)
      })
    )
  )
})

describe("one-time links", () => {
  it("are good for five minutes, and once", () => {
    const links = makeOneTimeLinks()
    const [early, late, twice] = [links.issue(0), links.issue(0), links.issue(0)]
    assert.isTrue(links.redeem(early, LINK_TTL_MS - 1))
    assert.isFalse(links.redeem(late, LINK_TTL_MS))
    assert.isFalse(links.redeem(twice, LINK_TTL_MS))
    assert.isFalse(links.redeem(early, 1))
  })
  it("are bounded", () => {
    const links = makeOneTimeLinks()
    const first = links.issue(0)
    for (let count = 0; count < 100; count++) links.issue(0)
    assert.isFalse(links.redeem(first, 1))
  })
})

describe("a session's life", () => {
  const withSessions = <A, E>(test: Effect.Effect<A, E, Keys | Effect.Services<typeof makeSessions>>) =>
    test.pipe(Effect.provide(keysLayer(Redacted.make(ADMIN_KEY))), Effect.provide(layerMemory))

  it.effect("is 12 hours", () =>
    withSessions(
      Effect.gen(function* () {
        const sessions = yield* makeSessions
        const credential = yield* (yield* Keys).verify(ADMIN_KEY)
        const { token } = yield* sessions.open(credential)
        yield* TestClock.adjust(SESSION_TTL_MS - 1)
        assert.deepStrictEqual((yield* sessions.verify(token)).principal, ADMIN)
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Effect.flip(sessions.verify(token)))._tag, "Unauthenticated")
      })
    )
  )

  it.effect("ends with its key", () =>
    withSessions(
      Effect.gen(function* () {
        const keys = yield* Keys
        const sessions = yield* makeSessions
        const expiring = yield* keys.create({ name: "k", roles: ["app"], expires_at: 60_000 }, ADMIN)
        const revoked = yield* keys.create({ name: "k", roles: ["app"] }, ADMIN)
        const first = yield* sessions.open(yield* keys.verify(expiring.key))
        const second = yield* sessions.open(yield* keys.verify(revoked.key))
        assert.strictEqual(first.expiresAt, 60_000)
        yield* keys.revoke({ key_id: revoked.key_id }, ADMIN)
        assert.strictEqual((yield* Effect.flip(sessions.verify(second.token)))._tag, "Unauthenticated")
        yield* TestClock.adjust(60_000)
        assert.strictEqual((yield* Effect.flip(sessions.verify(first.token)))._tag, "Unauthenticated")
      })
    )
  )
})
