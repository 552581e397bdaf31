/**
 * What the program has written down of workflows, and what must be true of it.
 *
 * Owns: comparing what a workflow says of itself with the rows of its calls, and with all that was ever told of it.
 */
import { assert } from "@effect/vitest"
import { formatAmount, parseAmount } from "../../../src/signal/Money.ts"
import type { Program } from "../../support/Program.ts"
import type { Json } from "../../support/Wire.ts"

/** What an attempt came to: its row, and what adjusts it. A late report of a call that was charged by its estimate is one. */
const verifyAttempts = (id: string, rows: ReadonlyArray<Json>): void => {
  const first = rows.filter(({ adjusts }) => adjusts === undefined)
  const ids = first.map(({ request_id, attempt }) => `${request_id} ${attempt}`)
  assert.strictEqual(new Set(ids).size, ids.length, `${id}: no attempt is there twice`)
  for (const { request_id, attempt, adjusts } of rows) {
    if (adjusts === undefined) continue
    const adjusted = first.find((row) => row.id === adjusts)
    assert.deepInclude(adjusted, { request_id, attempt }, `${id}: what it adjusts is there`)
  }
}

/**
 * Each try has its rows under its own request id, and the workflow's sums are those of the rows. `mayBeUnsent`: a try whose
 * call was ended before it had been sent has none; the next try asked again.
 */
export const verifyRows = (workflow: Json, rows: ReadonlyArray<Json>, mayBeUnsent = false): void => {
  const id = workflow.workflow_id
  assert.deepInclude(
    workflow,
    {
      failure: null,
      state: "completed",
      steps_done: workflow.steps.length,
      completion_percent: 100
    },
    id
  )
  verifyAttempts(id, rows)
  for (const step of workflow.steps) {
    const own = rows.filter((row) => row.agent === step.agent)
    const tries = Array.from({ length: step.tries }, (_, index) => `${id}/${step.agent}/${index + 1}`)
    const charged = [...new Set(own.map((row) => row.request_id))].sort()
    const expected = tries.filter(
      (one, index) => !mayBeUnsent || index === tries.length - 1 || charged.includes(one)
    )
    assert.deepStrictEqual(charged, expected.sort(), id)
    // What was answered was answered once; tries whose answer was lost are charged all the same.
    assert.isAtLeast(own.filter(({ status }) => status === "success").length, 1, id)
    const sums = { prompt_tokens: 0, completion_tokens: 0, cost: formatAmount(costOfRows(own)) }
    for (const row of own) {
      sums.prompt_tokens += row.prompt_tokens
      sums.completion_tokens += row.completion_tokens
    }
    assert.deepInclude(step, sums, `${id}/${step.agent}`)
  }
  const tokens = rows.reduce((sum, row) => sum + row.total_tokens, 0)
  assert.deepInclude(workflow, { total_tokens: tokens, cost: formatAmount(costOfRows(rows)) }, id)
}

/** What all of these rows come to. */
export const costOfRows = (rows: ReadonlyArray<Json>): bigint =>
  rows.reduce((sum, row) => sum + parseAmount(row.cost), 0n)

/** Each output was applied once, and the workflow began and ended once. */
export const verifyFacts = (facts: ReadonlyArray<Json>, agents: ReadonlyArray<string>): void => {
  const times = (what: string, agent: string | null) =>
    facts.filter((fact) => fact.what === what && fact.agent === agent).length
  assert.strictEqual(times("started", null), 1)
  assert.strictEqual(times("completed", null), 1)
  for (const name of agents) assert.strictEqual(times("step_done", name), 1, name)
  const states = facts.map(({ steps_done }) => steps_done)
  assert.deepStrictEqual(
    states,
    [...states].sort((a, b) => a - b),
    "never backwards"
  )
}

/** All that was ever told of workflows, by workflow: from the first cursor on. */
export const factsOf = async (
  program: Program,
  key?: string
): Promise<ReadonlyMap<string, ReadonlyArray<Json>>> => {
  const byWorkflow = new Map<string, Array<Json>>()
  const wire = await program.connect(key)
  const { cursor } = await wire.call("subscribe", { topic: "workflows" })
  const events = await wire.subscribe("workflows", { from_cursor: "0" })
  for (let seq = 0; seq < Number(cursor); ) {
    const told = await events.next()
    seq = Number(told.cursor)
    const { workflow } = told.event
    byWorkflow.set(workflow.workflow_id, [...(byWorkflow.get(workflow.workflow_id) ?? []), workflow])
  }
  wire.close()
  return byWorkflow
}

export const pages = async (program: Program, method: string, params: Json): Promise<Array<Json>> => {
  const items: Array<Json> = []
  let cursor: string | undefined
  do {
    const page = await program.call(method, { ...params, ...(cursor === undefined ? {} : { cursor }) })
    items.push(...page.items)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return items
}
