/** A workflow spends no more once the key that started it has ended. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Unavailable, Violation } from "../../src/signal/Errors.ts"
import { parseAmount } from "../../src/signal/Money.ts"
import { callAgent } from "../../src/workflow/AgentCall.ts"
import { orderOf } from "../../src/workflow/AgentOrder.ts"
import type { KeyStanding } from "../../src/workflow/Ports.ts"
import { awaitRoom, lookAtRefusals, refusedOrderOf } from "../../src/workflow/Refused.ts"
import { RoomLine } from "../../src/workflow/RoomLine.ts"
import { endStep } from "../../src/workflow/StepEnd.ts"
import { completionOf, FakePorts, used, violationOf } from "./support/FakePorts.ts"
import { contextOf, graph, inputOf, START } from "./support/Graphs.ts"

const order = orderOf(contextOf(graph("a")), "a")
const HOLDER = inputOf(graph("a")).principal
const REVOKED: KeyStanding = { ended: "revoked" }
const away = new Unavailable({ message: "away", retry_after_ms: 1_000 })

describe("a call in the name of a key that", () => {
  const ends: ReadonlyArray<readonly [KeyStanding, string, string]> = [
    [REVOKED, "key_revoked", "was revoked"],
    [{ ended: "expired" }, "key_expired", "has expired"],
    [{ ended: "unknown" }, "key_unknown", "is not known any more"],
    [{ holder: { ...HOLDER, roles: ["analyst"] } }, "key_may_not_spend", "has no longer the role app"]
  ]
  for (const [standing, error, what] of ends) {
    it.effect(`${what} is not made: the workflow fails, and says what to do`, () =>
      Effect.gen(function* () {
        const ports = new FakePorts()
        ports.standings.push(standing)
        ports.completions.push(completionOf("never asked for"))
        const end = yield* callAgent(ports, order)
        assert.deepInclude(end, { kind: "failed", isRetryable: false, error } as never)
        assert.lengthOf(ports.named("complete"), 0)
        const after = endStep(contextOf(graph("a")), "a", end)
        assert.strictEqual(after.ending, "failed")
        assert.deepInclude(after.failure, {
          agent: "a",
          error,
          message: `The key key, which started it, ${what}. Start it again with another key; get_workflow has what its agents have answered`
        })
      })
    )
  }

  it.effect("ends while a provider has no time for it is not made either", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      ports.standings.push({ holder: HOLDER }, REVOKED)
      ports.completions.push(away, completionOf("too late"))
      const ended = yield* Effect.forkChild(callAgent(ports, order))
      yield* TestClock.adjust(2_000)
      assert.deepInclude(yield* Fiber.join(ended), { kind: "failed", error: "key_revoked" } as never)
      assert.lengthOf(ports.named("complete"), 1)
    })
  )

  it.effect("may be asked about later waits until the store says so", () =>
    Effect.gen(function* () {
      const ports = new FakePorts()
      ports.standings.push(away, { holder: HOLDER })
      ports.completions.push(completionOf("at last"))
      const ended = yield* Effect.forkChild(callAgent(ports, order))
      yield* TestClock.adjust(2_000)
      assert.strictEqual((yield* Fiber.join(ended)).kind, "done")
    })
  )

  it.effect("has ended settles first what a process that died still holds", () =>
    Effect.gen(function* () {
      const open_hold = { hold_id: "hold_1.wf/a/1", provider: "simulator", model: "sim-fast" }
      const ports = new FakePorts().script("find_request", used({ open_hold }), used({}))
      ports.standings.push(REVOKED)
      assert.strictEqual((yield* callAgent(ports, order)).kind, "lost")
      assert.lengthOf(ports.named("settle"), 1)
      assert.deepInclude(yield* callAgent(ports, { ...order, tryNumber: 2 }), {
        kind: "failed",
        error: "key_revoked"
      } as never)
    })
  )
})

describe("a parked workflow whose key has ended", () => {
  const violation = Schema.encodeSync(Violation)(violationOf())
  const parked = refusedOrderOf(
    endStep(contextOf(graph("a", { request_override: {} })), "a", {
      kind: "refused",
      at: START,
      refusal: { reason: "r", retryAt: null, violations: [violation] }
    })
  )

  it.effect("waits for no room: it goes on to the call that ends it", () =>
    Effect.gen(function* () {
      const ports = new FakePorts().script("check_budget", {
        allowed: false,
        violations: [],
        retry_at: null
      } as never)
      ports.standings.push({ holder: HOLDER }, away, REVOKED)
      const waiting = yield* Effect.forkChild(awaitRoom(ports, new RoomLine(ports), parked))
      yield* TestClock.adjust(32_000)
      assert.lengthOf(ports.named("check_budget"), 1)
      yield* TestClock.adjust(29_999)
      assert.isUndefined(waiting.pollUnsafe(), "what cannot be said is not so")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { at: 62_000, hasRoom: true })
      assert.lengthOf(ports.named("check_budget"), 1, "the key is asked more often than the budget")
    })
  )

  it.effect("asks nobody for more", () =>
    Effect.gen(function* () {
      const status = { budgets: [{ entity_id: "red", override_policy: { approvers: ["ann"] } }] } as never
      const ports = new FakePorts()
        .script("get_budget_status", status)
        .script("request_override", { override_id: "override_7" } as never)
      ports.standings.push(REVOKED)
      const found = yield* lookAtRefusals(ports, parked)
      assert.deepStrictEqual(found, {
        round: 1,
        approvers: ["ann"],
        overrides: [],
        notes: [],
        keyEndsAt: null
      })
      assert.lengthOf(ports.named("request_override"), 0)
      ports.standings.splice(0)
      assert.deepStrictEqual((yield* lookAtRefusals(ports, parked)).overrides, ["override_7"])
      assert.deepInclude(ports.named("request_override")[0], { amount: parseAmount("0.2") } as never)
    })
  )
})
