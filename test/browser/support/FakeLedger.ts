/**
 * What the fake server tells: budgets, calls that pass their states, signals, alerts.
 *
 * Owns: lively data in the shape of the wire contract. Does not decide: anything about money for real.
 */
import type { MachineGraph } from "../../../src/signal/Actors.ts"
import type { SignalResult } from "../../../src/signal/Catalogue.ts"
import {
  type Amount,
  amountOfCount,
  formatAmount,
  parseAmount,
  percentOf
} from "../../../src/signal/Money.ts"
import type { Event, Topic } from "../../../src/signal/Subscriptions.ts"

export type WireEvent = typeof Event.Encoded
type Status = SignalResult<"get_budget_status">["budgets"][number]
type Usage = SignalResult<"get_usage">["items"][number]
type Actor = SignalResult<"list_actors">["items"][number]
type Progress = Extract<WireEvent, { in_flight: unknown }>["in_flight"]
type Violation = { readonly [field: string]: unknown }

export interface FakeBudget {
  readonly base: Status
  spent: Amount
  held: Amount
}

const DAY_MS = 86_400_000
const TENANT = "default"

const STATES = [
  "estimating",
  "awaiting_budget",
  "calling",
  "reporting",
  "done",
  "refused",
  "backing_off",
  "falling_back",
  "failed"
]
const FINAL = new Set(["done", "refused", "failed"])

export const CALL_GRAPH: MachineGraph = {
  id: "call",
  states: STATES.map((id) => ({
    id,
    parent: null,
    type: FINAL.has(id) ? "final" : "atomic",
    is_initial: id === "estimating"
  })),
  transitions: [
    ["estimating", "awaiting_budget", "xstate.done.actor.estimate"],
    ["awaiting_budget", "calling", "xstate.done.actor.approve"],
    ["awaiting_budget", "refused", "xstate.error.actor.approve"],
    ["calling", "reporting", "xstate.done.actor.call"],
    ["calling", "backing_off", "xstate.error.actor.call"],
    ["backing_off", "calling", "xstate.after.500"],
    ["calling", "falling_back", "xstate.error.actor.call"],
    ["falling_back", "estimating", ""],
    ["calling", "failed", "xstate.error.actor.call"],
    ["reporting", "done", "xstate.done.actor.report"]
  ].map(([source = "", target = "", event = ""]) => ({ source, target, event, guard: null }))
}

const budgetOf = (id: string, fields: Partial<Status> & Pick<Status, "name" | "type" | "limit">): Status => ({
  id,
  entity_id: null,
  measure: "cost",
  currency: "USD",
  period: "daily",
  time_zone: "UTC",
  week_starts_on: "monday",
  period_start: new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS).toISOString(),
  period_end: new Date((Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS).toISOString(),
  spent: "0",
  held: "0",
  carried_over: "0",
  override_total: "0",
  remaining: fields.limit,
  percent_used: 0,
  state: "ok",
  alert_thresholds: [50, 80, 90],
  alerts_sent: [],
  enforcement: "hard",
  rollover: null,
  override_policy: {
    requires_approval: true,
    approvers: ["budget_admin"],
    max_override_percentage: 50,
    notification_required: true
  },
  active: true,
  created_at: new Date().toISOString(),
  updated_at: new Date().toISOString(),
  version: 1,
  projected_exhaustion: null,
  burn_rate_per_hour: "0",
  open_holds: 0,
  pending_overrides: 0,
  ...fields
})

const BUDGETS: ReadonlyArray<readonly [Status, string]> = [
  [budgetOf("b-all", { name: "Everything", type: "global", limit: "2500", period: "monthly" }), "61.4082195"],
  [
    budgetOf("b-research", { name: "Research agent", type: "agent", entity_id: "researcher", limit: "5" }),
    "3.91288"
  ],
  [
    budgetOf("b-triage", { name: "Support triage", type: "agent", entity_id: "triage", limit: "2" }),
    "1.9936125"
  ],
  [
    budgetOf("b-growth", {
      name: "Growth team",
      type: "team",
      entity_id: "growth",
      limit: "400",
      period: "weekly",
      enforcement: "soft"
    }),
    "112.075"
  ],
  [
    budgetOf("b-tokens", {
      name: "Nightly summaries",
      type: "feature",
      entity_id: "summaries",
      measure: "tokens",
      limit: "3000000"
    }),
    "812400"
  ],
  [
    budgetOf("b-opus", {
      name: "Large model, per hour",
      type: "model",
      entity_id: "claude-opus-4-1",
      limit: "1.5",
      period: "hourly"
    }),
    "0.33"
  ]
]

const AGENTS = [
  { agent: "researcher", team_id: "growth", user_id: "dana", feature: "market-scan" },
  { agent: "triage", team_id: "support", user_id: "inbox", feature: "triage" },
  { agent: "writer", team_id: "growth", user_id: "sam", feature: "summaries" },
  { agent: "reviewer", team_id: "platform", user_id: "ci", feature: "code-review" }
] as const

const MODELS = [
  { provider: "simulator", model: "sim-large", price: 15_000n },
  { provider: "simulator", model: "sim-small", price: 600n },
  { provider: "anthropic", model: "claude-opus-4-1", price: 75_000n },
  { provider: "openai", model: "gpt-5-mini", price: 2_000n }
] as const

const pick = <T>(list: ReadonlyArray<T>): T => list[Math.floor(Math.random() * list.length)] as T

/** Tells every event of a topic to whoever listens. */
export type Tell = (topic: Topic, event: WireEvent) => void

export class FakeLedger {
  readonly budgets = new Map<string, FakeBudget>(
    BUDGETS.map(([base, spent]) => [base.id, { base, spent: parseAmount(spent), held: 0n }])
  )
  readonly actors = new Map<string, Actor>()
  readonly usage: Array<Usage> = []
  tokens = 1_284_310
  cost = parseAmount("61.4082195")
  requests = 2_114
  #requestNumber = 0
  #alertNumber = 0
  #timers = new Set<ReturnType<typeof setTimeout>>()
  readonly #tell: Tell

  constructor(tell: Tell) {
    this.#tell = tell
    for (const [address, state] of [
      [`token_manager/${TENANT}`, null],
      ["provider/simulator", "closed"],
      ["provider/anthropic", "closed"],
      ["provider/openai", "half_open"]
    ] as const) {
      this.#actor(address, state)
    }
  }

  /** Starts a call every `everyMs`. */
  play(everyMs: number): void {
    const next = () => {
      this.call()
      this.#later(everyMs * (0.4 + Math.random() * 1.2), next)
    }
    next()
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  statusOf({ base, spent, held }: FakeBudget): Status {
    const limit = parseAmount(base.limit)
    const percent = percentOf(spent, limit)
    const state = percent >= 100 ? "exceeded" : percent >= 50 ? "warning" : "ok"
    return {
      ...base,
      spent: formatAmount(spent),
      held: formatAmount(held),
      remaining: formatAmount(limit - spent - held),
      percent_used: percent,
      state
    }
  }

  addBudget(id: string, fields: Partial<Status> & Pick<Status, "name" | "type" | "limit">): Status {
    const base = budgetOf(id, fields)
    this.budgets.set(id, { base, spent: 0n, held: 0n })
    this.#tellBudget(id)
    return base
  }

  /** Runs one call through its machine. */
  call(requestId = `req-${String(++this.#requestNumber).padStart(5, "0")}`): void {
    const who = pick(AGENTS)
    const { provider, model, price } = pick(MODELS)
    const prompt = 400 + Math.floor(Math.random() * 5000)
    const completion = 100 + Math.floor(Math.random() * 1500)
    const cost = (tokens: number): Amount => BigInt(tokens) * price * 1_000n
    const address = `call/${TENANT}/${requestId}`
    const progress = (state: string, done: number, attempt = 1): Progress => ({
      request_id: requestId,
      attempt,
      provider,
      model,
      state,
      prompt_tokens: state === "calling" ? prompt : 0,
      completion_tokens: done,
      cost: formatAmount(state === "calling" ? cost(prompt + done) : 0n),
      currency: "USD",
      ...who,
      at: new Date().toISOString()
    })
    const move = (state: string, event: string | null, done = 0, attempt = 1) => {
      this.#actor(address, state, event)
      this.#tell("usage", { in_flight: progress(state, done, attempt) })
    }
    move("estimating", null)
    this.#later(120, () => move("awaiting_budget", "xstate.done.actor.estimate"))
    this.#later(320, () => {
      const requested = cost(prompt + 4096)
      const hit = [...this.budgets.values()].filter((budget) => applies(budget.base, who, provider, model))
      const short = hit.filter(
        ({ base, spent, held }) =>
          base.enforcement === "hard" &&
          base.measure === "cost" &&
          spent + held + requested > parseAmount(base.limit)
      )
      const payload = {
        request_id: requestId,
        provider,
        model,
        estimated_prompt_tokens: prompt,
        max_completion_tokens: 4096,
        ...who
      }
      if (short.length > 0) {
        const violations = short.map((budget) => this.#violation(budget, requested))
        const reason = `${short[0]?.base.name} has no room: ${formatAmount(requested)} USD asked`
        this.#signal("check_budget", requestId, "refused", reason, payload, {
          allowed: false,
          kind: "no_room",
          reason,
          violations,
          retry_at: short[0]?.base.period_end ?? null,
          alternatives: []
        })
        move("refused", "xstate.error.actor.approve")
        this.#alert(short[0]?.base.id ?? "", reason)
        return this.#stop(address)
      }
      this.#signal("check_budget", requestId, "ok", null, payload, {
        allowed: true,
        hold_id: `hold-${requestId}`
      })
      for (const budget of hit)
        this.#change(budget, 0n, budget.base.measure === "cost" ? requested : amountOfCount(prompt + 4096))
      move("calling", "xstate.done.actor.approve")
      this.#stream({
        requestId,
        address,
        completion,
        prompt,
        cost,
        requested,
        hit,
        who,
        provider,
        model,
        move,
        retries: Math.random() < 0.15 ? 1 : 0
      })
    })
  }

  #stream(run: Run): void {
    const steps = 12
    const stepMs = 120 + Math.random() * 160
    let at = 0
    if (run.retries > 0) {
      this.#later(500, () => run.move("backing_off", "xstate.error.actor.call"))
      this.#later(1300, () => run.move("calling", "xstate.after.500", 0, 2))
      at = 1400
    }
    for (let step = 1; step <= steps; step++) {
      this.#later(at + step * stepMs, () =>
        run.move("calling", null, Math.floor((run.completion * step) / steps), run.retries + 1)
      )
    }
    this.#later(at + (steps + 1) * stepMs, () =>
      run.move("reporting", "xstate.done.actor.call", 0, run.retries + 1)
    )
    this.#later(at + (steps + 2) * stepMs, () => this.#settle(run))
  }

  #settle({
    requestId,
    address,
    prompt,
    completion,
    cost,
    requested,
    hit,
    who,
    provider,
    model,
    move,
    retries
  }: Run): void {
    const total = prompt + completion
    const amount = cost(total)
    for (const budget of hit) {
      const isCost = budget.base.measure === "cost"
      this.#change(
        budget,
        isCost ? amount : amountOfCount(total),
        isCost ? -requested : -amountOfCount(prompt + 4096)
      )
    }
    this.requests += 1
    this.tokens += total
    this.cost += amount
    const now = new Date().toISOString()
    const usage: Usage = {
      id: `u-${this.requests}`,
      usage_seq: this.requests,
      request_id: requestId,
      attempt: retries + 1,
      provider,
      model,
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: total,
      ...who,
      settle: true,
      timestamp: now,
      recorded_at: now,
      booked_at: now,
      status: "success",
      latency_ms: 2400,
      cost: formatAmount(amount),
      currency: "USD",
      price_currency: "USD",
      exchange_rate: "1",
      cost_breakdown: [],
      price_id: "p",
      cost_status: "priced",
      overage: "0",
      late: false,
      estimated_tokens: prompt + 4096,
      estimated_cost: formatAmount(requested)
    }
    this.usage.unshift(usage)
    this.usage.length = Math.min(this.usage.length, 500)
    this.#tell("usage", { usage })
    this.#signal(
      "track_usage",
      requestId,
      "ok",
      null,
      {
        request_id: requestId,
        provider,
        model,
        prompt_tokens: prompt,
        completion_tokens: completion,
        ...who
      },
      { tracked: true, duplicate: false }
    )
    move("done", "xstate.done.actor.report")
    this.#stop(address)
  }

  #change(budget: FakeBudget, spent: Amount, held: Amount): void {
    budget.spent += spent
    budget.held += held
    this.#tellBudget(budget.base.id)
  }

  #tellBudget(id: string): void {
    const budget = this.budgets.get(id)
    if (budget !== undefined) this.#tell("budgets", { budget: this.#standing(budget) })
  }

  #standing(budget: FakeBudget): Extract<WireEvent, { budget: unknown }>["budget"] {
    const {
      id,
      name,
      type,
      entity_id,
      measure,
      currency,
      limit,
      spent,
      held,
      remaining,
      percent_used,
      state,
      period_end
    } = this.statusOf(budget)
    return {
      budget_id: id,
      name,
      type,
      entity_id,
      measure,
      currency,
      limit,
      spent,
      held,
      remaining,
      percent_used,
      state,
      resets_at: period_end
    }
  }

  #violation(budget: FakeBudget, requested: Amount): Violation {
    const standing = this.#standing(budget)
    const shortfall = requested - parseAmount(standing.remaining)
    return {
      ...standing,
      requested: formatAmount(requested),
      shortfall: formatAmount(shortfall),
      override: "available"
    }
  }

  #alert(budgetId: string, message: string): void {
    const id = `alert-${++this.#alertNumber}`
    this.#tell("alerts", {
      alert: {
        id,
        kind: "exceeded",
        severity: "critical",
        message,
        budget_id: budgetId,
        at: new Date().toISOString(),
        data: {}
      }
    })
  }

  #signal(
    signal: string,
    requestId: string,
    outcome: string,
    reason: string | null,
    payload: object,
    answer: object
  ): void {
    this.#tell("signals", {
      signal: {
        signal,
        address: `token_manager/${TENANT}`,
        principal: "key-agents",
        request_id: requestId,
        version: 1,
        signal_id: 1,
        trace_id: null,
        at: new Date().toISOString(),
        duration_ms: 0.2 + Math.random() * 4,
        outcome,
        reason,
        payload: JSON.parse(JSON.stringify(payload)),
        answer: JSON.parse(JSON.stringify(answer))
      }
    })
  }

  #actor(address: string, state: string | null, event: string | null = null): void {
    const known = this.actors.get(address)
    const info: Actor = {
      address,
      kind: address.split("/")[0] ?? "",
      status: "running",
      parent: null,
      started_at: known?.started_at ?? new Date().toISOString(),
      restarts: 0,
      mailbox_depth: address.startsWith("token") ? 3 : 0,
      mailbox_capacity: 1024,
      signals_handled: (known?.signals_handled ?? 0) + 1,
      state
    }
    this.actors.set(address, info)
    this.#tell("actors", {
      actor: {
        version: 1,
        fact: known === undefined ? "started" : "transition",
        at: new Date().toISOString(),
        actor: info,
        detail: event
      }
    })
  }

  #stop(address: string): void {
    this.#later(100, () => {
      const info = this.actors.get(address)
      this.actors.delete(address)
      if (info !== undefined)
        this.#tell("actors", {
          actor: {
            version: 1,
            fact: "stopped",
            at: new Date().toISOString(),
            actor: { ...info, status: "stopped" },
            detail: null
          }
        })
    })
  }

  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, ms)
    this.#timers.add(timer)
  }
}

interface Run {
  readonly requestId: string
  readonly address: string
  readonly prompt: number
  readonly completion: number
  readonly requested: Amount
  readonly cost: (tokens: number) => Amount
  readonly hit: ReadonlyArray<FakeBudget>
  readonly who: (typeof AGENTS)[number]
  readonly provider: string
  readonly model: string
  readonly retries: number
  readonly move: (state: string, event: string | null, done?: number, attempt?: number) => void
}

const applies = (budget: Status, who: (typeof AGENTS)[number], provider: string, model: string): boolean =>
  (
    ({
      global: true,
      agent: budget.entity_id === who.agent,
      team: budget.entity_id === who.team_id,
      feature: budget.entity_id === who.feature,
      model: budget.entity_id === model,
      provider: budget.entity_id === provider
    }) as { [type: string]: boolean }
  )[budget.type] ?? false
