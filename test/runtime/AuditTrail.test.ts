/** The audit trail of a whole runtime: who did what, over real connections and a real store. */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { failureOf, type Json } from "../support/Wire.ts"

let program: Program
const BUDGET = { name: "all", type: "global", period: "daily", limit: "10" }

beforeAll(async () => {
  program = await startProgram({ databaseUrl: await makeDatabase() })
})

const adminOf = (tenant: string, owner = "ada"): Promise<Json> =>
  program.call("create_key", { name: `admin of ${tenant}`, roles: ["admin"], tenant, owner })

const linesOf = ({ items }: Json): ReadonlyArray<string> =>
  items.map(({ seq, principal, action, subject }: Json) => `${seq} ${principal.owner} ${action} ${subject}`)

describe("the audit trail", () => {
  it("has what was done with keys, in the trail of the key's tenant, once", async () => {
    const { key, key_id } = await adminOf("acme")
    const payload = { request_id: "once", name: "k", roles: ["app"], owner: "bob" }
    const made = await program.call("create_key", payload, key)
    assert.deepStrictEqual(await program.call("create_key", payload, key), made)
    await program.call("revoke_key", { key_id: made.key_id }, key)
    await program.call("revoke_key", { key_id: made.key_id })
    const trail = await program.call("get_audit_trail", {}, key)
    assert.deepStrictEqual(linesOf(trail), [
      `3 ada revoke_key ${made.key_id}`,
      `2 ada create_key ${made.key_id}`,
      `1 installation create_key ${key_id}`
    ])
    assert.deepInclude(trail.head, { seq: 3, hash: trail.items[0].hash })
    assert.notInclude(JSON.stringify(trail), made.key.slice(-43))
    assert.isString(trail.items[0].after.revoked_at)
  })

  it("has everything that was acknowledged before, and filters by what and who and when", async () => {
    const { key } = await adminOf("filters")
    const { budget_id } = await program.call("create_budget", BUDGET, key)
    await program.call("update_budget", { budget_id, updates: { limit: "20" } }, key)
    const trail = await program.call("get_audit_trail", {}, key)
    assert.deepStrictEqual(linesOf(trail), [
      `3 ada update_budget ${budget_id}`,
      `2 ada create_budget ${budget_id}`,
      trail.items[2] && `1 installation create_key ${trail.items[2].subject}`
    ])
    assert.deepInclude(trail.items[0].before, { limit: "10" })
    assert.deepInclude(trail.items[0].after, { limit: "20" })
    const filters: ReadonlyArray<readonly [Json, ReadonlyArray<number>]> = [
      [{ kind: "update_budget" }, [3]],
      [{ principal: "ada" }, [3, 2]],
      [{ principal: "installation" }, [1]],
      [{ principal: trail.items[0].principal.key_id, kind: "create_budget" }, [2]],
      [{ from: trail.items[0].at, kind: "update_budget" }, [3]],
      [{ to: trail.items[2].at }, []],
      [{ kind: "configure_manager" }, []]
    ]
    for (const [filter, seqs] of filters) {
      const { items } = await program.call("get_audit_trail", filter, key)
      assert.deepStrictEqual(
        items.map(({ seq }: Json) => seq),
        seqs,
        JSON.stringify(filter)
      )
    }
  })

  it("is the same after a restart, and goes on", async () => {
    const options = { databaseUrl: await makeDatabase() }
    let own = await startProgram(options)
    await own.call("create_budget", BUDGET)
    const before = await own.call("get_audit_trail")
    await own.kill()
    own = await startProgram(options)
    assert.deepStrictEqual(await own.call("get_audit_trail"), before)
    await own.call("create_budget", BUDGET)
    assert.strictEqual((await own.call("get_audit_trail")).head.seq, 2)
    await own.kill()
  })

  it("takes no entry from outside", async () => {
    const note = { request_id: "r", action: "a", subject: "s", before: null, after: null }
    assert.strictEqual((await failureOf(program.call("record_audit", note))).tag, "UnknownSignal")
  })
})
