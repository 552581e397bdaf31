/**
 * The official SDKs of Anthropic and OpenAI, behind `complete`, over the bridge, against servers that are exact to
 * the wire: what is recorded and what it costs equals tables worked out by hand (lessons 5 to 9).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { countTokens } from "gpt-tokenizer/encoding/o200k_base"
import { afterAll, beforeAll } from "vitest"
import { type Amount, formatAmount } from "../../src/signal/Money.ts"
import * as anthropicWire from "../provider/mocks/AnthropicWire.ts"
import { frames, mockServer, type Reply } from "../provider/mocks/MockServer.ts"
import * as openAiWire from "../provider/mocks/OpenAiWire.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json, type Wire } from "../support/Wire.ts"

const SONNET = { provider: "anthropic", model: "claude-sonnet-4-5" }
const GPT5 = { provider: "openai", model: "gpt-5" }
const GPT4O = { provider: "openai", model: "gpt-4o" }

/** Dollars per million: input, cached, written for 5 minutes, for 1 hour, output. As the catalogue has them. */
const RATES = {
  "claude-sonnet-4-5": ["3", "0.3", "3.75", "6", "15"],
  "gpt-5": ["1.25", "0.125", undefined, undefined, "10"],
  "gpt-4o": ["2.5", "1.25", undefined, undefined, "10"]
} as const

type MockServer = Effect.Success<ReturnType<typeof mockServer>>

let scope: Scope.Closeable
let anthropic: MockServer
let openai: MockServer
let program: Program
let wire: Wire

beforeAll(async () => {
  scope = Effect.runSync(Scope.make())
  const mock = () => Effect.runPromise(Scope.provide(mockServer(), scope))
  anthropic = await mock()
  openai = await mock()
  program = await startProgram({
    databaseUrl: await makeDatabase(),
    env: {
      ANTHROPIC_API_KEY: "key-of-a-test",
      ANTHROPIC_BASE_URL: anthropic.url,
      OPENAI_API_KEY: "key-of-a-test",
      OPENAI_BASE_URL: `${openai.url}/v1`
    }
  })
  wire = await program.connect()
})

afterAll(async () => {
  await program.kill()
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

const serverOf = ({ provider }: { readonly provider: string }): MockServer =>
  provider === "anthropic" ? anthropic : openai

let calls = 0
const ask = (target: object, more: Json = {}) => ({
  ...target,
  messages: [{ role: "user", content: "Say hello." }],
  max_completion_tokens: 500,
  user_id: `caller-${++calls}`,
  ...more
})

/** The one usage of this caller. */
const rowsOf = async (user_id: string): Promise<Json> => program.call("get_usage", { user_id })

// --- golden tables

interface Golden {
  readonly name: string
  readonly target: typeof SONNET
  readonly usage: object
  readonly prompt: number
  readonly completion: number
  readonly promptDetails?: object
  readonly reasoning?: number
  readonly cost: string
}

const GOLDEN: ReadonlyArray<Golden> = [
  {
    name: "Anthropic, nothing cached",
    target: SONNET,
    usage: {
      input_tokens: 1000,
      cache_read_input_tokens: 0,
      cache_creation_input_tokens: 0,
      output_tokens: 500
    },
    prompt: 1000,
    completion: 500,
    cost: "0.0105" // 1,000 × 3 + 500 × 15
  },
  {
    name: "Anthropic, a cache read and written for both lifetimes",
    target: SONNET,
    usage: {
      input_tokens: 100,
      cache_read_input_tokens: 20_000,
      cache_creation_input_tokens: 340,
      cache_creation: { ephemeral_5m_input_tokens: 300, ephemeral_1h_input_tokens: 40 },
      output_tokens: 250
    },
    prompt: 20_440,
    completion: 250,
    promptDetails: { cached_tokens: 20_000, cache_write_5m_tokens: 300, cache_write_1h_tokens: 40 },
    cost: "0.011415" // 100 × 3 + 20,000 × 0.3 + 300 × 3.75 + 40 × 6 + 250 × 15
  },
  {
    name: "Anthropic, thinking is output",
    target: SONNET,
    usage: { input_tokens: 30, output_tokens: 400, output_tokens_details: { thinking_tokens: 300 } },
    prompt: 30,
    completion: 400,
    reasoning: 300,
    cost: "0.00609" // 30 × 3 + 400 × 15
  },
  {
    name: "Anthropic, exactly 200,000 tokens of input",
    target: SONNET,
    usage: { input_tokens: 200_000, output_tokens: 10 },
    prompt: 200_000,
    completion: 10,
    cost: "0.60015" // 200,000 × 3 + 10 × 15
  },
  {
    name: "Anthropic, one more: the whole request is repriced, what is cached too",
    target: SONNET,
    usage: { input_tokens: 1, cache_read_input_tokens: 200_000, output_tokens: 10 },
    prompt: 200_001,
    completion: 10,
    promptDetails: { cached_tokens: 200_000 },
    cost: "0.120231" // 1 × 6 + 200,000 × 0.6 + 10 × 22.5
  },
  {
    name: "OpenAI, nothing cached",
    target: GPT5,
    usage: { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 },
    prompt: 1000,
    completion: 500,
    cost: "0.00625" // 1,000 × 1.25 + 500 × 10
  },
  {
    name: "OpenAI, cached and reasoning",
    target: GPT5,
    usage: {
      prompt_tokens: 1000,
      completion_tokens: 500,
      total_tokens: 1500,
      prompt_tokens_details: { cached_tokens: 800, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 320, audio_tokens: 0 }
    },
    prompt: 1000,
    completion: 500,
    promptDetails: { cached_tokens: 800 },
    reasoning: 320,
    cost: "0.00535" // 200 × 1.25 + 800 × 0.125 + 500 × 10
  },
  {
    name: "OpenAI, half of the prompt is cached",
    target: GPT4O,
    usage: {
      prompt_tokens: 2048,
      completion_tokens: 100,
      total_tokens: 2148,
      prompt_tokens_details: { cached_tokens: 1024 }
    },
    prompt: 2048,
    completion: 100,
    promptDetails: { cached_tokens: 1024 },
    cost: "0.00484" // 1,024 × 2.5 + 1,024 × 1.25 + 100 × 10
  }
]

const plainReply = ({ target, usage }: Golden): Reply =>
  target.provider === "anthropic" ? anthropicWire.plain(usage, "Hello.") : openAiWire.plain(usage, "Hello.")

const streamReply = ({ target, usage }: Golden): Reply =>
  target.provider === "anthropic"
    ? anthropicWire.stream({ ...usage, output_tokens: 1 }, usage, "Hel", "lo.")
    : openAiWire.stream([
        openAiWire.role,
        openAiWire.text("Hel"),
        openAiWire.text("lo."),
        openAiWire.finish(),
        openAiWire.chunk([], usage)
      ])

const checkGolden = async (golden: Golden, user_id: string, completion: Json) => {
  assert.strictEqual(completion.content, "Hello.")
  const { items, totals } = await rowsOf(user_id)
  assert.strictEqual(items.length, 1)
  const [usage] = items
  assert.deepStrictEqual(completion.usage, usage)
  assert.deepInclude(usage, {
    ...golden.target,
    prompt_tokens: golden.prompt,
    completion_tokens: golden.completion,
    total_tokens: golden.prompt + golden.completion,
    status: "success",
    cost_status: "priced",
    cost: golden.cost,
    currency: "USD"
  })
  assert.deepStrictEqual(usage.prompt_tokens_details, golden.promptDetails)
  assert.strictEqual(usage.completion_tokens_details?.reasoning_tokens, golden.reasoning)
  assert.deepStrictEqual(usage.raw_usage, golden.usage)
  assert.deepInclude(totals, { requests: 1, cost: golden.cost })
  const tokens = usage.cost_breakdown.reduce((sum: number, line: Json) => sum + line.tokens, 0)
  assert.strictEqual(tokens, golden.prompt + golden.completion, "the buckets are disjoint")
}

/** A budget that has room; afterwards it has spent what the call cost, and holds nothing. */
const makeBudget = async (user_id: string, limit = "100"): Promise<string> =>
  (
    await program.call("create_budget", {
      name: user_id,
      type: "user",
      entity_id: user_id,
      period: "lifetime",
      limit
    })
  ).budget_id

const checkBudget = async (budget_id: string, spent: string) => {
  const [budget] = (await program.call("get_budget_status", { budget_id })).budgets
  assert.deepInclude(budget, { spent, held: "0", open_holds: 0 })
}

const finishedOf = (events: ReadonlyArray<Json>): Json =>
  events.find((event) => event.finished !== undefined)?.finished

describe("the catalogue has the rates that the tables were worked out with", () => {
  for (const target of [SONNET, GPT5, GPT4O]) {
    it(target.model, async () => {
      const [price] = (await program.call("get_pricing", target)).items
      const rates = [
        price.prompt_per_million,
        price.cached_per_million,
        price.cache_write_5m_per_million,
        price.cache_write_1h_per_million,
        price.completion_per_million
      ]
      assert.deepStrictEqual(rates, [...RATES[target.model as keyof typeof RATES]])
    })
  }
})

describe("recorded buckets and exact costs", () => {
  for (const golden of GOLDEN) {
    it(`${golden.name}, plain`, async () => {
      serverOf(golden.target).replies.push(plainReply(golden))
      const params = ask(golden.target)
      const budget = await makeBudget(params.user_id)
      const completion = await program.call("complete", params)
      await checkGolden(golden, params.user_id, completion)
      await checkBudget(budget, golden.cost)
    })

    it(`${golden.name}, streaming`, async () => {
      serverOf(golden.target).replies.push(streamReply(golden))
      const params = ask(golden.target)
      const budget = await makeBudget(params.user_id)
      const stream = await wire.stream(params)
      const events = await stream.until((event) => event.finished !== undefined || event.failed !== undefined)
      assert.strictEqual(events.map((event) => event.text ?? "").join(""), "Hello.")
      const { completion } = finishedOf(events)
      await checkGolden(golden, params.user_id, completion)
      await checkBudget(budget, golden.cost)
    })
  }
})

// --- what goes wrong

const RETRIES = [
  {
    name: "Anthropic, 429",
    target: SONNET,
    error: anthropicWire.error(429, "rate_limit_error", { "retry-after": "0" }),
    golden: GOLDEN[0] as Golden
  },
  {
    name: "Anthropic, 529",
    target: SONNET,
    error: anthropicWire.error(529, "overloaded_error"),
    golden: GOLDEN[0] as Golden
  },
  {
    name: "OpenAI, 429",
    target: GPT5,
    error: openAiWire.error(429, "rate_limit_exceeded", { "retry-after": "0" }),
    golden: GOLDEN[5] as Golden
  },
  { name: "OpenAI, 500", target: GPT5, error: openAiWire.error(500, null), golden: GOLDEN[5] as Golden }
]

describe("a failed attempt, then success: two tracked attempts of one request", () => {
  for (const { name, target, error, golden } of RETRIES) {
    for (const isStream of [false, true]) {
      it(`${name}, ${isStream ? "streaming" : "plain"}`, async () => {
        const server = serverOf(target)
        const before = server.seen.length
        server.replies.push(error, isStream ? streamReply(golden) : plainReply(golden))
        const params = ask(target, { request_id: `retried-${name}-${isStream}` })
        const budget = await makeBudget(params.user_id)
        let completion: Json
        if (isStream) {
          const events = await (await wire.stream(params)).until((event) => event.finished !== undefined)
          completion = finishedOf(events).completion
        } else completion = await program.call("complete", params)
        assert.strictEqual(server.seen.length - before, 2)
        assert.deepStrictEqual(
          completion.attempts.map(({ status }: Json) => status),
          ["error", "success"]
        )
        const { items, totals } = await rowsOf(params.user_id)
        assert.deepStrictEqual(
          items.map((item: Json) => [item.request_id, item.attempt, item.status, item.cost]),
          [
            [params.request_id, 2, "success", golden.cost],
            [params.request_id, 1, "error", "0"]
          ]
        )
        assert.deepInclude(totals, { requests: 1, cost: golden.cost })
        await checkBudget(budget, golden.cost)
      })
    }
  }
})

const PIECES = ["One potato, ", "two potatoes, ", "three potatoes, ", "four."]

/** A stream that stays open after its pieces, and never tells its end. */
const openEnded = (target: { readonly provider: string }): Reply =>
  target.provider === "anthropic"
    ? frames(
        [
          anthropicWire.start({ input_tokens: 1000, output_tokens: 1 }),
          anthropicWire.block(0, { type: "text", text: "" }),
          ...PIECES.map((piece) => anthropicWire.text(piece))
        ],
        "stay"
      )
    : frames([openAiWire.role, ...PIECES.map((piece) => openAiWire.text(piece))], "stay")

/** Input and output at these rates, in dollars per million with six digits. */
const costAt = (usage: Json, input: Amount, output: Amount): string =>
  formatAmount(BigInt(usage.prompt_tokens) * input + BigInt(usage.completion_tokens) * output)

describe("a stream that is cancelled after some pieces is charged", () => {
  const cancel = {
    "by closing its subscription": async (of: Wire, id: string) => {
      await of.call("unsubscribe", { subscription: id })
    },
    "by closing the connection": async (of: Wire) => {
      of.close()
      await of.closed
    }
  }
  for (const target of [SONNET, GPT5]) {
    for (const [how, end] of Object.entries(cancel)) {
      it(`${target.provider}, ${how}`, async () => {
        const server = serverOf(target)
        server.replies.push(openEnded(target))
        const params = ask(target)
        const budget = await makeBudget(params.user_id)
        const own = await program.connect()
        const stream = await own.stream(params)
        let text = ""
        await stream.until((event) => {
          text += event.text ?? ""
          return text.length >= PIECES.join("").length
        })
        await end(own, stream.id)
        const { items } = await eventually(
          () => rowsOf(params.user_id),
          (page) => page.items.length > 0
        )
        const [usage] = items
        assert.strictEqual(usage.status, "cancelled")
        if (target === SONNET) assert.strictEqual(usage.prompt_tokens, 1000)
        else assert.isAbove(usage.prompt_tokens, 5)
        // Nobody reported how many: they are counted, and Anthropic's are taken for somewhat more.
        const counted = countTokens(PIECES.join(""))
        if (target === GPT5) assert.strictEqual(usage.completion_tokens, counted)
        else assert.isAtLeast(usage.completion_tokens, counted)
        const cost =
          target === SONNET ? costAt(usage, 3_000_000n, 15_000_000n) : costAt(usage, 1_250_000n, 10_000_000n)
        assert.strictEqual(usage.cost, cost)
        await checkBudget(budget, cost)
      })
    }
  }
})

describe("a call that budget refuses never reaches the provider", () => {
  for (const target of [SONNET, GPT5]) {
    it(`${target.provider}, plain and streaming`, async () => {
      const server = serverOf(target)
      const before = server.seen.length
      const params = ask(target)
      const budget = await makeBudget(params.user_id, "0.000001")
      const failures = [
        await failureOf(program.call("complete", params)),
        await failureOf(wire.stream(params).then((stream) => stream.next()))
      ]
      for (const failure of failures) {
        assert.strictEqual(failure.code, -32010)
        assert.strictEqual(failure.tag, "BudgetExceeded")
        assert.isString(failure.data.reason)
        assert.strictEqual(failure.data.violations[0].budget_id, budget)
      }
      assert.strictEqual(server.seen.length, before)
      assert.deepStrictEqual((await rowsOf(params.user_id)).items, [])
      await checkBudget(budget, "0")
    })
  }
})
