/** What `budget_check_mode` and `on_store_down` promise, on a program whose Postgres is cut off (lessons 12 and 17). */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll } from "vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, get, type Json } from "../support/Wire.ts"
import { startProxy, type TcpProxy } from "./support/TcpProxy.ts"

const MODEL = { provider: "cut", model: "cut-model" }

let proxy: TcpProxy
let program: Program

beforeAll(async () => {
  proxy = await startProxy(await makeDatabase())
  program = await startProgram({ databaseUrl: proxy.url })
  await program.call("update_pricing", {
    ...MODEL,
    pricing: { prompt_per_million: "1", completion_per_million: "1" }
  })
})

afterAll(async () => {
  await program.kill()
  await proxy.close()
})

const report = (user_id: string, request_id = `report-of-${user_id}`) => ({
  request_id,
  ...MODEL,
  prompt_tokens: 100_000,
  completion_tokens: 0,
  user_id,
  tags: { marker: `marker-of-${request_id}` }
})

const spentOf = async (user_id: string): Promise<Json> => {
  const { totals } = await program.call("get_usage", { user_id })
  return { requests: totals.requests, cost: totals.cost }
}

const backAgain = () =>
  eventually(
    () => get(program.url, "/readyz"),
    ({ status }) => status === 200
  )

describe("async", () => {
  beforeAll(() => program.call("configure_manager", { budget_check_mode: "async" }))

  it("answers before its commit has reached Postgres; a query waits for it", async () => {
    const heldBack = proxy.holdBack("marker-of-report-of-early")
    const { usage } = await program.call("track_usage", report("early"))
    const goOn = await heldBack
    const left: Array<string> = []
    const query = spentOf("early").then((spent) => {
      left.push("the query")
      return spent
    })
    assert.isTrue((await program.call("track_usage", report("early"))).duplicate)
    assert.deepStrictEqual(left, [])
    goOn()
    assert.deepStrictEqual(await query, { requests: 1, cost: "0.1" })
    const { items } = await program.call("get_usage", { user_id: "early" })
    assert.deepStrictEqual(items, [usage])
  })

  it("what was answered survives that Postgres goes away in the middle of its commit, and comes back", async () => {
    const heldBack = proxy.holdBack("marker-of-report-of-survivor")
    const { usage } = await program.call("track_usage", report("survivor"))
    await heldBack
    proxy.refuse()
    const failure = await failureOf(program.call("track_usage", report("waiting")))
    assert.strictEqual(failure.tag, "Unavailable")
    const status = await program.call("get_status")
    assert.deepInclude(status.relaxed, { unwritten: 1, lost: 0 })
    proxy.accept()
    await backAgain()
    const { items } = await eventually(
      () => program.call("get_usage", { user_id: "survivor" }).catch(() => ({ items: [] })),
      (page: Json) => page.items.length > 0
    )
    assert.deepStrictEqual(items, [usage])
    assert.isTrue((await program.call("track_usage", report("survivor"))).duplicate)
    assert.deepStrictEqual(await spentOf("survivor"), { requests: 1, cost: "0.1" })
  })

  it("what was answered in the moment of a kill may be gone: sent again, it counts once", async () => {
    const heldBack = proxy.holdBack("marker-of-report-of-killed")
    await program.call("track_usage", report("killed"))
    await heldBack
    await program.kill()
    program = await startProgram({ databaseUrl: proxy.url })
    assert.deepStrictEqual(await spentOf("killed"), { requests: 0, cost: "0" })
    assert.strictEqual((await program.call("get_status")).config.budget_check_mode, "async")
    assert.isFalse((await program.call("track_usage", report("killed"))).duplicate)
    assert.deepStrictEqual(await spentOf("killed"), { requests: 1, cost: "0.1" })
  })

  it("SIGTERM writes what was answered", async () => {
    await program.call("track_usage", report("stopped"))
    await program.stop()
    program = await startProgram({ databaseUrl: proxy.url })
    assert.deepStrictEqual(await spentOf("stopped"), { requests: 1, cost: "0.1" })
  })
})

describe('on_store_down: "allow"', () => {
  it("admits calls without a hold while Postgres is away, and charges them when it is back", async () => {
    await program.call("configure_manager", { budget_check_mode: "strict", on_store_down: "allow" })
    await program.call("create_budget", {
      name: "away",
      type: "user",
      entity_id: "away",
      period: "lifetime",
      limit: "0.05"
    })
    proxy.refuse()
    const ask = { request_id: "asked-away", ...MODEL, estimated_prompt_tokens: 100_000, user_id: "away" }
    const approval = await program.call("check_budget", ask)
    assert.deepInclude(approval, { allowed: true, budgets: [] })
    assert.notProperty(approval, "hold_id")
    assert.strictEqual(approval.warnings[0].severity, "critical")
    // A call reaches its provider; its answer waits until it can be recorded.
    const wire = await program.connect()
    const call = wire.call("complete", {
      provider: "simulator",
      model: "sim-fast",
      messages: [{ role: "user", content: "Anybody there?" }],
      user_id: "away"
    })
    const failure = await failureOf(program.call("track_usage", report("away", "asked-away")))
    assert.strictEqual(failure.tag, "Unavailable")
    const status = await eventually(
      () => program.call("get_status"),
      ({ relaxed }) => relaxed.admitted_without_hold === 2
    )
    assert.strictEqual(status.config.on_store_down, "allow")
    assert.isFalse(status.store.reachable)
    proxy.accept()
    await backAgain()
    const { usage } = await call
    assert.notProperty(usage, "hold_id")
    await eventually(
      () => program.call("track_usage", report("away", "asked-away")).catch(() => ({ tracked: false })),
      ({ tracked }: Json) => tracked
    )
    assert.strictEqual((await spentOf("away")).requests, 2)
    const refused = await program.call("check_budget", { ...ask, request_id: "asked-later" })
    assert.isFalse(refused.allowed)
  })
})
