/**
 * Budgets, periods, prices, alerts and command results as rows, and back.
 *
 * Owns: their columns. Does not decide: what is in them (tokens/).
 */
import type { Alert } from "../signal/Budget.ts"
import { formatAmount, parseAmount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { AlertRow, BudgetDefinition, CommandRow, PeriodRow } from "../tokens/LedgerStore.ts"
import {
  amountColumn,
  boolColumn,
  type Columns,
  int8Column,
  integersColumn,
  jsonColumn,
  textColumn,
  timeColumn
} from "./Columns.ts"

// --- budgets

export const BUDGET_COLUMNS: Columns = [
  ["budget_id", "text"],
  ["name", "text"],
  ["type", "text"],
  ["entity_id", "text"],
  ["period", "text"],
  ["time_zone", "text"],
  ["week_starts_on", "text"],
  ["measure", "text"],
  ["currency", "text"],
  ["limit_amount", "numeric"],
  ["alert_thresholds", "text", "int4[]"],
  ["enforcement", "text"],
  ["rollover_max", "numeric"],
  ["rollover_min", "numeric"],
  ["override_policy", "text", "jsonb"],
  ["is_active", "bool"],
  ["created_at", "timestamptz"],
  ["updated_at", "timestamptz"],
  ["version", "int8"],
  ["since_seq", "int8"],
  ["opening_rate", "numeric"]
]

export const budgetValues = (rows: ReadonlyArray<BudgetDefinition>) => [
  textColumn(rows.map((row) => row.id)),
  textColumn(rows.map((row) => row.name)),
  textColumn(rows.map((row) => row.type)),
  textColumn(rows.map((row) => row.entityId)),
  textColumn(rows.map((row) => row.period)),
  textColumn(rows.map((row) => row.timeZone)),
  textColumn(rows.map((row) => row.weekStartsOn)),
  textColumn(rows.map((row) => row.measure)),
  textColumn(rows.map((row) => row.currency)),
  amountColumn(rows.map((row) => row.limit)),
  integersColumn(rows.map((row) => row.alertThresholds)),
  textColumn(rows.map((row) => row.enforcement)),
  amountColumn(rows.map((row) => row.rollover?.max ?? null)),
  amountColumn(rows.map((row) => row.rollover?.min ?? null)),
  jsonColumn(rows.map((row) => JSON.stringify(row.overridePolicy))),
  boolColumn(rows.map((row) => row.isActive)),
  timeColumn(rows.map((row) => row.createdAt)),
  timeColumn(rows.map((row) => row.updatedAt)),
  int8Column(rows.map((row) => row.version)),
  int8Column(rows.map((row) => row.sinceSeq)),
  amountColumn(rows.map((row) => row.openingRate))
]

export interface StoredBudget {
  readonly budget_id: string
  readonly name: string
  readonly type: BudgetDefinition["type"]
  readonly entity_id: string | null
  readonly period: BudgetDefinition["period"]
  readonly time_zone: string
  readonly week_starts_on: BudgetDefinition["weekStartsOn"]
  readonly measure: BudgetDefinition["measure"]
  readonly currency: string
  readonly limit_amount: string
  readonly alert_thresholds: ReadonlyArray<number>
  readonly enforcement: BudgetDefinition["enforcement"]
  readonly rollover_max: string | null
  readonly rollover_min: string | null
  readonly override_policy: BudgetDefinition["overridePolicy"]
  readonly is_active: boolean
  readonly created_at: Date
  readonly updated_at: Date
  readonly version: bigint
  readonly since_seq: bigint
  readonly opening_rate: string
}

/** The oldest first, as they were made. */
export const SELECT_BUDGETS = `SELECT ${BUDGET_COLUMNS.map(([name]) => name).join(", ")} FROM budget
WHERE tenant = $1 ORDER BY created_at, length(budget_id), budget_id COLLATE "C"`

const rolloverFrom = ({ rollover_max, rollover_min }: StoredBudget): BudgetDefinition["rollover"] =>
  rollover_max === null
    ? null
    : { max: parseAmount(rollover_max), ...(rollover_min === null ? {} : { min: parseAmount(rollover_min) }) }

export const budgetFrom = (row: StoredBudget): BudgetDefinition => ({
  id: row.budget_id,
  name: row.name,
  type: row.type,
  entityId: row.entity_id,
  period: row.period,
  timeZone: row.time_zone,
  weekStartsOn: row.week_starts_on,
  measure: row.measure,
  currency: row.currency,
  limit: parseAmount(row.limit_amount),
  alertThresholds: row.alert_thresholds,
  enforcement: row.enforcement,
  rollover: rolloverFrom(row),
  overridePolicy: row.override_policy,
  isActive: row.is_active,
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime(),
  version: Number(row.version),
  sinceSeq: Number(row.since_seq),
  openingRate: parseAmount(row.opening_rate)
})

// --- periods

export const PERIOD_COLUMNS: Columns = [
  ["budget_id", "text"],
  ["period_start", "timestamptz"],
  ["period_end", "timestamptz"],
  ["spent", "numeric"],
  ["spent_afterwards", "numeric"],
  ["held", "numeric"],
  ["carried_over", "numeric"],
  ["override_total", "numeric"],
  ["rollover_limit", "numeric"],
  ["rollover_max", "numeric"],
  ["rollover_min", "numeric"],
  ["alerts_sent", "text", "int4[]"]
]

export const periodValues = (rows: ReadonlyArray<PeriodRow>) => [
  textColumn(rows.map((row) => row.budgetId)),
  timeColumn(rows.map((row) => row.start)),
  timeColumn(rows.map((row) => row.end ?? Number.POSITIVE_INFINITY)),
  amountColumn(rows.map((row) => row.spent)),
  amountColumn(rows.map((row) => row.spentAfterwards)),
  amountColumn(rows.map((row) => row.held)),
  amountColumn(rows.map((row) => row.carriedOver)),
  amountColumn(rows.map((row) => row.overrideTotal)),
  amountColumn(rows.map((row) => row.terms?.limit ?? null)),
  amountColumn(rows.map((row) => row.terms?.max ?? null)),
  amountColumn(rows.map((row) => row.terms?.min ?? null)),
  integersColumn(rows.map((row) => row.alertsSent))
]

export interface StoredPeriod {
  readonly budget_id: string
  readonly period_start: Date
  /** `infinity` for a lifetime, which reads as an invalid date. */
  readonly period_end: Date
  readonly spent: string
  readonly spent_afterwards: string
  readonly held: string
  readonly carried_over: string
  readonly override_total: string
  readonly rollover_limit: string | null
  readonly rollover_max: string | null
  readonly rollover_min: string | null
  readonly alerts_sent: ReadonlyArray<number>
}

const PERIOD_NAMES = PERIOD_COLUMNS.map(([name]) => `p.${name}`).join(", ")

/**
 * The periods that end after $2; of those that ended, the ones since what is named by budget ($3) and start ($4), each
 * budget once; and the last one that ended of each budget with a rollover (or that may have lost it lately: the clock
 * may have been put back to before that), and of each standing of a default with one
 * (their keys begin with its id and "/", which "0" comes after). One may come twice.
 */
export const SELECT_PERIODS = `SELECT ${PERIOD_NAMES} FROM budget_period p
WHERE p.tenant = $1 AND p.period_end > $2::timestamptz
UNION ALL
SELECT ${PERIOD_NAMES} FROM unnest($3::text[], $4::timestamptz[]) AS x(budget_id, period_start)
JOIN budget_period p ON p.tenant = $1 AND p.budget_id = x.budget_id AND p.period_start >= x.period_start
WHERE p.period_end <= $2
UNION ALL
SELECT ${PERIOD_NAMES} FROM budget b CROSS JOIN LATERAL (SELECT * FROM budget_period l
WHERE l.tenant = $1 AND l.budget_id = b.budget_id AND l.period_end <= $2 ORDER BY l.period_start DESC LIMIT 1) p
WHERE b.tenant = $1 AND (b.rollover_max IS NOT NULL OR b.updated_at > $2)
UNION ALL
SELECT ${PERIOD_NAMES} FROM budget b CROSS JOIN LATERAL (SELECT DISTINCT ON (l.budget_id) * FROM budget_period l
WHERE l.tenant = $1 AND l.budget_id >= b.budget_id || '/' AND l.budget_id < b.budget_id || '0' AND l.period_end <= $2
ORDER BY l.budget_id, l.period_start DESC) p
WHERE b.tenant = $1 AND (b.rollover_max IS NOT NULL OR b.updated_at > $2) AND b.entity_id = '*' AND b.type <> 'global'`

/** For each budget ($2) and moment ($3) the last period that starts then or before. */
export const SELECT_PERIODS_AT = `SELECT ${PERIOD_NAMES}
FROM unnest($2::text[], $3::timestamptz[]) AS x(budget_id, at) CROSS JOIN LATERAL (SELECT * FROM budget_period l
WHERE l.tenant = $1 AND l.budget_id = x.budget_id AND l.period_start <= x.at ORDER BY l.period_start DESC LIMIT 1) p`

const termsFrom = (row: StoredPeriod): PeriodRow["terms"] =>
  row.rollover_limit === null || row.rollover_max === null || row.rollover_min === null
    ? null
    : {
        limit: parseAmount(row.rollover_limit),
        max: parseAmount(row.rollover_max),
        min: parseAmount(row.rollover_min)
      }

export const periodFrom = (row: StoredPeriod): PeriodRow => {
  const end = row.period_end.getTime()
  return {
    budgetId: row.budget_id,
    start: row.period_start.getTime(),
    end: Number.isNaN(end) ? null : end,
    spent: parseAmount(row.spent),
    spentAfterwards: parseAmount(row.spent_afterwards),
    held: parseAmount(row.held),
    carriedOver: parseAmount(row.carried_over),
    overrideTotal: parseAmount(row.override_total),
    terms: termsFrom(row),
    alertsSent: row.alerts_sent
  }
}

// --- prices: amounts are decimals in JSON

export const PRICE_COLUMNS: Columns = [
  ["price_id", "text"],
  ["provider", "text"],
  ["model", "text"],
  ["price", "text", "jsonb"]
]

/** Fields of a price, and of its tiers, that are amounts. */
const isRate = (field: string): boolean => field.endsWith("_per_million") || field === "per_request"

const priceJson = (price: Price): string =>
  JSON.stringify(price, (_field, value: unknown) => (typeof value === "bigint" ? formatAmount(value) : value))

const withRates = (fields: object): object =>
  Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [
      field,
      isRate(field) ? parseAmount(value as string) : value
    ])
  )

const withFactors = (tiers: object): Price["service_tiers"] =>
  Object.fromEntries(Object.entries(tiers).map(([name, factor]) => [name, parseAmount(factor as string)]))

export const priceValues = (rows: ReadonlyArray<Price>) => [
  textColumn(rows.map((row) => row.id)),
  textColumn(rows.map((row) => row.provider)),
  textColumn(rows.map((row) => row.model)),
  jsonColumn(rows.map(priceJson))
]

export const SELECT_PRICES = "SELECT price FROM price WHERE tenant = $1 ORDER BY position"

export const priceFrom = ({ price }: { readonly price: object }): Price => {
  const { tiers, service_tiers, ...rest } = withRates(price) as Omit<Price, "tiers" | "service_tiers"> & {
    readonly tiers?: ReadonlyArray<object>
    readonly service_tiers?: object
  }
  return {
    ...rest,
    ...(tiers === undefined ? {} : { tiers: tiers.map(withRates) }),
    ...(service_tiers === undefined ? {} : { service_tiers: withFactors(service_tiers) })
  } as Price
}

// --- alerts and command results

export const ALERT_COLUMNS: Columns = [
  ["alert_seq", "int8"],
  ["alert", "text", "jsonb"]
]

export const alertValues = (rows: ReadonlyArray<AlertRow>) => [
  int8Column(rows.map((row) => row.seq)),
  jsonColumn(rows.map((row) => JSON.stringify(row.alert)))
]

export const alertFrom = (row: { readonly alert_seq: bigint; readonly alert: Alert }): AlertRow => ({
  seq: Number(row.alert_seq),
  alert: row.alert
})

export const COMMAND_COLUMNS: Columns = [
  ["signal", "text"],
  ["request_id", "text"],
  ["digest", "text"],
  ["result", "text", "jsonb"]
]

export const commandValues = (rows: ReadonlyArray<CommandRow>) => [
  textColumn(rows.map((row) => row.signal)),
  textColumn(rows.map((row) => row.requestId)),
  textColumn(rows.map((row) => row.digest)),
  jsonColumn(rows.map((row) => JSON.stringify(row.result)))
]

export interface StoredCommand {
  readonly signal: string
  readonly request_id: string
  readonly digest: string
  readonly result: CommandRow["result"]
}

export const commandFrom = (row: StoredCommand): CommandRow => ({
  signal: row.signal,
  requestId: row.request_id,
  digest: row.digest,
  result: row.result
})
