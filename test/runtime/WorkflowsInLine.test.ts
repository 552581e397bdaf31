/** Workflows that wait on one budget: what was approved for one reaches that one, also after a crash; then the oldest. */
import { assert, describe, it } from "@effect/vitest"
import { makeDatabase, startProgram } from "../support/Program.ts"
import { eventually, type Json } from "../support/Wire.ts"

const WORKFLOW = {
  name: "line",
  agents: [
    { name: "a", provider: "simulator", model: "sim-fast", prompt: "{{input}}", max_completion_tokens: 20 }
  ]
}
const POLICY = {
  requires_approval: true,
  approvers: ["budget_admin"],
  max_override_percentage: 1_000,
  notification_required: true
}

describe("workflows in line", () => {
  it("get what was approved for them, and the rest goes to who has waited longest", async () => {
    const databaseUrl = await makeDatabase()
    let program = await startProgram({ databaseUrl })
    const keyFor = (roles: ReadonlyArray<string>, owner: string): Promise<Json> =>
      program.call("create_key", { name: owner, roles, owner, tenant: "acme" })
    const { key } = await keyFor(["admin"], "admin")
    const { key: deciding } = await keyFor(["budget_admin"], "decider")
    let wire = await program.connect(key)
    const budget = { name: "red", type: "team", entity_id: "red", period: "lifetime", measure: "requests" }
    const { budget_id } = await wire.call("create_budget", {
      ...{ ...budget, limit: "1", override_policy: POLICY }
    })
    const stateOf = async (workflow_id: string): Promise<string> =>
      (await wire.call("get_workflow", { workflow_id })).workflow.state
    const until = (id: string, state: string) =>
      eventually(
        () => stateOf(id),
        (is) => is === state
      )
    const start = async (workflow_id: string, more: Json = {}, state = "parked"): Promise<void> => {
      const workflow = { ...WORKFLOW, ...more }
      await wire.call("start_workflow", { workflow, input: "x", team_id: "red", workflow_id })
      await until(workflow_id, state)
    }
    await start("first", {}, "completed")
    for (const id of ["one", "two", "three"]) await start(id)
    await start("asker", { request_override: {} })
    const overrides = () => wire.call("list_overrides", { status: "pending" })
    const [override] = (await eventually(overrides, ({ items }) => items.length > 0)).items
    assert.strictEqual(
      override.reason,
      "For the workflow asker (line), which is parked at a: 1 requests is missing in red"
    )

    await program.kill()
    program = await startProgram({ databaseUrl })
    wire = await program.connect(key)
    const decider = await program.connect(deciding)
    await decider.call("decide_override", { override_id: override.id, decision: "approve" })
    await until("asker", "completed")
    const rest = async () => Promise.all(["one", "two", "three"].map(stateOf))
    assert.deepStrictEqual(await rest(), ["parked", "parked", "parked"])

    for (const [limit, states] of [
      ["2", ["completed", "parked", "parked"]],
      ["3", ["completed", "completed", "parked"]]
    ] as const) {
      await wire.call("update_budget", { budget_id, updates: { limit } })
      await eventually(
        rest,
        (found) => found.filter((state) => state === "completed").length === Number(limit) - 1
      )
      assert.deepStrictEqual(await rest(), [...states])
    }
    await program.kill()
  })
})
