/**
 * Reading usage: pages, totals, what follows a cursor, what a period has spent.
 *
 * Owns: the SQL of a filter. Does not decide: what a cursor looks like (tokens/UsageQuery).
 *
 * A page is read from its tenant's end backwards by the primary key, so the newest page costs the same however
 * much there is. A filter is applied on the way.
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { ATTRIBUTION_FIELDS } from "../signal/Attribution.ts"
import { type Amount, parseAmount, UNIT } from "../signal/Money.ts"
import type { UsageTotals } from "../signal/Tracking.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { SUBJECT_FIELDS } from "../tokens/BudgetIndex.ts"
import type { SpentByEntityQuery, SpentQuery, UsageFilter, UsagePage } from "../tokens/LedgerStore.ts"
import { isStorable, oneOf } from "./Columns.ts"
import { SELECT_USAGE, type StoredUsage, usageFrom } from "./UsageRows.ts"

type Reading<A> = Effect.Effect<A, SqlError.SqlError>
type Parameter = PgTypes.Parameter | string | bigint

const TEXT_FIELDS = ["provider", "model", "status", ...ATTRIBUTION_FIELDS] as const

/** A `WHERE` that grows by one condition at a time; `undefined` of a filter adds none. */
class Where {
  readonly parameters: Array<Parameter> = []
  readonly #conditions: Array<string> = []

  /** `condition` names its parameter as `?`. */
  and(condition: string, parameter: Parameter): this {
    this.parameters.push(parameter)
    this.#conditions.push(condition.replace("?", `$${this.parameters.length}`))
    return this
  }

  get text(): string {
    return `WHERE ${this.#conditions.join(" AND ")}`
  }

  /** The same for the sums of deleted rows. What a period begins or ends with is never within a cell. */
  get ofCells(): string {
    return this.text.replaceAll("booked_at", "booked_from")
  }
}

const ofTenant = (tenant: string): Where => new Where().and("tenant = ?", tenant)

/** `undefined` where no stored row can match, because Postgres cannot even hold such a text. */
const matching = (tenant: string, filter: UsageFilter): Where | undefined => {
  const where = ofTenant(tenant)
  for (const field of TEXT_FIELDS) {
    const text = filter[field]
    if (text === undefined) continue
    if (!isStorable(text)) return undefined
    where.and(`${field} = ?`, text)
  }
  const tags = Object.entries(filter.tags ?? {})
  if (tags.some((tag) => !tag.every(isStorable))) return undefined
  if (tags.length > 0) where.and("tags @> ?", PgTypes.jsonb(Object.fromEntries(tags)))
  if (filter.from !== undefined) where.and("booked_at >= ?", PgTypes.timestamptz(filter.from))
  if (filter.to !== undefined) where.and("booked_at < ?", PgTypes.timestamptz(filter.to))
  return where
}

const rowsOf = (
  sql: SqlClient.SqlClient,
  where: Where,
  order: "ASC" | "DESC",
  limit: number
): Reading<ReadonlyArray<TokenUsage>> =>
  Effect.map(
    sql.unsafe<StoredUsage>(
      `${SELECT_USAGE} ${where.text} ORDER BY usage_seq ${order} LIMIT $${where.parameters.length + 1}::int8`,
      [...where.parameters, BigInt(limit)]
    ),
    (rows) => rows.map(usageFrom)
  )

export const usagePage = (
  sql: SqlClient.SqlClient,
  tenant: string,
  filter: UsageFilter,
  page: UsagePage
): Reading<ReadonlyArray<TokenUsage>> => {
  const where = matching(tenant, filter)
  if (where === undefined) return Effect.succeed([])
  const top = Math.min(page.maxSeq, page.beforeSeq - 1)
  return rowsOf(sql, where.and("usage_seq <= ?", BigInt(top)), "DESC", page.limit)
}

export const usageAfter = (
  sql: SqlClient.SqlClient,
  tenant: string,
  filter: UsageFilter,
  afterSeq: number,
  limit: number
): Reading<ReadonlyArray<TokenUsage>> => {
  const where = matching(tenant, filter)
  if (where === undefined) return Effect.succeed([])
  return rowsOf(sql, where.and("usage_seq > ?", BigInt(afterSeq)), "ASC", limit)
}

/** By an index of their own: these are few. */
export const adjustmentsOf = (
  sql: SqlClient.SqlClient,
  tenant: string,
  workflowIds: ReadonlyArray<string>,
  afterSeq: number,
  limit: number
): Reading<ReadonlyArray<TokenUsage>> => {
  const ids = workflowIds.filter(isStorable)
  if (ids.length === 0) return Effect.succeed([])
  return Effect.map(
    sql.unsafe<StoredUsage>(
      `${SELECT_USAGE} WHERE tenant = $1 AND workflow_id = ${oneOf(2, "text")} AND usage_seq > $3
AND (adjusts_seq IS NOT NULL OR attempt > 1) AND workflow_id IS NOT NULL ORDER BY usage_seq LIMIT $4::int8`,
      [tenant, ids, BigInt(afterSeq), BigInt(limit)]
    ),
    (rows) => rows.map(usageFrom)
  )
}

/** The usage of these sequence numbers. */
export const usageBySeq = (
  sql: SqlClient.SqlClient,
  tenant: string,
  seqs: ReadonlyArray<number>
): Reading<ReadonlyArray<TokenUsage>> =>
  seqs.length === 0
    ? Effect.succeed([])
    : Effect.map(
        sql.unsafe<StoredUsage>(`${SELECT_USAGE} WHERE tenant = $1 AND usage_seq = ${oneOf(2, "int8")}`, [
          tenant,
          seqs.map(BigInt)
        ]),
        (rows) => rows.map(usageFrom)
      )

// --- sums: numeric, so that they neither overflow nor round

interface StoredTotals {
  readonly requests: string
  readonly prompt_tokens: string
  readonly completion_tokens: string
  readonly total_tokens: string
  readonly cost: string
}

const SUMS = ["requests", "prompt_tokens", "completion_tokens", "total_tokens", "cost"]
  .map((column) => `coalesce(sum(${column}), 0)::numeric AS ${column}`)
  .join(", ")

type Totals = Omit<UsageTotals, "currency">

const NOTHING: Totals = { requests: 0, prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, cost: 0n }

export const usageTotals = (
  sql: SqlClient.SqlClient,
  tenant: string,
  filter: UsageFilter,
  maxSeq: number
): Reading<Totals> => {
  const where = matching(tenant, filter)?.and("usage_seq <= ?", BigInt(maxSeq))
  if (where === undefined) return Effect.succeed(NOTHING)
  return Effect.map(
    sql.unsafe<StoredTotals>(`SELECT ${SUMS} FROM usage ${where.text}`, where.parameters),
    ([row]) =>
      row === undefined
        ? NOTHING
        : {
            requests: Number(row.requests),
            prompt_tokens: Number(row.prompt_tokens),
            completion_tokens: Number(row.completion_tokens),
            total_tokens: Number(row.total_tokens),
            cost: parseAmount(row.cost)
          }
  )
}

const MEASURED = { cost: "cost", tokens: "total_tokens", requests: "requests" } as const

const measured = (measure: SpentQuery["measure"], sum: string): Amount =>
  measure === "cost" ? parseAmount(sum) : BigInt(sum) * UNIT

const withinSpan = (where: Where, { from, to }: Pick<SpentQuery, "from" | "to">): Where => {
  where.and("booked_at >= ?", PgTypes.timestamptz(from))
  return to === null ? where : where.and("booked_at < ?", PgTypes.timestamptz(to))
}

export const spent = (sql: SqlClient.SqlClient, tenant: string, query: SpentQuery): Reading<Amount> => {
  const where = ofTenant(tenant)
  if (query.type !== "global") {
    if (query.entityId === null || !isStorable(query.entityId)) return Effect.succeed(0n)
    where.and(`${SUBJECT_FIELDS[query.type]} = ?`, query.entityId)
  }
  withinSpan(where, query)
  const column = MEASURED[query.measure]
  return Effect.map(
    sql.unsafe<{ readonly amount: string }>(
      `SELECT coalesce(sum(amount), 0)::numeric AS amount FROM (SELECT sum(${column}) AS amount FROM usage ${where.text}
UNION ALL SELECT sum(${column}) FROM usage_cleaned ${where.ofCells}) s`,
      where.parameters
    ),
    ([row]) => (row === undefined ? 0n : measured(query.measure, row.amount))
  )
}

export const spentByEntity = (
  sql: SqlClient.SqlClient,
  tenant: string,
  query: SpentByEntityQuery,
  limit: number
): Reading<ReadonlyMap<string, Amount>> => {
  const where = withinSpan(ofTenant(tenant), query)
  const entity = SUBJECT_FIELDS[query.type]
  const sum = `sum(${MEASURED[query.measure]})`
  return Effect.map(
    sql.unsafe<{ readonly entity: string; readonly amount: string }>(
      `SELECT entity, sum(amount)::numeric AS amount FROM (
SELECT ${entity} AS entity, ${sum} AS amount FROM usage ${where.text} AND ${entity} IS NOT NULL GROUP BY 1
UNION ALL
SELECT ${entity}, ${sum} FROM usage_cleaned ${where.ofCells} AND ${entity} IS NOT NULL GROUP BY 1) s
GROUP BY entity HAVING sum(amount) <> 0 LIMIT $${where.parameters.length + 1}::int8`,
      [...where.parameters, BigInt(limit)]
    ),
    (rows) => new Map(rows.map((row) => [row.entity, measured(query.measure, row.amount)]))
  )
}
