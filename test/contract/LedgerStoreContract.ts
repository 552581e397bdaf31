/**
 * What every store of a ledger must do. Run it on each layer that claims to be one.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { ATTRIBUTION_FIELDS } from "../../src/signal/Attribution.ts"
import { DEFAULT_MANAGER_CONFIG } from "../../src/signal/Management.ts"
import { AMOUNT_MAX, UNIT } from "../../src/signal/Money.ts"
import type { TokenUsage } from "../../src/signal/Usage.ts"
import { EMPTY_CHAIN } from "../../src/tokens/AuditChain.ts"
import { SUBJECT_FIELDS } from "../../src/tokens/BudgetIndex.ts"
import {
  type Batch,
  type Claim,
  type LapsedOverrides,
  LedgerStore,
  type OverrideFilter,
  type OverrideRow,
  type PeriodRow,
  type SpentByEntityQuery,
  type UsageFilter
} from "../../src/tokens/LedgerStore.ts"
import type { UnpricedRow } from "../../src/tokens/UnpricedUse.ts"
import { adjustments } from "./AdjustmentContract.ts"
import { auditing } from "./AuditContract.ts"
import { cleaningUp } from "./CleanupContract.ts"
import { forgetting } from "./ForgettingContract.ts"
import {
  attempt,
  batch,
  budget,
  head,
  hold,
  NOON,
  open,
  override,
  period,
  Random,
  randomUsage,
  request,
  usage,
  usageRow
} from "./LedgerRows.ts"

let tenants = 0

/** A tenant that no other test knows. */
const freshTenant = (): string => `tenant-${++tenants}`

/** Claims a fresh tenant and writes batches into it, one after the other. */
const openTenant = Effect.fnUntraced(function* (tenant = freshTenant()) {
  const store = yield* LedgerStore
  const claim = yield* store.claim(tenant, `owner of ${tenant}`)
  let { journalSeq } = yield* store.load(claim, 0)
  const commit = (fields: Partial<Batch>) =>
    Effect.tap(store.commit(claim, batch(`batch ${journalSeq}`, { journalSeq }, fields)), () =>
      Effect.sync(() => {
        journalSeq += 1
      })
    )
  const load = (liveAfter = 0) => store.load(claim, liveAfter)
  return { store, tenant, claim, commit, load }
})

const seqs = (rows: ReadonlyArray<TokenUsage>) => rows.map((row) => row.usage_seq)
const FIRST_PAGE = { maxSeq: 1_000_000, beforeSeq: 1_000_001, limit: 1000 }
const tag = <A>(effect: Effect.Effect<A, { readonly _tag: string }, LedgerStore>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag)

type Check = (title: string, body: Effect.Effect<void, unknown, LedgerStore>) => void

const waiting = (usageSeq: number, fields: Partial<UnpricedRow> = {}): UnpricedRow => ({
  usageSeq,
  requestId: `r${usageSeq}`,
  provider: "anthropic",
  model: "claude",
  bookedAt: NOON,
  ...fields
})

const waitingForPrices = (check: Check): void => {
  check(
    "lists what waits for a price, the earliest first, until it has one",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const rows = [
        waiting(1),
        waiting(2, { bookedAt: NOON - 1 }),
        waiting(3, { model: "other" }),
        waiting(4, { provider: "other" }),
        waiting(5, { bookedAt: NOON + 1, requestId: "'; DROP TABLE usage; --🙂" }),
        waiting(6)
      ]
      const [first, early, , , late, last] = rows as [
        UnpricedRow,
        UnpricedRow,
        never,
        never,
        UnpricedRow,
        UnpricedRow
      ]
      yield* commit({ unpriced: { added: rows.slice(0, 3), removed: [] } })
      yield* commit({ unpriced: { added: rows.slice(3), removed: [] } })
      const claude = { provider: "anthropic", model: "claude", from: null }
      const find = (from: number | null, limit = 10) => store.findUnpriced(tenant, { ...claude, from }, limit)
      assert.deepStrictEqual(yield* find(null), [early, first, last, late])
      assert.deepStrictEqual(yield* find(null, 2), [early, first])
      assert.deepStrictEqual(yield* find(NOON), [first, last, late])
      assert.deepStrictEqual(yield* find(NOON + 2), [])
      assert.deepStrictEqual(yield* store.findUnpriced(tenant, { ...claude, model: "unknown\u0000" }, 10), [])
      assert.deepStrictEqual(yield* store.findUnpriced("another", claude, 10), [])
      yield* commit({ unpriced: { added: [waiting(7)], removed: [first, late] } })
      assert.deepStrictEqual(yield* find(null), [early, last, waiting(7)])
      yield* commit({ unpriced: { added: [], removed: [early] } })
      assert.deepStrictEqual(yield* find(null), [last, waiting(7)])
    })
  )
}

const ownership = (check: Check): void => {
  check(
    "lets the newest owner write, and nobody else",
    Effect.gen(function* () {
      const { store, tenant, claim: first } = yield* openTenant()
      const second = yield* store.claim(tenant, "second")
      assert.isAbove(second.epoch, first.epoch)
      const entry = batch("b1", { journalSeq: 0 }, { usage: [usageRow(1)], newRequests: [request("r1")] })
      assert.strictEqual(yield* tag(store.commit(first, entry)), "Fenced")
      assert.strictEqual(yield* tag(store.load(first, 0)), "Fenced")
      assert.deepStrictEqual(yield* store.findRequests(tenant, ["r1"]), [])
      assert.strictEqual(yield* store.lastUsageSeq(tenant), 0)
      yield* store.commit(second, entry)
      assert.strictEqual((yield* store.load(second, 0)).journalSeq, 1)
      assert.isTrue(yield* store.isOwner(second))
      assert.isFalse(yield* store.isOwner(first))
      assert.isFalse(yield* store.isOwner({ ...second, epoch: first.epoch }), "its owner, at another time")
    })
  )
  check(
    "a claim by the same owner is a new claim",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* openTenant()
      const again = yield* store.claim(tenant, claim.owner)
      assert.strictEqual(yield* tag(store.commit(claim, batch("b1", { journalSeq: 0 }))), "Fenced")
      yield* store.commit(again, batch("b1", { journalSeq: 0 }))
    })
  )
  check(
    "of many owners at once exactly one can write",
    Effect.gen(function* () {
      const store = yield* LedgerStore
      const tenant = freshTenant()
      const claims = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, index) => `owner ${index}`),
        (owner) => store.claim(tenant, owner),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(claims.map((claim) => claim.epoch)).size, 10)
      const written = yield* Effect.forEach(
        claims,
        (claim, index) =>
          Effect.isSuccess(
            store.commit(claim, batch(`b${index}`, { journalSeq: 0 }, { usage: [usageRow(1)] }))
          ),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(written.filter((isWritten) => isWritten).length, 1)
      assert.lengthOf(yield* store.usageAfter(tenant, {}, 0, 10), 1)
    })
  )
  check(
    "writes the same batch once",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* openTenant()
      const entry = batch("b1", { journalSeq: 0 }, { usage: [usageRow(1)] })
      yield* store.commit(claim, entry)
      assert.strictEqual(yield* tag(store.commit(claim, entry)), "Fenced")
      assert.strictEqual(
        yield* tag(store.commit(claim, batch("b9", { journalSeq: 7 }, { usage: [usageRow(2)] }))),
        "Fenced"
      )
      assert.deepStrictEqual(seqs(yield* store.usageAfter(tenant, {}, 0, 10)), [1])
    })
  )
  check(
    "resolve says whether a batch is there, and fences what was on its way",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* openTenant()
      yield* store.commit(claim, batch("b1", { journalSeq: 0 }, { usage: [usageRow(1)] }))
      const known = yield* store.resolve(claim, "b1")
      assert.isTrue(known.isWritten)
      const next = batch("b2", { journalSeq: 1 }, { usage: [usageRow(2)] })
      assert.strictEqual(yield* tag(store.commit(claim, next)), "Fenced")
      // The answer of resolve itself may get lost: it can be asked again, with the claim of before.
      const unknown = yield* store.resolve(claim, "b2")
      assert.isFalse(unknown.isWritten)
      yield* store.commit(unknown.claim, next)
      assert.deepStrictEqual(seqs(yield* store.usageAfter(tenant, {}, 0, 10)), [1, 2])
      yield* store.claim(tenant, "somebody else")
      assert.strictEqual(yield* tag(store.resolve(unknown.claim, "b2")), "Fenced")
    })
  )
}

const DAY_MS = 86_400_000

const oldPeriods = (check: Check): void => {
  check(
    "finds the last period of a budget that starts at a moment or before",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const day = (number: number, more: Partial<PeriodRow> = {}) =>
        period("budget_1", { start: NOON + number * DAY_MS, end: NOON + (number + 1) * DAY_MS, ...more })
      const terms = { limit: 3n, max: 2n, min: 1n }
      const first = day(0, { spent: -7n, spentAfterwards: -9n, terms, alertsSent: [50] })
      const forever = period("budget_2", { start: 0, end: null })
      yield* commit({
        budgets: [budget("budget_1"), budget("budget_2"), budget("budget_3")],
        periods: [first, day(3), day(4), forever]
      })
      const at = (budgetId: string, moment: number) => ({ budgetId, at: moment })
      const find = (...queries: ReadonlyArray<{ readonly budgetId: string; readonly at: number }>) =>
        store.findPeriods(tenant, queries)
      assert.deepStrictEqual(yield* find(at("budget_1", NOON)), [first])
      assert.deepStrictEqual(yield* find(at("budget_1", NOON - 1)), [])
      assert.deepStrictEqual(yield* find(at("budget_1", NOON + 3 * DAY_MS - 1)), [first])
      assert.deepStrictEqual(yield* find(at("budget_1", NOON + 99 * DAY_MS)), [day(4)])
      assert.deepStrictEqual(yield* find(at("budget_2", NOON)), [forever])
      assert.deepStrictEqual(yield* find(at("budget_3", NOON), at("budget_9", NOON)), [])
      assert.deepStrictEqual(yield* find(), [])
      assert.deepStrictEqual(yield* store.findPeriods("another", [at("budget_1", NOON)]), [])
      const many = yield* find(
        at("budget_1", NOON + 5),
        at("budget_2", NOON),
        at("budget_1", NOON + 3 * DAY_MS)
      )
      assert.sameDeepMembers([...many], [first, forever, day(3)])
    })
  )
}

const activation = (check: Check): void => {
  check(
    "a tenant that nobody knows is empty",
    Effect.gen(function* () {
      const { load } = yield* openTenant()
      assert.deepStrictEqual(yield* load(), {
        journalSeq: 0,
        head: head(),
        auditHead: EMPTY_CHAIN,
        config: DEFAULT_MANAGER_CONFIG,
        budgets: [],
        periods: [],
        overrides: [],
        lapsedOverrides: [],
        openRequests: [],
        prices: [],
        rates: [],
        recipients: [],
        renamings: []
      })
    })
  )
  check(
    "everything that was written comes back as it was",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const budgets = [
        budget("budget_1", { type: "global", entityId: null, alertThresholds: [], isActive: false }),
        budget("budget_2", { name: "'ü\"\\ 🙂", limit: AMOUNT_MAX, createdAt: NOON + 1, version: 2 ** 40 }),
        budget("budget_3", { timeZone: "Asia/Kolkata", rollover: { max: AMOUNT_MAX }, createdAt: NOON + 2 }),
        budget("budget_4", { rollover: { max: 7n, min: 0n }, createdAt: NOON + 3 }),
        budget("budget_5", {
          currency: "JPY",
          sinceSeq: 2 ** 40,
          openingRate: AMOUNT_MAX,
          createdAt: NOON + 4
        })
      ]
      const rates = [
        { seq: 1, base: "USD", currency: "EUR", rate: 1n, asOf: NOON, source: null },
        { seq: 2, base: "EUR", currency: "JPY", rate: AMOUNT_MAX, asOf: 0, source: "a 'bank' 🙂" }
      ]
      const prices = [
        {
          id: "price_2",
          provider: "p",
          model: "m'",
          currency: "USD",
          prompt_per_million: 3n,
          completion_per_million: AMOUNT_MAX,
          per_request: 0n,
          tiers: [{ above_prompt_tokens: 200_000, prompt_per_million: 1n, completion_per_million: 7n }],
          service_tiers: { "b'atch": 500_000_000_000n, per_request: 0n },
          effective_from: NOON,
          effective_to: null,
          source: "override" as const
        },
        {
          id: "price_1",
          provider: "p",
          model: "m'",
          currency: "USD",
          prompt_per_million: 1n,
          completion_per_million: 2n,
          effective_from: null,
          effective_to: null,
          source: "override" as const
        }
      ]
      const periods = [
        period("budget_1", { start: 0, end: null, spent: -AMOUNT_MAX, held: 10n ** 30n }),
        period("budget_2", { alertsSent: [50, 80] }),
        period("budget_3", {
          start: NOON + 1,
          carriedOver: AMOUNT_MAX,
          overrideTotal: 3n,
          terms: { limit: AMOUNT_MAX, max: AMOUNT_MAX - 1n, min: 0n }
        })
      ]
      const openHolds = [
        open("ü '1'"),
        open("other", {
          currency: "EUR",
          priceId: "price_'7",
          serviceTier: "b'atch 🙂",
          exchangeRate: 900_000_000_001n,
          rates: { USD: 1n, JPY: AMOUNT_MAX }
        }),
        open("unpriced", { priceId: null, provider: null, model: null, serviceTier: "batch" })
      ]
      const openRequests = openHolds.map((it) => ({ ...it, page: 0, row: undefined }))
      const counters = head({ usageSeq: 3, alertSeq: 4, idSeq: 5, tracked: 6, tokens: 10n ** 30n, cost: -1n })
      const config = { ...DEFAULT_MANAGER_CONFIG, max_pending: 7 }
      yield* commit({ head: counters, budgets, periods, openHolds, prices, rates, config })
      const loaded = yield* load()
      assert.deepStrictEqual(
        loaded.periods.toSorted((a, b) => a.start - b.start),
        periods
      )
      assert.deepStrictEqual(
        { ...loaded, periods },
        {
          journalSeq: 1,
          head: counters,
          auditHead: EMPTY_CHAIN,
          config,
          budgets,
          periods,
          overrides: [],
          lapsedOverrides: [],
          openRequests,
          prices,
          rates,
          recipients: [],
          renamings: []
        }
      )
    })
  )
  check(
    "counters, definitions and configuration are what was written last",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      yield* commit({ budgets: [budget("budget_1")], periods: [period("budget_1")] })
      const config = { ...DEFAULT_MANAGER_CONFIG, default_completion_tokens: 9 }
      const periods = [period("budget_1", { spent: 12n, held: 0n, carriedOver: 4n, alertsSent: [50] })]
      const rollover = { max: 5n, min: 2n }
      const budgets = [budget("budget_1", { limit: 1n, entityId: "core", rollover, version: 2 })]
      yield* commit({ budgets, periods, config })
      yield* commit({ head: head({ idSeq: 9 }) })
      const loaded = yield* load()
      assert.deepStrictEqual(loaded.periods, periods)
      assert.deepStrictEqual(loaded.budgets, budgets)
      assert.deepStrictEqual(loaded.config, config)
      assert.deepStrictEqual(loaded.head, head({ idSeq: 9 }))
    })
  )
  check(
    "recipients of alerts are those that were written last",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const hook = { id: "recipient_1", kind: "webhook", target: "https://a/'ü", secret: "sealed" } as const
      const person = { id: "recipient_2", kind: "email", target: "a@b.c", secret: null } as const
      yield* commit({ recipients: [hook, person] })
      assert.deepStrictEqual((yield* load()).recipients, [hook, person])
      yield* commit({ head: head({ idSeq: 9 }) })
      assert.deepStrictEqual((yield* load()).recipients, [hook, person])
      const turned = { ...hook, secret: "another" }
      const added = { ...person, id: "recipient_3" }
      yield* commit({ recipients: [turned, added] })
      assert.deepStrictEqual((yield* load()).recipients, [turned, added])
      const { load: loadOther } = yield* openTenant()
      assert.deepStrictEqual((yield* loadOther()).recipients, [])
      yield* commit({ recipients: [] })
      assert.deepStrictEqual((yield* load()).recipients, [])
    })
  )
  check(
    "reads the periods that can still change",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const ended = period("ended", { end: NOON + 10 })
      const running = period("running", { end: NOON + 11 })
      const forever = period("forever", { start: 0, end: null })
      const booked = period("booked", { end: NOON + 10 })
      const bookings = [{ budgetId: "booked", periodStart: NOON, amount: 2n }]
      yield* commit({
        periods: [ended, running, forever, booked],
        openHolds: [open("r1", { bookings })]
      })
      const names = (yield* load(NOON + 10)).periods.map((row) => row.budgetId).sort()
      assert.deepStrictEqual(names, ["booked", "forever", "running"])
    })
  )
  check(
    "of standings of a default it reads what can still change, and with a rollover the last period that ended",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const HOUR = 3_600_000
      const hour = (budgetId: string, at: number) =>
        period(budgetId, { start: NOON + at * HOUR, end: NOON + (at + 1) * HOUR })
      const plain = ["d1/ann", "d1/a/b"].flatMap((key) => [hour(key, 0), hour(key, 1), hour(key, 3)])
      const rolling = ["d2/ann", "d2/a/b", "d2/\u{10FFFF}", "d2/0"].flatMap((key) => [
        hour(key, 0),
        hour(key, 1)
      ])
      const others = ["d20/ann", "d", "d20"].map((key) => hour(key, 0))
      const bookings = [{ budgetId: "d1/a/b", periodStart: NOON + HOUR, amount: 2n }]
      const rollover = { max: 5n }
      yield* commit({
        budgets: [
          budget("d1", { type: "user", entityId: "*" }),
          budget("d2", { type: "user", entityId: "*", rollover }),
          budget("d", { type: "global", entityId: null }),
          budget("d20", { type: "user", entityId: "*" })
        ],
        periods: [...plain, ...rolling, ...others],
        openHolds: [open("r1", { bookings })]
      })
      const names = (yield* load(NOON + 2 * HOUR)).periods
        .map((row) => `${row.budgetId} ${(row.start - NOON) / HOUR}`)
        .sort()
      const last = ["d2/0 1", "d2/a/b 1", "d2/ann 1", "d2/\u{10FFFF} 1"]
      assert.deepStrictEqual(names, ["d1/a/b 1", "d1/a/b 3", "d1/ann 3", ...last])
    })
  )
  check(
    "reads what a period can be derived from: the last one of a budget with a rollover, and all since a hold's",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const HOUR = 3_600_000
      const hours = (budgetId: string, ...starts: ReadonlyArray<number>) =>
        starts.map((hour) => period(budgetId, { start: NOON + hour * HOUR, end: NOON + (hour + 1) * HOUR }))
      const bookings = [3, 2].map((hour) => ({
        budgetId: "held",
        periodStart: NOON + hour * HOUR,
        amount: 2n
      }))
      yield* commit({
        budgets: [
          budget("rolls", { rollover: { max: 5n } }),
          budget("asleep", { rollover: { max: 5n } }),
          budget("new", { rollover: { max: 5n } }),
          budget("plain")
        ],
        periods: [
          ...hours("rolls", 1, 2, 4, 9, 10),
          ...hours("asleep", 1, 0),
          ...hours("new", 10),
          ...hours("plain", 4, 9),
          ...hours("held", 1, 2, 3, 5, 9)
        ],
        openHolds: [open("r1", { bookings })]
      })
      const names = (yield* load(NOON + 5 * HOUR)).periods
        .map((row) => `${row.budgetId} ${(row.start - NOON) / HOUR}`)
        .sort()
      assert.deepStrictEqual(
        names,
        ["asleep 1", "held 2", "held 3", "held 5", "held 9", "new 10", "plain 9"].concat([
          "rolls 10",
          "rolls 4",
          "rolls 9"
        ])
      )
      const one = (yield* load(NOON + 100 * HOUR)).periods.filter((row) => row.budgetId !== "held")
      assert.deepStrictEqual(one.map((row) => `${row.budgetId} ${(row.start - NOON) / HOUR}`).sort(), [
        "asleep 1",
        "new 10",
        "rolls 10"
      ])
    })
  )
  check(
    "a rollover that was taken away is gone",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const terms = { limit: 3n, max: 2n, min: 1n }
      yield* commit({
        budgets: [budget("budget_1", { rollover: { max: 2n, min: 1n } })],
        periods: [period("budget_1", { terms })]
      })
      yield* commit({ budgets: [budget("budget_1")], periods: [period("budget_1")] })
      const loaded = yield* load()
      assert.deepStrictEqual([loaded.budgets, loaded.periods], [[budget("budget_1")], [period("budget_1")]])
    })
  )
  check(
    "open holds come back with their page, ended ones do not",
    Effect.gen(function* () {
      const { store, tenant, commit, load } = yield* openTenant()
      const ended = (id: string, state: "posted" | "released" | "expired") =>
        request(id, { hold: hold(id, { state, bookings: [], remainingCost: 0n, remainingTokens: 0 }) })
      const openNow = Effect.map(load(), ({ openRequests }) =>
        openRequests.toSorted((a, b) => (a.requestId < b.requestId ? -1 : 1))
      )
      const ids = ["held", "posted", "released", "renewed"]
      yield* commit({ openHolds: ids.map((id) => open(id)) })
      assert.deepStrictEqual(
        yield* openNow,
        ids
          .map((id) => ({ ...open(id), page: 0, row: undefined }))
          .sort((a, b) => (a.requestId < b.requestId ? -1 : 1))
      )
      const over = [ended("posted", "posted"), ended("released", "released"), ended("renewed", "expired")]
      yield* commit({ newRequests: over })
      assert.deepStrictEqual(yield* openNow, [{ ...open("held"), page: 0, row: undefined }])
      // A request whose hold has ended gets another one, and ends that in the batch after.
      const again = open("renewed", { id: "hold_2.renewed", digest: "other" })
      yield* commit({ openHolds: [again] })
      assert.deepStrictEqual((yield* openNow)[1], { ...again, page: 2, row: over[2] })
      // A hold of which some is spent: its last version counts, and its request has a row by now.
      const attempts = [attempt(1, 1)]
      const spent = open("held", { remainingTokens: 7 })
      const row = request("held", { attempts })
      yield* commit({ usage: [usageRow(1)], newRequests: [row], openHolds: [spent], closedPages: [0] })
      assert.deepStrictEqual((yield* openNow)[0], { ...spent, page: 3, row })
      yield* commit({ changedRequests: [ended("renewed", "released")] })
      assert.deepStrictEqual(yield* openNow, [{ ...spent, page: 3, row }])
      const found = (yield* store.findRequests(tenant, [...ids, "nobody"])).map((known) => known.request)
      assert.sameDeepMembers(found, [
        row,
        ended("posted", "posted"),
        ended("released", "released"),
        ended("renewed", "released")
      ])
    })
  )
}

const overrides = (check: Check): void => {
  const DAY = 86_400_000
  check(
    "overrides that can still change come back as they were, with their periods",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const rows = [
        override(1, { reason: "'ü\"\\ 🙂", amount: AMOUNT_MAX, entityId: null, type: "global" }),
        override(2, {
          status: "approved",
          approvedAmount: 3n,
          note: "",
          decidedBy: "bob",
          decidedAt: NOON + 9,
          measure: "tokens",
          currency: "EUR",
          requestedAt: NOON - 7
        }),
        override(3, { budgetId: "forever", periodStart: 0, periodEnd: null, expiresAt: null }),
        override(4, { status: "denied", decidedAt: NOON, decidedBy: "bob" }),
        override(5, { status: "expired" }),
        override(6, { status: "approved", approvedAmount: 4n, decidedBy: null, decidedAt: NOON })
      ]
      const some = (...seqs: ReadonlyArray<number>) => rows.filter(({ seq }) => seqs.includes(seq))
      const periods = [period("budget_1"), period("forever", { start: 0, end: null })]
      yield* commit({ budgets: [budget("budget_1"), budget("forever")], periods, overrides: rows })
      const loaded = yield* load(NOON + 40 * DAY)
      assert.deepStrictEqual(loaded.overrides, some(1, 2, 3, 6))
      assert.deepStrictEqual(loaded.lapsedOverrides, [])
      // Its period has ended, and the override has not: what it added is taken back there.
      assert.sameDeepMembers([...loaded.periods], periods)
      yield* commit({ overrides: [override(1, { status: "denied" }), override(6, { status: "expired" })] })
      assert.deepStrictEqual((yield* load()).overrides, some(2, 3))
    })
  )
  check(
    "what was approved and has expired is summed up for the periods that can still change",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const expired = (seq: number, approvedAmount: bigint | null, fields: Partial<OverrideRow> = {}) =>
        override(seq, { status: "expired", approvedAmount, ...fields })
      const before = { periodStart: NOON - DAY, periodEnd: NOON }
      const forever = { budgetId: "forever", periodStart: 0, periodEnd: null, expiresAt: NOON }
      yield* commit({
        overrides: [
          expired(1, AMOUNT_MAX),
          expired(2, 5n),
          expired(3, null),
          expired(4, 7n, before),
          expired(5, 8n, forever),
          override(6, { status: "approved", approvedAmount: 9n }),
          expired(7, 1n, { budgetId: "other" })
        ]
      })
      const sum = (amount: bigint, fields: Partial<LapsedOverrides> = {}) => ({
        budgetId: "budget_1",
        periodStart: NOON,
        amount,
        ...fields
      })
      const running = [
        sum(AMOUNT_MAX + 5n),
        sum(8n, { budgetId: "forever", periodStart: 0 }),
        sum(1n, { budgetId: "other" })
      ]
      assert.sameDeepMembers([...(yield* load(NOON)).lapsedOverrides], running)
      const all = [...running, sum(7n, { periodStart: NOON - DAY })]
      assert.sameDeepMembers([...(yield* load(NOON - 1)).lapsedOverrides], all)
      const { load: loadOther } = yield* openTenant()
      assert.deepStrictEqual((yield* loadOther()).lapsedOverrides, [])
    })
  )
  check(
    "writes as many at once as there can be live ones",
    Effect.gen(function* () {
      const { commit, load } = yield* openTenant()
      const all = (fields: Partial<OverrideRow>) =>
        Array.from({ length: 10_000 }, (_, index) => override(index + 1, fields))
      const periods = Array.from({ length: 10_000 }, (_, index) => period(`budget_${index}`))
      yield* commit({ overrides: all({ status: "approved", approvedAmount: 1n }), periods })
      assert.lengthOf((yield* load()).overrides, 10_000)
      yield* commit({ overrides: all({ status: "expired", approvedAmount: 1n }), periods })
      const { overrides, lapsedOverrides } = yield* load()
      assert.lengthOf(overrides, 0)
      assert.deepStrictEqual(lapsedOverrides, [{ budgetId: "budget_1", periodStart: NOON, amount: 10_000n }])
    })
  )
  check(
    "finds overrides by their ids",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const rows = [override(1), override(2, { status: "denied", note: "no" }), override(3)]
      yield* commit({ overrides: rows })
      const ids = ["override_2", "override_3", "nothing", "\u0000", "\ud800"]
      assert.sameDeepMembers([...(yield* store.findOverrides(tenant, ids))], rows.slice(1))
      assert.deepStrictEqual(yield* store.findOverrides(tenant, []), [])
      assert.deepStrictEqual(yield* store.findOverrides("another", ids), [])
    })
  )
  check(
    "lists overrides, newest first, by each filter and by the clock",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const rows = [
        override(1),
        override(2, { expiresAt: NOON + 5 }),
        override(3, { status: "approved", approvedAmount: 1n, budgetId: "budget_2/a/web", entityId: "web" }),
        override(4, { status: "denied", expiresAt: NOON + 5 }),
        override(5, { status: "expired", type: "global", entityId: null }),
        override(6, { status: "approved", approvedAmount: 1n, expiresAt: NOON + 5 }),
        override(7, { type: "user", entityId: "core", expiresAt: null })
      ]
      yield* commit({ overrides: rows })
      const list = (filter: Partial<OverrideFilter> = {}, beforeSeq = Number.MAX_SAFE_INTEGER, limit = 100) =>
        Effect.map(store.overridePage(tenant, { now: NOON + 5, ...filter }, beforeSeq, limit), (page) =>
          page.map(({ seq }) => seq)
        )
      assert.deepStrictEqual(
        yield* store.overridePage(tenant, { now: NOON }, 8, 100),
        rows.toReversed(),
        "all of them, as they were"
      )
      assert.deepStrictEqual(yield* list({}, 7, 2), [6, 5])
      assert.deepStrictEqual(yield* list({}, 5, 2), [4, 3])
      assert.deepStrictEqual(yield* list({ status: "pending" }), [7, 1])
      assert.deepStrictEqual(yield* list({ status: "pending", now: NOON + 4 }), [7, 2, 1])
      assert.deepStrictEqual(yield* list({ status: "approved" }), [3])
      assert.deepStrictEqual(yield* list({ status: "denied" }), [4])
      assert.deepStrictEqual(yield* list({ status: "expired" }), [6, 5, 2])
      assert.deepStrictEqual(yield* list({ budgetId: "budget_2" }), [3])
      assert.deepStrictEqual(yield* list({ budgetId: "\u0000" }), [])
      const core = { type: "team", entityId: "core" } as const
      assert.deepStrictEqual(yield* list({ about: [core] }), [6, 4, 2, 1])
      assert.deepStrictEqual(
        yield* list({ about: [core, { type: "user", entityId: "core" }] }),
        [7, 6, 4, 2, 1]
      )
      assert.deepStrictEqual(yield* list({ about: [] }), [])
      assert.deepStrictEqual(
        yield* list({ about: [core], status: "denied", budgetId: "budget_1" }, 5, 1),
        [4]
      )
      assert.deepStrictEqual(yield* store.overridePage("another", { now: NOON }, 8, 100), [])
    })
  )
}

const lookups = (check: Check): void => {
  check(
    "finds requests with the usage of their attempts",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const attempts = [
        attempt(1, 1, { isEstimated: true, isGuess: true }),
        attempt(2, 3, { digest: "d'2", adjustments: [4, 5], answerSeq: 4 })
      ]
      const row = request("r1", {
        hold: hold("r1", { state: "posted", provider: null, model: null }),
        attempts
      })
      const second = { request_id: "r1", attempt: 2 }
      const adjustments = [4, 5].map((seq) => ({
        ...usageRow(seq, { ...second, adjusts: "use_3", reason: "why'" }, 0),
        adjustsSeq: 3
      }))
      const rows = [usageRow(1), usageRow(2), usageRow(3, second, 0), ...adjustments]
      yield* commit({ usage: rows, newRequests: [row, request("r2")] })
      const found = yield* store.findRequests(tenant, ["r1", "nobody", "\u0000", "\ud800"])
      assert.lengthOf(found, 1)
      assert.deepStrictEqual(found[0]?.request, row)
      assert.sameDeepMembers(
        [...(found[0]?.usage ?? [])],
        [rows[0], rows[2], ...adjustments].map((it) => it?.usage)
      )
      assert.deepStrictEqual(yield* store.findRequests(tenant, []), [])
      assert.deepStrictEqual(yield* store.findRequests("another", ["r1"]), [])
    })
  )
  check(
    "finds 2,000 requests at once",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const ids = Array.from({ length: 2000 }, (_, index) => `r${index}`)
      yield* commit({ newRequests: ids.map((id) => request(id)) })
      assert.lengthOf(yield* store.findRequests(tenant, ids), 2000)
    })
  )
  check(
    "finds the results of commands by signal and id",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const row = { signal: "create_budget", requestId: "1", digest: "d", result: { a: ["ü'", null, 1.5] } }
      yield* commit({ commands: [row, { ...row, signal: "update_budget", result: null }] })
      const find = (signal: string, requestId: string, of = tenant) =>
        store.findCommands(of, [{ signal, requestId }])
      assert.deepStrictEqual(yield* find("create_budget", "1"), [row])
      assert.deepStrictEqual(yield* find("update_budget", "1"), [
        { ...row, signal: "update_budget", result: null }
      ])
      assert.deepStrictEqual(yield* find("create_budget", "2"), [])
      assert.deepStrictEqual(yield* find("create_budget", "\u0000"), [])
      assert.deepStrictEqual(yield* find("create_budget", "1", "another"), [])
      assert.deepStrictEqual(yield* store.findCommands(tenant, []), [])
    })
  )
  check(
    "keeps alerts in order",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const alert = (seq: number) => ({
        seq,
        alert: {
          id: `alert_${seq}`,
          kind: "threshold" as const,
          severity: "warning" as const,
          message: "'80 %' \\ 🙂",
          at: NOON,
          data: { limit: "1.5", list: [1, null] },
          ...(seq === 2 ? { budget_id: "budget_1" } : {})
        }
      })
      const raised = (seq: number) => ({ ...alert(seq), recipients: ["recipient_1"] })
      yield* commit({ alerts: [raised(1), raised(2)] })
      yield* commit({ alerts: [{ ...alert(3), recipients: [] }] })
      assert.deepStrictEqual(yield* store.alertsAfter(tenant, 1, 10), [alert(2), alert(3)])
      assert.deepStrictEqual(yield* store.alertsAfter(tenant, 0, 1), [alert(1)])
      assert.strictEqual(yield* store.lastAlertSeq(tenant), 3)
      assert.strictEqual(yield* store.lastAlertSeq("another"), 0)
    })
  )
}

const NUL = "a\u0000b"
const LONE = "a\ud800b"

/** Every place that a text can come in through. */
const hostileParts = (text: string): { readonly [place: string]: Partial<Batch> } => ({
  "the id of a request": { newRequests: [request(text)] },
  "who a hold is for": { openHolds: [open("h", { attribution: { user_id: text } })] },
  "who a hold was for": {
    newRequests: [request("h", { hold: hold("h", { state: "posted", attribution: { user_id: text } }) })]
  },
  "the digest of an attempt": {
    newRequests: [request("h", { attempts: [attempt(1, 1, { digest: text })] })]
  },
  "a user": { usage: [usageRow(1, { user_id: text })] },
  "the value of a tag": { usage: [usageRow(1, { tags: { env: text } })] },
  metadata: { usage: [usageRow(1, { metadata: { a: { b: [text] } } })] },
  "a name in raw usage": { usage: [usageRow(1, { raw_usage: { [text]: 1 } })] },
  "a budget": { budgets: [budget("b", { name: text })] },
  "a recipient of alerts": { recipients: [{ id: "r", kind: "webhook", target: text, secret: null }] },
  "the entity of a budget": { budgets: [budget("b", { entityId: text })] },
  "the result of a command": {
    commands: [{ signal: "s", requestId: "r", digest: "d", result: { answer: text } }]
  }
})

const refusals = (check: Check): void => {
  for (const [name, text] of [
    ["U+0000", NUL],
    ["a lone surrogate", LONE]
  ] as const) {
    check(
      `refuses ${name} wherever it stands, and writes nothing`,
      Effect.gen(function* () {
        const { store, tenant, commit, load } = yield* openTenant()
        for (const [place, part] of Object.entries(hostileParts(text))) {
          const good = { newRequests: [request("good"), ...(part.newRequests ?? [])] }
          assert.strictEqual(yield* tag(commit({ ...part, ...good })), "BatchRefused", place)
        }
        const loaded = yield* load()
        assert.deepStrictEqual([loaded.journalSeq, loaded.budgets, loaded.openRequests], [0, [], []])
        assert.deepStrictEqual(yield* store.findRequests(tenant, ["good"]), [])
        assert.deepStrictEqual(yield* store.usageAfter(tenant, {}, 0, 10), [])
        yield* commit({ newRequests: [request("good")] })
        assert.lengthOf(yield* store.findRequests(tenant, ["good"]), 1)
      })
    )
  }
  check(
    "refuses what is there already, and changes of what is not, and writes nothing",
    Effect.gen(function* () {
      const { store, tenant, claim, commit, load } = yield* openTenant()
      const alert = {
        seq: 1,
        alert: { id: "a", kind: "anomaly", severity: "info", message: "m", at: NOON, data: {} } as const,
        recipients: []
      }
      const command = { signal: "s", requestId: "r", digest: "d", result: 1 }
      yield* commit({
        usage: [usageRow(1)],
        newRequests: [request("r1")],
        alerts: [alert],
        commands: [command]
      })
      const wrong: { readonly [what: string]: Partial<Batch> } = {
        "a request twice": { newRequests: [request("r1")] },
        "a request twice in a batch": { newRequests: [request("r9"), request("r9")] },
        "a change of a request that is not there": { changedRequests: [request("r1"), request("r8")] },
        "a usage twice": { usage: [usageRow(1)] },
        "an alert twice": { alerts: [alert] },
        "the result of a command twice": { commands: [command] }
      }
      for (const [what, fields] of Object.entries(wrong)) {
        const entry = { ...fields, budgets: [budget("budget_1")] }
        assert.strictEqual(yield* tag(commit(entry)), "BatchRefused", what)
      }
      const loaded = yield* load()
      assert.deepStrictEqual([loaded.journalSeq, loaded.budgets], [1, []])
      assert.deepStrictEqual(yield* store.findRequests(tenant, ["r8", "r9"]), [])
      // An owner that is fenced is told so, whatever it wanted to write.
      yield* store.claim(tenant, "another")
      const late = batch("late", { journalSeq: 1 }, { changedRequests: [request("r8")] })
      assert.strictEqual(yield* tag(store.commit(claim, late)), "Fenced")
    })
  )
  check(
    "the same request id is another request in another tenant",
    Effect.gen(function* () {
      const one = yield* openTenant()
      const two = yield* openTenant()
      yield* one.commit({ newRequests: [request("r1")], usage: [usageRow(1, { user_id: "one" })] })
      yield* two.commit({ newRequests: [request("r1")], usage: [usageRow(1, { user_id: "two" })] })
      const page = yield* one.store.usagePage(one.tenant, {}, FIRST_PAGE)
      assert.deepStrictEqual(
        page.map((row) => row.user_id),
        ["one"]
      )
      const all = yield* one.store.spent(two.tenant, {
        type: "global",
        entityId: null,
        measure: "requests",
        from: 0,
        to: null
      })
      assert.strictEqual(all, UNIT)
    })
  )
}

const FILTER_FIELDS = ["provider", "model", ...ATTRIBUTION_FIELDS] as const

const reading = (check: Check): void => {
  check(
    "usage comes back exactly as it went in",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const seed = 20_260_515
      const random = new Random(seed)
      const all = Array.from({ length: 300 }, (_, index) => randomUsage(random, index + 1))
      for (let from = 0; from < all.length; from += 50) {
        yield* commit({ usage: all.slice(from, from + 50).map((row) => ({ usage: row, requests: 1 })) })
      }
      const back = yield* store.usageAfter(tenant, {}, 0, 1000)
      for (const [index, row] of all.entries()) {
        assert.deepStrictEqual(back[index], row, `row ${index} of seed ${seed}`)
      }
    })
  )
  for (const field of FILTER_FIELDS) {
    check(
      `filters by ${field}`,
      Effect.gen(function* () {
        const { store, tenant, commit } = yield* openTenant()
        const value = "o'Hara \\ ü"
        yield* commit({
          usage: [usageRow(1, { [field]: value }), usageRow(2, { [field]: "other" }), usageRow(3)]
        })
        yield* expectRows(store, tenant, {}, [1, 2, 3])
        yield* expectRows(store, tenant, { [field]: value }, [1])
        yield* expectRows(store, tenant, { [field]: "none" }, [])
        yield* expectRows(store, tenant, { [field]: NUL }, [])
        yield* expectRows(store, tenant, { [field]: LONE }, [])
      })
    )
  }
  check(
    "filters by status, by time, by tags one by one, and by all of them",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({
        usage: [
          usageRow(1, { booked_at: NOON, status: "error", tags: { env: "prod", "a.b": "1" } }),
          usageRow(2, { booked_at: NOON + 1, tags: { env: "prod", "a.b": "2", more: "" } }),
          usageRow(3, { booked_at: NOON + 2, tags: { env: "te'st" }, user_id: "ada" })
        ]
      })
      const cases: ReadonlyArray<readonly [UsageFilter, ReadonlyArray<number>]> = [
        [{ status: "error" }, [1]],
        [{ status: "cancelled" }, []],
        [{ from: NOON + 1 }, [2, 3]],
        [{ to: NOON + 1 }, [1]],
        [{ from: NOON + 1, to: NOON + 2 }, [2]],
        [{ from: NOON + 3 }, []],
        [{ tags: {} }, [1, 2, 3]],
        [{ tags: { env: "prod" } }, [1, 2]],
        [{ tags: { env: "prod", "a.b": "2" } }, [2]],
        [{ tags: { more: "" } }, [2]],
        [{ tags: { env: "te'st" } }, [3]],
        [{ tags: { env: "none" } }, []],
        [{ tags: { env: NUL } }, []],
        [{ tags: { env: "te'st" }, user_id: "ada", from: NOON, to: NOON + 9, status: "success" }, [3]],
        [{ tags: { env: "prod" }, user_id: "ada" }, []]
      ]
      for (const [filter, expected] of cases) yield* expectRows(store, tenant, filter, expected)
    })
  )
  check(
    "pages are not moved by later writes",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({ usage: [1, 2, 3, 4, 5].map((seq) => usageRow(seq)) })
      const maxSeq = yield* store.lastUsageSeq(tenant)
      assert.strictEqual(maxSeq, 5)
      const first = yield* store.usagePage(tenant, {}, { maxSeq, beforeSeq: 6, limit: 2 })
      assert.deepStrictEqual(seqs(first), [5, 4])
      const before = yield* store.usageTotals(tenant, {}, maxSeq)
      yield* commit({ usage: [usageRow(6), usageRow(7)] })
      const second = yield* store.usagePage(tenant, {}, { maxSeq, beforeSeq: 4, limit: 2 })
      assert.deepStrictEqual(seqs(second), [3, 2])
      const again = yield* store.usagePage(tenant, {}, { maxSeq, beforeSeq: 8, limit: 9 })
      assert.deepStrictEqual(seqs(again), [5, 4, 3, 2, 1])
      assert.deepStrictEqual(yield* store.usageTotals(tenant, {}, maxSeq), before)
      assert.strictEqual((yield* store.usageTotals(tenant, {}, 7)).requests, 7)
      assert.deepStrictEqual(seqs(yield* store.usageAfter(tenant, {}, 5, 1)), [6])
    })
  )
  check(
    "totals add up exactly, adjustments included",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({
        usage: [
          usageRow(1, { cost: AMOUNT_MAX, prompt_tokens: 2 ** 52 }),
          usageRow(2, { cost: AMOUNT_MAX, model: "other" }),
          usageRow(3, { cost: -1n, prompt_tokens: -7, completion_tokens: -5, total_tokens: -12 }, 0)
        ]
      })
      assert.deepStrictEqual(yield* store.usageTotals(tenant, {}, 3), {
        requests: 2,
        prompt_tokens: 2 ** 52 + 3,
        completion_tokens: 5,
        total_tokens: 18,
        cost: 2n * AMOUNT_MAX - 1n
      })
      const nothing = { requests: 0, prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, cost: 0n }
      assert.deepStrictEqual(yield* store.usageTotals(tenant, { model: "none" }, 3), nothing)
      assert.deepStrictEqual(yield* store.usageTotals(tenant, { model: LONE }, 3), nothing)
    })
  )
  check(
    "says what a budget of each type has spent, in each measure",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const mine = Object.fromEntries(Object.values(SUBJECT_FIELDS).map((field) => [field, "mine"]))
      yield* commit({
        usage: [
          usageRow(1, { ...mine, booked_at: NOON, cost: 7n, total_tokens: 3 }),
          usageRow(2, { ...mine, booked_at: NOON + 10, cost: 5n, total_tokens: 4 }, 0),
          usageRow(3, { booked_at: NOON, cost: 100n, total_tokens: 100 })
        ]
      })
      const spent = (query: Partial<Parameters<LedgerStore["spent"]>[1]>) =>
        store.spent(tenant, { type: "global", entityId: null, measure: "cost", from: 0, to: null, ...query })
      for (const type of Object.keys(SUBJECT_FIELDS) as ReadonlyArray<keyof typeof SUBJECT_FIELDS>) {
        const of = { type, entityId: "mine" }
        assert.strictEqual(yield* spent(of), 12n, type)
        assert.strictEqual(yield* spent({ ...of, to: NOON + 10 }), 7n, type)
        assert.strictEqual(yield* spent({ ...of, from: NOON + 1 }), 5n, type)
        assert.strictEqual(yield* spent({ ...of, measure: "tokens" }), 7n * UNIT, type)
        assert.strictEqual(yield* spent({ ...of, measure: "requests" }), UNIT, type)
        assert.strictEqual(yield* spent({ type, entityId: "nobody" }), 0n, type)
      }
      assert.strictEqual(yield* spent({}), 112n)
      assert.strictEqual(yield* spent({ measure: "requests" }), 2n * UNIT)
    })
  )
  check(
    "says what each entity of a type has spent, in each measure",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const everyField = (value: string) =>
        Object.fromEntries(Object.values(SUBJECT_FIELDS).map((field) => [field, value]))
      yield* commit({
        usage: [
          usageRow(1, { ...everyField("a/*"), booked_at: NOON, cost: 7n, total_tokens: 3 }),
          usageRow(2, { ...everyField("a/*"), booked_at: NOON + 10, cost: 5n, total_tokens: 4 }, 0),
          usageRow(3, { ...everyField("b"), booked_at: NOON, cost: 1n, total_tokens: 1 }),
          usageRow(4, { ...everyField("c"), booked_at: NOON, cost: 0n, total_tokens: 0 }, 0)
        ]
      })
      const span = { measure: "cost", from: 0, to: null } as const
      for (const type of Object.keys(SUBJECT_FIELDS) as ReadonlyArray<keyof typeof SUBJECT_FIELDS>) {
        const spent = (more: Partial<SpentByEntityQuery>, limit = 10) =>
          Effect.map(store.spentByEntity(tenant, { ...span, type, ...more }, limit), (found) =>
            [...found].sort()
          )
        assert.deepStrictEqual(
          yield* spent({}),
          [
            ["a/*", 12n],
            ["b", 1n]
          ],
          type
        )
        assert.deepStrictEqual(yield* spent({ from: NOON + 1 }), [["a/*", 5n]], type)
        assert.deepStrictEqual(yield* spent({ to: NOON }), [], type)
        assert.deepStrictEqual((yield* spent({ measure: "tokens" }))[0], ["a/*", 7n * UNIT], type)
        assert.deepStrictEqual((yield* spent({ measure: "requests" }))[0], ["a/*", UNIT], type)
        assert.strictEqual((yield* spent({}, 1)).length, 1, type)
      }
      const one = yield* openTenant()
      assert.strictEqual((yield* store.spentByEntity(one.tenant, { ...span, type: "user" }, 10)).size, 0)
    })
  )
}

/** The same rows by page, by cursor and by their count, with one filter. */
const expectRows = Effect.fnUntraced(function* (
  store: LedgerStore,
  tenant: string,
  filter: UsageFilter,
  expected: ReadonlyArray<number>
) {
  const what = JSON.stringify(filter)
  assert.deepStrictEqual(
    seqs(yield* store.usagePage(tenant, filter, FIRST_PAGE)),
    expected.toReversed(),
    what
  )
  assert.deepStrictEqual(seqs(yield* store.usageAfter(tenant, filter, 0, 100)), expected, what)
  assert.strictEqual((yield* store.usageTotals(tenant, filter, 100)).requests, expected.length, what)
})

export interface StoreUnderTest<E> {
  readonly name: string
  /** Shared by all tests but the one of restarts. */
  readonly store: Layer.Layer<LedgerStore, E>
  /** The same data in every layer that this makes; they are not open at once. */
  readonly restartable: () => Layer.Layer<LedgerStore, E>
}

export const ledgerStoreContract = <E>(under: StoreUnderTest<E>): void => {
  layer(under.store, { excludeTestServices: true, timeout: 60_000 })(under.name, (it) => {
    const check: Check = (title, body) =>
      it.effect(title, () => body as Effect.Effect<void, never, LedgerStore>)
    ownership(check)
    activation(check)
    overrides(check)
    oldPeriods(check)
    waitingForPrices(check)
    lookups(check)
    refusals(check)
    reading(check)
    auditing(check, openTenant)
    adjustments(check)
    cleaningUp(check)
    forgetting(check)
    check(
      "can be reached, and says what it survives",
      Effect.gen(function* () {
        const store = yield* LedgerStore
        assert.isTrue(yield* store.isReachable)
        assert.isAbove(store.durability.length, 20)
      })
    )
  })

  describe(`${under.name}, restarted`, () => {
    it.live("has everything that was acknowledged, in order and without gaps", () =>
      Effect.gen(function* () {
        const tenant = freshTenant()
        let claims: ReadonlyArray<Claim> = []
        for (let life = 0; life < 3; life++) {
          yield* Effect.gen(function* () {
            const { store, claim, commit, load } = yield* openTenant(tenant)
            const seq = (yield* load()).head.usageSeq
            assert.strictEqual(seq, life * 2)
            for (const next of [seq + 1, seq + 2]) {
              const id = `r${next}`
              yield* commit({ usage: [usageRow(next)], newRequests: [request(id)], openHolds: [open(id)] })
            }
            assert.lengthOf((yield* load()).openRequests, seq + 2)
            const all = yield* store.usageAfter(tenant, {}, 0, 100)
            assert.deepStrictEqual(
              all,
              Array.from({ length: seq + 2 }, (_, index) => usage(index + 1))
            )
            claims = [...claims, claim]
          }).pipe(Effect.provide(under.restartable(), { local: true }))
        }
        assert.deepStrictEqual(
          claims.map((claim) => claim.epoch),
          [1, 2, 3]
        )
      })
    )
  })
}
