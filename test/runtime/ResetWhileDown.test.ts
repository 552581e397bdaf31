/** A workflow that waits for its budget's next period goes on when that begins, though its runtime ended in between. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { pass, settle } from "../../src/testing.ts"
import { livesOf } from "./support/Lives.ts"

const HOUR_MS = 3_600_000
/** A quarter past one o'clock. */
const START = Date.UTC(2026, 0, 5, 1, 15)

const agent = (name: string, depends_on: ReadonlyArray<string> = []) => ({
  name,
  provider: "simulator",
  model: "sim-fast",
  prompt: "{{input}}",
  max_completion_tokens: 20,
  depends_on
})
const WORKFLOW = { name: "two steps", agents: [agent("research"), agent("draft", ["research"])] }

describe("a workflow that is parked until its budget begins anew", () => {
  for (const when of ["while its runtime is down", "after it is up again"] as const) {
    it.effect(`goes on when the period ends ${when}`, () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(START)
        const { live } = yield* livesOf
        const workflowId = yield* live((ask) =>
          Effect.gen(function* () {
            yield* ask("create_budget", {
              name: "All",
              type: "global",
              period: "hourly",
              measure: "requests",
              limit: "1"
            })
            const { workflow_id } = yield* ask("start_workflow", { workflow: WORKFLOW, input: "tides" })
            yield* pass(60_000)
            const { workflow } = yield* ask("get_workflow", { workflow_id })
            assert.strictEqual(workflow.state, "parked")
            assert.deepStrictEqual(workflow.parked?.agents, ["draft"])
            return workflow_id
          })
        )
        if (when === "while its runtime is down") yield* TestClock.adjust(HOUR_MS)
        yield* live((ask) =>
          Effect.gen(function* () {
            yield* settle
            if (when === "after it is up again") {
              const { workflow } = yield* ask("get_workflow", { workflow_id: workflowId })
              assert.strictEqual(workflow.state, "parked")
              yield* pass(HOUR_MS)
            } else yield* pass(60_000)
            const { workflow } = yield* ask("get_workflow", { workflow_id: workflowId })
            assert.strictEqual(workflow.state, "completed")
            assert.deepStrictEqual(
              workflow.steps.map(({ agent: name, tries }) => [name, tries]),
              [
                ["research", 1],
                ["draft", 1]
              ]
            )
            const { items } = yield* ask("get_usage", { workflow_id: workflowId })
            assert.strictEqual(items.length, 2)
          })
        )
      })
    )
  }
})
