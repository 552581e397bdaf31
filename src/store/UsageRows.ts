/**
 * Usage as rows, and back.
 *
 * Owns: which fields are columns and which are in `detail`; that a usage comes back exactly as it went in.
 * Does not decide: when rows are written (CommitStatement), or which are read (UsageReads).
 */
import { ATTRIBUTION_FIELDS } from "../signal/Attribution.ts"
import { type Amount, formatAmount, parseAmount, UNIT } from "../signal/Money.ts"
import type { CostLine, TokenUsage } from "../signal/Usage.ts"
import type { UsageRow } from "../tokens/LedgerStore.ts"
import {
  amountColumn,
  type Columns,
  int4Column,
  int8Column,
  jsonColumn,
  plainJsonColumn,
  textColumn,
  timeColumn
} from "./Columns.ts"

interface ColumnFields {
  readonly usage_seq: unknown
  readonly recorded_at: unknown
  readonly booked_at: unknown
  readonly request_id: unknown
  readonly attempt: unknown
  readonly provider: unknown
  readonly model: unknown
  readonly status: unknown
  readonly prompt_tokens: unknown
  readonly completion_tokens: unknown
  readonly total_tokens: unknown
  readonly cost: unknown
  readonly currency: unknown
  readonly tags: unknown
}
type ColumnField = keyof ColumnFields | (typeof ATTRIBUTION_FIELDS)[number]

/** A cost line in `detail`: token type, tokens, price per million, cost, and the factor where there is one. */
type LineInDetail = readonly [string, number, string, string, factor?: string]

type DetailField = Exclude<keyof TokenUsage, ColumnField>
type AmountField = "overage" | "exchange_rate" | "estimated_cost" | "reported_cost"
type PlainField = Exclude<DetailField, AmountField | "budget_rates" | "cost_breakdown">

/** What has no column, and is not as it nearly always is (`usualOf`): that is left out. */
type Detail = { [Field in PlainField]?: TokenUsage[Field] } & { [Field in AmountField]?: string | null } & {
  budget_rates?: { readonly [currency: string]: string }
  cost_breakdown?: ReadonlyArray<LineInDetail>
}

/** What a detail nearly always is; `undefined` where it is nearly always absent. The type lets no field be forgotten. */
const usualOf = (
  usage: Pick<TokenUsage, "usage_seq" | "recorded_at" | "currency">
): { readonly [Field in Exclude<DetailField, "cost_breakdown">]: TokenUsage[Field] | undefined } => ({
  id: `use_${usage.usage_seq}`,
  settle: true,
  timestamp: usage.recorded_at,
  price_currency: usage.currency,
  price_id: null,
  cost_status: "priced",
  late: false,
  estimated_tokens: null,
  overage: 0n,
  exchange_rate: UNIT,
  estimated_cost: null,
  reported_cost: undefined,
  budget_rates: undefined,
  hold_id: undefined,
  adjusts: undefined,
  reason: undefined,
  prompt_tokens_details: undefined,
  completion_tokens_details: undefined,
  response_model: undefined,
  latency_ms: undefined,
  time_to_first_token_ms: undefined,
  service_tier: undefined,
  tools_used: undefined,
  raw_usage: undefined,
  prompt_hash: undefined,
  prefix_hash: undefined,
  prompt_parts: undefined,
  metadata: undefined
})

/** Where it does not depend on the usage. */
const USUAL = usualOf({ usage_seq: 0, recorded_at: 0, currency: "" })
const DETAIL_FIELDS = Object.keys(USUAL) as ReadonlyArray<keyof typeof USUAL>

/** As `usualOf` says, without making all of it for each row. */
const isUsual = (usage: TokenUsage, field: keyof typeof USUAL): boolean => {
  switch (field) {
    case "id":
      return usage.id === `use_${usage.usage_seq}`
    case "timestamp":
      return usage.timestamp === usage.recorded_at
    case "price_currency":
      return usage.price_currency === usage.currency
    default:
      return usage[field] === USUAL[field]
  }
}

const inJson = (value: unknown): unknown => (typeof value === "bigint" ? formatAmount(value) : value)

/** What is in a record of amounts, one by one. */
const inJsonEach = (record: object): object =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, inJson(value)]))

const lineInDetail = ({ token_type, tokens, price_per_million, cost, factor }: CostLine): LineInDetail => {
  const price = formatAmount(price_per_million)
  return factor === undefined
    ? [token_type, tokens, price, formatAmount(cost)]
    : [token_type, tokens, price, formatAmount(cost), formatAmount(factor)]
}

const detailJson = (usage: TokenUsage): string => {
  const detail: { cost_breakdown?: ReadonlyArray<LineInDetail>; [field: string]: unknown } = {}
  for (const field of DETAIL_FIELDS) {
    if (!isUsual(usage, field)) detail[field] = inJson(usage[field])
  }
  if (usage.budget_rates !== undefined) detail.budget_rates = inJsonEach(usage.budget_rates)
  if (usage.cost_breakdown.length > 0) {
    detail.cost_breakdown = usage.cost_breakdown.map(lineInDetail)
  }
  return JSON.stringify(detail)
}

// --- writing

/** Columns in the order of `usageValues`. */
export const USAGE_COLUMNS: Columns = [
  ["usage_seq", "int8"],
  ["recorded_at", "timestamptz"],
  ["booked_at", "timestamptz"],
  ["request_id", "text"],
  ["attempt", "int4"],
  ["requests", "int4"],
  ["adjusts_seq", "int8"],
  ["provider", "text"],
  ["model", "text"],
  ["status", "text"],
  ["prompt_tokens", "int8"],
  ["completion_tokens", "int8"],
  ["total_tokens", "int8"],
  ["cost", "numeric"],
  ["currency", "text"],
  ["tags", "text", "jsonb"],
  ["detail", "text"],
  ...ATTRIBUTION_FIELDS.map((name) => [name, "text"] as const)
]

export const usageValues = (rows: ReadonlyArray<UsageRow>) => {
  const usage = rows.map((row) => row.usage)
  return [
    int8Column(usage.map((it) => it.usage_seq)),
    timeColumn(usage.map((it) => it.recorded_at)),
    timeColumn(usage.map((it) => it.booked_at)),
    textColumn(usage.map((it) => it.request_id)),
    int4Column(usage.map((it) => it.attempt)),
    int4Column(rows.map((row) => row.requests)),
    int8Column(rows.map((row) => row.adjustsSeq ?? null)),
    textColumn(usage.map((it) => it.provider)),
    textColumn(usage.map((it) => it.model)),
    textColumn(usage.map((it) => it.status)),
    int8Column(usage.map((it) => it.prompt_tokens)),
    int8Column(usage.map((it) => it.completion_tokens)),
    int8Column(usage.map((it) => it.total_tokens)),
    amountColumn(usage.map((it) => it.cost)),
    textColumn(usage.map((it) => it.currency)),
    jsonColumn(usage.map((it) => (it.tags === undefined ? null : JSON.stringify(it.tags)))),
    plainJsonColumn(usage.map(detailJson)),
    ...ATTRIBUTION_FIELDS.map((name) => textColumn(usage.map((it) => it[name] ?? null)))
  ]
}

// --- reading

/** What `SELECT_USAGE` selects. */
export interface StoredUsage {
  readonly usage_seq: bigint
  readonly recorded_at: Date
  readonly booked_at: Date
  readonly request_id: string
  readonly attempt: number
  readonly provider: string
  readonly model: string
  readonly status: TokenUsage["status"]
  readonly prompt_tokens: bigint
  readonly completion_tokens: bigint
  readonly total_tokens: bigint
  readonly cost: string
  readonly currency: string
  readonly tags: NonNullable<TokenUsage["tags"]> | null
  readonly detail: string
}

export const SELECT_USAGE = `SELECT ${USAGE_COLUMNS.map(([name]) => name)
  .filter((name) => name !== "requests" && name !== "adjusts_seq")
  .join(", ")} FROM usage`

const lineFrom = ([token_type, tokens, price, cost, factor]: LineInDetail): CostLine => ({
  token_type: token_type as CostLine["token_type"],
  tokens,
  price_per_million: parseAmount(price),
  ...(factor === undefined ? {} : { factor: parseAmount(factor) }),
  cost: parseAmount(cost)
})

const amountOr = (text: string | null | undefined, usual: Amount): Amount =>
  typeof text === "string" ? parseAmount(text) : usual

const ratesFrom = (rates: { readonly [currency: string]: string }): NonNullable<TokenUsage["budget_rates"]> =>
  Object.fromEntries(Object.entries(rates).map(([currency, rate]) => [currency, parseAmount(rate)]))

/** The fields of a detail, those that were left out too. */
const detailFrom = (
  row: Pick<TokenUsage, "usage_seq" | "recorded_at" | "currency">,
  json: string
): Pick<TokenUsage, DetailField> => {
  const { overage, exchange_rate, budget_rates, estimated_cost, reported_cost, cost_breakdown, ...rest } =
    JSON.parse(json) as Detail
  const usual = usualOf(row)
  const known: Record<string, unknown> = {}
  for (const field of DETAIL_FIELDS) if (usual[field] !== undefined) known[field] = usual[field]
  return {
    ...(known as Pick<TokenUsage, DetailField>),
    ...rest,
    ...(typeof reported_cost === "string" ? { reported_cost: parseAmount(reported_cost) } : {}),
    ...(budget_rates === undefined ? {} : { budget_rates: ratesFrom(budget_rates) }),
    overage: amountOr(overage, 0n),
    exchange_rate: amountOr(exchange_rate, UNIT),
    estimated_cost: typeof estimated_cost === "string" ? parseAmount(estimated_cost) : null,
    cost_breakdown: (cost_breakdown ?? []).map(lineFrom)
  }
}

export const usageFrom = (row: StoredUsage): TokenUsage => {
  const texts: Partial<Record<(typeof ATTRIBUTION_FIELDS)[number], string>> = {}
  const columns = row as unknown as Record<(typeof ATTRIBUTION_FIELDS)[number], string | null>
  for (const name of ATTRIBUTION_FIELDS) {
    const text = columns[name]
    if (text !== null) texts[name] = text
  }
  const key = {
    usage_seq: Number(row.usage_seq),
    recorded_at: row.recorded_at.getTime(),
    currency: row.currency
  }
  return {
    ...detailFrom(key, row.detail),
    ...texts,
    ...(row.tags === null ? {} : { tags: row.tags }),
    ...key,
    booked_at: row.booked_at.getTime(),
    request_id: row.request_id,
    attempt: row.attempt,
    provider: row.provider,
    model: row.model,
    status: row.status,
    prompt_tokens: Number(row.prompt_tokens),
    completion_tokens: Number(row.completion_tokens),
    total_tokens: Number(row.total_tokens),
    cost: parseAmount(row.cost)
  }
}

// --- rows whole, with what they count

export interface StoredUsageRow extends StoredUsage {
  readonly requests: number
  readonly adjusts_seq: bigint | null
}

export const SELECT_USAGE_ROWS = `SELECT ${USAGE_COLUMNS.map(([name]) => name).join(", ")} FROM usage`

export const usageRowFrom = (row: StoredUsageRow): UsageRow => ({
  usage: usageFrom(row),
  requests: row.requests,
  ...(row.adjusts_seq === null ? {} : { adjustsSeq: Number(row.adjusts_seq) })
})
