/** A call that is sent again after some of its attempts were charged: both lives are in the ledger, each attempt once. */
import { assert, describe, it } from "@effect/vitest"
import { formatAmount, parseAmount } from "../../src/signal/Money.ts"
import {
  answers,
  fails,
  moneyOf,
  scriptedProvider,
  startTestBursar,
  staysSilent,
  usageOf
} from "../../src/testing.ts"

const MODEL = { provider: "anthropic", model: "claude-sonnet-4-20250514" } as const

/** Its connection is lost first, so that nobody knows what was used; the next one answers. */
const losing = () =>
  scriptedProvider(
    [
      fails({ status: null, usage: null }),
      answers({ text: "fine", usage: { prompt_tokens: 100, completion_tokens: 10 } })
    ],
    { name: "anthropic" }
  )

const scarce = { name: "All", type: "global", period: "daily", limit: "200", measure: "tokens" } as const

const rowsOf = async (bursar: Parameters<typeof usageOf>[0]) =>
  (await usageOf(bursar)).map(({ attempt, status, total_tokens }) => `${attempt} ${status} ${total_tokens}`)

describe("a call in its second life", () => {
  it("leaves what its first life was charged by estimate, and charges beside it", async () => {
    const provider = losing()
    await using bursar = await startTestBursar({ providers: [provider] })
    const { budget_id } = await bursar.create_budget(scarce)
    const call = {
      ...MODEL,
      request_id: "r1",
      messages: [{ role: "user" as const, content: "x".repeat(100) }],
      max_completion_tokens: 50
    }
    const refused = bursar.complete(call).catch(({ _tag }) => _tag)
    await bursar.advance("1 minute")
    assert.strictEqual(await refused, "BudgetExceeded")
    assert.deepStrictEqual(await rowsOf(bursar), ["1 estimated 100"])
    await bursar.update_budget({ budget_id, updates: { limit: "100000" } })
    const answered = bursar.complete(call)
    await bursar.advance("1 minute")
    assert.strictEqual((await answered).usage.total_tokens, 110)
    assert.strictEqual(provider.requests.length, 2)
    assert.deepStrictEqual(await rowsOf(bursar), ["2 success 110", "1 estimated 100"])
    const { spent, held } = await moneyOf(bursar, "global")
    assert.deepStrictEqual([spent, held], ["210", "0"])
  })

  it("is all in the sums of the workflow that parked in between", async () => {
    await using bursar = await startTestBursar({ providers: [losing()] })
    const { budget_id } = await bursar.create_budget(scarce)
    const { workflow_id } = await bursar.start_workflow({
      input: "x".repeat(100),
      workflow: {
        name: "one",
        agents: [{ ...MODEL, name: "only", prompt: "{{input}}", max_completion_tokens: 50 }]
      }
    })
    await bursar.advance("1 minute")
    const parked = await bursar.get_workflow({ workflow_id })
    assert.strictEqual(parked.workflow.state, "parked")
    assert.strictEqual(parked.workflow.total_tokens, 100)
    await bursar.update_budget({ budget_id, updates: { limit: "100000" } })
    await bursar.resume_workflow({ workflow_id })
    await bursar.advance("1 minute")
    const { workflow } = await bursar.get_workflow({ workflow_id })
    assert.strictEqual(workflow.state, "completed")
    assert.strictEqual(workflow.total_tokens, 210)
    assert.deepStrictEqual(await rowsOf(bursar), ["2 success 110", "1 estimated 100"])
    const cost = (await usageOf(bursar)).reduce((sum, usage) => sum + parseAmount(usage.cost), 0n)
    assert.strictEqual(workflow.cost, formatAmount(cost))
  })
})

it("a call that was stopped while it ran says to be made again under a new request_id, for its own is used up", async () => {
  await using bursar = await startTestBursar({
    providers: [scriptedProvider([staysSilent], { name: "anthropic" })]
  })
  const call = { ...MODEL, request_id: "r1", messages: [{ role: "user" as const, content: "hello" }] }
  const stopped = bursar.complete(call).catch((error: unknown) => error)
  await bursar.advance("1 second")
  await bursar.stop_actor({ address: "call/default/r1" })
  await bursar.advance("1 second")
  assert.include(String(await stopped), "send it under a new request_id")
  assert.deepInclude(await bursar.complete(call).catch((error: unknown) => error), { _tag: "Conflict" })
})

it("an attempt that is reported after its workflow has counted the call is in the workflow's sums", async () => {
  await using bursar = await startTestBursar({
    providers: [scriptedProvider([answers("fine")], { name: "anthropic" })]
  })
  const { workflow_id } = await bursar.start_workflow({
    input: "tides",
    workflow: { name: "one", agents: [{ ...MODEL, name: "only", prompt: "{{input}}" }] }
  })
  await bursar.advance("1 minute")
  const { workflow: before } = await bursar.get_workflow({ workflow_id })
  assert.strictEqual(before.state, "completed")
  await bursar.track_usage({
    ...MODEL,
    request_id: `${workflow_id}/only/1`,
    workflow_id,
    attempt: 2,
    prompt_tokens: 70,
    completion_tokens: 7
  })
  const { workflow } = await bursar.get_workflow({ workflow_id })
  assert.strictEqual(workflow.total_tokens, before.total_tokens + 77)
  const cost = (await usageOf(bursar)).reduce((sum, usage) => sum + parseAmount(usage.cost), 0n)
  assert.strictEqual(workflow.cost, formatAmount(cost))
  const { items } = await bursar.list_workflows({})
  assert.strictEqual(items[0]?.total_tokens, workflow.total_tokens)
})
