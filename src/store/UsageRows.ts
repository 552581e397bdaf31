/**
 * Usage as rows, and back.
 *
 * Owns: which fields are columns and which are in `detail`; that a usage comes back exactly as it went in.
 * Does not decide: when rows are written (CommitStatement), or which are read (UsageReads).
 */
import type { PgTypes } from "@effect/sql-pg"
import { ATTRIBUTION_FIELDS } from "../signal/Attribution.ts"
import { formatAmount, parseAmount } from "../signal/Money.ts"
import type { CostLine, TokenUsage } from "../signal/Usage.ts"
import type { UsageRow } from "../tokens/LedgerStore.ts"
import {
  amountArray,
  int4Array,
  int8Array,
  jsonArray,
  plainJsonArray,
  textArray,
  timeArray
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
type Column = keyof ColumnFields | (typeof ATTRIBUTION_FIELDS)[number]

/** A cost line in `detail`: token type, tokens, price per million, cost. */
type LineInDetail = readonly [string, number, string, string]

/** What has no column. The type makes a new field of `TokenUsage` an error here, so that none is ever lost. */
type Detail = {
  readonly [Field in Exclude<
    keyof TokenUsage,
    Column | "overage" | "exchange_rate" | "estimated_cost" | "reported_cost" | "cost_breakdown"
  >]: TokenUsage[Field] | undefined
} & {
  readonly overage: string
  readonly exchange_rate: string
  readonly estimated_cost: string | null
  readonly reported_cost: string | undefined
  readonly cost_breakdown: ReadonlyArray<LineInDetail>
}

const detailOf = (usage: TokenUsage): Detail => ({
  id: usage.id,
  settle: usage.settle,
  timestamp: usage.timestamp,
  price_currency: usage.price_currency,
  price_id: usage.price_id,
  cost_status: usage.cost_status,
  late: usage.late,
  estimated_tokens: usage.estimated_tokens,
  hold_id: usage.hold_id,
  adjusts: usage.adjusts,
  prompt_tokens_details: usage.prompt_tokens_details,
  completion_tokens_details: usage.completion_tokens_details,
  response_model: usage.response_model,
  latency_ms: usage.latency_ms,
  time_to_first_token_ms: usage.time_to_first_token_ms,
  service_tier: usage.service_tier,
  tools_used: usage.tools_used,
  raw_usage: usage.raw_usage,
  prompt_hash: usage.prompt_hash,
  prefix_hash: usage.prefix_hash,
  prompt_parts: usage.prompt_parts,
  metadata: usage.metadata,
  overage: formatAmount(usage.overage),
  exchange_rate: formatAmount(usage.exchange_rate),
  estimated_cost: usage.estimated_cost === null ? null : formatAmount(usage.estimated_cost),
  reported_cost: usage.reported_cost === undefined ? undefined : formatAmount(usage.reported_cost),
  cost_breakdown: usage.cost_breakdown.map((line) => [
    line.token_type,
    line.tokens,
    formatAmount(line.price_per_million),
    formatAmount(line.cost)
  ])
})

// --- writing

/** Columns in the order of `usageParameters`, with the type that each array is cast to. */
export const USAGE_COLUMNS: ReadonlyArray<readonly [name: string, array: string, value?: string]> = [
  ["usage_seq", "int8[]"],
  ["recorded_at", "timestamptz[]"],
  ["booked_at", "timestamptz[]"],
  ["request_id", "text[]"],
  ["attempt", "int4[]"],
  ["requests", "int4[]"],
  ["provider", "text[]"],
  ["model", "text[]"],
  ["status", "text[]"],
  ["prompt_tokens", "int8[]"],
  ["completion_tokens", "int8[]"],
  ["total_tokens", "int8[]"],
  ["cost", "numeric[]"],
  ["currency", "text[]"],
  ["tags", "text[]", "tags::jsonb"],
  ["detail", "text[]", "detail::json"],
  ...ATTRIBUTION_FIELDS.map((name) => [name, "text[]"] as const)
]

export const usageParameters = (rows: ReadonlyArray<UsageRow>): Array<PgTypes.Parameter | string> => {
  const usage = rows.map((row) => row.usage)
  return [
    int8Array(usage.map((it) => it.usage_seq)),
    timeArray(usage.map((it) => it.recorded_at)),
    timeArray(usage.map((it) => it.booked_at)),
    textArray(usage.map((it) => it.request_id)),
    int4Array(usage.map((it) => it.attempt)),
    int4Array(rows.map((row) => row.requests)),
    textArray(usage.map((it) => it.provider)),
    textArray(usage.map((it) => it.model)),
    textArray(usage.map((it) => it.status)),
    int8Array(usage.map((it) => it.prompt_tokens)),
    int8Array(usage.map((it) => it.completion_tokens)),
    int8Array(usage.map((it) => it.total_tokens)),
    amountArray(usage.map((it) => it.cost)),
    textArray(usage.map((it) => it.currency)),
    jsonArray(usage.map((it) => (it.tags === undefined ? null : JSON.stringify(it.tags)))),
    plainJsonArray(usage.map((it) => JSON.stringify(detailOf(it)))),
    ...ATTRIBUTION_FIELDS.map((name) => textArray(usage.map((it) => it[name] ?? null)))
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
  readonly detail: Detail
}

export const SELECT_USAGE = `SELECT ${USAGE_COLUMNS.map(([name]) => name)
  .filter((name) => name !== "requests")
  .join(", ")} FROM usage`

const lineFrom = ([token_type, tokens, price, cost]: LineInDetail): CostLine => ({
  token_type: token_type as CostLine["token_type"],
  tokens,
  price_per_million: parseAmount(price),
  cost: parseAmount(cost)
})

export const usageFrom = (row: StoredUsage): TokenUsage => {
  const { overage, exchange_rate, estimated_cost, reported_cost, cost_breakdown, ...rest } = row.detail
  const texts: Partial<Record<(typeof ATTRIBUTION_FIELDS)[number], string>> = {}
  const columns = row as unknown as Record<(typeof ATTRIBUTION_FIELDS)[number], string | null>
  for (const name of ATTRIBUTION_FIELDS) {
    const text = columns[name]
    if (text !== null) texts[name] = text
  }
  // `detail` was written from a usage: what is absent in it was absent there.
  return {
    ...(rest as Omit<TokenUsage, Column>),
    ...texts,
    ...(row.tags === null ? {} : { tags: row.tags }),
    ...(reported_cost === undefined ? {} : { reported_cost: parseAmount(reported_cost) }),
    usage_seq: Number(row.usage_seq),
    recorded_at: row.recorded_at.getTime(),
    booked_at: row.booked_at.getTime(),
    request_id: row.request_id,
    attempt: row.attempt,
    provider: row.provider,
    model: row.model,
    status: row.status,
    prompt_tokens: Number(row.prompt_tokens),
    completion_tokens: Number(row.completion_tokens),
    total_tokens: Number(row.total_tokens),
    cost: parseAmount(row.cost),
    currency: row.currency,
    overage: parseAmount(overage),
    exchange_rate: parseAmount(exchange_rate),
    estimated_cost: estimated_cost === null ? null : parseAmount(estimated_cost),
    cost_breakdown: cost_breakdown.map(lineFrom)
  }
}
