/**
 * A small TokenManager that keeps holds and attempts honestly, in memory.
 *
 * Owns: holds (held → posted | released), unique attempts, exact costs at literal rates, one budget.
 * It can be told to fail, or to take its time.
 */
import { Clock, Deferred, Effect } from "effect"
import type { BudgetKeeper } from "../../../src/provider/BudgetKeeper.ts"
import { ADMITTED_WITHOUT_HOLD, type Approval } from "../../../src/signal/Budgeting.ts"
import type { SignalPayload, SignalSuccess } from "../../../src/signal/Catalogue.ts"
import { Conflict, type SignalError } from "../../../src/signal/Errors.ts"
import { type Amount, costOfTokens, formatAmount, parseAmount } from "../../../src/signal/Money.ts"
import type { Principal } from "../../../src/signal/Principal.ts"
import type { Counts, TokenUsage } from "../../../src/signal/Usage.ts"

interface Rates {
  readonly input: string
  readonly cached?: string
  readonly write5m?: string
  readonly write1h?: string
  readonly output: string
}

/** Dollars per million tokens. */
const RATES: { readonly [model: string]: Rates } = {
  "claude-test": { input: "3", cached: "0.30", write5m: "3.75", write1h: "6", output: "15" },
  "gpt-test": { input: "2.50", cached: "1.25", output: "10" },
  "sim-fast": { input: "0.10", cached: "0.01", output: "0.40" },
  "sim-slow": { input: "1.00", cached: "0.10", output: "5.00" },
  "sim-flaky": { input: "0.20", cached: "0.02", output: "0.80" }
}
const OTHER: Rates = { input: "1", output: "2" }

export const costOf = (model: string, counts: Counts): Amount => {
  const rates = RATES[model] ?? OTHER
  const {
    cached_tokens: cached = 0,
    cache_write_5m_tokens: w5 = 0,
    cache_write_1h_tokens: w1 = 0
  } = counts.prompt_tokens_details ?? {}
  const line = (tokens: number, rate: string | undefined) =>
    costOfTokens(tokens, parseAmount(rate ?? rates.input))
  return (
    line(counts.prompt_tokens - cached - w5 - w1, rates.input) +
    line(cached, rates.cached) +
    line(w5, rates.write5m) +
    line(w1, rates.write1h) +
    line(counts.completion_tokens, rates.output)
  )
}

interface Hold {
  readonly id: string
  readonly tenant: string
  readonly requestId: string
  state: "held" | "posted" | "released"
  cost: Amount
  tokens: number
  expiresAt: number
}

type Name = "check" | "extend" | "release" | "track"

export interface TrackedAttempt {
  readonly tenant: string
  readonly payload: SignalPayload<"track_usage">
  readonly cost: Amount
}

export class FakeKeeper implements BudgetKeeper {
  readonly holds: Array<Hold> = []
  readonly tracked: Array<TrackedAttempt> = []
  /** Every ask in its order, as one line each. */
  readonly asks: Array<string> = []
  spent: Amount = 0n
  heldAtMost: Amount = 0n
  limit: Amount = parseAmount("1000000")
  /** Approves without a hold: as `on_store_down: "allow"` does, or without saying why, which nobody should. */
  withoutHold: "by policy" | "unsaid" | undefined
  readonly #failures = new Map<Name, Array<SignalError>>()
  readonly #gates = new Map<Name, Deferred.Deferred<void>>()
  /** A store that fails after it has written: the answer is lost, what it did is not. */
  losesAnswers = new Set<Name>()

  get held(): Amount {
    return this.holds.reduce((sum, { state, cost }) => (state === "held" ? sum + cost : sum), 0n)
  }

  get openHolds(): number {
    return this.holds.filter(({ state }) => state === "held").length
  }

  /** Lines like `1 claude-test 429 error settle:false 0`. */
  get attempts(): ReadonlyArray<string> {
    return this.tracked.map(({ payload, cost }) => {
      const { attempt, model, status, settle, prompt_tokens, completion_tokens } = payload
      return `${attempt} ${model} ${status} ${prompt_tokens}+${completion_tokens} $${formatAmount(cost)}${settle ? " settled" : ""}`
    })
  }

  failNext(name: Name, ...errors: ReadonlyArray<SignalError>): void {
    this.#failures.set(name, [...(this.#failures.get(name) ?? []), ...errors])
  }

  /** Asks of this name wait until the gate is opened. */
  gate(name: Name): Deferred.Deferred<void> {
    const gate = Deferred.makeUnsafe<void>()
    this.#gates.set(name, gate)
    return gate
  }

  check = (payload: SignalPayload<"check_budget">, { tenant }: Principal) =>
    this.#answer("check", `check ${payload.model}`, (now): Approval | Conflict => {
      const known = this.holds.findLast(
        (hold) => hold.tenant === tenant && hold.requestId === payload.request_id
      )
      if (known?.state === "posted") {
        return new Conflict({ message: "posted", reason: "hold_already_posted" })
      }
      const prompt = payload.estimated_prompt_tokens ?? 0
      const completion = payload.max_completion_tokens ?? 1000
      const tokens = prompt + completion
      const cost = costOf(payload.model ?? "", { prompt_tokens: prompt, completion_tokens: completion })
      if (this.withoutHold !== undefined) return this.#approveWithoutHold(tokens, cost, now)
      if (known?.state === "held") return this.#approve(known, now)
      if (this.spent + this.held + cost > this.limit) return this.#refuse(tokens, cost)
      const hold: Hold = {
        id: `hold_${this.holds.length + 1}`,
        tenant,
        requestId: payload.request_id,
        state: "held",
        cost,
        tokens,
        expiresAt: now + payload.hold_ttl_ms
      }
      this.holds.push(hold)
      if (this.held > this.heldAtMost) this.heldAtMost = this.held
      return this.#approve(hold, now)
    })

  extend = (payload: SignalPayload<"extend_hold">) =>
    this.#answer(
      "extend",
      `extend ${payload.by === undefined ? "ttl" : `${payload.by.tokens}t $${formatAmount(payload.by.cost ?? 0n)}`}`,
      (now): Approval | Conflict => {
        const hold = this.holds.find(({ id }) => id === payload.hold_id)
        if (hold?.state !== "held") {
          return new Conflict({ message: "closed", reason: "hold_already_released" })
        }
        const cost = payload.by?.cost ?? 0n
        if (this.spent + this.held + cost > this.limit) return this.#refuse(payload.by?.tokens ?? 0, cost)
        hold.cost += cost
        hold.tokens += payload.by?.tokens ?? 0
        if (payload.ttl_ms !== undefined) hold.expiresAt = now + payload.ttl_ms
        return this.#approve(hold, now)
      }
    )

  release = (payload: SignalPayload<"release_hold">) =>
    this.#answer("release", "release", (): SignalSuccess<"release_hold"> | Conflict => {
      const hold = this.holds.find(({ id }) => id === payload.hold_id)
      if (hold?.state === "posted") return new Conflict({ message: "posted", reason: "hold_already_posted" })
      if (hold !== undefined) hold.state = "released"
      return { released: true }
    })

  track = (payload: SignalPayload<"track_usage">, { tenant }: Principal) =>
    this.#answer(
      "track",
      `track ${payload.attempt} ${payload.status}`,
      (now): SignalSuccess<"track_usage"> | Conflict => {
        const known = this.tracked.find(
          (other) =>
            other.tenant === tenant &&
            other.payload.request_id === payload.request_id &&
            other.payload.attempt === payload.attempt
        )
        if (known !== undefined) {
          return JSON.stringify(known.payload) === JSON.stringify(payload)
            ? { tracked: true, duplicate: true, usage: usageOf(known, now), budgets: [], alerts: [] }
            : new Conflict({ message: "other content", reason: "request_reused_with_different_content" })
        }
        const attempt = { tenant, payload, cost: costOf(payload.model, payload) }
        this.tracked.push(attempt)
        this.#charge(attempt)
        return { tracked: true, duplicate: false, usage: usageOf(attempt, now), budgets: [], alerts: [] }
      }
    )

  nextAttempt = (requestId: string, { tenant }: Principal) =>
    Effect.sync(() =>
      this.tracked.reduce(
        (next, { payload, tenant: other }) =>
          other === tenant && payload.request_id === requestId ? Math.max(next, payload.attempt + 1) : next,
        1
      )
    )

  attempt = (requestId: string, attempt: number, { tenant }: Principal) =>
    Effect.clockWith((clock) =>
      Effect.map(clock.currentTimeMillis, (now) => {
        const one = this.tracked.find(
          ({ tenant: other, payload }) =>
            other === tenant && payload.request_id === requestId && payload.attempt === attempt
        )
        return one === undefined ? null : usageOf(one, now)
      })
    )

  price = (_provider: string, model: string, counts: Counts) =>
    Effect.sync(() => ({ cost: costOf(model, counts), currency: "USD" }))

  #charge({ tenant, payload, cost }: TrackedAttempt): void {
    this.spent += cost
    const hold = this.holds.findLast(
      (open) =>
        open.tenant === tenant &&
        (open.id === payload.hold_id || open.requestId === payload.request_id) &&
        open.state === "held"
    )
    if (hold === undefined) return
    hold.cost = hold.cost > cost ? hold.cost - cost : 0n
    hold.tokens = Math.max(0, hold.tokens - payload.prompt_tokens - payload.completion_tokens)
    if (payload.settle) hold.state = "posted"
  }

  #approve(hold: Hold, now: number): Approval {
    return {
      allowed: true,
      hold_id: hold.id,
      expires_at: Math.max(now, hold.expiresAt),
      estimated_tokens: hold.tokens,
      estimated_cost: hold.cost,
      currency: "USD",
      budgets: [],
      warnings: []
    }
  }

  #approveWithoutHold(tokens: number, cost: Amount, now: number): Approval {
    const warning = {
      id: "warning",
      kind: "anomaly",
      severity: "critical",
      message: "The store is away",
      at: now,
      data: ADMITTED_WITHOUT_HOLD
    } as const
    return {
      allowed: true,
      estimated_tokens: tokens,
      estimated_cost: cost,
      currency: "USD",
      budgets: [],
      warnings: this.withoutHold === "by policy" ? [warning] : []
    }
  }

  #refuse(tokens: number, cost: Amount): Approval {
    return {
      allowed: false,
      kind: "no_room",
      reason: "The budget has no room",
      estimated_tokens: tokens,
      estimated_cost: cost,
      currency: "USD",
      violations: [],
      retry_at: null,
      alternatives: []
    }
  }

  #answer<A>(name: Name, line: string, decide: (now: number) => A | Conflict): Effect.Effect<A, SignalError> {
    return Effect.gen({ self: this }, function* () {
      this.asks.push(line)
      const gate = this.#gates.get(name)
      if (gate !== undefined) yield* Deferred.await(gate)
      const failure = this.#failures.get(name)?.shift()
      if (failure !== undefined && !this.losesAnswers.has(name)) return yield* failure
      const answer = decide(yield* Clock.currentTimeMillis)
      if (failure !== undefined) return yield* failure
      if (answer instanceof Conflict) return yield* answer
      return answer
    })
  }
}

const usageOf = ({ payload, cost }: TrackedAttempt, now: number): TokenUsage => ({
  ...payload,
  id: `usage_${payload.request_id}_${payload.attempt}`,
  usage_seq: 1,
  total_tokens: payload.prompt_tokens + payload.completion_tokens,
  timestamp: now,
  recorded_at: now,
  booked_at: now,
  cost,
  currency: "USD",
  price_currency: "USD",
  exchange_rate: parseAmount("1"),
  cost_breakdown: [],
  price_id: "price_1",
  cost_status: "priced",
  overage: 0n,
  late: false,
  estimated_tokens: null,
  estimated_cost: null
})
