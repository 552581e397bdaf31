/** Why an agent was refused can be asked for afterwards, with default settings, on the program as people run it. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { changeRows } from "../support/Dump.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json } from "../support/Wire.ts"

const MODEL = { provider: "simulator", model: "sim-fast" }
const ask = (request_id: string, more: Json = {}) => ({
  request_id,
  ...MODEL,
  estimated_cost: "5",
  estimated_tokens: 10,
  ...more
})
const WORKFLOW = {
  name: "poor",
  agents: [{ name: "writer", ...MODEL, prompt: "{{input}}", max_completion_tokens: 20 }],
  budget: { limit: "0", measure: "requests" }
}

let databaseUrl: string
let program: Program
const call = (method: string, params: Json = {}, key?: string) => program.call(method, params, key)
const list = (params: Json = {}, key?: string) => call("list_refusals", params, key)
const idsOf = async (params: Json = {}, key?: string): Promise<ReadonlyArray<string>> =>
  (await list(params, key)).items.map(({ request_id }: Json) => request_id)

beforeAll(async () => {
  databaseUrl = await makeDatabase()
  program = await startProgram({ databaseUrl })
})

describe("list_refusals", () => {
  let budget: Json
  let workflow: string

  beforeAll(async () => {
    const red = { name: "red", type: "team", entity_id: "red", period: "monthly", limit: "1" }
    budget = (await call("create_budget", red)).budget
    assert.isTrue(
      (await call("check_budget", ask("looks", { team_id: "red", hold: false }))).allowed === false
    )
    assert.isFalse((await call("check_budget", ask("r1", { team_id: "red", user_id: "ann" }))).allowed)
    const spender = { team_id: "red", project_id: "p", feature: "f", agent: "a", tags: { env: "prod" } }
    assert.isFalse((await call("check_budget", ask("r2", spender))).allowed)
    assert.isFalse((await call("check_budget", ask("r2", spender))).allowed)
    const held = await call("check_budget", ask("r3", { team_id: "red", estimated_cost: "0.5" }))
    assert.isTrue(held.allowed)
    assert.isFalse((await call("extend_hold", { hold_id: held.hold_id, by: { cost: "1" } })).allowed)
    const unpriced = {
      request_id: "r4",
      provider: "nobody",
      model: "none",
      team_id: "red",
      estimated_tokens: 1
    }
    assert.isFalse((await call("check_budget", unpriced)).allowed)
    await call("update_budget", { budget_id: budget.id, updates: { limit: "0" } })
    const messages = [{ role: "user", content: "Hello" }]
    const completing = call("complete", { ...MODEL, messages, team_id: "red", request_id: "r5" })
    const { tag, message } = await failureOf(completing)
    assert.strictEqual(tag, "BudgetExceeded")
    assert.include(message, "waiting does not help")
    assert.match(message, /aise the budget or ask for fewer tokens$/u)
    workflow = (await call("start_workflow", { workflow: WORKFLOW, input: "tides" })).workflow_id
    await eventually(
      () => call("get_workflow", { workflow_id: workflow }),
      (answer) => answer.workflow.state === "parked"
    )
  })

  it("says why, for whom, and how often; who only looked was not refused", async () => {
    const { items, next_cursor, dropped } = await list()
    assert.deepStrictEqual(
      items.map(({ request_id, signal, kind, count }: Json) => `${request_id} ${signal} ${kind} ${count}`),
      [
        `${workflow}/writer/1 check_budget no_room 1`,
        "r5 check_budget no_room 1",
        "r4 check_budget unknown_price 1",
        "r3 extend_hold no_room 1",
        "r2 check_budget no_room 2",
        "r1 check_budget no_room 1"
      ]
    )
    assert.deepStrictEqual([next_cursor, dropped], [null, 0])
    const [r1] = (await list({ request_id: "r1" })).items
    assert.deepInclude(r1, {
      principal: "installation",
      owner: "installation",
      attribution: { user_id: "ann", team_id: "red" },
      ...MODEL,
      estimated_tokens: 10,
      estimated_cost: "5",
      currency: "USD",
      more_violations: 0
    })
    assert.include(r1.reason, 'budget "red" has 1 USD left of 1 USD, and the call asks for 5 USD')
    const [violation] = r1.violations
    assert.include(violation, {
      budget_id: budget.id,
      name: "red",
      requested: "5",
      remaining: "1",
      shortfall: "4"
    })
    assert.strictEqual(violation.resets_at, budget.period_end)
    const [r3] = (await list({ request_id: "r3" })).items
    assert.deepInclude(r3, { attribution: { team_id: "red" }, ...MODEL, estimated_cost: "1" })
  })

  it("every filter narrows, and none is ignored", async () => {
    const all = await idsOf()
    const [first] = (await list({ request_id: "r1" })).items
    const [second] = (await list({ request_id: "r2" })).items
    const ofWorkflow = `${workflow}/writer/1`
    const justAfter = (at: string) => new Date(Date.parse(at) + 1).toISOString()
    const later = all.filter((id) => id !== "r1")
    const table: ReadonlyArray<readonly [Json, ReadonlyArray<string>]> = [
      [{}, all],
      [{ request_id: "r2" }, ["r2"]],
      [{ request_id: "r" }, []],
      [{ budget_id: budget.id }, ["r5", "r3", "r2", "r1"]],
      [{ budget_id: "none" }, []],
      [{ user_id: "ann" }, ["r1"]],
      [{ team_id: "red" }, ["r5", "r4", "r3", "r2", "r1"]],
      [{ project_id: "p" }, ["r2"]],
      [{ feature: "f" }, ["r2"]],
      [{ agent: "a" }, ["r2"]],
      [{ agent: "writer" }, [ofWorkflow]],
      [{ workflow_id: workflow }, [ofWorkflow]],
      [{ tags: { env: "prod" } }, ["r2"]],
      [{ tags: { env: "test" } }, []],
      [{ operation: "x" }, []],
      [{ from: first.first_at }, all],
      [{ from: justAfter(first.last_at) }, later],
      [{ to: first.first_at }, []],
      [{ to: justAfter(first.first_at) }, ["r1"]],
      [{ from: second.last_at, to: justAfter(second.last_at) }, ["r2"]],
      [{ team_id: "red", budget_id: budget.id, user_id: "ann" }, ["r1"]]
    ]
    for (const [filter, found] of table)
      assert.deepStrictEqual(await idsOf(filter), found, JSON.stringify(filter))
  })

  it("in pages that later refusals do not shift, each of its own filter", async () => {
    const all = await idsOf({ team_id: "red" })
    const first = await list({ team_id: "red", limit: 2 })
    assert.isFalse((await call("check_budget", ask("later", { team_id: "red" }))).allowed)
    const second = await list({ team_id: "red", limit: 2, cursor: first.next_cursor })
    const third = await list({ team_id: "red", limit: 2, cursor: second.next_cursor })
    const ids: ReadonlyArray<string> = [first, second, third].flatMap(({ items }) =>
      items.map((item: Json) => item.request_id)
    )
    assert.deepStrictEqual(ids, [...all])
    assert.isNull(third.next_cursor)
    assert.strictEqual((await idsOf({ team_id: "red" }))[0], "later")
    for (const params of [{ cursor: "x" }, { cursor: first.next_cursor }])
      assert.strictEqual((await failureOf(list(params))).tag, "InvalidParams")
  })

  it("shows a key that speaks for one user that user's alone", async () => {
    const key = (attribution: Json) =>
      call("create_key", { name: "k", roles: ["app"], attribution }).then((made) => made.key as string)
    assert.deepStrictEqual(await idsOf({}, await key({ user_id: "ann" })), ["r1"])
    assert.deepStrictEqual(await idsOf({}, await key({ user_id: "bob" })), [])
    assert.deepStrictEqual(await idsOf({}, await key({ team_id: "red", tags: { env: "prod" } })), ["r2"])
  })

  it("/metrics counts them by signal and kind, and names nobody", async () => {
    const text = await (await fetch(`${program.url}/metrics`)).text()
    const lines = text.split("\n").filter((line) => line.startsWith("bursar_refusals_total{"))
    const counts = new Map(
      lines.map((line) => [
        /\{(.*)\}/u.exec(line)?.[1]?.split(",").sort().join(),
        Number(line.split(" ").at(-1))
      ])
    )
    assert.strictEqual(counts.get('kind="unknown_price",signal="check_budget"'), 1, text)
    assert.strictEqual(counts.get('kind="no_room",signal="extend_hold"'), 1)
    assert.isAtLeast(counts.get('kind="no_room",signal="check_budget"') ?? 0, 6)
    assert.lengthOf(lines, 3)
  })

  it("outlives the program, and goes with a cleanup when it is old", async () => {
    const before = await list()
    await program.stop()
    program = await startProgram({ databaseUrl })
    assert.deepStrictEqual(await list(), before)
    const aged =
      "UPDATE refusal SET first_at = first_at - interval '100 days', last_at = last_at - interval '100 days' WHERE request_id IN ($1, $2)"
    await changeRows(databaseUrl, aged, ["r1", "r2"])
    const counted = await call("cleanup_old_data")
    assert.deepInclude(counted, { dry_run: true, refusals: 2 })
    assert.include(counted.message, "2 refusal(s)")
    assert.deepInclude(await call("cleanup_old_data", { dry_run: false }), { refusals: 2 })
    assert.notProperty(await call("cleanup_old_data", { dry_run: false }), "refusals")
    assert.deepStrictEqual(await idsOf({ user_id: "ann" }), [])
    const left = await list()
    assert.deepStrictEqual([left.items.length, left.dropped], [before.items.length - 2, 0])
    const trail = await call("get_audit_trail", { kind: "cleanup_old_data" })
    assert.deepInclude(trail.items.at(-1).after, { refusals: 2 })
  })
})
