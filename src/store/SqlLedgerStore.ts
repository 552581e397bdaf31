/**
 * The ledger's store on Postgres, a server or embedded.
 *
 * Owns: claiming a tenant, writing a batch, finding out after a lost connection; how long each may take.
 * Does not decide: the text of a commit (CommitStatement), what a failure means (SqlFailures).
 *
 * There is no BEGIN and no COMMIT here. A batch is one statement, which is its own transaction, so a connection
 * that is cut leaves exactly one question: was it written? An owner that freezes cannot hold the head row: the
 * server runs a statement only when it has all of it, and then to its end.
 */
import { PgClient } from "@effect/sql-pg"
import { type Duration, Effect, Layer } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { Alert } from "../signal/Budget.ts"
import {
  type Batch,
  BatchRefused,
  type Claim,
  type CommitError,
  Fenced,
  LedgerStore,
  OutcomeUnknown,
  StoreUnreachable
} from "../tokens/LedgerStore.ts"
import { auditHead, auditPage } from "./AuditRows.ts"
import { alertFrom } from "./BudgetRows.ts"
import { cleanedAfter, countOldUsage, oldUsage } from "./CleanedRows.ts"
import { commitStatement } from "./CommitStatement.ts"
import { forgetStep } from "./ForgetStatements.ts"
import { readCommands, readLedger, readPeriodsAt, readRequests } from "./LedgerReads.ts"
import { overridePage, overridesById } from "./OverrideRows.ts"
import { patiently } from "./Patience.ts"
import { commitFailure, unreachable } from "./SqlFailures.ts"
import { unpricedOf } from "./UnpricedRows.ts"
import { adjustmentsOf, spent, spentByEntity, usageAfter, usagePage, usageTotals } from "./UsageReads.ts"

export interface LedgerStoreOptions {
  /**
   * After this an answer is not waited for any more. Longer than the session's own `statement_timeout`, which
   * ends what is merely slow: this one is for a peer that vanished without a word.
   */
  readonly answerTimeout?: Duration.Input
}

type Kind = LedgerStore["kind"]

/** An embedded database has no statement timeout of its own below a minute, and shares one session. */
const ANSWER_TIMEOUT: { readonly [K in Kind]: Duration.Input } = {
  server: "6 seconds",
  embedded: "70 seconds"
}

/** An activation reads much, and nobody is served before it is done. */
const LOAD_TIMEOUT: Duration.Input = "2 minutes"

const claim = (
  sql: SqlClient.SqlClient,
  tenant: string,
  owner: string
): Effect.Effect<Claim, SqlError.SqlError> =>
  Effect.flatMap(
    sql.unsafe<{ readonly epoch: bigint }>(
      `INSERT INTO tenant_head AS head (tenant, owner, epoch) VALUES ($1, $2, 1)
ON CONFLICT (tenant) DO UPDATE SET owner = excluded.owner, epoch = head.epoch + 1 RETURNING epoch`,
      [tenant, owner]
    ),
    ([row]) =>
      row === undefined
        ? Effect.die(new Error("an upsert returned no row"))
        : Effect.succeed({ tenant, owner, epoch: Number(row.epoch) })
  )

const commit = (sql: SqlClient.SqlClient, held: Claim, batch: Batch): Effect.Effect<void, CommitError> =>
  Effect.gen(function* () {
    const { tenant } = held
    const { text, parameters } = yield* Effect.try({
      try: () => commitStatement(held, batch),
      // Whatever stops a batch from being written down stops it again.
      catch: (cause) => new BatchRefused({ tenant, message: String(cause) })
    })
    const [row] = yield* Effect.mapError(sql.unsafe<{ readonly heads: bigint }>(text, parameters), (error) =>
      commitFailure(tenant, error)
    )
    if (row?.heads !== 1n) return yield* new Fenced({ tenant })
  })

/** The epoch moves on only for the same owner, so an answer that got lost can be asked for again. */
const resolve = (sql: SqlClient.SqlClient, held: Claim, batchId: string) =>
  Effect.flatMap(
    sql.unsafe<{ readonly epoch: bigint; readonly batch_id: string | null }>(
      "UPDATE tenant_head SET epoch = epoch + 1 WHERE tenant = $1 AND owner = $2 RETURNING epoch, batch_id",
      [held.tenant, held.owner]
    ),
    ([row]): Effect.Effect<{ readonly claim: Claim; readonly isWritten: boolean }, Fenced> =>
      row === undefined
        ? Effect.fail(new Fenced({ tenant: held.tenant }))
        : Effect.succeed({
            claim: { ...held, epoch: Number(row.epoch) },
            isWritten: row.batch_id === batchId
          })
  )

const isOwner = (sql: SqlClient.SqlClient, { tenant, owner, epoch }: Claim) =>
  Effect.map(
    sql.unsafe("SELECT 1 FROM tenant_head WHERE tenant = $1 AND owner = $2 AND epoch = $3", [
      tenant,
      owner,
      BigInt(epoch)
    ]),
    (rows) => rows.length === 1
  )

const lastSeq = (sql: SqlClient.SqlClient, column: "usage_seq" | "alert_seq", tenant: string) =>
  Effect.map(
    sql.unsafe<{ readonly seq: bigint }>(`SELECT ${column} AS seq FROM tenant_head WHERE tenant = $1`, [
      tenant
    ]),
    ([row]) => Number(row?.seq ?? 0)
  )

const alertsAfter = (sql: SqlClient.SqlClient, tenant: string, afterSeq: number, limit: number) =>
  Effect.map(
    sql.unsafe<{ readonly alert_seq: bigint; readonly alert: Alert }>(
      `SELECT alert_seq, alert FROM alert WHERE tenant = $1 AND alert_seq > $2
ORDER BY alert_seq LIMIT $3::int8`,
      [tenant, BigInt(afterSeq), BigInt(limit)]
    ),
    (rows) => rows.map(alertFrom)
  )

// --- what an acknowledged write survives

const EMBEDDED_DURABILITY =
  "An acknowledged write survives the process being killed, not the machine losing power: the embedded database does not flush to the disk"

const serverDurability = (synchronousCommit: string, fsync: string): string => {
  if (fsync === "off") {
    return "An acknowledged write survives a crash of the server's process, not its machine losing power: fsync is off"
  }
  if (synchronousCommit === "off") {
    return "The last moments of acknowledged writes are lost when the server crashes: synchronous_commit is off"
  }
  return `An acknowledged write is on the server's disk (synchronous_commit is ${synchronousCommit})`
}

const durabilityOf = (sql: SqlClient.SqlClient, kind: Kind): Effect.Effect<string, SqlError.SqlError> =>
  kind === "embedded"
    ? Effect.succeed(EMBEDDED_DURABILITY)
    : Effect.map(
        sql<{ readonly commits: string; readonly flushes: string }>`
          SELECT current_setting('synchronous_commit') AS commits, current_setting('fsync') AS flushes`,
        ([row]) => serverDurability(row?.commits ?? "on", row?.flushes ?? "on")
      )

const makeLedgerStore = Effect.fnUntraced(function* (kind: Kind, options: LedgerStoreOptions = {}) {
  const sql = yield* PgClient.PgClient
  const durability = yield* durabilityOf(sql, kind)
  const duration = options.answerTimeout ?? ANSWER_TIMEOUT[kind]
  const unanswered = "the database did not answer in time"

  const asked = <A, E>(effect: Effect.Effect<A, SqlError.SqlError | E>, atMost = duration) =>
    effect.pipe(
      Effect.catchIf(
        (error): error is SqlError.SqlError => (error as { readonly _tag?: unknown })._tag === "SqlError",
        (error) => Effect.fail(unreachable(error))
      ),
      (waiting) =>
        patiently(waiting, atMost, () => Effect.fail(new StoreUnreachable({ message: unanswered })))
    )

  return LedgerStore.of({
    kind,
    durability,
    isReachable: Effect.match(asked(sql`SELECT 1`), { onSuccess: () => true, onFailure: () => false }),
    claim: (tenant, owner) => asked(claim(sql, tenant, owner)),
    load: (held, liveAfter) => asked(readLedger(sql, held, liveAfter), LOAD_TIMEOUT),
    findRequests: (tenant, ids) => asked(readRequests(sql, tenant, ids)),
    findCommands: (tenant, keys) => asked(readCommands(sql, tenant, keys)),
    findOverrides: (tenant, ids) => asked(overridesById(sql, tenant, ids)),
    overridePage: (tenant, filter, beforeSeq, limit) =>
      asked(overridePage(sql, tenant, filter, beforeSeq, limit)),
    oldUsage: (tenant, before, limit) => asked(oldUsage(sql, tenant, before, limit)),
    countOldUsage: (tenant, before) => asked(countOldUsage(sql, tenant, before)),
    cleanedAfter: (tenant, after, limit) => asked(cleanedAfter(sql, tenant, after, limit)),
    forget: (held, step) => asked(forgetStep(sql, held, step)),
    spent: (tenant, query) => asked(spent(sql, tenant, query)),
    spentByEntity: (tenant, query, limit) => asked(spentByEntity(sql, tenant, query, limit)),
    findPeriods: (tenant, queries) => asked(readPeriodsAt(sql, tenant, queries)),
    findUnpriced: (tenant, query, limit) => asked(unpricedOf(sql, tenant, query, limit)),
    commit: (held, batch) =>
      patiently(commit(sql, held, batch), duration, () =>
        Effect.fail(new OutcomeUnknown({ tenant: held.tenant, message: unanswered }))
      ),
    resolve: (held, batchId) => asked(resolve(sql, held, batchId)),
    isOwner: (held) => asked(isOwner(sql, held)),
    lastUsageSeq: (tenant) => asked(lastSeq(sql, "usage_seq", tenant)),
    usagePage: (tenant, filter, page) => asked(usagePage(sql, tenant, filter, page)),
    usageTotals: (tenant, filter, maxSeq) => asked(usageTotals(sql, tenant, filter, maxSeq)),
    usageAfter: (tenant, filter, afterSeq, limit) => asked(usageAfter(sql, tenant, filter, afterSeq, limit)),
    adjustmentsOf: (tenant, ids, afterSeq, limit) => asked(adjustmentsOf(sql, tenant, ids, afterSeq, limit)),
    auditHead: (tenant) => asked(auditHead(sql, tenant)),
    auditPage: (tenant, filter, page) => asked(auditPage(sql, tenant, filter, page)),
    lastAlertSeq: (tenant) => asked(lastSeq(sql, "alert_seq", tenant)),
    alertsAfter: (tenant, afterSeq, limit) => asked(alertsAfter(sql, tenant, afterSeq, limit))
  })
})

/** The store on the client of the context, whose tables are there (Migrations). */
export const ledgerStoreLayer = (kind: Kind, options: LedgerStoreOptions = {}) =>
  Layer.effect(LedgerStore, makeLedgerStore(kind, options))
