/**
 * Audit entries as rows, and back; and a page of them.
 *
 * Owns: their columns. Does not decide: how they are chained (tokens/AuditChain).
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { EMPTY_CHAIN } from "../tokens/AuditChain.ts"
import type { AuditFilter, AuditHead, AuditRow, UsagePage } from "../tokens/LedgerStore.ts"
import { type Columns, int8Column, isStorable, plainJsonColumn, textColumn, timeColumn } from "./Columns.ts"

export const AUDIT_COLUMNS: Columns = [
  ["audit_seq", "int8"],
  ["at", "timestamptz"],
  ["key_id", "text"],
  ["owner", "text"],
  ["action", "text"],
  ["subject", "text"],
  ["salt", "text"],
  ["body", "text"],
  ["digest", "text"],
  ["hash", "text"]
]

export const auditValues = (rows: ReadonlyArray<AuditRow>) => [
  int8Column(rows.map((row) => row.seq)),
  timeColumn(rows.map((row) => row.at)),
  textColumn(rows.map((row) => row.keyId)),
  textColumn(rows.map((row) => row.owner)),
  textColumn(rows.map((row) => row.action)),
  textColumn(rows.map((row) => row.subject)),
  textColumn(rows.map((row) => row.salt)),
  plainJsonColumn(rows.map((row) => row.body)),
  textColumn(rows.map((row) => row.digest)),
  textColumn(rows.map((row) => row.hash))
]

/** What `SELECT_AUDIT` selects. */
export interface StoredAudit {
  readonly audit_seq: bigint
  readonly at: Date
  readonly key_id: string | null
  readonly owner: string | null
  readonly action: string
  readonly subject: string | null
  readonly salt: string | null
  readonly body: string | null
  readonly digest: string
  readonly hash: string
}

export const SELECT_AUDIT = `SELECT ${AUDIT_COLUMNS.map(([name]) => name).join(", ")} FROM audit`

export const auditFrom = (row: StoredAudit): AuditRow => ({
  seq: Number(row.audit_seq),
  at: row.at.getTime(),
  keyId: row.key_id,
  owner: row.owner,
  action: row.action,
  subject: row.subject,
  salt: row.salt,
  body: row.body,
  digest: row.digest,
  hash: row.hash
})

/** The end of the chain, as the head says. */
export const auditHeadFrom = (row: {
  readonly audit_seq: bigint
  readonly audit_hash: string | null
}): AuditHead => ({ seq: Number(row.audit_seq), hash: row.audit_hash ?? EMPTY_CHAIN.hash })

export const auditHead = (
  sql: SqlClient.SqlClient,
  tenant: string
): Effect.Effect<AuditHead, SqlError.SqlError> =>
  Effect.map(
    sql.unsafe<{ readonly audit_seq: bigint; readonly audit_hash: string | null }>(
      "SELECT audit_seq, audit_hash FROM tenant_head WHERE tenant = $1",
      [tenant]
    ),
    ([row]) => (row === undefined ? EMPTY_CHAIN : auditHeadFrom(row))
  )

export const auditPage = (
  sql: SqlClient.SqlClient,
  tenant: string,
  { kind, principal, from, to }: AuditFilter,
  { maxSeq, beforeSeq, limit }: UsagePage
): Effect.Effect<ReadonlyArray<AuditRow>, SqlError.SqlError> => {
  if (![kind ?? "", principal ?? ""].every(isStorable)) return Effect.succeed([])
  return Effect.map(
    sql.unsafe<StoredAudit>(
      `${SELECT_AUDIT} WHERE tenant = $1 AND audit_seq <= $2
AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR key_id = $4 OR owner = $4)
AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
ORDER BY audit_seq DESC LIMIT $7::int8`,
      [
        tenant,
        BigInt(Math.min(maxSeq, beforeSeq - 1)),
        PgTypes.text(kind ?? null),
        PgTypes.text(principal ?? null),
        PgTypes.timestamptz(from ?? null),
        PgTypes.timestamptz(to ?? null),
        BigInt(limit)
      ]
    ),
    (rows) => rows.map(auditFrom)
  )
}
