/**
 * What an activation reads, and what is looked up for a batch.
 *
 * Owns: reading a tenant whole, under its claim.
 * Does not decide: what the ledger does with it.
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { DEFAULT_MANAGER_CONFIG, type ManagerConfig } from "../signal/Management.ts"
import { parseAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import {
  type Claim,
  type CommandRow,
  Fenced,
  type HeadCounters,
  type KnownRequest,
  type LedgerSnapshot,
  type OpenRequest,
  type OverrideRow,
  type PeriodQuery,
  type PeriodRow
} from "../tokens/LedgerStore.ts"
import type { Renaming } from "../tokens/Renaming.ts"
import { rowsOfAttempt } from "../tokens/RequestRecord.ts"
import { auditHeadFrom } from "./AuditRows.ts"
import {
  budgetFrom,
  commandFrom,
  periodFrom,
  priceFrom,
  SELECT_BUDGETS,
  SELECT_PERIODS,
  SELECT_PERIODS_AT,
  SELECT_PRICES,
  type StoredBudget,
  type StoredCommand,
  type StoredPeriod
} from "./BudgetRows.ts"
import { isStorable, oneOf, textArray, timeArray } from "./Columns.ts"
import { recipientFrom, SELECT_RECIPIENTS, type StoredRecipient } from "./DeliveryRows.ts"
import { type EndedRequest, type HoldPage, lastVersions, openRequests } from "./OpenHolds.ts"
import { lapsedOverrides, liveOverrides } from "./OverrideRows.ts"
import { rateFrom, SELECT_RATES, type StoredRate } from "./RateRows.ts"
import { holdsFrom, requestFrom, SELECT_REQUEST, type StoredRequest } from "./RequestRows.ts"
import { usageBySeq } from "./UsageReads.ts"

type Reading<A, E = never> = Effect.Effect<A, SqlError.SqlError | E>

export interface StoredHead {
  readonly journal_seq: bigint
  readonly usage_seq: bigint
  readonly alert_seq: bigint
  readonly id_seq: bigint
  readonly tracked: bigint
  readonly tokens: string
  readonly cost: string
  readonly audit_seq: bigint
  readonly audit_hash: string | null
  readonly config: Partial<ManagerConfig> | null
}

export const countersFrom = (row: StoredHead): HeadCounters => ({
  usageSeq: Number(row.usage_seq),
  alertSeq: Number(row.alert_seq),
  idSeq: Number(row.id_seq),
  tracked: Number(row.tracked),
  tokens: parseAmount(row.tokens),
  cost: parseAmount(row.cost)
})

/** The head, if it is still this owner's. */
const readHead = (sql: SqlClient.SqlClient, claim: Claim): Reading<StoredHead, Fenced> =>
  Effect.flatMap(
    sql.unsafe<StoredHead>(
      `SELECT journal_seq, usage_seq, alert_seq, id_seq, tracked, tokens, cost, audit_seq, audit_hash, config
FROM tenant_head WHERE tenant = $1 AND owner = $2 AND epoch = $3`,
      [claim.tenant, claim.owner, BigInt(claim.epoch)]
    ),
    ([row]) => (row === undefined ? Effect.fail(new Fenced({ tenant: claim.tenant })) : Effect.succeed(row))
  )

/** Requests that are read at once when a tenant is loaded. */
const OPEN_AT_ONCE = 10_000
/** Pages of holds that are read at once. */
const PAGES_AT_ONCE = 100

const requestsById = (
  sql: SqlClient.SqlClient,
  tenant: string,
  ids: ReadonlyArray<string>
): Reading<ReadonlyArray<StoredRequest>> =>
  sql.unsafe<StoredRequest>(`${SELECT_REQUEST} WHERE q.tenant = $1 AND q.request_id = ${oneOf(2, "text")}`, [
    tenant,
    textArray(ids)
  ])

const readPages = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, tenant: string) {
  const pages: Array<HoldPage> = []
  for (;;) {
    const rows = yield* sql.unsafe<{ readonly journal_seq: bigint; readonly holds: string }>(
      "SELECT journal_seq, holds FROM hold_page WHERE tenant = $1 AND journal_seq > $2 ORDER BY journal_seq LIMIT $3",
      [tenant, BigInt(pages.at(-1)?.journalSeq ?? -1), BigInt(PAGES_AT_ONCE)]
    )
    for (const row of rows) pages.push({ journalSeq: Number(row.journal_seq), holds: holdsFrom(row.holds) })
    if (rows.length < PAGES_AT_ONCE) return pages
  }
})

/** By their ids and not by a join, so that no plan can read the closed ones too, of which there may be millions. */
const readOpenRequests = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, tenant: string) {
  const versions = lastVersions(yield* readPages(sql, tenant))
  const known = new Map<string, EndedRequest>()
  const ids = [...versions.keys()]
  for (let from = 0; from < ids.length; from += OPEN_AT_ONCE) {
    for (const row of yield* requestsById(sql, tenant, ids.slice(from, from + OPEN_AT_ONCE))) {
      const endedIn = row.ended_in === null ? null : Number(row.ended_in)
      known.set(row.request_id, { row: requestFrom(row), endedIn })
    }
  }
  return openRequests(versions.values(), (id) => known.get(id))
})

const readPeriods = (
  sql: SqlClient.SqlClient,
  tenant: string,
  liveAfter: Millis,
  open: ReadonlyArray<OpenRequest>,
  overrides: ReadonlyArray<OverrideRow>
) => {
  const firstBooked = new Map<string, Millis>()
  for (const { budgetId, periodStart } of [...open.flatMap(({ hold }) => hold.bookings), ...overrides]) {
    firstBooked.set(budgetId, Math.min(firstBooked.get(budgetId) ?? periodStart, periodStart))
  }
  const parameters = [
    tenant,
    PgTypes.timestamptz(liveAfter),
    textArray([...firstBooked.keys()]),
    timeArray([...firstBooked.values()])
  ]
  return Effect.map(sql.unsafe<StoredPeriod>(SELECT_PERIODS, parameters), (rows) => {
    const periods = new Map(rows.map((row) => [`${row.budget_id} ${row.period_start.getTime()}`, row]))
    return Array.from(periods.values(), periodFrom)
  })
}

export interface StoredRenaming {
  readonly user_id: string
  readonly pseudonym: string
  readonly up_to_seq: bigint
}

export const SELECT_RENAMINGS = "SELECT user_id, pseudonym, up_to_seq FROM user_renaming WHERE tenant = $1"

export const renamingFrom = ({ user_id, pseudonym, up_to_seq }: StoredRenaming): Renaming => ({
  from: user_id,
  to: pseudonym,
  upToSeq: Number(up_to_seq)
})

/** What an activation reads at once: a pool has more connections, and commits of other tenants need some. */
const READ_AT_ONCE = 4

/** What is read of a tenant without knowing anything else of it. */
const readApart = (sql: SqlClient.SqlClient, claim: Claim, liveAfter: Millis) => {
  const { tenant } = claim
  return Effect.all(
    {
      head: readHead(sql, claim),
      openRequests: readOpenRequests(sql, tenant),
      overrides: liveOverrides(sql, tenant),
      lapsedOverrides: lapsedOverrides(sql, tenant, liveAfter),
      budgets: sql.unsafe<StoredBudget>(SELECT_BUDGETS, [tenant]),
      prices: sql.unsafe<{ readonly price: object }>(SELECT_PRICES, [tenant]),
      rates: sql.unsafe<StoredRate>(SELECT_RATES, [tenant]),
      recipients: sql.unsafe<StoredRecipient>(SELECT_RECIPIENTS, [tenant]),
      renamings: sql.unsafe<StoredRenaming>(SELECT_RENAMINGS, [tenant])
    },
    { concurrency: READ_AT_ONCE }
  )
}

/**
 * Reads in several statements without a transaction, beside each other: nobody but this owner writes the tenant, and it
 * does not write while it reads. That it was the owner all the while is asked again at the end.
 */
export const readLedger = (
  sql: SqlClient.SqlClient,
  claim: Claim,
  liveAfter: Millis
): Reading<LedgerSnapshot, Fenced> =>
  Effect.gen(function* () {
    const { tenant } = claim
    const read = yield* readApart(sql, claim, liveAfter)
    const { head, openRequests, overrides } = read
    const periods = yield* readPeriods(sql, tenant, liveAfter, openRequests, overrides)
    yield* readHead(sql, claim)
    return {
      journalSeq: Number(head.journal_seq),
      head: countersFrom(head),
      auditHead: auditHeadFrom(head),
      config: { ...DEFAULT_MANAGER_CONFIG, ...head.config },
      budgets: read.budgets.map(budgetFrom),
      periods,
      overrides,
      lapsedOverrides: read.lapsedOverrides,
      openRequests,
      prices: read.prices.map(priceFrom),
      rates: read.rates.map(rateFrom),
      recipients: read.recipients.map(recipientFrom),
      renamings: read.renamings.map(renamingFrom)
    }
  })

/** The periods of old that are asked for by a moment. One may come twice. */
export const readPeriodsAt = (
  sql: SqlClient.SqlClient,
  tenant: string,
  queries: ReadonlyArray<PeriodQuery>
): Reading<ReadonlyArray<PeriodRow>> => {
  if (queries.length === 0) return Effect.succeed([])
  const parameters = [
    tenant,
    textArray(queries.map(({ budgetId }) => budgetId)),
    timeArray(queries.map(({ at }) => at))
  ]
  return Effect.map(sql.unsafe<StoredPeriod>(SELECT_PERIODS_AT, parameters), (rows) => rows.map(periodFrom))
}

/** The requests of these ids, with the usage that their attempts name. */
export const readRequests = (
  sql: SqlClient.SqlClient,
  tenant: string,
  requestIds: ReadonlyArray<string>
): Reading<ReadonlyArray<KnownRequest>> =>
  Effect.gen(function* () {
    const ids = requestIds.filter(isStorable)
    if (ids.length === 0) return []
    const requests = (yield* requestsById(sql, tenant, ids)).map(requestFrom)
    const seqs = requests.flatMap((request) => request.attempts.flatMap(rowsOfAttempt))
    const bySeq = new Map<number, TokenUsage>()
    for (const usage of yield* usageBySeq(sql, tenant, seqs)) bySeq.set(usage.usage_seq, usage)
    return requests.map((request) => ({
      request,
      usage: request.attempts.flatMap(rowsOfAttempt).flatMap((seq) => bySeq.get(seq) ?? [])
    }))
  })

export const readCommands = (
  sql: SqlClient.SqlClient,
  tenant: string,
  keys: ReadonlyArray<{ readonly signal: string; readonly requestId: string }>
): Reading<ReadonlyArray<CommandRow>> => {
  const known = keys.filter((key) => isStorable(key.signal) && isStorable(key.requestId))
  if (known.length === 0) return Effect.succeed([])
  return Effect.map(
    sql.unsafe<StoredCommand>(
      `SELECT signal, request_id, digest, result FROM command
WHERE tenant = $1 AND (signal, request_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))`,
      [tenant, textArray(known.map((key) => key.signal)), textArray(known.map((key) => key.requestId))]
    ),
    (rows) => rows.map(commandFrom)
  )
}
