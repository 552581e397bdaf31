/**
 * How you test what you build on Bursar: no Postgres, no network, no waiting. (In your project, import from "bursar" and
 * "bursar/testing".) Node's own test runner is used here; any other does as well.
 *
 *   node --test examples/05-testing.ts
 */
import assert from "node:assert/strict"
import { test } from "node:test"
import { BudgetExceeded } from "../src/index.ts"
import { answers, type Client, fails, moneyOf, scriptedProvider, startTestBursar } from "../src/testing.ts"

/** What is tested: a part of your service. It knows a client, and not that this is a test. */
const summarise = async (client: Client, text: string): Promise<string> => {
  const { content } = await client.complete({
    provider: "anthropic",
    model: "claude-sonnet-4-20250514",
    messages: [{ role: "user", content: `Summarise: ${text}` }],
    max_completion_tokens: 100
  })
  return content.trim()
}

test("a summary is retried when the provider is busy, and is paid by whoever asked", async () => {
  // By the name of a real provider, so that its real prices count. No call leaves this process.
  const anthropic = scriptedProvider(
    [
      fails({ status: 529, retryAfterMs: 20_000 }),
      answers({ text: "It is short. ", usage: { prompt_tokens: 1_000, completion_tokens: 200 } })
    ],
    { name: "anthropic" }
  )
  await using bursar = await startTestBursar({ providers: [anthropic] })
  await bursar.create_budget({
    name: "Each user",
    type: "user",
    entity_id: "*",
    period: "daily",
    limit: "0.01"
  })
  const ann = bursar.as({ roles: ["app"], owner: "ann", attribution: { user_id: "ann" } })

  const summary = summarise(ann, "a long text")
  await bursar.advance("30 seconds") // at once
  assert.equal(await summary, "It is short.")
  assert.equal(anthropic.requests.length, 2)

  // Sonnet: 3 USD for a million tokens of input, 15 USD of output.
  assert.deepEqual(await moneyOf(bursar, "user", "ann"), { spent: "0.006", held: "0", remaining: "0.004" })
})

test("who has spent a day's budget is refused, and has another one tomorrow", async () => {
  const line = answers({ text: "Short.", usage: { prompt_tokens: 1_000, completion_tokens: 200 } })
  const anthropic = scriptedProvider([], { name: "anthropic", thenAlways: line })
  await using bursar = await startTestBursar({ providers: [anthropic], startAt: "2026-06-01T20:00:00Z" })
  await bursar.create_budget({
    name: "Each user",
    type: "user",
    entity_id: "*",
    period: "daily",
    limit: "0.01"
  })
  const ann = bursar.as({ roles: ["app"], owner: "ann", attribution: { user_id: "ann" } })

  await summarise(ann, "one")
  await summarise(ann, "two")
  await assert.rejects(summarise(ann, "three"), BudgetExceeded)
  assert.equal(anthropic.requests.length, 2, "a refused call does not reach the provider")

  await bursar.advance("4 hours")
  assert.equal(await summarise(ann, "three"), "Short.")
})
