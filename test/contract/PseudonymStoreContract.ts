/** What every store of pseudonyms must do. Run it on each layer that claims to be one. */
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { PseudonymStore } from "../../src/tokens/PseudonymStore.ts"

let tenants = 0

export const pseudonymStoreContract = <E>(name: string, store: Layer.Layer<PseudonymStore, E>) => {
  layer(store, { excludeTestServices: true, timeout: 60_000 })(`pseudonyms ${name}`, (it) => {
    const check = (
      title: string,
      body: (store: PseudonymStore, tenant: string) => Effect.Effect<void, unknown>
    ) => it.effect(title, () => Effect.flatMap(PseudonymStore, (store) => body(store, `tenant-${++tenants}`)))
    check("are the first that was given, for as long as they are known", (store, tenant) =>
      Effect.gen(function* () {
        assert.isUndefined(yield* store.find(tenant, "ada"))
        assert.strictEqual(yield* store.assign(tenant, "ada", "p1"), "p1")
        assert.strictEqual(yield* store.assign(tenant, "ada", "p2"), "p1")
        assert.strictEqual(yield* store.find(tenant, "ada"), "p1")
      })
    )
    check("belong to one user of one tenant", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.assign(tenant, "ada", "p1")
        assert.strictEqual(yield* store.assign(tenant, "bob", "p2"), "p2")
        assert.isUndefined(yield* store.find(`${tenant}-b`, "ada"))
        assert.strictEqual(yield* store.assign(`${tenant}-b`, "ada", "p3"), "p3")
        assert.strictEqual(yield* store.find(tenant, "ada"), "p1")
      })
    )
    check("are one for a user, however many ask at once", (store, tenant) =>
      Effect.gen(function* () {
        const all = yield* Effect.all(
          Array.from({ length: 30 }, (_, index) => store.assign(tenant, "ada", `p${index}`)),
          { concurrency: "unbounded" }
        )
        assert.lengthOf([...new Set(all)], 1)
      })
    )
    check("are not wanted by a tenant that nobody configured", (store, tenant) =>
      Effect.map(store.isAnonymising(tenant), (is) => assert.isFalse(is))
    )
  })
}
