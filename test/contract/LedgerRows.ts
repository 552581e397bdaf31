/**
 * Rows for tests of the store: plain ones, and random ones that are as hostile as the language allows.
 */
import { DEFAULT_OVERRIDE_POLICY } from "../../src/signal/Budget.ts"
import { AMOUNT_MAX, UNIT } from "../../src/signal/Money.ts"
import type { TokenUsage } from "../../src/signal/Usage.ts"
import type {
  AttemptRow,
  Batch,
  BudgetDefinition,
  HeadCounters,
  HoldRow,
  LedgerSnapshot,
  OpenHold,
  OverrideRow,
  PeriodRow,
  RequestRow,
  UsageRow
} from "../../src/tokens/LedgerStore.ts"

/** A moment in the middle of a month, on a whole second. */
export const NOON = Date.UTC(2026, 4, 15, 12)

export const usage = (seq: number, fields: Partial<TokenUsage> = {}): TokenUsage => ({
  id: `use_${seq}`,
  usage_seq: seq,
  request_id: `r${seq}`,
  attempt: 1,
  provider: "anthropic",
  model: "claude",
  prompt_tokens: 10,
  completion_tokens: 5,
  total_tokens: 15,
  settle: true,
  timestamp: NOON + seq,
  recorded_at: NOON + seq,
  booked_at: NOON + seq,
  status: "success",
  cost: 1_500_000_000n,
  currency: "USD",
  price_currency: "USD",
  exchange_rate: 1_000_000_000_000n,
  cost_breakdown: [],
  price_id: null,
  cost_status: "priced",
  overage: 0n,
  late: false,
  estimated_tokens: null,
  estimated_cost: null,
  ...fields
})

export const usageRow = (seq: number, fields: Partial<TokenUsage> = {}, requests = 1): UsageRow => ({
  usage: usage(seq, fields),
  requests
})

export const hold = (requestId: string, fields: Partial<HoldRow> = {}): HoldRow => ({
  id: `hold_1.${requestId}`,
  state: "held",
  digest: "a digest",
  createdAt: NOON,
  expiresAt: NOON + 600_000,
  keyId: "key 1",
  provider: "anthropic",
  model: "claude",
  estimatedTokens: 1000,
  estimatedCost: 2_000_000_000n,
  remainingTokens: 1000,
  remainingCost: 2_000_000_000n,
  bookings: [{ budgetId: "budget_1", periodStart: NOON, amount: 2_000_000_000n }],
  attribution: { user_id: "ada" },
  currency: "USD",
  priceId: "catalogue:anthropic/claude",
  serviceTier: null,
  exchangeRate: UNIT,
  rates: null,
  ...fields
})

/** A hold that is open, as a batch has it. */
export const open = (requestId: string, fields: Partial<HoldRow> = {}): OpenHold => ({
  requestId,
  hold: hold(requestId, fields)
})

/** An attempt of a request, with the number of its row. */
export const attempt = (number: number, usageSeq: number, fields: Partial<AttemptRow> = {}): AttemptRow => ({
  attempt: number,
  digest: "a digest",
  usageSeq,
  isEstimated: false,
  isGuess: false,
  adjustments: [],
  answerSeq: usageSeq,
  ...fields
})

export const request = (requestId: string, fields: Partial<RequestRow> = {}): RequestRow => ({
  requestId,
  hold: null,
  attempts: [],
  ...fields
})

export const budget = (id: string, fields: Partial<BudgetDefinition> = {}): BudgetDefinition => ({
  id,
  name: `Budget ${id}`,
  type: "team",
  entityId: "core",
  period: "monthly",
  timeZone: "UTC",
  weekStartsOn: "monday",
  measure: "cost",
  currency: "USD",
  limit: 50_000_000_000_000n,
  alertThresholds: [50, 80, 100],
  enforcement: "hard",
  rollover: null,
  overridePolicy: DEFAULT_OVERRIDE_POLICY,
  isActive: true,
  createdAt: NOON,
  updatedAt: NOON,
  version: 1,
  sinceSeq: 7,
  openingRate: UNIT,
  ...fields
})

export const period = (budgetId: string, fields: Partial<PeriodRow> = {}): PeriodRow => ({
  budgetId,
  start: NOON,
  end: NOON + 3_600_000,
  spent: 1n,
  spentAfterwards: 0n,
  held: 2n,
  carriedOver: 0n,
  overrideTotal: 0n,
  terms: null,
  alertsSent: [],
  ...fields
})

export const override = (seq: number, fields: Partial<OverrideRow> = {}): OverrideRow => ({
  id: `override_${seq}`,
  seq,
  budgetId: "budget_1",
  periodStart: NOON,
  periodEnd: NOON + 86_400_000,
  type: "team",
  entityId: "core",
  measure: "cost",
  currency: "USD",
  status: "pending",
  amount: 2_000_000_000n,
  approvedAmount: null,
  reason: "a launch",
  note: null,
  requestedBy: "ann",
  requestedAt: NOON,
  decidedBy: null,
  decidedAt: null,
  expiresAt: NOON + 86_400_000,
  ...fields
})

export const head = (fields: Partial<HeadCounters> = {}): HeadCounters => ({
  usageSeq: 0,
  alertSeq: 0,
  idSeq: 0,
  tracked: 0,
  tokens: 0n,
  cost: 0n,
  ...fields
})

/** A batch on top of what is there. Its head counts its own usage and alerts, as a ledger would. */
export const batch = (
  id: string,
  snapshot: Pick<LedgerSnapshot, "journalSeq">,
  fields: Partial<Batch> = {}
): Batch => ({
  id,
  journalSeq: snapshot.journalSeq,
  head: head({
    usageSeq: Math.max(0, ...(fields.usage ?? []).map((row) => row.usage.usage_seq)),
    alertSeq: Math.max(0, ...(fields.alerts ?? []).map((row) => row.seq))
  }),
  usage: [],
  unpriced: { added: [], removed: [] },
  newRequests: [],
  changedRequests: [],
  openHolds: [],
  closedPages: [],
  budgets: [],
  periods: [],
  overrides: [],
  prices: [],
  rates: [],
  alerts: [],
  recipients: undefined,
  commands: [],
  audit: [],
  cleaned: undefined,
  config: undefined,
  ...fields
})

// --- random rows

const NASTY = [
  "",
  " ",
  "'; DROP TABLE usage; --",
  '"quoted" and \\"escaped\\"',
  "back\\slash \\\\ \\n \\u0041 \\u0000",
  "{1,2,NULL}",
  "NULL",
  "a,b\tc\nd\re",
  "🙂 👩‍👩‍👧‍👦 é é ﷽ שלום",
  "\u0001\u001f\u007f\u0080\u2028\ufeff\ufffd\uffff",
  "\u{10ffff}",
  "$1 :name ?",
  "x".repeat(4000)
]

/** A small generator of numbers that a seed repeats (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number of `[0, below)`. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (((t ^ (t >>> 14)) >>> 0) % 0x7fffffff) % below
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  one<A>(values: ReadonlyArray<A>): A {
    return values[this.below(values.length)] as A
  }

  text(): string {
    return this.chance(50) ? this.one(NASTY) : `t${this.below(1000)}${this.one(NASTY)}`
  }

  count(): number {
    return this.one([0, 1, this.below(100_000), Number.MAX_SAFE_INTEGER, this.below(2 ** 30) * 2 ** 20])
  }

  /** Signed, up to 10²⁷ − 1. */
  amount(): bigint {
    const size = this.one([0n, 1n, BigInt(this.below(1_000_000)), AMOUNT_MAX, AMOUNT_MAX / 7n])
    return this.chance(20) ? -size : size
  }

  json(depth: number): never {
    const kind = this.below(depth === 0 ? 5 : 7)
    const values = [null, true, this.text(), this.count() / 3, -1e-7, [], {}]
    if (kind === 5) return Array.from({ length: this.below(4) }, () => this.json(depth - 1)) as never
    if (kind === 6) return this.object(depth - 1) as never
    return values[kind] as never
  }

  object(depth: number): Record<string, never> {
    return Object.fromEntries(
      Array.from({ length: this.below(5) }, () => [`k${this.text()}`, this.json(depth)])
    )
  }
}

/** A usage with every optional field sometimes there. */
export const randomUsage = (random: Random, seq: number): TokenUsage => {
  const maybe = <A extends object>(fields: () => A): A | object => (random.chance(60) ? fields() : {})
  const text = () => random.text()
  const fields = {
    request_id: `${seq}${text()}`,
    attempt: 1 + random.below(100),
    provider: text(),
    model: text(),
    prompt_tokens: random.count(),
    completion_tokens: -random.count() || 0,
    total_tokens: random.count(),
    settle: random.chance(50),
    timestamp: random.one([0, NOON, -62_135_596_800_000, 253_402_300_799_999]),
    recorded_at: NOON + random.below(100_000_000),
    booked_at: NOON - random.below(100_000_000),
    status: random.one(["success", "error", "cancelled", "estimated"] as const),
    cost: random.amount(),
    exchange_rate: random.amount(),
    price_id: random.chance(50) ? null : text(),
    cost_status: random.one(["priced", "free", "unpriced"] as const),
    overage: random.amount(),
    late: random.chance(50),
    estimated_tokens: random.chance(50) ? null : random.count(),
    estimated_cost: random.chance(50) ? null : random.amount(),
    cost_breakdown: Array.from({ length: random.below(4) }, () => ({
      token_type: random.one(["input", "output", "cache_write_1h"] as const),
      tokens: -1 - random.below(1000),
      price_per_million: random.amount(),
      ...maybe(() => ({ factor: random.amount() })),
      cost: random.amount()
    })),
    ...maybe(() => ({ prompt_tokens_details: { cached_tokens: random.count(), audio_tokens: 0 } })),
    ...maybe(() => ({ completion_tokens_details: { reasoning_tokens: random.count() } })),
    ...maybe(() => ({ hold_id: text(), user_id: text(), team_id: text(), project_id: text() })),
    ...maybe(() => ({ feature: text(), agent: text(), operation: text(), operation_id: text() })),
    ...maybe(() => ({ task_id: text(), workflow_id: text(), conversation_id: text() })),
    ...maybe(() => ({ parent_request_id: text(), response_model: text(), service_tier: text() })),
    ...maybe(() => ({ tags: { env: text(), "a.b-c_9": text() } })),
    ...maybe(() => ({ tags: {} })),
    ...maybe(() => ({ latency_ms: random.count(), time_to_first_token_ms: random.count() })),
    ...maybe(() => ({ tools_used: [text(), text()], reported_cost: random.amount() })),
    ...maybe(() => ({ raw_usage: random.object(4), metadata: random.object(2) })),
    ...maybe(() => ({ prompt_hash: text(), prefix_hash: text(), prompt_parts: { system: random.count() } })),
    ...maybe(() => ({ adjusts: text(), reason: text() })),
    ...maybe(() => ({ budget_rates: { EUR: random.amount(), XAU: random.amount() } }))
  }
  return usage(seq, fields)
}
