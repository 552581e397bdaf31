/** Overrides in a running TokenManager: by timer, after commits that went wrong, and what subscribers are told. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { formatAmount } from "../../src/signal/Money.ts"
import { pass, settle } from "../../src/testing.ts"
import { keyNamed, TENANT } from "./support/Books.ts"
import { type Manager, makeManager, told } from "./support/Manager.ts"
import { lostAfter, makeGate, notWritten } from "./support/ScriptedStore.ts"

const HOUR_MS = 3_600_000
const ANN = keyNamed("ann")
const BOB = keyNamed("bob", ["budget_admin"])

/** A budget of 100 with an override of 20 that was asked for. */
const askFor = (manager: Manager, expires_at?: string) =>
  Effect.gen(function* () {
    const { budget_id } = yield* manager.budget("100")
    const asked = { budget_id, amount: "20", reason: "a launch" }
    const { override_id } = yield* manager.done(
      "request_override",
      expires_at === undefined ? asked : { ...asked, expires_at },
      ANN
    )
    return { budget_id, override_id }
  })

const approve = (manager: Manager, override_id: string) =>
  manager.ask("decide_override", { override_id, decision: "approve" }, BOB)

/** What subscribers were told of overrides since they last looked, with the room there was then. */
const newsOf = (manager: Manager): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(settle, () =>
    manager.told.splice(0).flatMap(({ batch, standings }) =>
      batch.overrides.map(({ status }) => {
        const left = standings.map(({ remaining }) => formatAmount(remaining)).join(" ")
        return `${status}, left ${left}`
      })
    )
  )

describe("overrides", () => {
  it.effect("are told once they are committed: asked for, approved, and expired by the timer alone", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const { override_id } = yield* askFor(manager, "2026-03-10T11:00:00Z")
      assert.deepStrictEqual(yield* newsOf(manager), ["pending, left 100"])
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const decided = yield* approve(manager, override_id)
      yield* settle
      assert.isFalse(decided.isAnswered)
      assert.deepStrictEqual(yield* newsOf(manager), [], "nothing is told before it is committed")
      yield* gate.open
      yield* settle
      assert.strictEqual(yield* decided.outcome, "ok")
      assert.deepStrictEqual(yield* newsOf(manager), ["approved, left 120"])
      yield* pass(HOUR_MS - 1)
      assert.deepStrictEqual(yield* newsOf(manager), [])
      yield* pass(1)
      assert.deepStrictEqual(yield* newsOf(manager), ["expired, left 100"])
      yield* pass(100 * HOUR_MS)
      assert.deepStrictEqual(yield* newsOf(manager), [], "once")
    }).pipe(told)
  )

  it.effect("a denied one and one that nobody decided are told, too", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const { override_id, budget_id } = yield* askFor(manager)
      yield* manager.done("decide_override", { override_id, decision: "deny" }, BOB)
      yield* manager.done("request_override", { budget_id, amount: "1", reason: "again" }, ANN)
      yield* newsOf(manager)
      yield* pass(14 * HOUR_MS)
      assert.deepStrictEqual(
        [...manager.script.rows.overrides.values()].map(({ status }) => status),
        ["denied", "expired"]
      )
      assert.lengthOf(yield* newsOf(manager), 1)
    }).pipe(told)
  )

  it.effect("of two decisions on their way at once, the first counts", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const { override_id } = yield* askFor(manager)
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const first = yield* approve(manager, override_id)
      yield* settle
      const second = yield* manager.ask(
        "decide_override",
        { override_id, decision: "deny" },
        keyNamed("cat", ["budget_admin"])
      )
      yield* settle
      yield* gate.open
      yield* settle
      assert.deepStrictEqual([yield* first.outcome, yield* second.outcome], ["ok", "Conflict"])
    }).pipe(told)
  )

  it.effect("an approval whose answer was lost is there, and is answered the same", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const { override_id } = yield* askFor(manager)
      const command = { request_id: "d1", override_id, decision: "approve" } as const
      manager.script.once("commit", notWritten, lostAfter)
      const first = yield* manager.ask("decide_override", command, BOB)
      yield* pass(1_000)
      assert.strictEqual(yield* first.outcome, "ok")
      // Somebody else has the tenant for a moment: all memory is lost.
      manager.script.rows.claim(TENANT, "somebody else")
      const fenced = yield* manager.hold("r1", 120)
      yield* pass(1_000)
      assert.strictEqual(yield* fenced.outcome, "Unavailable")
      const other = yield* manager.ask("decide_override", { ...command, request_id: "d2" }, BOB)
      assert.strictEqual(yield* other.outcome, "Conflict")
      assert.deepStrictEqual(yield* manager.done("decide_override", command, BOB), yield* first.success)
      const held = yield* manager.hold("r1", 120)
      assert.strictEqual(yield* held.outcome, "ok")
    }).pipe(told)
  )

  it.effect("are listed as soon as they are acknowledged", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const { override_id } = yield* askFor(manager)
      const statuses = Effect.map(manager.done("list_overrides", {}, BOB), ({ items }) =>
        items.map(({ id, status }) => `${id} ${status}`)
      )
      assert.deepStrictEqual(yield* statuses, [`${override_id} pending`])
      yield* (yield* approve(manager, override_id)).success
      assert.deepStrictEqual(yield* statuses, [`${override_id} approved`])
    }).pipe(told)
  )
})
