/** Who made a key and who ended one is noted, in which order, and what is left where it cannot be. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { KeyAudit, type KeyChange } from "../../src/bridge/KeyAudit.ts"
import { KeyStore } from "../../src/bridge/KeyStore.ts"
import { Keys, layer as keysLayer } from "../../src/bridge/Keys.ts"
import { layerMemory } from "../../src/bridge/MemoryCredentials.ts"
import { Unavailable } from "../../src/signal/Errors.ts"
import { ADMIN, ADMIN_KEY } from "./Fixture.ts"

/** A trail that can be away. */
class Trail {
  readonly noted: Array<KeyChange> = []
  isAway = false
  readonly record = (change: KeyChange): Effect.Effect<void, Unavailable> =>
    Effect.suspend(() => {
      if (this.isAway) return Effect.fail(new Unavailable({ message: "away", retry_after_ms: 1 }))
      this.noted.push(change)
      return Effect.void
    })
}

const withTrail = (test: (trail: Trail) => Effect.Effect<void, unknown, Keys | KeyStore>) => {
  const trail = new Trail()
  return test(trail).pipe(
    Effect.provide(keysLayer(Redacted.make(ADMIN_KEY))),
    Effect.provide(Layer.succeed(KeyAudit, trail)),
    Effect.provide(layerMemory)
  )
}

const PAYLOAD = { name: "k", roles: ["app"], tenant: "acme", owner: "ada" } as const

describe("a key that is made and ended", () => {
  it.effect("is noted in its own tenant's trail, without its secret", () =>
    withTrail((trail) =>
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key, key_id } = yield* keys.create(PAYLOAD, ADMIN)
        yield* keys.revoke({ key_id }, ADMIN)
        const shown = {
          key_id,
          name: "k",
          roles: ["app"],
          owner: "ada",
          attribution: {},
          tenant: "acme",
          created_at: "1970-01-01T00:00:00.000Z",
          expires_at: null,
          revoked_at: null
        }
        const whose = { principal: ADMIN, tenant: "acme", keyId: key_id }
        assert.deepStrictEqual(trail.noted, [
          { action: "create_key", ...whose, before: null, after: shown },
          {
            action: "revoke_key",
            ...whose,
            before: shown,
            after: { ...shown, revoked_at: "1970-01-01T00:00:00.000Z" }
          }
        ])
        const row = yield* (yield* KeyStore).find(key_id)
        for (const secret of [key, key.slice(-43), row?.hash ?? ""]) {
          assert.notInclude(JSON.stringify(trail.noted), secret)
        }
      })
    )
  )

  it.effect("nobody gets a key that could not be noted; sent again, it is noted and answered", () =>
    withTrail((trail) =>
      Effect.gen(function* () {
        const keys = yield* Keys
        trail.isAway = true
        const payload = { ...PAYLOAD, request_id: "once" }
        assert.strictEqual((yield* Effect.flip(keys.create(payload, ADMIN)))._tag, "Unavailable")
        trail.isAway = false
        const first = yield* keys.create(payload, ADMIN)
        const second = yield* keys.create(payload, ADMIN)
        assert.deepStrictEqual(second, first)
        assert.lengthOf((yield* keys.list({ limit: 10 }, ADMIN)).items, 1)
        // The same change is sent again: the trail notes it once.
        assert.deepStrictEqual(trail.noted[1], trail.noted[0])
      })
    )
  )

  it.effect("a key ends also when that cannot be noted, and is noted when it is revoked again", () =>
    withTrail((trail) =>
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key, key_id } = yield* keys.create(PAYLOAD, ADMIN)
        trail.isAway = true
        assert.strictEqual((yield* Effect.flip(keys.revoke({ key_id }, ADMIN)))._tag, "Unavailable")
        assert.strictEqual((yield* Effect.flip(keys.verify(key)))._tag, "Unauthenticated")
        trail.isAway = false
        yield* keys.revoke({ key_id }, ADMIN)
        assert.deepStrictEqual(
          trail.noted.map(({ action }) => action),
          ["create_key", "revoke_key"]
        )
      })
    )
  )

  it.effect("nothing is noted of what is refused", () =>
    withTrail((trail) =>
      Effect.gen(function* () {
        const keys = yield* Keys
        const { key_id } = yield* keys.create(PAYLOAD, ADMIN)
        const stranger = { ...ADMIN, tenant: "globex", isInstallation: false }
        assert.strictEqual((yield* Effect.flip(keys.revoke({ key_id }, stranger)))._tag, "NotFound")
        assert.strictEqual((yield* Effect.flip(keys.create(PAYLOAD, stranger)))._tag, "Forbidden")
        assert.lengthOf(trail.noted, 1)
      })
    )
  )
})
