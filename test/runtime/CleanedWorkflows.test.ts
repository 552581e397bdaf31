/** Workflows that ended long ago go when they are told to, and are not begun again by who asks for them once more. */
import { assert, describe, it } from "@effect/vitest"
import { changeRows, rowsWith } from "../support/Dump.ts"
import { makeDatabase, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json, type Wire } from "../support/Wire.ts"

const ROW = {
  name: "row",
  agents: [
    { name: "one", provider: "simulator", model: "sim-fast", prompt: "{{input}}", max_completion_tokens: 20 }
  ]
}
/** Nobody can pay for it. */
const NO_MONEY = { ...ROW, name: "parks", budget: { limit: "0", measure: "requests" } }

const start = async (by: Wire, workflow: Json, more: Json): Promise<string> =>
  (await by.call("start_workflow", { workflow, input: "tides", ...more })).workflow_id

const until = (by: Wire, workflow_id: string, state: string): Promise<Json> =>
  eventually(
    async () => (await by.call("get_workflow", { workflow_id })).workflow,
    (workflow) => workflow.state === state
  )

describe("cleanup_old_data", () => {
  it("takes workflows that ended before its date, and what they have told; a repeat begins nothing", async () => {
    const databaseUrl = await makeDatabase()
    let program = await startProgram({ databaseUrl })
    let wire = await program.connect()
    const ended = { workflow: ROW, input: "tides", request_id: "ended" }
    const id = (await wire.call("start_workflow", ended)).workflow_id
    await until(wire, id, "completed")
    const chosen = await start(wire, ROW, { workflow_id: "chosen" })
    await until(wire, chosen, "completed")
    const open = await start(wire, NO_MONEY, { request_id: "open" })
    await until(wire, open, "parked")
    // A hundred days go by.
    for (const [table, columns] of [
      ["machine", ["created_at", "updated_at", "ended_at"]],
      ["machine_fact", ["at"]]
    ] as const)
      await changeRows(
        databaseUrl,
        `UPDATE ${table} SET ${columns.map((column) => `${column} = ${column} - interval '100 days'`).join(", ")}`,
        []
      )
    const young = await start(wire, ROW, { request_id: "young" })
    await until(wire, young, "completed")
    const before = await wire.call("get_status", {})

    const counted = await wire.call("cleanup_old_data", {})
    assert.deepInclude(counted, { dry_run: true, usage_rows: 0, ended_machines: 2 })
    assert.include(counted.message, "2 workflow(s)")
    assert.strictEqual((await wire.call("get_workflow", { workflow_id: id })).workflow.state, "completed")

    const cleaning = { dry_run: false, request_id: "clean" }
    const cleaned = await wire.call("cleanup_old_data", cleaning)
    assert.deepInclude(cleaned, { dry_run: false, usage_rows: 0, ended_machines: 2 })
    assert.deepStrictEqual(await wire.call("cleanup_old_data", cleaning), cleaned)
    assert.notProperty(await wire.call("cleanup_old_data", { dry_run: false }), "ended_machines")

    // What memory still has of them is not what keeps them from being begun again.
    await program.stop()
    program = await startProgram({ databaseUrl })
    wire = await program.connect()
    const { items } = await wire.call("list_workflows", {})
    assert.sameMembers(
      items.map(({ workflow_id }: Json) => workflow_id),
      [open, young]
    )
    for (const gone of [id, chosen]) {
      const missing = await failureOf(wire.call("get_workflow", { workflow_id: gone }))
      assert.deepInclude(missing.data, { _tag: "NotFound", kind: "workflow", id: gone })
      assert.include(missing.message, "removed by cleanup_old_data")
    }
    const repeated = await failureOf(wire.call("start_workflow", ended))
    assert.deepInclude(repeated.data, { _tag: "NotFound", kind: "workflow", id })
    assert.include(repeated.message, "not started again")
    assert.strictEqual((await failureOf(start(wire, ROW, { workflow_id: "chosen" }))).data._tag, "NotFound")
    const after = await wire.call("get_status", {})
    assert.strictEqual(after.total_tracked, before.total_tracked)
    const told = await wire.subscribe("workflows", { from_cursor: "0" })
    const events = await told.until(
      (event) => event.workflow?.workflow_id === young && event.workflow.ended_at !== null
    )
    assert.isAbove(events[0]?.gap ?? 0, 0)
    assert.notInclude(JSON.stringify(events), id)
    const left = await rowsWith(databaseUrl, id, [
      "machine",
      "machine_fact",
      "machine_seen",
      "machine_removed"
    ])
    assert.deepStrictEqual(
      left.map((row) => row.split(":")[0]),
      ["machine_removed"]
    )
    const trail = await wire.call("get_audit_trail", { kind: "cleanup_old_data" })
    assert.deepInclude(trail.items.at(-1).after, { usage_rows: 0, ended_machines: 2 })
    await program.stop()
  })
})
