/** What every store of refusals must do. Run it on each layer that claims to be one. */
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { Violation } from "../../src/signal/Errors.ts"
import type { RefusedRequest } from "../../src/signal/KeptRefusals.ts"
import {
  type NewRefusal,
  REFUSAL_WINDOW_MS,
  REFUSALS_KEPT,
  type RefusalFilter,
  RefusalStore
} from "../../src/tokens/RefusalStore.ts"

let tenants = 0

/** The beginning of an hour of the clock. */
const HOUR = 500_000 * REFUSAL_WINDOW_MS

const violation = (budget_id: string): Violation => ({
  budget_id,
  name: "daily",
  type: "user",
  entity_id: "ann",
  measure: "cost",
  currency: "USD",
  limit: 10n,
  spent: 9_000_000_000_001n,
  held: 1n,
  remaining: -8_999_999_999_992n,
  percent_used: 12.5,
  state: "exceeded",
  resets_at: null,
  requested: 5n,
  shortfall: 7n,
  override: "none"
})

const requestOf = (n: number, more: Partial<RefusedRequest> = {}): RefusedRequest => ({
  request_id: `r${n}`,
  signal: "check_budget",
  kind: "no_room",
  principal: "key_1",
  owner: "ada",
  attribution: { user_id: "ann" },
  provider: "openai",
  model: "gpt-4o",
  estimated_tokens: 12,
  estimated_cost: 5n,
  currency: "USD",
  reason: `because of ${n}`,
  violations: [violation("budget_1")],
  more_violations: 0,
  retry_at: HOUR + 9_999_999,
  alternatives: [{ provider: "openai", model: "small", estimated_cost: 1n }],
  ...more
})

const refusal = (
  n: number,
  more: Partial<RefusedRequest> = {},
  when: Partial<NewRefusal> = {}
): NewRefusal => ({
  digest: "d",
  firstAt: HOUR + n,
  lastAt: HOUR + n,
  count: 1,
  request: requestOf(n, more),
  ...when
})

const numbered = (from: number, to: number): ReadonlyArray<NewRefusal> =>
  Array.from({ length: to - from + 1 }, (_, index) => refusal(from + index))

export const refusalStoreContract = <E>(name: string, store: Layer.Layer<RefusalStore, E>) => {
  const seqs = (store: RefusalStore, tenant: string, filter: Partial<RefusalFilter> = {}) =>
    Effect.map(store.page(tenant, { limit: 10, ...filter }), ({ refusals }) => refusals.map(({ seq }) => seq))

  layer(store, { excludeTestServices: true, timeout: 60_000 })(`refusals ${name}`, (it) => {
    const check = (
      title: string,
      body: (store: RefusalStore, tenant: string) => Effect.Effect<void, unknown>
    ) => it.effect(title, () => Effect.flatMap(RefusalStore, (store) => body(store, `tenant-${++tenants}`)))
    check("are kept whole, the newest first, and are a tenant's own", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, numbered(1, 2), 0)
        yield* store.add(tenant, [refusal(3)], 2)
        const { refusals, dropped } = yield* store.page(tenant, { limit: 10 })
        assert.deepStrictEqual(
          refusals,
          [3, 2, 1].map((seq) => ({ ...refusal(seq), seq }))
        )
        assert.strictEqual(dropped, 2)
        const other = yield* store.page(`${tenant}-b`, { limit: 10 })
        assert.deepStrictEqual(other, { refusals: [], dropped: 0 })
        yield* store.rewrite(`${tenant}-b`, [{ seq: 1, request: requestOf(9) }])
        assert.strictEqual(yield* store.removeOld(`${tenant}-b`, HOUR * 2), 0)
        assert.deepStrictEqual(yield* seqs(store, tenant), [3, 2, 1])
        assert.deepStrictEqual((yield* store.page(tenant, { limit: 10 })).refusals[2]?.request, requestOf(1))
      })
    )

    check("are found by each filter, alone and together", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(
          tenant,
          [
            refusal(1),
            refusal(2, { attribution: { team_id: "red", tags: { env: "prod", more: "x" } } }),
            refusal(3, { violations: [violation("budget_2"), violation("budget_1")] }),
            refusal(4, { violations: [] }, { firstAt: HOUR + 4, lastAt: HOUR + 40 })
          ],
          0
        )
        const table: ReadonlyArray<readonly [Partial<RefusalFilter>, ReadonlyArray<number>]> = [
          [{}, [4, 3, 2, 1]],
          [{ limit: 2 }, [4, 3]],
          [{ before: 3 }, [2, 1]],
          [{ requestId: "r2" }, [2]],
          [{ budgetId: "budget_1" }, [3, 2, 1]],
          [{ budgetId: "budget_2" }, [3]],
          [{ budgetId: "budget" }, []],
          [{ from: HOUR + 2 }, [4, 3, 2]],
          [{ from: HOUR + 40 }, [4]],
          [{ from: HOUR + 41 }, []],
          [{ to: HOUR + 4 }, [3, 2, 1]],
          [{ from: HOUR + 2, to: HOUR + 3 }, [2]],
          [{ attribution: {} }, [4, 3, 2, 1]],
          [{ attribution: { user_id: "ann" } }, [4, 3, 1]],
          [{ attribution: { team_id: "red" } }, [2]],
          [{ attribution: { team_id: "red", tags: { env: "prod" } } }, [2]],
          [{ attribution: { team_id: "red", tags: { env: "test" } } }, []],
          [{ attribution: { user_id: "ann", team_id: "red" } }, []],
          [{ attribution: { user_id: "ann" }, budgetId: "budget_1", before: 3 }, [1]]
        ]
        for (const [filter, found] of table)
          assert.deepStrictEqual(yield* seqs(store, tenant, filter), found, JSON.stringify(filter))
      })
    )

    check("the same within an hour of the clock is one, which says what was said last", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, [refusal(1), refusal(2)], 0)
        const again = { firstAt: HOUR + 50, lastAt: HOUR + 60, count: 7 }
        yield* store.add(
          tenant,
          [
            refusal(1, { reason: "still" }, again),
            refusal(2, {}, { digest: "another" }),
            refusal(1, {}, { firstAt: HOUR + REFUSAL_WINDOW_MS, lastAt: HOUR + REFUSAL_WINDOW_MS })
          ],
          0
        )
        const { refusals, dropped } = yield* store.page(tenant, { limit: 10 })
        assert.deepStrictEqual(
          refusals.map(({ seq, count, request }) => `${seq}: ${request.request_id} ${count}`),
          ["4: r1 1", "3: r2 1", "2: r2 1", "1: r1 8"]
        )
        const first = { firstAt: HOUR + 1, lastAt: HOUR + 60, count: 8 }
        assert.deepStrictEqual(refusals[3], { ...refusal(1, { reason: "still" }, first), seq: 1 })
        assert.strictEqual(dropped, 0)
      })
    )

    check("are bounded: the oldest go, and are counted with those that were never kept", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, numbered(1, 10), 0)
        assert.strictEqual(yield* store.removeOld(tenant, HOUR + 3), 2)
        yield* store.add(tenant, numbered(11, REFUSALS_KEPT), 0)
        yield* store.add(tenant, numbered(REFUSALS_KEPT + 1, REFUSALS_KEPT + 30), 7)
        // What is counted on takes nobody's place.
        yield* store.add(tenant, numbered(REFUSALS_KEPT + 1, REFUSALS_KEPT + 30), 0)
        const { refusals, dropped } = yield* store.page(tenant, { limit: REFUSALS_KEPT + 1 })
        assert.strictEqual(refusals.length, REFUSALS_KEPT)
        assert.strictEqual(refusals.at(-1)?.seq, 31)
        assert.strictEqual(dropped, 35)
      })
    )

    check("go when they are old; that is no loss", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, [...numbered(1, 3), refusal(4, {}, { firstAt: HOUR, lastAt: HOUR + 99 })], 0)
        assert.strictEqual(yield* store.countOld(tenant, HOUR + 3), 2)
        assert.strictEqual(yield* store.removeOld(tenant, HOUR + 3), 2)
        assert.strictEqual(yield* store.removeOld(tenant, HOUR + 3), 0)
        assert.strictEqual(yield* store.countOld(tenant, HOUR + 3), 0)
        assert.deepStrictEqual(yield* seqs(store, tenant), [4, 3])
        assert.strictEqual((yield* store.page(tenant, { limit: 1 })).dropped, 0)
      })
    )

    check("are about somebody else once they are rewritten", (store, tenant) =>
      Effect.gen(function* () {
        yield* store.add(tenant, numbered(1, 2), 0)
        const renamed = requestOf(1, { attribution: { user_id: "anon" }, reason: "of anon" })
        yield* store.rewrite(tenant, [
          { seq: 1, request: renamed },
          { seq: 99, request: renamed }
        ])
        assert.deepStrictEqual(yield* seqs(store, tenant, { attribution: { user_id: "anon" } }), [1])
        assert.deepStrictEqual(yield* seqs(store, tenant, { attribution: { user_id: "ann" } }), [2])
        const { refusals } = yield* store.page(tenant, { limit: 10 })
        assert.deepStrictEqual(refusals[1], { ...refusal(1), request: renamed, seq: 1 })
      })
    )
  })
}
