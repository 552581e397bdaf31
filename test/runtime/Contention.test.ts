/**
 * Many writers at once, over several connections and for several tenants on one Postgres server: nothing of what was
 * acknowledged is dropped (lesson 13), and whoever asks sees all that was acknowledged before (lesson 22).
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { afterAll, beforeAll } from "vitest"
import { parseAmount } from "../../src/signal/Money.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import type { Json, Wire } from "../support/Wire.ts"

const TENANTS = ["one", "two", "three"]
const CONNECTIONS = 3
const WRITERS = 4
const CALLS = 12

const MODEL = { provider: "mint", model: "coin" }

let databaseUrl: string
let program: Program
const keys = new Map<string, string>()

beforeAll(async () => {
  databaseUrl = await makeDatabase()
  program = await startProgram({ databaseUrl })
  for (const tenant of TENANTS) {
    const { key } = await program.call("create_key", { name: tenant, roles: ["admin"], tenant })
    keys.set(tenant, key)
    // One token is one dollar.
    const pricing = { prompt_per_million: "1000000", completion_per_million: "1000000" }
    await program.call("update_pricing", { ...MODEL, pricing }, key)
    for (const [type, entity_id] of [
      ["global", undefined],
      ["team", "shared"],
      ["provider", "mint"],
      ["model", "coin"]
    ] as const) {
      const params = { name: type, type, entity_id, period: "lifetime", limit: "1000000" }
      await program.call("create_budget", params, key)
    }
  }
})
afterAll(() => program.kill())

const standings = async (key: string | undefined, filter: Json = {}): Promise<ReadonlyArray<Json>> =>
  (await program.call("get_budget_status", filter, key)).budgets

const deadlocks = (): Promise<number> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const rows = yield* sql<{ deadlocks: bigint }>`
      SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`
    return Number(rows[0]?.deadlocks)
  }).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections: 1 })),
    Effect.runPromise
  )

const inParallel = (count: number, run: (index: number) => Promise<void>): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, (_, index) => run(index)))

/** What a writer was acknowledged so far, in dollars; it asks, reports in two attempts, and goes on. */
const write = async (wire: Wire, name: string, onAcknowledged: (dollars: number) => void): Promise<void> => {
  for (let n = 1; n <= CALLS; n++) {
    const call = { request_id: `${name} ${n}`, ...MODEL, team_id: "shared", user_id: name }
    await wire.call("check_budget", { ...call, estimated_prompt_tokens: 9, max_completion_tokens: 0 })
    const report = { ...call, prompt_tokens: n, completion_tokens: 0 }
    await wire.call("track_usage", { ...report, settle: false, status: "error" })
    onAcknowledged(n)
    await wire.call("track_usage", { ...report, attempt: 2 })
    onAcknowledged(n)
  }
}

describe("lesson 13: contended writers", () => {
  it(`${TENANTS.length} tenants, ${CONNECTIONS} connections each: every sum is conserved, and nothing was locked`, async () => {
    const acknowledged = new Map(TENANTS.map((tenant) => [tenant, 0]))
    await inParallel(TENANTS.length * CONNECTIONS, async (index) => {
      const tenant = TENANTS[index % TENANTS.length] as string
      const wire = await program.connect(keys.get(tenant))
      await inParallel(WRITERS, (writer) =>
        write(wire, `${index} ${writer}`, (dollars) =>
          acknowledged.set(tenant, (acknowledged.get(tenant) ?? 0) + dollars)
        )
      )
    })
    for (const [tenant, dollars] of acknowledged) {
      const key = keys.get(tenant)
      assert.isAbove(dollars, 0)
      for (const budget of await standings(key)) {
        const found = { spent: budget.spent, held: budget.held, open_holds: budget.open_holds }
        assert.deepStrictEqual(
          found,
          { spent: `${dollars}`, held: "0", open_holds: 0 },
          `${tenant} ${budget.name}`
        )
      }
      const { totals } = await program.call("get_usage", { limit: 1 }, key)
      assert.strictEqual(totals.cost, `${dollars}`)
      assert.strictEqual(totals.requests, CONNECTIONS * WRITERS * CALLS)
    }
    assert.strictEqual(await deadlocks(), 0)
  })
})

describe("lesson 22: a query sees everything that was acknowledged before it", () => {
  it("under load, whether it reads rows or counters", async () => {
    const tenant = TENANTS[0] as string
    const key = keys.get(tenant)
    const [before] = await standings(key, { type: "global" })
    const begin = parseAmount(before.spent)
    let acknowledged = 0
    await inParallel(WRITERS, async (writer) => {
      const name = `reader ${writer}`
      const wire = await program.connect(key)
      let own = 0
      let asked = Promise.resolve()
      await write(wire, name, (dollars) => {
        acknowledged += dollars
        own += dollars
        const [mine, all] = [own, acknowledged]
        asked = asked.then(async () => {
          const { totals } = await wire.call("get_usage", { user_id: name, limit: 1 })
          assert.isAtLeast(Number(totals.cost), mine, "its own rows")
          const [budget] = (await wire.call("get_budget_status", { type: "global" })).budgets
          const seen = parseAmount(budget.spent) - begin
          assert.isTrue(seen >= parseAmount(`${all}`), `all counters: ${seen} of ${all}`)
        })
      })
      await asked
    })
    assert.isAbove(acknowledged, 0)
  })
})
