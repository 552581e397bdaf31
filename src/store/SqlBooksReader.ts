/**
 * Reads a tenant's books on Postgres, for a verification.
 *
 * Owns: that all of it is read as of one moment, in a transaction that can write nothing; pages by primary key.
 * Does not decide: what must be true of the rows (tokens/verify).
 */

import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import type { Alert } from "../signal/Budget.ts"
import { DEFAULT_MANAGER_CONFIG } from "../signal/Management.ts"
import { StoreUnreachable } from "../tokens/LedgerStore.ts"
import type { Renaming } from "../tokens/Renaming.ts"
import { Books, type BooksReader, type Stored } from "../tokens/verify/BooksReader.ts"
import { auditFrom, auditHeadFrom, SELECT_AUDIT, type StoredAudit } from "./AuditRows.ts"
import {
  alertFrom,
  budgetFrom,
  PERIOD_COLUMNS,
  periodFrom,
  SELECT_BUDGETS,
  type StoredBudget,
  type StoredPeriod
} from "./BudgetRows.ts"
import { cleanedAfter } from "./CleanedRows.ts"
import { isStorable, oneOf, textArray } from "./Columns.ts"
import {
  countersFrom,
  type StoredHead as HeadRow,
  renamingFrom,
  SELECT_RENAMINGS,
  type StoredRenaming
} from "./LedgerReads.ts"
import { overrideFrom, SELECT_OVERRIDES, type StoredOverride } from "./OverrideRows.ts"
import { holdsFrom, requestFrom, SELECT_REQUEST, type StoredRequest } from "./RequestRows.ts"
import { unreachable } from "./SqlFailures.ts"
import { SELECT_UNPRICED_AMONG, unpricedArrays } from "./UnpricedRows.ts"
import { SELECT_USAGE_ROWS, type StoredUsageRow, usageRowFrom } from "./UsageRows.ts"

/** Tables whose rows belong to a tenant that has a head. Each has its tenant first in its primary key. */
const OF_TENANTS = [
  "usage",
  "unpriced_usage",
  "usage_cleaned",
  "request",
  "hold_page",
  "budget",
  "budget_period",
  "budget_override",
  "price",
  "alert",
  "audit",
  "command"
] as const

/** The tenants of a table: from one to the next by its index, however many rows each has. */
const tenantsOf = (table: string): string =>
  `WITH RECURSIVE t AS (
(SELECT tenant FROM ${table} ORDER BY tenant LIMIT 1)
UNION ALL
SELECT (SELECT n.tenant FROM ${table} n WHERE n.tenant > t.tenant ORDER BY n.tenant LIMIT 1) FROM t WHERE t.tenant IS NOT NULL
) SELECT tenant FROM t WHERE tenant IS NOT NULL AND tenant NOT IN (SELECT tenant FROM tenant_head)`

/** A row that cannot be read says so, and stops nobody. */
const stored = <Row, Key, A>(row: Row, key: Key, read: (row: Row) => A): Stored<Key, A> => {
  try {
    return { key, row: read(row) }
  } catch (cause) {
    return { key, row: undefined, problem: `unreadable: ${cause instanceof Error ? cause.message : cause}` }
  }
}

const PERIODS = `SELECT ${PERIOD_COLUMNS.map(([name]) => name).join(", ")} FROM budget_period`

/** Reads on this client, in whatever transaction there is. */
export const readerOn = (sql: SqlClient.SqlClient): BooksReader => {
  const select = <Row extends object, A>(
    text: string,
    parameters: ReadonlyArray<unknown>,
    read: (row: Row) => A
  ): Effect.Effect<ReadonlyArray<A>, StoreUnreachable> =>
    Effect.mapError(
      Effect.map(sql.unsafe<Row>(text, parameters), (rows) => rows.map(read)),
      unreachable
    )

  const usageOf = (row: StoredUsageRow) => stored(row, Number(row.usage_seq), usageRowFrom)
  const requestOf = (row: StoredRequest) =>
    stored(row, row.request_id, () => ({
      request: requestFrom(row),
      endedIn: row.ended_in === null ? null : Number(row.ended_in)
    }))
  const idsOf = (ids: ReadonlyArray<string>) => textArray(ids.filter(isStorable))

  return {
    tenants: select<{ readonly tenant: string }, string>(
      "SELECT tenant FROM tenant_head ORDER BY tenant",
      [],
      ({ tenant }) => tenant
    ),
    strays: Effect.map(
      Effect.forEach(OF_TENANTS, (table) =>
        select<{ readonly tenant: string }, { readonly table: string; readonly tenant: string }>(
          tenantsOf(table),
          [],
          ({ tenant }) => ({ table, tenant })
        )
      ),
      (found) => found.flat()
    ),
    head: (tenant) =>
      Effect.flatMap(
        select<HeadRow, HeadRow>("SELECT * FROM tenant_head WHERE tenant = $1", [tenant], (row) => row),
        ([row]) =>
          row === undefined
            ? Effect.fail(new StoreUnreachable({ message: `there is no tenant ${tenant}` }))
            : Effect.succeed({
                journalSeq: Number(row.journal_seq),
                counters: countersFrom(row),
                audit: auditHeadFrom(row),
                config: { ...DEFAULT_MANAGER_CONFIG, ...row.config }
              })
      ),
    budgets: (tenant) =>
      select<StoredBudget, ReturnType<typeof budgetFrom>>(SELECT_BUDGETS, [tenant], budgetFrom),
    renamings: (tenant) => select<StoredRenaming, Renaming>(SELECT_RENAMINGS, [tenant], renamingFrom),
    periodCounts: (tenant) =>
      Effect.map(
        select<{ readonly budget_id: string; readonly count: bigint }, readonly [string, number]>(
          "SELECT budget_id, count(*) AS count FROM budget_period WHERE tenant = $1 GROUP BY budget_id",
          [tenant],
          (row) => [row.budget_id, Number(row.count)]
        ),
        (counts) => new Map(counts)
      ),
    periods: (tenant, ids) =>
      select<StoredPeriod, ReturnType<typeof periodFrom>>(
        `${PERIODS} WHERE tenant = $1 AND budget_id = ${oneOf(2, "text")}`,
        [tenant, idsOf(ids)],
        periodFrom
      ),
    overrides: (tenant, after, limit) =>
      select<StoredOverride, Stored<number, ReturnType<typeof overrideFrom>>>(
        `${SELECT_OVERRIDES} AND override_seq > $2 ORDER BY override_seq LIMIT $3::int8`,
        [tenant, BigInt(after), BigInt(limit)],
        (row) => stored(row, Number(row.override_seq), overrideFrom)
      ),
    cleaned: (tenant, after, limit) => Effect.mapError(cleanedAfter(sql, tenant, after, limit), unreachable),
    usage: (tenant, after, limit) =>
      select(
        `${SELECT_USAGE_ROWS} WHERE tenant = $1 AND usage_seq > $2 ORDER BY usage_seq LIMIT $3::int8`,
        [tenant, BigInt(after), BigInt(limit)],
        usageOf
      ),
    usageBySeq: (tenant, seqs) =>
      select(
        `${SELECT_USAGE_ROWS} WHERE tenant = $1 AND usage_seq = ${oneOf(2, "int8")}`,
        [tenant, seqs.map(BigInt)],
        usageOf
      ),
    unpricedAmong: (tenant, rows) =>
      select<{ readonly usage_seq: bigint }, number>(
        SELECT_UNPRICED_AMONG,
        [tenant, ...unpricedArrays(rows)],
        (row) => Number(row.usage_seq)
      ),
    unpricedCount: (tenant, after) =>
      Effect.map(
        select<{ readonly count: bigint }, number>(
          "SELECT count(*) AS count FROM unpriced_usage WHERE tenant = $1 AND usage_seq > $2",
          [tenant, BigInt(after)],
          (row) => Number(row.count)
        ),
        ([count]) => count ?? 0
      ),
    requests: (tenant, after, limit) =>
      select(
        `${SELECT_REQUEST} WHERE q.tenant = $1 AND q.request_id > $2 ORDER BY q.request_id LIMIT $3::int8`,
        [tenant, after ?? "", BigInt(limit)],
        requestOf
      ),
    requestsById: (tenant, ids) =>
      select(
        `${SELECT_REQUEST} WHERE q.tenant = $1 AND q.request_id = ${oneOf(2, "text")}`,
        [tenant, idsOf(ids)],
        requestOf
      ),
    pages: (tenant, after, limit) =>
      select<
        { readonly journal_seq: bigint; readonly holds: string },
        Stored<number, ReturnType<typeof holdsFrom>>
      >(
        "SELECT journal_seq, holds FROM hold_page WHERE tenant = $1 AND journal_seq > $2 ORDER BY journal_seq LIMIT $3::int8",
        [tenant, BigInt(after), BigInt(limit)],
        (row) => stored(row, Number(row.journal_seq), ({ holds }) => holdsFrom(holds))
      ),
    alerts: (tenant, after, limit) =>
      select<
        { readonly alert_seq: bigint; readonly alert: Alert },
        Stored<number, ReturnType<typeof alertFrom>>
      >(
        "SELECT alert_seq, alert FROM alert WHERE tenant = $1 AND alert_seq > $2 ORDER BY alert_seq LIMIT $3::int8",
        [tenant, BigInt(after), BigInt(limit)],
        (row) => stored(row, Number(row.alert_seq), alertFrom)
      ),
    audit: (tenant, after, limit) =>
      select<StoredAudit, Stored<number, ReturnType<typeof auditFrom>>>(
        `${SELECT_AUDIT} WHERE tenant = $1 AND audit_seq > $2 ORDER BY audit_seq LIMIT $3::int8`,
        [tenant, BigInt(after), BigInt(limit)],
        (row) => stored(row, Number(row.audit_seq), auditFrom)
      )
  }
}

const isSqlError = (error: unknown): error is SqlError.SqlError => error instanceof SqlError.SqlError

/** Books on the client of the context. Tables are neither made nor changed. */
export const booksLayer = (name: string) =>
  Layer.effect(
    Books,
    Effect.map(PgClient.PgClient, (sql) => ({
      name,
      use: <A, E>(read: (reader: BooksReader) => Effect.Effect<A, E>) =>
        sql
          .withTransaction(
            Effect.andThen(
              sql.unsafe("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").unprepared,
              read(readerOn(sql))
            )
          )
          .pipe(
            Effect.catchIf(
              (error): error is SqlError.SqlError => isSqlError(error),
              (error) => Effect.fail(unreachable(error))
            )
          )
    }))
  )
