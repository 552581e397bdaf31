/** What every store of dead letters must do. Run it on each layer that claims to be one. */
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { DeadLetterStore, LETTERS_KEPT, type NewLetter } from "../../src/actor/DeadLetterStore.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"

let tenants = 0

const letter = (tenant: string, number: number, more: Partial<NewLetter> = {}): NewLetter => ({
  address: "bridge",
  signal: "track_usage",
  principal: installationPrincipal(tenant, "key_1"),
  at: 1_000 + number,
  why: `because of ${number}`,
  preview: `{request_id:"r${number}"}`,
  params: JSON.stringify({ request_id: `r${number}` }),
  ...more
})

const numbered = (tenant: string, from: number, to: number): ReadonlyArray<NewLetter> =>
  Array.from({ length: to - from + 1 }, (_, index) => letter(tenant, from + index))

export const deadLetterStoreContract = <E>(name: string, store: Layer.Layer<DeadLetterStore, E>) => {
  layer(store, { excludeTestServices: true, timeout: 60_000 })(`dead letters ${name}`, (it) => {
    const check = (
      title: string,
      body: (store: DeadLetterStore, tenant: string) => Effect.Effect<void, unknown>
    ) =>
      it.effect(title, () => Effect.flatMap(DeadLetterStore, (store) => body(store, `tenant-${++tenants}`)))
    check("are kept whole, the newest first, in pages, and by what was sent where", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, numbered(tenant, 1, 3), 0)
        yield* store.add(
          tenant,
          [letter(tenant, 4, { signal: "complete", address: "provider/x", params: null })],
          0
        )
        const all = yield* store.page(tenant, { limit: 10 })
        assert.deepStrictEqual(
          all.letters.map(({ seq, why }) => `${seq} ${why}`),
          ["4 because of 4", "3 because of 3", "2 because of 2", "1 because of 1"]
        )
        assert.strictEqual(all.dropped, 0)
        assert.deepStrictEqual(all.letters[3], { ...letter(tenant, 1), seq: 1 })
        assert.isNull(all.letters[0]?.params)
        const seqs = (filter: object) =>
          Effect.map(store.page(tenant, { limit: 10, ...filter }), ({ letters }) =>
            letters.map(({ seq }) => seq)
          )
        assert.deepStrictEqual(yield* seqs({ before: 3 }), [2, 1])
        assert.deepStrictEqual(yield* seqs({ limit: 1 }), [4])
        assert.deepStrictEqual(yield* seqs({ signal: "complete" }), [4])
        assert.deepStrictEqual(yield* seqs({ address: "bridge", before: 2 }), [1])
        assert.deepStrictEqual(yield* store.find(tenant, 2), { ...letter(tenant, 2), seq: 2 })
      })
    )

    check("say something else once they are rewritten, and those that are gone stay gone", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, numbered(tenant, 1, 3), 0)
        yield* store.settle(tenant, 2, true)
        const principal = { ...installationPrincipal(tenant, "key_1"), attribution: { user_id: "anon" } }
        const written = [1, 2].map((seq) => ({
          ...letter(tenant, seq, { principal, why: "w", preview: "p", params: seq === 1 ? "{}" : null }),
          seq
        }))
        yield* store.rewrite(tenant, written)
        yield* store.rewrite(`${tenant}-b`, [{ ...letter(tenant, 3, { why: "not here" }), seq: 3 }])
        assert.deepStrictEqual(yield* store.find(tenant, 1), written[0])
        assert.isUndefined(yield* store.find(tenant, 2))
        assert.deepStrictEqual(yield* store.find(tenant, 3), { ...letter(tenant, 3), seq: 3 })
        assert.isTrue(yield* store.claim(tenant, 1, 0, 10))
      })
    )

    check("are a tenant's own", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, numbered(tenant, 1, 2), 0)
        assert.deepStrictEqual(yield* store.page(`${tenant}-b`, { limit: 10 }), { letters: [], dropped: 0 })
        assert.isUndefined(yield* store.find(`${tenant}-b`, 1))
        assert.isFalse(yield* store.claim(`${tenant}-b`, 1, 0, 10))
        yield* store.settle(`${tenant}-b`, 1, true)
        assert.isDefined(yield* store.find(tenant, 1))
      })
    )

    check("are bounded: the oldest go, and are counted with those that were never kept", (store, tenant) =>
      Effect.gen(function* () {
        for (let from = 1; from <= LETTERS_KEPT; from += 200)
          yield* store.add(tenant, numbered(tenant, from, from + 199), 0)
        yield* store.settle(tenant, 500, true)
        yield* store.add(tenant, numbered(tenant, 1, 30), 7)
        const { letters, dropped } = yield* store.page(tenant, { limit: LETTERS_KEPT })
        assert.strictEqual(letters.length, LETTERS_KEPT - 1)
        assert.strictEqual(letters.at(-1)?.seq, 31)
        assert.strictEqual(dropped, 37)
      })
    )

    check("are sent again by one at a time, and gone when that worked", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, numbered(tenant, 1, 2), 0)
        const claims = yield* Effect.all(
          Array.from({ length: 10 }, () => store.claim(tenant, 1, 1_000, 2_000)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(claims.filter((mine) => mine).length, 1)
        assert.isFalse(yield* store.claim(tenant, 1, 1_999, 9_000))
        assert.isTrue(yield* store.claim(tenant, 1, 2_000, 9_000), "whoever had it has died")
        yield* store.settle(tenant, 1, false)
        assert.isTrue(yield* store.claim(tenant, 1, 2_001, 9_000))
        yield* store.settle(tenant, 1, true)
        yield* store.settle(tenant, 1, true)
        assert.isFalse(yield* store.claim(tenant, 1, 99_999, 100_000))
        const { letters, dropped } = yield* store.page(tenant, { limit: 10 })
        assert.deepStrictEqual([letters.map(({ seq }) => seq), dropped], [[2], 0])
      })
    )

    check("keep what Postgres would refuse, readable", (store, tenant) =>
      Effect.gen(function* () {
        const hostile = {
          why: "a\u0000b",
          preview: "\uD800",
          params: JSON.stringify({ text: "\u0000\uD800" })
        }
        yield* store.add(tenant, [letter(tenant, 1, hostile)], 0)
        const found = yield* store.find(tenant, 1)
        assert.deepStrictEqual(JSON.parse(found?.params ?? ""), { text: "\u0000\uD800" })
      })
    )
  })
}
