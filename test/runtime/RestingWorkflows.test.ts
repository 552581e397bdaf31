/**
 * Parked workflows are rows: none of many is in memory, and each comes back when there is room for it, in the order of the line; a
 * signal brings one back, and so does its moment.
 *
 * On the store in memory and in virtual time; with processes and Postgres see WorkflowsInLine.
 */
import { afterEach, assert, describe, it } from "vitest"
import {
  answers,
  scriptedProvider,
  startTestBursar,
  type TestBursar,
  type TestOptions
} from "../../src/testing.ts"

const MANY = 300

const WORKFLOW = {
  name: "line",
  agents: [{ name: "a", provider: "scripted", model: "m", prompt: "{{input}}", max_completion_tokens: 10 }]
} as const

const TEAM = { type: "team", entity_id: "red", period: "lifetime", measure: "requests" } as const

let bursar: TestBursar

afterEach(() => bursar.close())

const started = async (options: TestOptions = {}, budget = {}) => {
  bursar = await startTestBursar({
    providers: [scriptedProvider([], { thenAlways: answers("done") })],
    ...options
  })
  const pricing = { prompt_per_million: "1", completion_per_million: "1" }
  await bursar.update_pricing({ provider: "scripted", model: "m", pricing })
  const { budget_id } = await bursar.create_budget({ name: "red", limit: "0", ...TEAM, ...budget })
  return budget_id
}

const idOf = (number: number): string => `wf${String(number).padStart(5, "0")}`

const start = (number: number) =>
  bursar.start_workflow({ workflow: WORKFLOW, input: "x", team_id: "red", workflow_id: idOf(number) })

const inMemory = async (): Promise<number> => {
  let count = 0
  let cursor: string | null = ""
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof bursar.list_actors>> = await bursar.list_actors({
      kind: "workflow",
      limit: 100,
      ...(cursor === "" ? {} : { cursor })
    })
    count += page.items.length
    cursor = page.next_cursor
  }
  return count
}

const stateOf = async (number: number) =>
  (await bursar.get_workflow({ workflow_id: idOf(number) })).workflow.state

describe("parked workflows", () => {
  it(`are not in memory, ${MANY} of them; they all end when there is room`, {
    timeout: 240_000
  }, async () => {
    const budgetId = await started()
    for (let number = 0; number < MANY; number += 50)
      await Promise.all(Array.from({ length: 50 }, (_, index) => start(number + index)))
    await bursar.advance("1 minute")
    assert.strictEqual(await inMemory(), MANY)
    await bursar.advance("11 minutes")
    assert.strictEqual(await inMemory(), 0)
    const { items } = await bursar.list_workflows({ state: "parked", limit: 10 })
    assert.lengthOf(items, 10, "who looks for them finds them all the same")
    await bursar.update_budget({ budget_id: budgetId, updates: { limit: "3" } })
    await bursar.advance("1 second")
    assert.deepStrictEqual(await Promise.all([0, 1, 2, 3].map(stateOf)), [
      "completed",
      "completed",
      "completed",
      "parked"
    ])
    assert.isBelow(await inMemory(), 10, "the others stay where they are")
    await bursar.update_budget({ budget_id: budgetId, updates: { limit: String(MANY) } })
    for (let minutes = 0; minutes < 60 && (await stateOf(MANY - 1)) !== "completed"; minutes++)
      await bursar.advance("1 minute")
    const { items: left } = await bursar.list_workflows({ state: "parked", limit: 1 })
    assert.lengthOf(left, 0)
  })
})

describe("a parked workflow at rest", () => {
  const atRest = async (options: TestOptions = {}, budget = {}) => {
    const budgetId = await started(options, budget)
    await start(1)
    await start(2)
    await bursar.advance("12 minutes")
    assert.strictEqual(await inMemory(), 0)
    return budgetId
  }

  it("comes back for an override that it has asked for, before those that have waited longer", async () => {
    const override_policy = {
      requires_approval: true,
      approvers: ["budget_admin"],
      max_override_percentage: 1_000,
      notification_required: true
    }
    const spent = { workflow: WORKFLOW, input: "x", team_id: "red", workflow_id: "first" }
    const budgetId = await started({}, { limit: "1", override_policy })
    await bursar.start_workflow(spent)
    await bursar.advance("1 second")
    await start(1)
    await bursar.start_workflow({
      ...spent,
      workflow: { ...WORKFLOW, request_override: {} },
      workflow_id: "asker"
    })
    await bursar.advance("12 minutes")
    assert.strictEqual(await inMemory(), 0)
    const { items } = await bursar.list_overrides({ status: "pending", budget_id: budgetId })
    const decider = bursar.as({ roles: ["budget_admin"], owner: "decider" })
    await decider.decide_override({ override_id: items[0]?.id ?? "", decision: "approve" })
    await bursar.advance("1 second")
    const { workflow } = await bursar.get_workflow({ workflow_id: "asker" })
    assert.deepStrictEqual([workflow.state, await stateOf(1)], ["completed", "parked"])
  })

  it("is cancelled and resumed as ever", async () => {
    await atRest()
    const resumed = await bursar.resume_workflow({ workflow_id: idOf(1) })
    assert.strictEqual(resumed.workflow.state, "running")
    await bursar.advance("1 second")
    assert.strictEqual(await stateOf(1), "parked", "there is no room yet")
    await bursar.cancel_workflow({ workflow_id: idOf(2) })
    await bursar.advance("1 second")
    assert.strictEqual(await stateOf(2), "cancelled")
  })

  it("looks by itself, less and less often, and rests again where it finds no room", async () => {
    await atRest()
    const looks: Array<number> = []
    for (let minute = 12; minute < 240; minute++) {
      await bursar.advance("1 minute")
      if ((await inMemory()) > 0) looks.push(minute)
    }
    const gaps = looks.slice(1).map((minute, index) => minute - (looks[index] ?? 0))
    assert.isAtLeast(looks.length, 4)
    assert.isAtMost(looks.length, 14, `${looks}`)
    assert.isTrue(
      gaps.some((gap) => gap >= 55),
      `${looks}`
    )
    assert.strictEqual(await stateOf(1), "parked")
  })

  it("goes on when its budget's period begins anew, although nobody says so", async () => {
    await atRest({ startAt: "2026-11-25T22:00:00.000Z" }, { limit: "0", period: "lifetime" })
    const daily = { ...TEAM, entity_id: "blue", period: "daily", name: "blue", limit: "1" } as const
    await bursar.create_budget(daily)
    for (const id of ["one", "two"])
      await bursar.start_workflow({ workflow: WORKFLOW, input: "x", team_id: "blue", workflow_id: id })
    await bursar.advance("40 minutes")
    const stateOfTwo = async () => (await bursar.get_workflow({ workflow_id: "two" })).workflow.state
    assert.strictEqual(await stateOfTwo(), "parked")
    await bursar.advance("80 minutes")
    assert.strictEqual(await stateOfTwo(), "completed")
  })

  it("says when there may be room and when it looks next, and neither moment is over", async () => {
    await started({ startAt: "2026-11-25T22:00:00.000Z" }, { period: "daily", limit: "1" })
    for (const number of [1, 2, 3]) {
      await start(number)
      await bursar.advance("1 second")
    }
    const waits = async () => {
      const { items } = await bursar.list_workflows({ state: "parked" })
      const { workflow } = await bursar.get_workflow({ workflow_id: idOf(3) })
      const listed = items.find(({ workflow_id }) => workflow_id === idOf(3))
      assert.deepStrictEqual(listed?.parked, workflow.parked)
      const { retry_at, looks_at } = workflow.parked ?? {}
      return [retry_at, looks_at?.slice(0, 16)]
    }
    assert.deepStrictEqual(await waits(), ["2026-11-26T00:00:00.000Z", "2026-11-25T22:30"])
    await bursar.advance("40 minutes")
    assert.deepStrictEqual(await waits(), ["2026-11-26T00:00:00.000Z", "2026-11-25T23:30"])
    await bursar.advance("81 minutes")
    assert.strictEqual(await stateOf(2), "completed")
    // Its row says nothing of the next day yet.
    const [retryAt] = await waits()
    assert.isTrue(retryAt === null || retryAt === "2026-11-27T00:00:00.000Z", retryAt ?? "")
    await bursar.advance("2 hours")
    const [next, looks] = await waits()
    assert.strictEqual(next, "2026-11-27T00:00:00.000Z")
    assert.isAbove(Date.parse(`${looks}:59.999Z`), bursar.now().getTime())
  })
})
