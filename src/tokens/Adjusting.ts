/**
 * Brings an attempt to other figures, by a row of its own.
 *
 * Owns: what an attempt amounts to now (its first row and all that adjusts it), the row that carries the difference,
 * and that it is booked and charged where the first row was, however long ago.
 * Does not decide: whether there is a reason to (Posting, Correcting, Repricing), or what a charge does (Charging).
 *
 * Rows are never changed. A net is a sum of rows that are found by their key: the attempt lists them.
 */
import { ATTRIBUTION_FIELDS } from "../signal/Attribution.ts"
import type { Alert } from "../signal/Budget.ts"
import type { ExchangeRates } from "../signal/ExchangeRates.ts"
import { type Amount, amountOfCount, divideHalfEven, UNIT } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import type { CostLine, CostStatus, Counts, TokenUsage } from "../signal/Usage.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import { charge, withRates } from "./Charging.ts"
import type { Ledger } from "./Ledger.ts"
import type { AttemptRow } from "./LedgerStore.ts"
import { isFree, priceCounts } from "./Pricing.ts"
import type { RequestRecord } from "./RequestRecord.ts"

/** The first row of an attempt, and what adjusts it. */
export type AttemptRows = readonly [TokenUsage, ...ReadonlyArray<TokenUsage>]

type Details = { readonly [name: string]: number | undefined }

/** What an attempt amounts to. */
export interface Net {
  readonly first: TokenUsage
  readonly counts: Counts
  readonly cost: Amount
  readonly lines: ReadonlyArray<CostLine>
  /** The row that says at which price and rate it is charged: the last one that has a price, else the first row. */
  readonly priced: TokenUsage
  /** What it was charged at in budgets of other currencies: as in the first row that was. */
  readonly budgetRates: ExchangeRates
  /** As it was said last: a final report may know it better than its estimate. */
  readonly serviceTier: string | undefined
}

/** `a + sign·b`, name by name, without what comes to nothing. */
const combine = (a: Details = {}, b: Details = {}, sign: 1 | -1 = 1): { readonly [name: string]: number } => {
  const sums: Record<string, number> = {}
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const sum = (a[name] ?? 0) + sign * (b[name] ?? 0)
    if (sum !== 0) sums[name] = sum
  }
  return sums
}

/** Lines of the same kind at the same price together; what comes to nothing is left out. */
const together = (lines: ReadonlyArray<CostLine>): ReadonlyArray<CostLine> => {
  const sums = new Map<string, CostLine>()
  for (const line of lines) {
    const { tokens, cost, ...kind } = line
    const key = Object.values(kind).join(" ")
    const sum = sums.get(key)
    sums.set(key, sum === undefined ? line : { ...sum, tokens: sum.tokens + tokens, cost: sum.cost + cost })
  }
  return [...sums.values()].filter(({ tokens, cost }) => tokens !== 0 || cost !== 0n)
}

export const netOf = (rows: AttemptRows): Net => {
  const [first, ...adjustments] = rows
  const sum = { prompt: 0, completion: 0, cost: 0n }
  let prompt_tokens_details: Details = {}
  let completion_tokens_details: Details = {}
  for (const row of rows) {
    sum.prompt += row.prompt_tokens
    sum.completion += row.completion_tokens
    sum.cost += row.cost
    prompt_tokens_details = combine(prompt_tokens_details, row.prompt_tokens_details)
    completion_tokens_details = combine(completion_tokens_details, row.completion_tokens_details)
  }
  return {
    first,
    counts: {
      prompt_tokens: sum.prompt,
      completion_tokens: sum.completion,
      prompt_tokens_details,
      completion_tokens_details
    } as Counts,
    cost: sum.cost,
    lines:
      adjustments.length === 0 ? first.cost_breakdown : together(rows.flatMap((row) => row.cost_breakdown)),
    priced: rows.findLast(({ price_id }) => price_id !== null) ?? first,
    budgetRates: Object.assign({}, ...rows.map(({ budget_rates }) => budget_rates).reverse()),
    serviceTier: rows.findLast(({ service_tier }) => service_tier !== undefined)?.service_tier
  }
}

/** Whether two counts are the same, a detail that is absent being none. */
export const isSameCounts = (a: Counts, b: Counts): boolean =>
  a.prompt_tokens === b.prompt_tokens &&
  a.completion_tokens === b.completion_tokens &&
  Object.keys(combine(a.prompt_tokens_details, b.prompt_tokens_details, -1)).length === 0 &&
  Object.keys(combine(a.completion_tokens_details, b.completion_tokens_details, -1)).length === 0

/** How an adjustment is priced; without a price it stays unpriced. */
export interface PricedAt {
  readonly price: Price | undefined
  readonly rate: Amount
}

/**
 * The price and the rate that an attempt was booked at. A price that is not known any more (of a catalogue that was
 * renewed) is replaced by the one in force then. `undefined` where it has been priced and nobody knows how.
 */
export const pricedAsBefore = (ledger: Ledger, { priced }: Net): PricedAt | undefined => {
  const { provider, model, price_id, booked_at, exchange_rate } = priced
  if (price_id === null) return { price: undefined, rate: exchange_rate }
  const price =
    ledger.prices.byId(provider, model, price_id) ?? ledger.prices.find(provider, model, booked_at)
  return price && { price, rate: exchange_rate }
}

/** What an adjustment has that it does not take from the attempt: a report's own facts, or a reason. */
export type Facts = Partial<TokenUsage>

/** What stays as it was. How long a call took and what its provider said was told there. */
const identityOf = ({ first, serviceTier }: Net): Facts => {
  const { request_id, attempt, provider, model, hold_id, settle, timestamp, status, tags } = first
  const identity: Record<string, unknown> = {
    request_id,
    attempt,
    provider,
    model,
    settle,
    timestamp,
    status
  }
  for (const field of ATTRIBUTION_FIELDS) if (first[field] !== undefined) identity[field] = first[field]
  if (hold_id !== undefined) identity.hold_id = hold_id
  if (serviceTier !== undefined) identity.service_tier = serviceTier
  if (tags !== undefined) identity.tags = tags
  return identity as Facts
}

const statusOf = (price: Price | undefined, serviceTier: string | undefined): CostStatus =>
  price === undefined ? "unpriced" : isFree(price, serviceTier) ? "free" : "priced"

/** The row that brings an attempt from `net` to `counts`. */
const rowOf = (
  ledger: Ledger,
  net: Net,
  counts: Counts,
  { price, rate }: PricedAt,
  facts: Facts,
  now: Millis
): TokenUsage => {
  const { first } = net
  const tier = facts.service_tier ?? net.serviceTier
  const billed = price === undefined ? { cost: 0n, breakdown: [] } : priceCounts(price, counts, tier)
  const back = net.lines.map((line) => ({ ...line, tokens: -line.tokens, cost: -line.cost }))
  const prompt = counts.prompt_tokens - net.counts.prompt_tokens
  const completion = counts.completion_tokens - net.counts.completion_tokens
  ledger.usageSeq += 1
  return {
    ...(identityOf(net) as TokenUsage),
    ...facts,
    id: `use_${ledger.usageSeq}`,
    usage_seq: ledger.usageSeq,
    recorded_at: now,
    booked_at: first.booked_at,
    late: first.late,
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: combine(counts.prompt_tokens_details, net.counts.prompt_tokens_details, -1),
    completion_tokens_details: combine(
      counts.completion_tokens_details,
      net.counts.completion_tokens_details,
      -1
    ),
    cost: divideHalfEven(billed.cost * rate, UNIT) - net.cost,
    currency: first.currency,
    price_currency: price?.currency ?? first.price_currency,
    exchange_rate: rate,
    cost_breakdown: together([...billed.breakdown, ...back]),
    price_id: price?.id ?? null,
    cost_status: statusOf(price, tier),
    overage: 0n,
    estimated_tokens: first.estimated_tokens,
    estimated_cost: first.estimated_cost,
    adjusts: first.id
  }
}

export interface Adjusted {
  readonly usage: TokenUsage
  readonly budgets: ReadonlyArray<BudgetRecord>
  readonly alerts: ReadonlyArray<Alert>
}

/** What changes of an attempt's own row beside its list of adjustments. */
type AttemptChanges = Partial<Pick<AttemptRow, "digest" | "isEstimated" | "isGuess">> & {
  readonly answers?: boolean
}

/** Brings an attempt to `counts`: records the row, books it where the first one was, and charges it there. */
export const adjust = (
  ledger: Ledger,
  request: RequestRecord,
  attempt: AttemptRow,
  to: { readonly net: Net; readonly counts: Counts; readonly pricedAt: PricedAt; readonly facts: Facts },
  now: Millis,
  { answers = false, ...changes }: AttemptChanges = {}
): Adjusted => {
  const changed = rowOf(ledger, to.net, to.counts, to.pricedAt, to.facts, now)
  const budgets = ledger.index.matching(changed)
  const usage = withRates(ledger, changed, budgets, to.net.budgetRates)
  const row: AttemptRow = {
    ...attempt,
    ...changes,
    adjustments: [...attempt.adjustments, usage.usage_seq],
    answerSeq: answers ? usage.usage_seq : attempt.answerSeq
  }
  request.attempts = request.attempts.map((known) => (known.attempt === row.attempt ? row : known))
  request.keepUsage(usage)
  ledger.changeRequest(request)
  ledger.addUsage({ usage, requests: 0, adjustsSeq: attempt.usageSeq })
  ledger.tokens += amountOfCount(usage.total_tokens)
  ledger.cost += usage.cost
  return { usage, budgets, alerts: charge(ledger, budgets, usage, 0, now) }
}
