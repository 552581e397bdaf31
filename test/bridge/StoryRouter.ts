/**
 * A ledger just good enough for the story: one price, one budget, one hold. It stands in for the real one where only
 * the bridge is under test.
 */
import { Effect } from "effect"
import { DEFAULT_OVERRIDE_POLICY } from "../../src/signal/Budget.ts"
import type { SignalName, SignalPayload, SignalSuccess } from "../../src/signal/Catalogue.ts"
import { costOfTokens, UNIT } from "../../src/signal/Money.ts"
import type { Stub } from "./StubRouter.ts"

const AT = Date.UTC(2026, 0, 1)
const PRICE = { prompt: UNIT, completion: 2n * UNIT }

type Budget = SignalSuccess<"create_budget">["budget"]
type Usage = SignalSuccess<"track_usage">["usage"]

const costOf = (prompt: number, completion: number) =>
  costOfTokens(prompt, PRICE.prompt) + costOfTokens(completion, PRICE.completion)

const budgetOf = (payload: SignalPayload<"create_budget">): Budget => ({
  ...payload,
  id: "budget-1",
  entity_id: payload.entity_id ?? null,
  currency: "USD",
  override_policy: { ...DEFAULT_OVERRIDE_POLICY, ...payload.override_policy },
  period_start: AT,
  period_end: AT,
  spent: 0n,
  held: 0n,
  carried_over: 0n,
  override_total: 0n,
  remaining: payload.limit,
  percent_used: 0,
  state: "ok",
  alerts_sent: [],
  rollover: null,
  created_at: AT,
  updated_at: AT,
  version: 1
})

const usageOf = ({ hold_id: _, ...payload }: SignalPayload<"track_usage">): Usage => ({
  ...payload,
  id: "usage-1",
  usage_seq: 1,
  total_tokens: payload.prompt_tokens + payload.completion_tokens,
  timestamp: AT,
  recorded_at: AT,
  booked_at: AT,
  cost: costOf(payload.prompt_tokens, payload.completion_tokens),
  currency: "USD",
  price_currency: "USD",
  exchange_rate: UNIT,
  cost_breakdown: [],
  price_id: "price-1",
  cost_status: "priced",
  overage: 0n,
  late: false,
  estimated_tokens: null,
  estimated_cost: null
})

const standingOf = (budget: Budget) => ({
  ...budget,
  budget_id: budget.id,
  resets_at: budget.period_end
})

/** Teaches the stub to answer the story's signals. */
export const teachStory = (stub: Stub): void => {
  let budget: Budget | undefined
  let usage: Usage | undefined
  const teach = <Name extends SignalName>(name: Name, answer: (payload: SignalPayload<Name>) => unknown) =>
    stub.answers.set(name, ({ payload }) => Effect.sync(() => answer(payload as SignalPayload<Name>)))
  const change = (spent: bigint, held: bigint): Budget => {
    if (budget === undefined) throw new Error("the story has no budget yet")
    budget = { ...budget, spent, held, remaining: budget.limit - spent - held }
    return budget
  }

  teach("update_pricing", ({ provider, model, pricing }) => ({
    updated: true,
    price: {
      id: "price-1",
      provider,
      model,
      ...pricing,
      currency: "USD",
      effective_from: null,
      effective_to: null,
      source: "override"
    },
    repriced: 0
  }))
  teach("create_budget", (payload) => {
    budget = budgetOf(payload)
    return { budget_id: budget.id, budget }
  })
  teach("check_budget", (payload) => {
    const [prompt, completion] = [payload.estimated_prompt_tokens ?? 0, payload.max_completion_tokens ?? 0]
    const cost = costOf(prompt, completion)
    const estimate = { estimated_tokens: prompt + completion, estimated_cost: cost, currency: "USD" }
    const { spent, held, remaining } = change(budget?.spent ?? 0n, budget?.held ?? 0n)
    if (cost <= remaining) {
      const budgets = [standingOf(change(spent, held + cost))]
      return { allowed: true, hold_id: "hold-1", expires_at: AT, ...estimate, budgets, warnings: [] }
    }
    const shortfall = { requested: cost, shortfall: cost - remaining, override: "none" }
    const violations = [{ ...standingOf(change(spent, held)), ...shortfall }]
    return {
      allowed: false,
      kind: "no_room",
      reason: "no room",
      ...estimate,
      violations,
      retry_at: null,
      alternatives: []
    }
  })
  teach("track_usage", (payload) => {
    const duplicate = usage !== undefined
    usage ??= usageOf(payload)
    const budgets = [standingOf(change(usage.cost, 0n))]
    return { tracked: true, duplicate, usage, budgets, alerts: [] }
  })
  teach("get_usage", () => ({
    items: usage === undefined ? [] : [usage],
    next_cursor: null,
    totals: { ...usage, requests: 1 }
  }))
  teach("get_budget_status", () => ({
    budgets: [
      {
        ...change(budget?.spent ?? 0n, budget?.held ?? 0n),
        projected_exhaustion: null,
        burn_rate_per_hour: 0n,
        open_holds: 0,
        pending_overrides: 0
      }
    ]
  }))
}
