/**
 * Parked workflows that are rows, and the money of their tenants: one that cannot be loaded holds up no other, and what was
 * committed while nobody heard of it is found.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { pass } from "../../src/testing.ts"
import { OutcomeUnknown, StoreUnreachable } from "../../src/tokens/LedgerStore.ts"
import { type Ask, livesOf } from "./support/Lives.ts"

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 5, 1, 15)

const WORKFLOW = {
  name: "one",
  agents: [
    { name: "a", provider: "simulator", model: "sim-fast", prompt: "{{input}}", max_completion_tokens: 20 }
  ]
}
const NOTHING = { name: "All", type: "global", period: "lifetime", measure: "requests", limit: "0" }

const start = (ask: Ask, tenant: string) =>
  ask("start_workflow", { workflow: WORKFLOW, input: "x", workflow_id: "w" }, tenant)

const stateOf = (ask: Ask, tenant: string) =>
  Effect.map(ask("get_workflow", { workflow_id: "w" }, tenant), ({ workflow }) => workflow.state)

const parked = (ask: Ask, tenant: string) =>
  Effect.andThen(ask("create_budget", NOTHING, tenant), start(ask, tenant))

describe("after a start", () => {
  it.effect("workflows go on though another tenant cannot be loaded; its own do once it can", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const { live, ledgers } = yield* livesOf
      const budgetId = yield* live((ask) =>
        Effect.gen(function* () {
          const { budget_id } = yield* ask("create_budget", NOTHING, "bad")
          yield* start(ask, "bad")
          yield* pass(30_000)
          yield* start(ask, "good")
          assert.strictEqual(yield* stateOf(ask, "good"), "running")
          return budget_id
        })
      )
      const { load } = ledgers
      ledgers.load = (claim, liveAfter) =>
        claim.tenant === "bad"
          ? Effect.fail(new StoreUnreachable({ message: "its snapshot cannot be read" }))
          : load(claim, liveAfter)
      yield* live((ask) =>
        Effect.gen(function* () {
          yield* pass(MINUTE)
          assert.strictEqual(yield* stateOf(ask, "good"), "completed")
          ledgers.load = load
          yield* pass(MINUTE)
          yield* ask("update_budget", { budget_id: budgetId, updates: { limit: "1" } }, "bad")
          yield* pass(1_000)
          assert.strictEqual(yield* stateOf(ask, "bad"), "completed")
        })
      )
    })
  )

  it.effect("a workflow does not wait until many other tenants are loaded", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 40 }, (_, index) => `t${index}`)
      yield* TestClock.setTime(START)
      const { live, ledgers } = yield* livesOf
      yield* live((ask) =>
        Effect.gen(function* () {
          yield* Effect.forEach(many, (tenant) => parked(ask, tenant), { discard: true })
          yield* pass(30_000)
          yield* start(ask, "good")
        })
      )
      const { load } = ledgers
      ledgers.load = (claim, liveAfter) => Effect.andThen(Effect.sleep(1_000), load(claim, liveAfter))
      yield* live((ask) =>
        Effect.gen(function* () {
          yield* pass(6_000)
          assert.strictEqual(yield* stateOf(ask, "good"), "completed")
        })
      )
    })
  )
})

describe("a commit of which nobody knew that it was written", () => {
  it.effect("gives a workflow at rest its room when the tenant is loaded again", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const { live, ledgers } = yield* livesOf
      yield* live((ask) =>
        Effect.gen(function* () {
          const { budget_id } = yield* ask("create_budget", NOTHING)
          yield* ask("start_workflow", { workflow: WORKFLOW, input: "x", workflow_id: "w" })
          yield* pass(32 * MINUTE)
          const kept = { ...ledgers }
          const away = Effect.fail(new StoreUnreachable({ message: "away" }))
          ledgers.commit = (claim, batch) =>
            Effect.andThen(
              Effect.ignore(kept.commit(claim, batch)),
              Effect.fail(new OutcomeUnknown({ tenant: claim.tenant, message: "the connection was lost" }))
            )
          ledgers.resolve = () => away
          ledgers.claim = () => away
          ledgers.load = () => away
          const raised = ask("update_budget", { budget_id, updates: { limit: "1" } })
          yield* Effect.forkChild(Effect.exit(raised))
          yield* pass(8_000, 500)
          Object.assign(ledgers, kept)
          yield* pass(20_000, 500)
          assert.strictEqual(yield* stateOf(ask, "default"), "completed")
        })
      )
    })
  )
})
