/** How many workflows may be open, over real sockets and a restart; and what is left of a workflow's own budget at its end. */
import { assert, describe, it } from "@effect/vitest"
import { makeDatabase, runProgram, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json, type Wire } from "../support/Wire.ts"

const AGENT = {
  name: "one",
  provider: "simulator",
  model: "sim-fast",
  prompt: "{{input}}",
  max_completion_tokens: 20
}
const PAID = { name: "paid", agents: [AGENT], budget: { limit: "5", measure: "requests" } }
/** More than the answer may have tokens for. */
const JSON_OUTPUT = { type: "json", schema: { type: "string", minLength: 100_000 } }
/** Nobody can pay for it. */
const PARKS = { ...PAID, name: "parks", budget: { limit: "0", measure: "requests" } }

const start = async (by: Wire, workflow: Json): Promise<string> =>
  (await by.call("start_workflow", { workflow, input: "tides" })).workflow_id

const until = (by: Wire, workflow_id: string, state: string): Promise<Json> =>
  eventually(
    async () => (await by.call("get_workflow", { workflow_id })).workflow,
    (workflow) => workflow.state === state
  )

const budgetOf = async (by: Wire, entity_id: string): Promise<Json> => {
  const wanted = { type: "workflow", entity_id, include_inactive: true }
  return (await by.call("get_budget_status", wanted)).budgets[0]
}

describe("workflows of a tenant", () => {
  it("are bounded while they are open; a cancelled one makes room, a restart does not", async () => {
    const databaseUrl = await makeDatabase()
    const env = { BURSAR_OPEN_WORKFLOWS_MAX: "2" }
    let program = await startProgram({ databaseUrl, env })
    let wire = await program.connect()
    const [first = ""] = [await start(wire, PARKS), await start(wire, PARKS)]
    const refused = await failureOf(start(wire, PAID))
    assert.strictEqual(refused.code, -32_029)
    assert.include(refused.message, "2 of the kind workflow")
    assert.isAbove(refused.data.retry_after_ms, 0)
    await until(wire, first, "parked")
    await wire.call("cancel_workflow", { workflow_id: first })
    await until(wire, first, "cancelled")
    const other = await start(wire, PARKS)
    await program.stop()
    program = await startProgram({ databaseUrl, env })
    wire = await program.connect()
    assert.strictEqual((await failureOf(start(wire, PAID))).code, -32_029)
    const { key } = await program.call("create_key", { name: "n", roles: ["app"], tenant: "other" })
    await start(await program.connect(key), PARKS)
    await wire.call("cancel_workflow", { workflow_id: other })
    await until(wire, other, "cancelled")
    await until(wire, await start(wire, PAID), "completed")
    await program.stop()
  })

  it("end their own budget with themselves: it refuses nothing any more, and keeps what was spent", async () => {
    const databaseUrl = await makeDatabase()
    const program = await startProgram({ databaseUrl })
    const wire = await program.connect()
    const done = await start(wire, PAID)
    await until(wire, done, "completed")
    assert.deepInclude(await budgetOf(wire, done), { active: false, spent: "1", held: "0" })
    const parked = await start(wire, PARKS)
    await until(wire, parked, "parked")
    assert.deepInclude(await budgetOf(wire, parked), { active: true })
    await wire.call("cancel_workflow", { workflow_id: parked })
    await until(wire, parked, "cancelled")
    assert.deepInclude(await budgetOf(wire, parked), { active: false })
    const failing = {
      ...PAID,
      name: "fails",
      agents: [{ ...AGENT, output: JSON_OUTPUT, retries: { max: 0 } }]
    }
    const failed = await start(wire, failing)
    await until(wire, failed, "failed")
    assert.deepInclude(await budgetOf(wire, failed), { active: false })
    const { groups } = await wire
      .call("get_usage", { workflow_id: done })
      .then(({ totals }) => ({ groups: totals.requests }))
    assert.strictEqual(groups, 1)
    await program.stop()
    const { code, log } = await runProgram({ databaseUrl, args: ["audit", "verify"] })
    assert.strictEqual(code, 0, log)
  })
})
