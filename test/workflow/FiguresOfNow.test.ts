/**
 * A workflow says what the ledger says: also where a call of it was charged by an estimate and its report came late, where
 * somebody corrected it, and where its price came afterwards. Each such row counts once, whenever it came.
 */
import { assert, describe, it } from "@effect/vitest"
import { answers, scriptedProvider, startTestBursar, type TestBursar } from "../../src/testing.ts"

const agent = (name: string, depends_on: ReadonlyArray<string> = []) => ({
  name,
  provider: "scripted",
  model: "m",
  prompt: "{{input}}",
  max_completion_tokens: 100,
  retries: { max: 0 },
  depends_on: [...depends_on]
})

const WORKFLOW = {
  name: "row",
  agents: [agent("one"), agent("two", ["one"])],
  budget: { limit: "1000", measure: "tokens" as const }
}

const counts = (prompt_tokens: number, completion_tokens: number) => ({ prompt_tokens, completion_tokens })

/** A call takes a second. */
const says = (prompt: number, completion: number) =>
  answers({ text: "x", usage: counts(prompt, completion), afterMs: 1_000 })

/** The provider says nothing of what it used, so it is charged by an estimate: as the call of a process that died is. */
const saysNothing = answers({ text: "xxxxx", usage: null, afterMs: 1_000 })

/** Its tokens: five of its input, one of its answer. */
const ESTIMATE = 6

const PRICING = { prompt_per_million: "1000000", completion_per_million: "2000000" }
const PRICED = { provider: "scripted", model: "m", pricing: PRICING }

const started = async (lines: Parameters<typeof scriptedProvider>[0], isPriced = true) => {
  const bursar = await startTestBursar({ providers: [scriptedProvider(lines)] })
  if (isPriced) await bursar.update_pricing(PRICED)
  await bursar.start_workflow({ workflow: WORKFLOW, input: "tides", workflow_id: "wf" })
  return bursar
}

const shown = async (bursar: TestBursar) => (await bursar.get_workflow({ workflow_id: "wf" })).workflow

/** What the workflow, its steps, the list and its budget say is what the rows say. */
const agrees = async (bursar: TestBursar, total_tokens: number, cost: string) => {
  const workflow = await shown(bursar)
  const { totals, items } = await bursar.get_usage({ workflow_id: "wf" })
  assert.deepInclude(totals, { total_tokens, cost }, "the ledger")
  const remaining = String(1_000 - total_tokens)
  const expected = { total_tokens, cost, remaining, budget_percent: total_tokens / 10 }
  assert.deepInclude(workflow, expected, "get_workflow")
  for (const step of workflow.steps) {
    const own = items.filter((row) => row.agent === step.agent)
    const sum = (of: "prompt_tokens" | "completion_tokens") => own.reduce((all, row) => all + row[of], 0)
    assert.deepInclude(step, counts(sum("prompt_tokens"), sum("completion_tokens")), step.agent)
  }
  const { items: listed } = await bursar.list_workflows({})
  assert.deepInclude(listed[0], expected, "list_workflows")
  const standings = { type: "workflow", entity_id: "wf", include_inactive: true } as const
  const { budgets } = await bursar.get_budget_status(standings)
  assert.strictEqual(budgets[0]?.remaining, remaining, "its budget")
}

describe("a workflow that has ended", () => {
  it("has what a late report says, and no longer the estimate", async () => {
    await using bursar = await started([saysNothing, says(10, 5)])
    await bursar.advance("1 minute")
    await agrees(bursar, ESTIMATE + 15, "27")
    const report = { request_id: "wf/one/1", provider: "scripted", model: "m", ...counts(40, 20) }
    const { usage } = await bursar.track_usage(report)
    assert.isDefined(usage.adjusts, "it replaces the estimate")
    await agrees(bursar, 75, "100")
    await bursar.track_usage(report)
    await agrees(bursar, 75, "100")
  })

  it("has what was corrected, each time, up and down", async () => {
    await using bursar = await started([says(10, 5), says(10, 5)])
    await bursar.advance("1 minute")
    await agrees(bursar, 30, "40")
    const correct = (request_id: string, prompt: number, completion: number) =>
      bursar.correct_usage({ request_id, usage: counts(prompt, completion), reason: "recount" })
    await correct("wf/one/1", 100, 50)
    await agrees(bursar, 165, "220")
    await correct("wf/two/1", 0, 0)
    await agrees(bursar, 150, "200")
    await correct("wf/one/1", 1, 1)
    await agrees(bursar, 2, "3")
  })

  it("has the price that came afterwards", async () => {
    await using bursar = await started([says(10, 5), says(10, 5)], false)
    await bursar.advance("1 minute")
    await agrees(bursar, 30, "0")
    await bursar.update_pricing({ ...PRICED, reprice_unpriced: true })
    await agrees(bursar, 30, "40")
  })
})

describe("a workflow that runs", () => {
  it("has it at once, counts it once, and tells it from its next step on", async () => {
    await using bursar = await started([saysNothing, says(10, 5)])
    const told = await bursar.subscribe("workflows", { fromCursor: "0" })
    await bursar.advance("1 second")
    await bursar.advance("1 millis")
    const [one] = (await shown(bursar)).steps
    assert.strictEqual(one?.state, "done")
    await bursar.track_usage({ request_id: "wf/one/1", provider: "scripted", model: "m", ...counts(40, 20) })
    assert.deepInclude(await shown(bursar), { state: "running", total_tokens: 60, cost: "80" })
    await bursar.advance("1 minute")
    await agrees(bursar, 75, "100")
    await bursar.correct_usage({ request_id: "wf/one/1", usage: counts(0, 0), reason: "recount" })
    await agrees(bursar, 15, "20")
    for await (const { event } of told) {
      if (!("workflow" in event) || event.workflow.what !== "completed") continue
      assert.deepInclude(event.workflow, { total_tokens: 75, cost: "100", remaining: "925" })
      break
    }
  })

  it("has what was said of a call that was cut off, when it was cancelled", async () => {
    await using bursar = await started([says(10, 5), says(10, 5)])
    await bursar.advance("1 second")
    await bursar.advance("1 millis")
    await bursar.correct_usage({ request_id: "wf/one/1", usage: counts(100, 50), reason: "recount" })
    await bursar.cancel_workflow({ workflow_id: "wf" })
    await bursar.advance("1 minute")
    const { totals } = await bursar.get_usage({ workflow_id: "wf" })
    const { state, total_tokens, cost } = await shown(bursar)
    assert.deepStrictEqual([state, total_tokens, cost], ["cancelled", totals?.total_tokens, totals?.cost])
  })
})
