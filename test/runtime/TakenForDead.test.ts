/**
 * A node that stood still, or that its client has given up, goes on with its call. Where its hold was settled by a guess, the
 * call's own report replaces the guess; where another node has made the call as well, both are charged.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { settle } from "../../src/runtime/WorkflowPorts.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { answers, fails, type Line, pass, scriptedProvider } from "../../src/testing.ts"
import { tokenManagerAddress } from "../../src/tokens/TokenManager.ts"
import { nodesWith, type TestNode } from "./support/TwoNodes.ts"

const TENANT = "t"
const CALL = {
  provider: "anthropic",
  model: "claude-sonnet-4-20250514",
  request_id: "r1",
  messages: [{ role: "user" as const, content: "hello" }],
  max_completion_tokens: 1_000
}
const BUDGET = { name: "All", type: "global", period: "daily", limit: "100000", measure: "tokens" }

const provider = (script: ReadonlyArray<Line>) => scriptedProvider(script, { name: CALL.provider })
const used = { prompt_tokens: 100, completion_tokens: 10 }
const slow = answers({ text: "fine", usage: used, afterMs: 60_000 })

/** What the node that has the workflow does, when it takes the one that has the call for dead. */
const settleOn = ({ system }: TestNode) =>
  settle(
    {
      adapters: [{ ...provider([]), countPrompt: () => 30 }],
      system: { stop: () => Effect.succeed(false) },
      tokenManagers: {
        ask: (name, payload, principal) => {
          const manager = system.refOf(tokenManagerAddress(TENANT))
          return manager === undefined
            ? Effect.die("there is no TokenManager")
            : manager.ask(name, payload, principal)
        }
      }
    },
    CALL as never,
    installationPrincipal(TENANT)
  )

const ledgerOf = ({ ask }: TestNode) =>
  Effect.gen(function* () {
    const { items } = yield* ask("get_usage", {}, TENANT)
    const { budgets } = yield* ask("get_budget_status", {}, TENANT)
    const [budget] = budgets
    return {
      rows: items.map(({ attempt, status, total_tokens }) => `${attempt} ${status} ${total_tokens}`),
      spent: budget?.spent,
      held: budget?.held
    }
  })

const TOKEN = 10n ** 12n

const scene = (scripts: { readonly a: ReadonlyArray<Line>; readonly b?: ReadonlyArray<Line> }) =>
  Effect.gen(function* () {
    const adapters = { a: provider(scripts.a), b: provider(scripts.b ?? []) }
    const { a, b } = yield* nodesWith({ a: [adapters.a], b: [adapters.b] })
    yield* a.ask("create_budget", BUDGET, TENANT)
    const first = yield* Effect.forkChild(Effect.result(a.ask("complete", CALL, TENANT)))
    yield* pass(30_000)
    return { a, b, adapters, first }
  })

describe("a call that is settled by a guess while its node stands still", () => {
  const scripts: ReadonlyArray<readonly [string, ReadonlyArray<Line>, ReadonlyArray<string>]> = [
    ["at its first attempt", [slow], ["1 success 80", "1 estimated 30"]],
    ["at its second attempt", [fails({ status: 503 }), slow], ["2 success 80", "2 estimated 30", "1 error 0"]]
  ]
  it.effect.each(scripts)("replaces the guess by what it has used: %s", ([, script, rows]) =>
    Effect.gen(function* () {
      const { a, first } = yield* scene({ a: script })
      yield* settleOn(a)
      yield* settleOn(a)
      yield* pass(60_000)
      const answered = yield* Effect.fromResult(yield* Fiber.join(first))
      if (!("usage" in answered)) assert.fail("it was not asked to stream")
      const { usage } = answered
      assert.deepInclude(usage, { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 })
      const cost = 100n * 3_000_000n + 10n * 15_000_000n
      assert.strictEqual(usage.cost, cost, "what it has cost, and not the difference to the guess")
      assert.strictEqual(
        usage.cost_breakdown.reduce((sum, line) => sum + line.cost, 0n),
        cost
      )
      assert.deepStrictEqual(yield* ledgerOf(a), { rows: [...rows], spent: 110n * TOKEN, held: 0n })
    })
  )

  it.effect("does not try again: its money is gone", () =>
    Effect.gen(function* () {
      const failing = fails({
        status: 503,
        usage: { prompt_tokens: 10, completion_tokens: 0 },
        afterMs: 60_000
      })
      const { a, adapters, first } = yield* scene({ a: [failing] })
      yield* settleOn(a)
      yield* pass(120_000)
      assert.deepInclude(yield* Effect.flip(Effect.fromResult(yield* Fiber.join(first))), {
        _tag: "Conflict",
        reason: "hold_already_posted"
      })
      assert.strictEqual(adapters.a.requests.length, 1)
      const rows = ["1 error -20", "1 estimated 30"]
      assert.deepStrictEqual(yield* ledgerOf(a), { rows, spent: 10n * TOKEN, held: 0n })
    })
  )
})

describe("a call that two nodes make, because its client has sent it to both", () => {
  it.effect.each([
    ["whose provider says what it has used", { prompt_tokens: 500, completion_tokens: 500 }, 1_000],
    ["whose provider does not say what it has used", null, undefined]
  ] as const)("is charged twice: the second one, %s, first", ([, usage, tokens]) =>
    Effect.gen(function* () {
      const { a, b, first } = yield* scene({ a: [slow], b: [answers({ text: "fine", usage })] })
      const second = yield* b.ask("complete", CALL, TENANT)
      if (!("usage" in second)) assert.fail("it was not asked to stream")
      yield* pass(60_000)
      yield* Fiber.join(first)
      const total = second.usage.total_tokens
      if (tokens !== undefined) assert.strictEqual(total, tokens)
      const { status } = second.usage
      assert.deepStrictEqual(yield* ledgerOf(a), {
        rows: ["2 success 110", `1 ${status} ${total}`],
        spent: BigInt(total + 110) * TOKEN,
        held: 0n
      })
    })
  )
})
