/**
 * What every store of keys and sessions must do. Run it on each layer that claims to be one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Layer } from "effect"
import { type KeyRow, KeyStore } from "../../src/bridge/KeyStore.ts"
import { type SessionRow, SessionStore } from "../../src/bridge/SessionStore.ts"

const key = (id: string, fields: Partial<KeyRow> = {}): KeyRow => ({
  id,
  name: `key ${id}`,
  roles: ["app"],
  owner: "ada",
  attribution: {},
  tenant: "acme",
  hash: "00ff",
  createdAt: 1_700_000_000_000,
  expiresAt: null,
  lastUsedAt: null,
  revokedAt: null,
  request: null,
  ...fields
})

const session = (hash: string, fields: Partial<SessionRow> = {}): SessionRow => ({
  hash,
  keyId: "k1",
  keyHash: "00ff",
  createdAt: 1_700_000_000_000,
  expiresAt: 1_700_000_100_000,
  ...fields
})

const ids = (rows: ReadonlyArray<KeyRow>) => rows.map((row) => row.id)

/** `layer` must give an empty store each time that it is built. */
export const keyStoreContract = <E>(name: string, layer: Layer.Layer<KeyStore | SessionStore, E>) => {
  const check = (title: string, body: Effect.Effect<void, unknown, KeyStore | SessionStore>) =>
    it.live(title, () => body.pipe(Effect.provide(layer)))

  describe(`${name}: keys`, () => {
    check(
      "keeps every field of a key",
      Effect.gen(function* () {
        const store = yield* KeyStore
        const row = key("k1", {
          name: 'Ünï "quoted" 🙂',
          roles: ["app", "analyst"],
          attribution: { user_id: "u1", tags: { env: "prod", "a.b": "'; drop table keys; --" } },
          expiresAt: 1_800_000_000_123,
          request: { tenant: "default", id: "r1", digest: "d1" }
        })
        assert.deepStrictEqual(yield* store.insert(row), row)
        assert.deepStrictEqual(yield* store.find("k1"), row)
        assert.isUndefined(yield* store.find("k2"))
      })
    )
    check(
      "answers the earlier key of the same request, and changes nothing",
      Effect.gen(function* () {
        const store = yield* KeyStore
        const request = { tenant: "acme", id: "r1", digest: "d1" }
        const first = yield* store.insert(key("k1", { request }))
        const again = yield* store.insert(key("k2", { request: { ...request, digest: "d2" } }))
        const elsewhere = yield* store.insert(key("k3", { request: { ...request, tenant: "other" } }))
        assert.deepStrictEqual(again, first)
        assert.strictEqual(elsewhere.id, "k3")
        assert.isUndefined(yield* store.find("k2"))
      })
    )
    check(
      "lets exactly one of parallel inserts of one request win",
      Effect.gen(function* () {
        const store = yield* KeyStore
        const request = { tenant: "acme", id: "r1", digest: "d1" }
        const fibers = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, index) => `k${index}`),
          (id) => Effect.forkChild(store.insert(key(id, { request })))
        )
        const winners = new Set(ids(yield* Effect.forEach(fibers, Fiber.join)))
        assert.strictEqual(winners.size, 1)
        assert.deepStrictEqual(ids(yield* store.list("acme", null, 10)), [...winners])
      })
    )
    check(
      "lists newest first, by tenant, in pages that neither repeat nor skip",
      Effect.gen(function* () {
        const store = yield* KeyStore
        yield* store.insert(key("a", { createdAt: 1000 }))
        yield* store.insert(key("b", { createdAt: 3000 }))
        yield* store.insert(key("c", { createdAt: 2000 }))
        yield* store.insert(key("d", { createdAt: 2000 }))
        yield* store.insert(key("x", { createdAt: 2500, tenant: "other" }))
        const first = yield* store.list("acme", null, 2)
        assert.deepStrictEqual(ids(first), ["b", "d"])
        yield* store.insert(key("later", { createdAt: 4000 }))
        const rest = yield* store.list("acme", { createdAt: 2000, id: "d" }, 10)
        assert.deepStrictEqual(ids(rest), ["c", "a"])
        assert.deepStrictEqual(ids(yield* store.list(null, null, 10)), ["later", "b", "x", "d", "c", "a"])
      })
    )
    check(
      "revokes once, only in the right tenant, and keeps the first time",
      Effect.gen(function* () {
        const store = yield* KeyStore
        yield* store.insert(key("k1"))
        assert.isFalse(yield* store.revoke("k1", "other", 5000))
        assert.isFalse(yield* store.revoke("unknown", "acme", 5000))
        assert.isNull((yield* store.find("k1"))?.revokedAt)
        assert.isTrue(yield* store.revoke("k1", "acme", 5000))
        assert.isTrue(yield* store.revoke("k1", null, 6000))
        assert.strictEqual((yield* store.find("k1"))?.revokedAt, 5000)
        assert.deepStrictEqual(ids(yield* store.list("acme", null, 10)), ["k1"])
      })
    )
    check(
      "moves the last use forward, never back",
      Effect.gen(function* () {
        const store = yield* KeyStore
        yield* store.insert(key("k1"))
        yield* store.touch("k1", 5000)
        yield* store.touch("k1", 4000)
        yield* store.touch("unknown", 4000)
        assert.strictEqual((yield* store.find("k1"))?.lastUsedAt, 5000)
      })
    )
  })

  describe(`${name}: sessions`, () => {
    check(
      "keeps a session until it is removed",
      Effect.gen(function* () {
        const store = yield* SessionStore
        yield* store.insert(session("aa"))
        assert.deepStrictEqual(yield* store.find("aa"), session("aa"))
        yield* store.remove("aa")
        yield* store.remove("aa")
        assert.isUndefined(yield* store.find("aa"))
      })
    )
    check(
      "removes all sessions of a key, and no others",
      Effect.gen(function* () {
        const store = yield* SessionStore
        yield* store.insert(session("aa"))
        yield* store.insert(session("bb"))
        yield* store.insert(session("cc", { keyId: "k2" }))
        yield* store.removeOfKey("k1")
        assert.isUndefined(yield* store.find("aa"))
        assert.isUndefined(yield* store.find("bb"))
        assert.deepStrictEqual(yield* store.find("cc"), session("cc", { keyId: "k2" }))
      })
    )
    check(
      "forgets what has expired",
      Effect.gen(function* () {
        const store = yield* SessionStore
        yield* store.insert(session("aa", { expiresAt: 2000 }))
        yield* store.insert(session("bb", { expiresAt: 2001 }))
        yield* store.removeExpired(2000)
        assert.isUndefined(yield* store.find("aa"))
        assert.isDefined(yield* store.find("bb"))
      })
    )
  })
}
