/**
 * A node that is told to stop, as a program of its own: its clients hear so from it, with every answer that it has promised,
 * and find all of it at the other node.
 */
import { assert, it } from "@effect/vitest"
import { makeDatabase, type Program } from "../support/Program.ts"
import { Disconnected, type Json, Refused } from "../support/Wire.ts"
import { settled, startNodeProgram } from "./support/Programs.ts"

const ASKS = 200
const TENANTS = 4

const hold = (request_id: string) => ({ request_id, estimated_cost: "0.01", estimated_tokens: 1 })

/** Keys of tenants, some of which each of the nodes has. */
const keysOf = (node: Program): Promise<ReadonlyArray<string>> =>
  Promise.all(
    Array.from({ length: TENANTS }, async (_, n) => {
      const tenant = `tenant-${n}`
      const { key } = await node.call("create_key", { name: tenant, roles: ["admin"], tenant })
      await node.call("create_budget", { name: "all", type: "global", period: "lifetime", limit: "100" }, key)
      return key as string
    })
  )

/** What was answered by the node that leaves, by request; and what its clients were told instead. */
interface Heard {
  readonly answered: Map<string, string>
  readonly refused: Array<string>
}

it("its clients get every answer that is due, `Unavailable` or an end with 1001, and find all at the other node", {
  timeout: 240_000
}, async () => {
  const databaseUrl = await makeDatabase()
  const [stays, leaves] = (await Promise.all([
    startNodeProgram(databaseUrl),
    startNodeProgram(databaseUrl)
  ])) as [Program, Program]
  await settled([stays, leaves])
  const keys = await keysOf(stays)
  const heard = await Promise.all(
    keys.map(async (key, n): Promise<Heard> => {
      const client = await leaves.connect(key)
      const answered = new Map<string, string>()
      const refused: Array<string> = []
      const ask = async (id: string): Promise<void> => {
        try {
          answered.set(id, (await client.call("check_budget", hold(id))).hold_id)
        } catch (error) {
          if (!(error instanceof Refused || error instanceof Disconnected)) throw error
          refused.push(error instanceof Refused ? error.tag : "disconnected")
        }
      }
      await ask(`t${n}-first`)
      // The node is told to stop while all of these are on their way.
      const asked = Promise.all(Array.from({ length: ASKS }, (_, index) => ask(`t${n}-${index}`)))
      if (n === 0) process.kill(leaves.pid, "SIGTERM")
      await asked
      assert.strictEqual(await client.closed, 1001)
      return { answered, refused }
    })
  )
  assert.deepStrictEqual(await leaves.exited, { code: 0, signal: null })
  for (const [n, { answered, refused }] of heard.entries()) {
    for (const what of refused) assert.include(["Unavailable", "disconnected"], what)
    const ids = [`t${n}-first`, ...Array.from({ length: ASKS }, (_, index) => `t${n}-${index}`)]
    for (const request_id of ids) {
      const again: Json = await stays.call("check_budget", hold(request_id), keys[n])
      assert.strictEqual(
        again.hold_id,
        answered.get(request_id) ?? again.hold_id,
        "what was promised is there"
      )
    }
    const { budgets } = await stays.call("get_budget_status", {}, keys[n])
    assert.strictEqual(budgets[0].open_holds, ids.length, "each is held once")
  }
})
