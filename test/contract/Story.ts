/**
 * The story that every client can tell, in any language, over any transport: set a price and a budget, ask, report,
 * read back. It runs against any server: `run` keeps one telling apart from another.
 */
import { assert } from "@effect/vitest"

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire has no type until it was looked at.
type Json = any

/** Sends a signal and answers its result; rejects with something that names the error's code. */
export type Call = (method: string, params: Json) => PromiseLike<Json>

/** Tells the story. The key needs the role `admin`. */
export const tellStory = async (call: Call, run: string): Promise<void> => {
  const model = `model-${run}`
  const user = `user-${run}`
  const request_id = `request-${run}`

  const pricing = { prompt_per_million: "1.00", completion_per_million: "2.00" }
  const priced = await call("update_pricing", { provider: "story", model, pricing })
  assert.strictEqual(priced.updated, true)

  const { budget_id, budget } = await call("create_budget", {
    name: `budget of ${user}`,
    type: "user",
    entity_id: user,
    period: "daily",
    limit: "0.01"
  })
  assert.deepInclude(budget, { id: budget_id, limit: "0.01", spent: "0", held: "0", remaining: "0.01" })

  const ask = { request_id, provider: "story", model, estimated_prompt_tokens: 1000, user_id: user }
  const approval = await call("check_budget", { ...ask, max_completion_tokens: 1000 })
  assert.deepInclude(approval, { allowed: true, estimated_cost: "0.003", estimated_tokens: 2000 })
  assert.deepInclude(approval.budgets[0], { budget_id, held: "0.003", remaining: "0.007" })

  const counts = { prompt_tokens: 1000, completion_tokens: 500 }
  const report = { request_id, provider: "story", model, ...counts, user_id: user, hold_id: approval.hold_id }
  const tracked = await call("track_usage", report)
  assert.deepInclude(tracked, { tracked: true, duplicate: false })
  assert.deepInclude(tracked.usage, { cost: "0.002", total_tokens: 1500, currency: "USD" })
  assert.deepInclude(tracked.budgets[0], { budget_id, spent: "0.002", held: "0", remaining: "0.008" })

  const again = await call("track_usage", report)
  assert.deepInclude(again, { tracked: true, duplicate: true })
  assert.strictEqual(again.usage.id, tracked.usage.id)

  const refused = await call("check_budget", {
    ...ask,
    request_id: `${request_id}-2`,
    max_completion_tokens: 1_000_000
  })
  assert.strictEqual(refused.allowed, false)
  assert.strictEqual(refused.violations[0].budget_id, budget_id)

  const { items, totals } = await call("get_usage", { user_id: user })
  assert.strictEqual(items.length, 1)
  assert.deepInclude(items[0], { request_id, provider: "story", model, ...counts, user_id: user })
  assert.deepInclude(totals, { requests: 1, total_tokens: 1500, cost: "0.002" })

  const status = await call("get_budget_status", { budget_id })
  assert.deepInclude(status.budgets[0], { id: budget_id, spent: "0.002", held: "0", remaining: "0.008" })

  const failure = await Promise.resolve(call("track_usage", { ...report, modle: model })).then(
    () => assert.fail("a misspelt field was taken"),
    (error: unknown) => error
  )
  assert.include(JSON.stringify(failure, Object.getOwnPropertyNames(failure)), "modle")
}
