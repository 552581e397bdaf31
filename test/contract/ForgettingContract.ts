/** What every store of a ledger must do when a user is forgotten: a part of its contract (LedgerStoreContract). */
import { assert } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import { EMPTY_CHAIN, entryAfter } from "../../src/tokens/AuditChain.ts"
import { cellsOf } from "../../src/tokens/Cleaning.ts"
import { type ForgetStep, HISTORY } from "../../src/tokens/ForgetSteps.ts"
import { type AuditRow, LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { attempt, batch, budget, head, hold, NOON, open, override, request, usageRow } from "./LedgerRows.ts"

type Check = (title: string, body: Effect.Effect<void, unknown, LedgerStore>) => void

const ADA = 'ada "\\ 🙂'
const ANON = "somebody"
const COMMANDS = [{ signal: "create_budget", requestId: "r" }]

const bookings = (entity: string) => [
  { budgetId: "own", periodStart: NOON, amount: 1n },
  { budgetId: `all/${entity}`, periodStart: NOON, amount: 1n },
  // A team that is called like the user is another.
  { budgetId: `teams/${ADA}`, periodStart: NOON, amount: 1n }
]

const period = (budgetId: string) => ({
  budgetId,
  start: NOON,
  end: NOON + 3_600_000,
  spent: 1n,
  spentAfterwards: 0n,
  held: 1n,
  carriedOver: 0n,
  overrideTotal: 0n,
  terms: null,
  alertsSent: []
})

const alertOf = (budget_id: string, entity_id?: string) => ({
  kind: "threshold" as const,
  severity: "warning" as const,
  message: `Budget "of ${ADA}" has reached 50 %`,
  budget_id,
  at: NOON,
  data: entity_id === undefined ? {} : { entity_id }
})

/** A chain of entries, one for each of these. */
const auditOf = (tenant: string, changes: ReadonlyArray<Schema.Json>): ReadonlyArray<AuditRow> => {
  const rows: Array<AuditRow> = []
  for (const after of changes) {
    const principal = { keyId: "k", owner: "o" }
    const note = { principal, action: "a", subject: "s", before: null, after, at: NOON }
    rows.push(entryAfter(tenant, rows.at(-1) ?? EMPTY_CHAIN, note, "0".repeat(64)))
  }
  return rows
}

/** All that names the user, under one name or the other. */
const worldOf = (tenant: string, name: string) => ({
  usage: [
    usageRow(1, { user_id: name }),
    usageRow(2, { user_id: "bob" }),
    usageRow(3, { user_id: name, team_id: ADA })
  ],
  newRequests: [
    request("ended", {
      hold: hold("ended", { state: "posted", bookings: [], attribution: { user_id: name, agent: ADA } }),
      attempts: [attempt(1, 1)]
    })
  ],
  openHolds: [open("held", { attribution: { user_id: name }, bookings: bookings(name) })],
  budgets: [
    budget("own", { type: "user", entityId: name, name: name === ADA ? `of ${ADA}` : `of ${ANON}` }),
    budget("all", { type: "user", entityId: "*" }),
    budget("teams", { type: "team", entityId: "*" }),
    budget("team", { type: "team", entityId: ADA })
  ],
  periods: ["own", `all/${name}`, `teams/${ADA}`].map(period),
  overrides: [
    override(1, {
      type: "user" as const,
      entityId: name,
      budgetId: `all/${name}`,
      reason: `for ${name}`,
      periodStart: NOON,
      periodEnd: NOON + 3_600_000
    })
  ],
  commands: [
    {
      signal: "create_budget",
      requestId: "r",
      digest: "d",
      result: {
        budget: { type: "user", entity_id: name, name: `of ${name}` },
        team: { type: "team", entity_id: ADA }
      }
    }
  ],
  audit: auditOf(tenant, [{ user_id: name }, { type: "team", entity_id: ADA }])
})

const HEAD = head({ usageSeq: 4, alertSeq: 3 })

let tenants = 0
const filled = Effect.gen(function* () {
  const store = yield* LedgerStore
  const tenant = `forgotten-${++tenants}`
  const claim = yield* store.claim(tenant, "owner")
  const alerts = [alertOf("own"), alertOf("all", ADA), alertOf("teams", ADA)].map((alert, index) => ({
    seq: index + 1,
    alert: { id: `alert_${index + 1}`, ...alert },
    recipients: []
  }))
  const old = usageRow(4, { user_id: ADA })
  yield* store.commit(claim, batch("b0", { journalSeq: 0 }, { ...worldOf(tenant, ADA), alerts, head: HEAD }))
  yield* store.commit(claim, batch("b1", { journalSeq: 1 }, { usage: [old], head: HEAD }))
  const cleaned = { before: NOON + 100_000_000, seqs: [4], cells: cellsOf([old], []) }
  yield* store.commit(claim, batch("b2", { journalSeq: 2 }, { cleaned, head: HEAD }))
  return { store, tenant, claim }
})

const live: ForgetStep = { kind: "live", from: ADA, to: ANON, userKey: "key", pseudonym: null }

export const forgetting = (check: Check): void => {
  check(
    "renames a user wherever he stands, and nobody who is called alike",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* filled
      const { live: done } = yield* store.forget(claim, live)
      assert.deepInclude(done, { to: ANON, budgets: 1, periods: 1, overrides: 1, keys: [] })
      const world = worldOf(tenant, ANON)
      const half = yield* store.load(claim, 0)
      assert.deepStrictEqual(half.renamings, [{ from: ADA, to: ANON, upToSeq: 4 }])
      assert.sameDeepMembers([...half.budgets], world.budgets)
      assert.sameDeepMembers([...half.periods], world.periods)
      assert.deepStrictEqual(half.overrides, world.overrides)
      assert.deepStrictEqual(
        half.openRequests.map(({ hold }) => hold),
        world.openHolds.map(({ hold }) => hold)
      )
      // What the user does meanwhile is of a new life.
      const next = usageRow(5, { user_id: ADA })
      yield* store.commit(
        claim,
        batch("b3", { journalSeq: 3 }, { usage: [next], head: head({ usageSeq: 5, alertSeq: 3 }) })
      )
      const changed: Record<string, number> = {}
      for (const kind of HISTORY) {
        const step = yield* store.forget(claim, { kind, from: ADA, to: ANON, after: null })
        assert.isNull(step.next, kind)
        changed[kind] = step.changed
      }
      assert.deepStrictEqual(changed, { usage: 2, requests: 1, cells: 1, audit: 1, alerts: 2, commands: 1 })
      assert.deepStrictEqual(
        yield* store.usageAfter(tenant, {}, 0, 10),
        [...world.usage, next].map((row) => row.usage)
      )
      const [known] = yield* store.findRequests(tenant, ["ended"])
      assert.deepStrictEqual(known?.request, world.newRequests[0])
      assert.deepStrictEqual(yield* store.findCommands(tenant, COMMANDS), world.commands)
      const cells = yield* store.cleanedAfter(tenant, undefined, 10)
      assert.deepStrictEqual(cells, cellsOf([usageRow(4, { user_id: ANON })], []))
      const [team, user] = yield* store.auditPage(tenant, {}, { maxSeq: 9, beforeSeq: 9, limit: 9 })
      const [before] = worldOf(tenant, ADA).audit
      assert.deepStrictEqual(user, before && { ...before, salt: null, body: null })
      assert.isString(team?.body)
      const alerts = yield* store.alertsAfter(tenant, 0, 10)
      assert.deepStrictEqual(
        alerts.map(({ alert }) => [alert.message.includes(ADA), alert.data.entity_id]),
        [
          [false, undefined],
          [false, ANON],
          [true, ADA]
        ]
      )
      yield* store.forget(claim, { kind: "end", from: ADA })
      assert.deepStrictEqual((yield* store.load(claim, 0)).renamings, [])
    })
  )
  check(
    "begun before, it keeps the name that was taken first, and leaves what is live to who came back",
    Effect.gen(function* () {
      const { store, claim } = yield* filled
      assert.deepInclude((yield* store.forget(claim, live)).live, { isResumed: false })
      const before = yield* store.load(claim, 0)
      const again = yield* store.forget(claim, { ...live, to: "another name" })
      assert.deepInclude(again.live, { to: ANON, isResumed: true, budgets: 0, periods: 0, overrides: 0 })
      assert.deepStrictEqual(yield* store.load(claim, 0), before)
      for (const kind of HISTORY) {
        const step = { kind, from: ADA, to: ANON, after: null }
        assert.isAbove((yield* store.forget(claim, step)).changed, 0, kind)
        assert.strictEqual((yield* store.forget(claim, step)).changed, 0, kind)
      }
      yield* store.forget(claim, { kind: "end", from: ADA })
      const anew = yield* store.forget(claim, { ...live, to: "another name" })
      assert.deepInclude(anew.live, { to: "another name", isResumed: false })
    })
  )
  check(
    "writes nothing for who has lost the tenant, and nothing where only a pseudonym is known",
    Effect.gen(function* () {
      const { store, tenant, claim } = yield* filled
      const nobody = yield* store.forget(claim, { ...live, from: null, pseudonym: "p" })
      assert.deepInclude(nobody.live, { budgets: 0, periods: 0, overrides: 0, hadPseudonym: false })
      const next = yield* store.claim(tenant, "another")
      const before = yield* store.load(next, 0)
      const steps: ReadonlyArray<ForgetStep> = [
        live,
        ...HISTORY.map((kind) => ({ kind, from: ADA, to: ANON, after: null }))
      ]
      for (const step of steps)
        assert.strictEqual((yield* Effect.flip(store.forget(claim, step)))._tag, "Fenced", step.kind)
      assert.deepStrictEqual(yield* store.load(next, 0), before)
      assert.lengthOf(yield* store.usageAfter(tenant, { user_id: ADA }, 0, 10), 2)
    })
  )
}
