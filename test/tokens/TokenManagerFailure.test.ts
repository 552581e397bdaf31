/** The store fails: nothing acknowledged is lost, nothing is counted twice, nobody waits for ever. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { pass, settle } from "../../src/testing.ts"
import { BatchRefused } from "../../src/tokens/LedgerStore.ts"
import { TENANT, TEST_PRICES } from "./support/Books.ts"
import { assertRecordedOnce, BOMB, makeManager, told } from "./support/Manager.ts"
import {
  lostAfter,
  lostBefore,
  makeGate,
  notWritten,
  type Turn,
  unreachable
} from "./support/ScriptedStore.ts"

const refusedFor =
  (isBad: (requestId: string) => boolean): Turn =>
  (real, batch) =>
    [...(batch?.newRequests ?? []), ...(batch?.openHolds ?? [])].some(({ requestId }) => isBad(requestId))
      ? Effect.fail(new BatchRefused({ tenant: TENANT, message: "scripted: invalid text" }))
      : real

describe("lesson 16: another owner has the tenant", () => {
  it.effect("the fenced one admits nothing, forgets everything, and loads it again", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const onItsWay = yield* manager.hold("r1", 6)
      yield* settle
      const onTop = yield* manager.hold("r2", 4)
      const refused = yield* manager.hold("r3", 1)
      yield* settle
      manager.script.rows.claim(TENANT, "somebody else")
      yield* gate.open
      yield* settle
      assert.strictEqual(yield* onItsWay.outcome, "Unavailable")
      assert.strictEqual(yield* onTop.outcome, "Unavailable")
      assert.strictEqual(yield* refused.outcome, "Unavailable", "a refusal that followed from what never was")
      assert.strictEqual(yield* manager.standing, "spent 0, held 0")
      assert.strictEqual(yield* (yield* manager.hold("r3", 10)).outcome, "ok")
      assert.strictEqual(yield* manager.standing, "spent 0, held 10")
    }).pipe(told)
  )

  it.effect("two owners of one tenant never admit more than there is", () =>
    Effect.gen(function* () {
      const one = yield* makeManager()
      yield* one.budget("10")
      yield* one.hold("r1", 6)
      yield* settle
      const foreign = one.script.rows.claim(TENANT, "somebody else")
      assert.isTrue(one.script.rows.holds(foreign))
      const first = yield* one.hold("r2", 4)
      yield* settle
      assert.strictEqual(yield* first.outcome, "Unavailable")
      assert.strictEqual(yield* (yield* one.hold("r2", 4)).outcome, "ok")
      assert.strictEqual(yield* (yield* one.hold("r3", 1)).outcome, "refused")
    }).pipe(told)
  )

  it.effect("the fenced one does not admit again what it remembers as held", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      assert.strictEqual(yield* (yield* manager.hold("r1", 6)).outcome, "ok")
      manager.script.rows.claim(TENANT, "somebody else")
      assert.strictEqual(yield* (yield* manager.hold("r1", 6)).outcome, "Unavailable")
      assert.strictEqual(
        yield* (yield* manager.hold("r1", 6)).outcome,
        "ok",
        "it has loaded the tenant again"
      )
      assert.strictEqual(yield* manager.standing, "spent 0, held 6")
    }).pipe(told)
  )

  it.effect("the fenced one answers nothing from memory: no query, no refusal, no repeat", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      yield* (yield* manager.post("r1", 6)).success
      const signals = [
        () => manager.ask("get_budget_status", {}),
        () => manager.hold("r2", 5),
        () => manager.hold("r3", 1, { hold: false }),
        () => manager.post("r1", 6),
        () => manager.ask("get_pricing", {})
      ]
      for (const send of signals) {
        manager.script.rows.claim(TENANT, "somebody else")
        const [one, two] = [yield* send(), yield* send()]
        assert.strictEqual(yield* one.outcome, "Unavailable")
        assert.strictEqual(yield* two.outcome, "Unavailable")
        assert.include(["ok", "refused"], yield* (yield* send()).outcome, "it has loaded the tenant again")
      }
    }).pipe(told)
  )

  it.effect("fenced between claim and load: it claims again", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const stolen: Turn = (real) =>
        Effect.andThen(
          Effect.sync(() => manager.script.rows.claim(TENANT, "x")),
          real
        )
      manager.script.once("load", stolen)
      manager.script.once("commit", lostAfter)
      manager.script.once("resolve", stolen)
      const posted = yield* manager.post("r1", 4)
      yield* pass(20_000)
      assert.strictEqual(yield* posted.outcome, "Unavailable")
      assert.strictEqual(yield* (yield* manager.post("r1", 4)).outcome, "ok")
      assertRecordedOnce(manager, ["r1"])
    }).pipe(told)
  )
})

describe("the outcome of a commit is not known", () => {
  it.effect("present: everything in it is answered as done, and counted once", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      manager.script.once("commit", lostAfter)
      const posted = yield* manager.post("r1", 4)
      yield* settle
      assert.strictEqual(yield* posted.outcome, "ok")
      assert.strictEqual(yield* manager.standing, "spent 4, held 0")
      assert.strictEqual(yield* (yield* manager.post("r2", 1)).outcome, "ok", "under the renewed claim")
      assertRecordedOnce(manager, ["r1", "r2"])
    }).pipe(told)
  )

  it.effect("absent: the same batch is sent again", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      manager.script.once("commit", lostBefore, lostBefore)
      const posted = yield* manager.post("r1", 4)
      yield* pass(1_000)
      assert.strictEqual(yield* posted.outcome, "ok")
      assert.strictEqual(yield* manager.standing, "spent 4, held 0")
      assertRecordedOnce(manager, ["r1"])
    }).pipe(told)
  )

  it.effect("unreachable for a while: it keeps asking, and then knows", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      manager.script.once("commit", lostAfter)
      manager.script.once("resolve", unreachable, unreachable, unreachable)
      const posted = yield* manager.post("r1", 4)
      yield* settle
      assert.isFalse(posted.isAnswered)
      yield* pass(3_000)
      assert.strictEqual(yield* posted.outcome, "ok")
      assertRecordedOnce(manager, ["r1"])
    }).pipe(told)
  )

  for (const [how, turn] of [
    ["it had been written", lostAfter],
    ["it had not", lostBefore]
  ] as const) {
    it.effect(`unreachable for good: Unavailable in bounded time; sent again it counts once (${how})`, () =>
      Effect.gen(function* () {
        const manager = yield* makeManager()
        yield* manager.budget("10")
        manager.script.once("commit", turn)
        manager.script.always("resolve", unreachable)
        const posted = yield* manager.post("r1", 4)
        yield* settle
        manager.script.setReachable(false)
        const behind = yield* manager.hold("r2", 1)
        yield* pass(15_000)
        assert.strictEqual(yield* posted.outcome, "Unavailable")
        assert.strictEqual(yield* behind.outcome, "Unavailable")
        manager.script.setReachable(true)
        yield* pass(2_000)
        const again = yield* (yield* manager.post("r1", 4)).success
        assert.strictEqual(again.usage.usage_seq, 1)
        assert.strictEqual(yield* manager.standing, "spent 4, held 0")
        assertRecordedOnce(manager, ["r1"])
      }).pipe(told)
    )
  }
})

describe("a batch that was not written", () => {
  it.effect("is sent again, with what came meanwhile behind it", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      manager.script.once("commit", notWritten, notWritten, notWritten)
      const posted = yield* manager.post("r1", 4)
      yield* settle
      const behind = yield* manager.post("r2", 1)
      yield* pass(2_000)
      assert.strictEqual(yield* posted.outcome, "ok")
      assert.strictEqual(yield* behind.outcome, "ok")
      assert.strictEqual(yield* manager.standing, "spent 5, held 0")
      assertRecordedOnce(manager, ["r1", "r2"])
    }).pipe(told)
  )

  it.effect("is given up in bounded time", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      manager.script.always("commit", notWritten)
      const posted = yield* manager.post("r1", 4)
      yield* pass(10_000)
      assert.strictEqual(yield* posted.outcome, "Unavailable")
      manager.script.always("commit")
      yield* pass(2_000)
      assert.strictEqual(yield* (yield* manager.post("r1", 4)).outcome, "ok")
      assertRecordedOnce(manager, ["r1"])
    }).pipe(told)
  )

  it.effect("a defect of the store is an Unavailable, and the actor lives on", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      manager.script.once("commit", () => Effect.die(new Error("scripted")))
      const posted = yield* manager.post("r1", 4)
      yield* pass(1_000)
      assert.strictEqual(yield* posted.outcome, "Unavailable")
      assert.strictEqual(yield* (yield* manager.post("r1", 4)).outcome, "ok")
      assertRecordedOnce(manager, ["r1"])
    }).pipe(told)
  )
})

describe("data that the store refuses", () => {
  for (const [what, bad] of [
    ["the first", [0]],
    ["the last", [15]],
    ["one in the middle", [7]],
    ["three", [2, 3, 11]],
    ["all", Array.from({ length: 16 }, (_, index) => index)]
  ] as const) {
    it.effect(`${what} of sixteen: refused alone and reported, all others are recorded once`, () =>
      Effect.gen(function* () {
        const manager = yield* makeManager()
        yield* manager.budget("1000")
        const isBad = new Set(bad.map((index) => `p${index}`))
        const gate = yield* makeGate
        manager.script.once("commit", gate.turn)
        yield* manager.post("r0", 1)
        yield* settle
        manager.script.always(
          "commit",
          refusedFor((id) => isBad.has(id))
        )
        const asked = yield* Effect.forEach(Array.from({ length: 16 }), (_, index) =>
          manager.post(`p${index}`, 1)
        )
        yield* settle
        yield* gate.open
        yield* pass(1_000)
        for (const [index, one] of asked.entries()) {
          assert.strictEqual(yield* one.outcome, isBad.has(`p${index}`) ? "InvalidParams" : "ok", `p${index}`)
        }
        const good = asked.flatMap((_, index) => (isBad.has(`p${index}`) ? [] : [`p${index}`]))
        assertRecordedOnce(manager, ["r0", ...good])
        assert.strictEqual(yield* manager.standing, `spent ${good.length + 1}, held 0`)
        assert.deepStrictEqual(
          manager.script.rows.alerts.map(({ alert }) => alert.kind),
          bad.map(() => "quarantined")
        )
        assert.isTrue(
          manager.told.flatMap(({ batch }) => batch.alerts).length === bad.length,
          "subscribers hear of it as well"
        )
        assert.strictEqual(yield* (yield* manager.post("later", 1)).outcome, "ok")
      }).pipe(told)
    )
  }

  it.effect("what was decided on top of the refused batch is decided anew", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      const gate = yield* makeGate
      manager.script.once("commit", (real, batch) => gate.turn(refusedFor((id) => id === "bad")(real, batch)))
      manager.script.once(
        "commit",
        refusedFor((id) => id === "bad")
      )
      const bad = yield* manager.hold("bad", 10)
      yield* settle
      const onTop = yield* manager.hold("good", 10)
      yield* settle
      assert.isFalse(onTop.isAnswered)
      yield* gate.open
      yield* pass(1_000)
      assert.strictEqual(yield* bad.outcome, "InvalidParams")
      assert.strictEqual(yield* onTop.outcome, "ok", "the room that bad had taken is there again")
      assert.strictEqual(yield* manager.standing, "spent 0, held 10")
    }).pipe(told)
  )

  it.effect("stopping in the middle answers everybody", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const gate = yield* makeGate
      const refusal = refusedFor(() => true)
      manager.script.once("commit", (real, batch) => gate.turn(refusal(real, batch)))
      const asked = yield* manager.post("r1", 1)
      yield* settle
      yield* Effect.forkDetach(manager.stop)
      yield* settle
      yield* gate.open
      yield* settle
      assert.strictEqual(yield* asked.outcome, "Unavailable")
    }).pipe(told)
  )
})

describe("a rule that throws", () => {
  it.effect("poisons only its own signal", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager(undefined, [...TEST_PRICES, BOMB])
      yield* manager.budget("100")
      const gate = yield* makeGate
      manager.script.once("commit", gate.turn)
      const before = yield* manager.post("r1", 1)
      yield* settle
      const beside = yield* manager.post("r2", 2)
      const poison = yield* manager.post("r3", 4, { model: "bomb" })
      const after = yield* manager.post("r4", 8)
      yield* settle
      yield* gate.open
      yield* pass(1_000)
      assert.strictEqual(yield* before.outcome, "ok")
      assert.strictEqual(yield* beside.outcome, "ok")
      const error = yield* poison.failure
      if (error._tag !== "InternalError") throw new Error(error._tag)
      assert.isTrue(error.incident.length > 0)
      assert.notInclude(error.message, "a rule threw")
      assert.strictEqual(yield* after.outcome, "ok")
      assert.strictEqual(yield* manager.standing, "spent 11, held 0")
      assertRecordedOnce(manager, ["r1", "r2", "r4"])
    }).pipe(told)
  )
})

describe("lesson 17: the store is away", () => {
  it.effect("asks wait, bounded in time; get_status answers and says so; nothing is counted twice", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.budget("10")
      manager.script.setReachable(false)
      const posted = yield* manager.post("r1", 4)
      const held = yield* manager.hold("r2", 1)
      yield* pass(1_000)
      assert.isFalse(posted.isAnswered)
      const status = yield* manager.ask("get_status", {})
      yield* pass(2_000)
      const figures = yield* status.success
      assert.isFalse(figures.store.reachable)
      assert.isFalse(figures.healthy)
      const usage = yield* manager.ask("get_usage", {})
      yield* pass(10_000)
      assert.strictEqual(yield* usage.outcome, "Unavailable")
      assert.strictEqual(yield* posted.outcome, "Unavailable")
      assert.strictEqual(yield* held.outcome, "Unavailable", "on_store_down: deny")
      manager.script.setReachable(true)
      yield* pass(2_000)
      assert.isTrue((yield* manager.done("get_status", {})).healthy)
      assert.strictEqual(yield* (yield* manager.post("r1", 4)).outcome, "ok")
      assert.strictEqual(yield* (yield* manager.post("r1", 4)).outcome, "ok")
      assertRecordedOnce(manager, ["r1"])
    }).pipe(told)
  )

  it.effect("back soon: who waited is served", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      manager.script.setReachable(false)
      const posted = yield* manager.post("r1", 4)
      yield* pass(2_000)
      manager.script.setReachable(true)
      yield* pass(2_000)
      assert.strictEqual(yield* posted.outcome, "ok")
    }).pipe(told)
  )

  it.effect("away from the start: the same, and then it loads", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      yield* manager.stop
      manager.script.setReachable(false)
      const again = yield* makeManager(manager.script)
      const posted = yield* again.post("r1", 4)
      const status = yield* again.ask("get_status", {})
      yield* pass(3_000)
      assert.isFalse((yield* status.success).healthy)
      yield* pass(7_000)
      assert.strictEqual(yield* posted.outcome, "Unavailable")
      again.script.setReachable(true)
      yield* pass(2_000)
      assert.strictEqual(yield* (yield* again.post("r1", 4)).outcome, "ok")
    }).pipe(told)
  )

  it.effect("a read that dies answers with an incident", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      manager.script.once("usagePage", () => Effect.die(new Error("secret SQL")))
      const asked = yield* manager.ask("get_usage", {})
      yield* settle
      const error = yield* asked.failure
      assert.strictEqual(error._tag, "InternalError")
      assert.notInclude(error.message, "SQL")
    }).pipe(told)
  )

  it.effect("a look-up that dies answers whoever it was for", () =>
    Effect.gen(function* () {
      const manager = yield* makeManager()
      manager.script.once("findRequests", () => Effect.die(new Error("scripted")))
      const asked = yield* manager.post("r1", 1)
      yield* pass(10_000)
      assert.strictEqual(yield* asked.outcome, "Unavailable")
      assert.strictEqual(yield* (yield* manager.post("r1", 1)).outcome, "ok")
    }).pipe(told)
  )
})
