/**
 * What every store of alerts that are owed to somebody must do. Run it on each layer that claims to be one.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { DeadLetterStore, LETTERS_KEPT, type NewLetter } from "../../src/actor/DeadLetterStore.ts"
import { ALERTS_ADDRESS } from "../../src/alerts/AlertLetter.ts"
import {
  type Claimed,
  type ClaimQuery,
  type Delivery,
  DeliveryStore,
  type Lane
} from "../../src/alerts/DeliveryStore.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { type Batch, LedgerStore, type RaisedAlert, type RecipientRow } from "../../src/tokens/LedgerStore.ts"
import { batch, NOON } from "./LedgerRows.ts"

let tenants = 0

const webhook = (id: string): RecipientRow => ({
  id,
  kind: "webhook",
  target: `https://${id}/`,
  secret: "sealed"
})
const email = (id: string): RecipientRow => ({ id, kind: "email", target: `${id}@b.c`, secret: null })

const raised = (seq: number, recipients: ReadonlyArray<string>, at = NOON): RaisedAlert => ({
  seq,
  alert: {
    id: `alert_${seq}`,
    kind: "threshold",
    severity: "warning",
    message: "'80 %' \\ 🙂",
    budget_id: "budget_1",
    at,
    data: { limit: "1.5", list: [1, null] }
  },
  recipients
})

/** A fresh tenant; batches go into it one after the other. */
const openTenant = Effect.fnUntraced(function* () {
  const ledger = yield* LedgerStore
  const tenant = `owing-${++tenants}`
  const claim = yield* ledger.claim(tenant, "owner")
  let journalSeq = 0
  const commit = (fields: Partial<Batch>) =>
    Effect.tap(ledger.commit(claim, batch(`b${journalSeq}`, { journalSeq }, fields)), () =>
      Effect.sync(() => {
        journalSeq += 1
      })
    )
  return { store: yield* DeliveryStore, tenant, commit }
})

const letterFor = (tenant: string, why: string): NewLetter => ({
  ...{
    address: ALERTS_ADDRESS,
    signal: "deliver_alert",
    at: NOON,
    why,
    preview: "'alert' \\ 🙂",
    params: "{}"
  },
  principal: installationPrincipal(tenant, "alerts")
})

let claims = 0
const query = (now: number, fields: Partial<ClaimQuery> = {}): ClaimQuery => ({
  kind: "webhook",
  now,
  busy: [],
  leaseUntil: now + 60_000,
  claim: `claim ${++claims}`,
  limit: 1_000,
  ...fields
})

/** What of a claim is this tenant's: others may be there, of other tests. */
const of = (tenant: string, deliveries: ReadonlyArray<Delivery>) =>
  deliveries
    .filter((delivery) => delivery.tenant === tenant)
    .map(({ recipientId, seq, attempt }) => `${recipientId} ${seq} try ${attempt}`)
    .sort()

type Check = (
  title: string,
  body: Effect.Effect<void, unknown, LedgerStore | DeliveryStore | DeadLetterStore>
) => void

const claiming = (check: Check): void => {
  check(
    "an alert is owed to its recipients from its commit on, with all that it takes to deliver it",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({ recipients: [webhook("r1"), email("r2")], alerts: [raised(1, ["r1", "r2"])] })
      const early = yield* store.claimDue(query(NOON - 1))
      assert.deepStrictEqual(of(tenant, early), [])
      const at = query(NOON)
      const mine = (yield* store.claimDue(at)).filter((delivery) => delivery.tenant === tenant)
      assert.deepStrictEqual(mine, [
        {
          tenant,
          recipientId: "r1",
          seq: 1,
          claim: at.claim,
          alert: raised(1, []).alert,
          attempt: 1,
          kind: "webhook",
          target: "https://r1/",
          secret: "sealed"
        }
      ])
      const [letter] = (yield* store.claimDue(query(NOON, { kind: "email" }))).filter(
        (delivery) => delivery.tenant === tenant
      )
      assert.deepInclude(letter, { recipientId: "r2", kind: "email", target: "r2@b.c", secret: null })
    })
  )
  check(
    "takes one of each recipient, the longest due first, and none of those at work",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const alerts = [raised(1, ["r1", "r2"], NOON + 5), raised(2, ["r1"], NOON), raised(3, ["r1"], NOON)]
      yield* commit({ recipients: [webhook("r1"), webhook("r2"), webhook("r3")], alerts })
      const take = (fields: Partial<ClaimQuery> = {}) =>
        Effect.map(store.claimDue(query(NOON + 10, fields)), (found) => of(tenant, found))
      const lane = (recipientId: string): Lane => ({ tenant, recipientId })
      assert.deepStrictEqual(yield* take({ busy: [lane("r1"), lane("r2")] }), [])
      assert.deepStrictEqual(yield* take({ busy: [lane("r2")] }), ["r1 2 try 1"])
      // Another tenant's recipient of the same name is another one.
      assert.deepStrictEqual(yield* take({ busy: [{ tenant: "nobody", recipientId: "r1" }] }), [
        "r1 3 try 1",
        "r2 1 try 1"
      ])
      assert.deepStrictEqual(yield* take(), ["r1 1 try 1"])
      assert.deepStrictEqual(yield* take(), [])
      assert.deepStrictEqual(yield* take({ kind: "email" }), [])
    })
  )
  check(
    "of many that take at once, each delivery goes to one",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const recipients = Array.from({ length: 20 }, (_, index) => webhook(`r${index}`))
      yield* commit({
        recipients,
        alerts: [
          raised(
            1,
            recipients.map(({ id }) => id)
          )
        ]
      })
      const taken = yield* Effect.forEach(
        Array.from({ length: 12 }),
        () => store.claimDue(query(NOON, { limit: 7 })),
        { concurrency: "unbounded" }
      )
      const all = of(tenant, taken.flat())
      assert.strictEqual(new Set(all).size, all.length)
      const rest = of(tenant, yield* store.claimDue(query(NOON)))
      assert.strictEqual(all.length + rest.length, 20)
    })
  )
  check(
    "what was taken and never heard of again is due when the lease ends",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({ recipients: [webhook("r1")], alerts: [raised(1, ["r1"])] })
      yield* store.claimDue(query(NOON, { leaseUntil: NOON + 50 }))
      assert.deepStrictEqual(of(tenant, yield* store.claimDue(query(NOON + 49))), [])
      assert.deepStrictEqual(of(tenant, yield* store.claimDue(query(NOON + 50))), ["r1 1 try 2"])
    })
  )
}

const settling = (check: Check): void => {
  check(
    "what arrived is not owed any more; what failed is due then; what was given up is a dead letter",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({ recipients: [webhook("r1")], alerts: [raised(1, ["r1"]), raised(2, ["r1"])] })
      const take = (now: number) =>
        Effect.map(store.claimDue(query(now)), (found) => found.filter((it) => it.tenant === tenant))
      const [first] = yield* take(NOON)
      yield* store.delivered(first as Claimed)
      assert.deepStrictEqual(yield* store.counts(tenant), { pending: 1, deadLetters: 0 })
      const [second] = yield* take(NOON)
      yield* store.failed(second as Claimed, NOON + 500, "it answered 500 'ü'")
      assert.deepStrictEqual(of(tenant, yield* take(NOON + 499)), [])
      const [again] = yield* take(NOON + 500)
      assert.strictEqual(again?.attempt, 2)
      yield* store.released(again as Claimed, NOON + 501)
      const [released] = yield* take(NOON + 501)
      assert.strictEqual(released?.attempt, 2, "a try that was none does not count")
      yield* store.givenUp(released as Claimed, letterFor(tenant, "enough 'ü'"))
      assert.deepStrictEqual(of(tenant, yield* take(NOON + 1e12)), [])
      assert.deepStrictEqual(yield* store.counts(tenant), { pending: 0, deadLetters: 1 })
      assert.deepStrictEqual(yield* store.counts("another"), { pending: 0, deadLetters: 0 })
      const { letters, dropped } = yield* (yield* DeadLetterStore).page(tenant, { limit: 9 })
      assert.deepStrictEqual(letters, [{ ...letterFor(tenant, "enough 'ü'"), seq: 1 }])
      assert.strictEqual(dropped, 0)
    })
  )
  check(
    "what was given up stands among the tenant's other dead letters, in order, and is bounded like them",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const letters = yield* DeadLetterStore
      yield* commit({ recipients: [webhook("r1")], alerts: [raised(1, ["r1"]), raised(2, ["r1"])] })
      const giveUp = (why: string) =>
        Effect.gen(function* () {
          const [mine] = (yield* store.claimDue(query(NOON))).filter((it) => it.tenant === tenant)
          yield* store.givenUp(mine as Claimed, letterFor(tenant, why))
        })
      const other = { ...letterFor(tenant, "of a signal"), address: "bridge", signal: "release_hold" }
      yield* giveUp("first")
      yield* letters.add(tenant, [other], 0)
      yield* giveUp("second")
      const all = yield* letters.page(tenant, { limit: 9 })
      assert.deepStrictEqual(
        all.letters.map(({ seq, why }) => `${seq} ${why}`),
        ["3 second", "2 of a signal", "1 first"]
      )
      const alerts = yield* letters.page(tenant, { address: ALERTS_ADDRESS, limit: 9 })
      assert.lengthOf(alerts.letters, 2)
      yield* letters.add(tenant, Array.from({ length: LETTERS_KEPT - 1 }).fill(other) as never, 0)
      assert.deepStrictEqual(yield* store.counts(tenant), { pending: 0, deadLetters: 1 })
      assert.strictEqual((yield* letters.page(tenant, { limit: 1 })).dropped, 2)
    })
  )
  check(
    "what was given up is owed again: as if it had never been tried, once, and only to who is still there",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({ recipients: [webhook("r1"), webhook("r2")], alerts: [raised(1, ["r1", "r2"])] })
      const take = (now: number) =>
        Effect.map(store.claimDue(query(now)), (found) => found.filter((it) => it.tenant === tenant))
      for (const mine of yield* take(NOON)) yield* store.givenUp(mine, letterFor(tenant, "enough"))
      const owed = (recipientId: string, seq = 1) => ({ tenant, recipientId, seq })
      assert.isTrue(yield* store.owedAgain(owed("r1"), NOON + 5))
      assert.deepStrictEqual(of(tenant, yield* take(NOON + 4)), [])
      const [again] = yield* take(NOON + 5)
      assert.deepInclude(again, {
        recipientId: "r1",
        attempt: 1,
        alert: raised(1, []).alert,
        secret: "sealed"
      })
      assert.isTrue(yield* store.owedAgain(owed("r1"), NOON + 6), "twice is once")
      assert.deepStrictEqual(of(tenant, yield* take(NOON + 7)), [], "whoever has it keeps it")
      yield* store.delivered(again as Claimed)
      yield* commit({ recipients: [webhook("r1")] })
      assert.isFalse(yield* store.owedAgain(owed("r2"), NOON))
      assert.isFalse(yield* store.owedAgain(owed("r1", 99), NOON))
      assert.isFalse(yield* store.owedAgain({ ...owed("r1"), tenant: "another" }, NOON))
      assert.strictEqual((yield* store.counts(tenant)).pending, 0)
    })
  )
  check(
    "whoever lost its lease changes nothing any more",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      yield* commit({ recipients: [webhook("r1")], alerts: [raised(1, ["r1"])] })
      const take = (now: number) =>
        Effect.map(store.claimDue(query(now)), (found) => found.find((it) => it.tenant === tenant) as Claimed)
      const late = yield* take(NOON)
      const heir = yield* take(NOON + 60_000)
      yield* store.delivered(late)
      yield* store.failed(late, NOON, "late")
      yield* store.givenUp(late, letterFor(tenant, "late"))
      yield* store.released(late, NOON)
      assert.deepStrictEqual(yield* store.counts(tenant), { pending: 1, deadLetters: 0 })
      yield* store.delivered(heir)
      assert.deepStrictEqual(yield* store.counts(tenant), { pending: 0, deadLetters: 0 })
    })
  )
  check(
    "says when something is due next that nobody works at",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const early = -1e11
      const lanes = ["r1", "r2"].map((recipientId) => ({ tenant, recipientId }))
      const recipients = [webhook("r1"), webhook("r2"), email("r3")]
      const alerts = [raised(1, ["r1"], early + 5), raised(2, ["r2"], early + 9), raised(3, ["r3"], early)]
      yield* commit({ recipients, alerts })
      const next = (busy: ReadonlyArray<Lane>) => store.nextDueAt({ kind: "webhook", now: NOON, busy })
      assert.strictEqual(yield* next([]), early + 5)
      assert.strictEqual(yield* next(lanes.slice(0, 1)), early + 9)
      assert.notStrictEqual(yield* next(lanes), early + 9)
      yield* commit({ recipients: [] })
    })
  )
  check(
    "drops what waits for recipients that went, and keeps their dead letters",
    Effect.gen(function* () {
      const { store, tenant, commit } = yield* openTenant()
      const recipients = [webhook("r1"), webhook("r2")]
      yield* commit({ recipients, alerts: [1, 2, 3].map((seq) => raised(seq, ["r1", "r2"])) })
      const [dead] = (yield* store.claimDue(query(NOON))).filter(
        (it) => it.tenant === tenant && it.recipientId === "r1"
      )
      yield* store.givenUp(dead as Claimed, letterFor(tenant, "enough"))
      // An alert of the very batch that removes its recipient waits for nobody either.
      yield* commit({ recipients: recipients.slice(1), alerts: [raised(4, ["r1", "r2"])] })
      const left = of(tenant, yield* store.claimDue(query(NOON + 1e9)))
      assert.deepStrictEqual(left, ["r2 2 try 1"], "nothing goes to who is not there")
      const gone = (yield* store.dropOrphans).filter((it) => it.tenant === tenant)
      assert.deepStrictEqual(gone, [{ tenant, recipientId: "r1", dropped: 3 }])
      assert.deepStrictEqual(yield* store.counts(tenant), { pending: 4, deadLetters: 1 })
      assert.deepStrictEqual(
        (yield* store.dropOrphans).filter((it) => it.tenant === tenant),
        []
      )
    })
  )
}

export const deliveryStoreContract = <E>(
  name: string,
  store: Layer.Layer<LedgerStore | DeliveryStore | DeadLetterStore, E>
): void => {
  describe(name, () => {
    layer(store, { excludeTestServices: true })((it) => {
      const check: Check = (title, body) => it.effect(title, () => body)
      claiming(check)
      settling(check)
    })
  })
}
