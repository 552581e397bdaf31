/** A workflow whose key is revoked while no process has it: it goes on to its end, and spends nothing more. */
import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { KeyStore } from "../../src/bridge/KeyStore.ts"
import { serverStore } from "../../src/store/Store.ts"
import { makeDatabase, startProgram } from "../support/Program.ts"
import { eventually, type Json } from "../support/Wire.ts"

const agent = (name: string, depends_on: ReadonlyArray<string>, model: string): Json => ({
  ...{ name, provider: "simulator", model, prompt: "x", max_completion_tokens: 20 },
  depends_on
})

const WORKFLOW = {
  name: "two",
  agents: [agent("slow", [], "sim-slow"), agent("after", ["slow"], "sim-fast")]
}

/** As another node would. */
const revokeInTheStore = (databaseUrl: string, keyId: string) =>
  Effect.flatMap(KeyStore, (store) => store.revoke(keyId, null, 1)).pipe(
    Effect.provide(serverStore({ url: Redacted.make(databaseUrl) })),
    Effect.runPromise
  )

it("a process that begins again asks for the key anew, settles what was lost, and ends the workflow", async () => {
  const databaseUrl = await makeDatabase()
  const first = await startProgram({ databaseUrl })
  const { key, key_id } = await first.call("create_key", { name: "k", roles: ["app"] })
  const by = await first.connect(key)
  const usage = await by.subscribe("usage")
  const { workflow_id } = await by.call("start_workflow", { workflow: WORKFLOW, input: "x" })
  await usage.until((event) => event.in_flight?.state === "calling")
  await first.kill()
  assert.isTrue(await revokeInTheStore(databaseUrl, key_id))
  const second = await startProgram({ databaseUrl })
  const failed = await eventually(
    async () => (await second.call("get_workflow", { workflow_id })).workflow,
    ({ state }) => state === "failed"
  )
  assert.deepInclude(failed.failure, { agent: "slow", error: "key_revoked" })
  assert.strictEqual((await second.call("get_status")).open_holds, 0)
  const { items, totals } = await second.call("get_usage", { workflow_id })
  assert.deepStrictEqual(
    items.map((row: Json) => `${row.request_id.replace(workflow_id, "")} ${row.status}`),
    ["/slow/1 estimated"]
  )
  assert.strictEqual(failed.cost, totals.cost)
})
