/** What every store of a ledger must do for the audit chain: a part of its contract (LedgerStoreContract). */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { type AuditNote, EMPTY_CHAIN, entryAfter } from "../../src/tokens/AuditChain.ts"
import type {
  AuditFilter,
  AuditRow,
  Batch,
  BatchRefused,
  CommitError,
  LedgerSnapshot,
  LedgerStore
} from "../../src/tokens/LedgerStore.ts"
import { NOON } from "./LedgerRows.ts"

type Opened = Effect.Effect<
  {
    readonly store: LedgerStore
    readonly tenant: string
    readonly commit: (fields: Partial<Batch>) => Effect.Effect<void, CommitError | BatchRefused>
    readonly load: () => Effect.Effect<LedgerSnapshot, unknown>
  },
  unknown,
  LedgerStore
>
type Check = (title: string, body: Effect.Effect<void, unknown, LedgerStore>) => void

const NOTE: AuditNote = {
  principal: { keyId: "key 1", owner: "ann" },
  action: "update_budget",
  subject: "budget_1",
  before: { limit: "10", nested: [1, { a: null }] },
  after: { text: `" \\ \\u0041 🙂 '; DROP TABLE audit; -- ﷽` },
  at: NOON
}

/** A chain of these notes. */
const chained = (tenant: string, notes: ReadonlyArray<Partial<AuditNote>>): ReadonlyArray<AuditRow> => {
  const rows: Array<AuditRow> = []
  for (const [index, note] of notes.entries()) {
    const head = rows.at(-1) ?? EMPTY_CHAIN
    rows.push(entryAfter(tenant, head, { ...NOTE, ...note }, `${index}`.padStart(64, "0")))
  }
  return rows
}

const NOTES: ReadonlyArray<Partial<AuditNote>> = [
  { action: "create_budget" },
  { at: NOON + 1 },
  { principal: { keyId: "key 2", owner: "bob" }, at: NOON + 2 },
  { action: "create_budget", principal: { keyId: "ann", owner: "carl" }, at: NOON + 3 }
]

const FILTERS: ReadonlyArray<readonly [AuditFilter, ReadonlyArray<number>]> = [
  [{}, [4, 3, 2, 1]],
  [{ kind: "create_budget" }, [4, 1]],
  [{ principal: "ann" }, [4, 2, 1]],
  [{ principal: "key 2" }, [3]],
  [{ principal: "bob", kind: "create_budget" }, []],
  [{ from: NOON + 1, to: NOON + 3 }, [3, 2]],
  [{ from: NOON + 3 }, [4]],
  [{ kind: "create" }, []],
  [{ kind: "\u0000" }, []],
  [{ principal: "\ud800" }, []]
]

const EVERYTHING = { maxSeq: 1_000, beforeSeq: 1_001, limit: 100 }
const seqs = (rows: ReadonlyArray<AuditRow>) => rows.map(({ seq }) => seq)

export const auditing = (check: Check, openTenant: () => Opened): void => {
  check(
    "the audit chain comes back as it was, and its head moves with the batch",
    Effect.gen(function* () {
      const { store, tenant, commit, load } = yield* openTenant()
      assert.deepStrictEqual(yield* store.auditHead(tenant), EMPTY_CHAIN)
      const rows = chained(tenant, NOTES)
      yield* commit({ audit: rows.slice(0, 1) })
      yield* commit({ audit: rows.slice(1, 3) })
      yield* commit({})
      yield* commit({ audit: rows.slice(3) })
      const head = { seq: 4, hash: rows[3]?.hash }
      assert.deepStrictEqual(yield* store.auditHead(tenant), head)
      assert.deepStrictEqual((yield* load()).auditHead, head)
      assert.deepStrictEqual(yield* store.auditPage(tenant, {}, EVERYTHING), rows.toReversed())
    })
  )
  check(
    "what is forgotten of an entry is null, and its hashes stay",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const [row] = chained(tenant, [{}])
      const forgotten = {
        ...(row as AuditRow),
        keyId: null,
        owner: null,
        subject: null,
        salt: null,
        body: null
      }
      yield* commit({ audit: [forgotten] })
      assert.deepStrictEqual(yield* store.auditPage(tenant, {}, EVERYTHING), [forgotten])
    })
  )
  check(
    "the trail is filtered, and read in pages, the newest first",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const other = yield* openTenant()
      yield* commit({ audit: chained(tenant, NOTES) })
      yield* other.commit({ audit: chained(other.tenant, [{}]) })
      for (const [filter, expected] of FILTERS) {
        const rows = yield* store.auditPage(tenant, filter, EVERYTHING)
        assert.deepStrictEqual(seqs(rows), expected, JSON.stringify(filter))
      }
      const page = (maxSeq: number, beforeSeq: number, limit: number) =>
        Effect.map(store.auditPage(tenant, {}, { maxSeq, beforeSeq, limit }), seqs)
      assert.deepStrictEqual(yield* page(3, 4, 2), [3, 2])
      assert.deepStrictEqual(yield* page(3, 2, 2), [1])
      assert.deepStrictEqual(yield* page(1, 4, 2), [1])
    })
  )
  check(
    "an entry that is there already is refused, and nothing of its batch is written",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const rows = chained(tenant, NOTES)
      yield* commit({ audit: rows.slice(0, 2) })
      const error = yield* Effect.flip(commit({ audit: rows.slice(1, 3) }))
      assert.strictEqual((error as { readonly _tag: string })._tag, "BatchRefused")
      assert.strictEqual((yield* store.auditHead(tenant)).seq, 2)
    })
  )
}
