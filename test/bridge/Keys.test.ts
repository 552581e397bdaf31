import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { KeyStore } from "../../src/bridge/KeyStore.ts"
import { Keys, layer as keysLayer } from "../../src/bridge/Keys.ts"
import { layerMemory } from "../../src/bridge/MemoryCredentials.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import { ADMIN, ADMIN_KEY } from "./Fixture.ts"

const withKeys = <A, E>(test: Effect.Effect<A, E, Keys | KeyStore>) =>
  test.pipe(Effect.provide(keysLayer(Redacted.make(ADMIN_KEY))), Effect.provide(layerMemory))

const adminOf = (tenant: string, attribution = {}): Principal => ({
  keyId: `admin-of-${tenant}`,
  owner: `owner-of-${tenant}`,
  tenant,
  roles: ["admin"],
  attribution,
  isInstallation: false
})

const app = { name: "k", roles: ["app"] } as const

describe("keys", () => {
  it.effect("know their holder, and show no secret to the store", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key, key_id } = yield* keys.create(
          { ...app, owner: "ada", tenant: "acme", attribution: { user_id: "u1" } },
          ADMIN
        )
        assert.match(key, new RegExp(`^bk_${key_id}_[\\w-]{43}$`, "u"))
        assert.deepStrictEqual((yield* keys.verify(key)).principal, {
          keyId: key_id,
          owner: "ada",
          tenant: "acme",
          roles: ["app"],
          attribution: { user_id: "u1" },
          isInstallation: false
        })
        const row = yield* (yield* KeyStore).find(key_id)
        assert.notInclude(JSON.stringify(row), key.slice(-43))
        assert.match(row?.hash ?? "", /^[0-9a-f]{64}$/u)
      })
    )
  )

  it.effect("are refused when any part is wrong", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key } = yield* keys.create(app, ADMIN)
        const other = yield* keys.create(app, ADMIN)
        const flipped = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`
        const mixed = `bk_${other.key_id}_${key.slice(-43)}`
        for (const wrong of [
          "",
          "bk_",
          key.slice(0, -1),
          `${key}A`,
          flipped,
          mixed,
          key.toUpperCase(),
          "installation"
        ]) {
          assert.strictEqual((yield* Effect.flip(keys.verify(wrong)))._tag, "Unauthenticated", wrong)
        }
        assert.strictEqual((yield* keys.verify(ADMIN_KEY)).principal.isInstallation, true)
      })
    )
  )

  it.effect("end at their time, also when they were verified just before", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key } = yield* keys.create({ ...app, expires_at: 10_000 }, ADMIN)
        yield* TestClock.adjust(9_999)
        yield* keys.verify(key)
        yield* TestClock.adjust(1)
        assert.include((yield* Effect.flip(keys.verify(key))).message, "expired")
        const past = yield* Effect.flip(keys.create({ ...app, expires_at: 10_000 }, ADMIN))
        assert.strictEqual(past._tag, "InvalidParams")
      })
    )
  )

  it.effect("end at once when they are revoked, and say so to whoever listens", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const ended: Array<string | undefined> = []
        const stop = keys.onEnded(({ keyId }) => ended.push(keyId))
        const { key, key_id } = yield* keys.create(app, ADMIN)
        yield* keys.verify(key)
        assert.deepStrictEqual(yield* keys.revoke({ key_id }, ADMIN), { revoked: true })
        assert.strictEqual((yield* Effect.flip(keys.verify(key)))._tag, "Unauthenticated")
        assert.deepStrictEqual(yield* keys.revoke({ key_id }, ADMIN), { revoked: true })
        assert.deepStrictEqual(ended, [key_id, key_id])
        stop()
        yield* keys.revoke({ key_id }, ADMIN)
        assert.lengthOf(ended, 2)
      })
    )
  )

  it.effect("are believed for no longer than whoever looks at them only now and then says", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key, key_id } = yield* keys.create(app, ADMIN)
        const { keyHash } = yield* keys.verify(key)
        yield* (yield* KeyStore).revoke(key_id, null, 5)
        yield* TestClock.adjust(15_000)
        yield* keys.verify(key)
        yield* keys.verifyAgain(key_id, keyHash, 15_001)
        const ended = yield* Effect.flip(keys.verifyAgain(key_id, keyHash, 15_000))
        assert.include(ended.message, "revoked")
        assert.include((yield* Effect.flip(keys.verify(key))).message, "revoked", "known once, it is known")
      })
    )
  )

  it.effect("that another process revoked end within half a minute", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key, key_id } = yield* keys.create(app, ADMIN)
        yield* keys.verify(key)
        yield* (yield* KeyStore).revoke(key_id, null, 5)
        yield* TestClock.adjust(30_000)
        assert.include((yield* Effect.flip(keys.verify(key))).message, "revoked")
      })
    )
  )

  it.effect("remember their last use, to the minute", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const store = yield* KeyStore
        const { key, key_id } = yield* keys.create(app, ADMIN)
        const lastUse = Effect.map(
          Effect.andThen(Effect.yieldNow, store.find(key_id)),
          (row) => row?.lastUsedAt
        )
        assert.isNull(yield* lastUse)
        yield* TestClock.adjust(1000)
        yield* keys.verify(key)
        assert.strictEqual(yield* lastUse, 1000)
        yield* TestClock.adjust(59_999)
        yield* keys.verify(key)
        assert.strictEqual(yield* lastUse, 1000)
        yield* TestClock.adjust(1)
        yield* keys.verify(key)
        assert.strictEqual(yield* lastUse, 61_000)
      })
    )
  )
})

describe("create_key", () => {
  it.effect("with the same request_id answers the same key, and refuses other content", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const payload = { ...app, request_id: "r1", attribution: { tags: { a: "1", b: "2" } } }
        const first = yield* keys.create(payload, ADMIN)
        yield* TestClock.adjust(3_600_000)
        const reordered = { ...payload, attribution: { tags: { b: "2", a: "1" } } }
        assert.deepStrictEqual(yield* keys.create(reordered, ADMIN), first)
        assert.strictEqual((yield* keys.verify(first.key)).principal.keyId, first.key_id)
        for (const other of [
          { ...payload, name: "x" },
          { ...payload, roles: ["admin"] as const },
          { ...payload, tenant: "t" }
        ]) {
          const error = yield* Effect.flip(keys.create(other, ADMIN))
          assert.deepInclude(error, { _tag: "Conflict", reason: "request_reused_with_different_content" })
        }
        assert.notStrictEqual((yield* keys.create(payload, adminOf("acme"))).key_id, first.key_id)
        const [one, two] = [yield* keys.create(app, ADMIN), yield* keys.create(app, ADMIN)]
        assert.notStrictEqual(one.key, two.key)
      })
    )
  )

  it.effect("of a key that was revoked since says so, and does not hand it out again", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const payload = { ...app, request_id: "r1" }
        const { key_id } = yield* keys.create(payload, ADMIN)
        yield* keys.revoke({ key_id }, ADMIN)
        const error = yield* Effect.flip(keys.create(payload, ADMIN))
        assert.deepInclude(error, { _tag: "Conflict", reason: "key_ended" })
        assert.include(error.message, `${key_id}, which was revoked since: take a new request_id`)
        const again = yield* keys.create({ ...payload, request_id: "r2" }, ADMIN)
        assert.notStrictEqual(again.key_id, key_id)
      })
    )
  )

  it.effect("answers parallel repeats of one request with one key", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const made = yield* Effect.all(
          Array.from({ length: 8 }, () => keys.create({ ...app, request_id: "r1" }, ADMIN)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(made.map(({ key }) => key)).size, 1)
        assert.lengthOf((yield* keys.list({ limit: 100 }, ADMIN)).items, 1)
      })
    )
  )

  it.effect("makes keys for another tenant only for the installation", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const acme = adminOf("acme")
        const error = yield* Effect.flip(keys.create({ ...app, tenant: "other" }, acme))
        assert.strictEqual(error._tag, "Forbidden")
        const own = yield* keys.create({ ...app, tenant: "acme" }, acme)
        assert.strictEqual((yield* keys.verify(own.key)).principal.tenant, "acme")
        assert.strictEqual((yield* keys.verify(own.key)).principal.owner, "owner-of-acme")
      })
    )
  )

  it.effect("hands the maker's forced attribution on, and lets nobody out of it", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const maker = adminOf("acme", { team_id: "t1", tags: { env: "prod" } })
        const { key } = yield* keys.create({ ...app, attribution: { user_id: "u", tags: { x: "1" } } }, maker)
        assert.deepStrictEqual((yield* keys.verify(key)).principal.attribution, {
          team_id: "t1",
          user_id: "u",
          tags: { env: "prod", x: "1" }
        })
        for (const attribution of [{ team_id: "t2" }, { tags: { env: "dev" } }]) {
          assert.strictEqual(
            (yield* Effect.flip(keys.create({ ...app, attribution }, maker)))._tag,
            "Forbidden"
          )
        }
      })
    )
  )
})

describe("list_keys and revoke_key", () => {
  it.effect("see one's own tenant; the installation's key sees every tenant", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        const acme = adminOf("acme")
        const mine = yield* keys.create({ ...app, name: "mine" }, acme)
        const theirs = yield* keys.create({ ...app, name: "theirs" }, adminOf("other"))
        const namesOf = (principal: Principal) =>
          Effect.map(keys.list({ limit: 100 }, principal), ({ items }) =>
            items.map(({ name }) => name).sort()
          )
        assert.deepStrictEqual(yield* namesOf(acme), ["mine"])
        assert.deepStrictEqual(yield* namesOf(ADMIN), ["mine", "theirs"])
        const foreign = yield* Effect.flip(keys.revoke({ key_id: theirs.key_id }, acme))
        const unknown = yield* Effect.flip(keys.revoke({ key_id: "0".repeat(18) }, acme))
        const nameless = (text: string, id: string) => text.replaceAll(id, "ID")
        assert.strictEqual(
          nameless(JSON.stringify(foreign), theirs.key_id),
          nameless(JSON.stringify(unknown), "0".repeat(18))
        )
        assert.isDefined(yield* keys.verify(theirs.key))
        assert.deepStrictEqual(yield* keys.revoke({ key_id: mine.key_id }, ADMIN), { revoked: true })
        assert.strictEqual(
          (yield* Effect.flip(keys.revoke({ key_id: "installation" }, ADMIN)))._tag,
          "NotFound"
        )
      })
    )
  )

  it.effect("page without repeating or skipping, and refuse a made-up cursor", () =>
    withKeys(
      Effect.gen(function* () {
        const keys = yield* Keys
        for (const name of ["a", "b", "c", "d", "e"]) {
          yield* keys.create({ ...app, name }, ADMIN)
          yield* TestClock.adjust(name === "b" ? 0 : 1)
        }
        const seen: Array<string> = []
        let cursor: string | null | undefined
        while (cursor !== null) {
          const page = yield* keys.list({ limit: 2, ...(cursor === undefined ? {} : { cursor }) }, ADMIN)
          seen.push(...page.items.map(({ name }) => name))
          cursor = page.next_cursor
          yield* keys.create({ ...app, name: "later" }, ADMIN)
        }
        assert.deepStrictEqual(seen.toSorted(), ["a", "b", "c", "d", "e"])
        assert.strictEqual(
          (yield* Effect.flip(keys.list({ limit: 2, cursor: "made up" }, ADMIN)))._tag,
          "InvalidParams"
        )
      })
    )
  )
})
