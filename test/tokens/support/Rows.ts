/**
 * A store of rows in memory: what a database would hold, with nothing shared with the ledger that wrote it.
 *
 * It is deliberately simple-minded (it scans), so that it can serve as the yardstick of the ledger's sums.
 */
import { Effect } from "effect"
import type { Attribution } from "../../../src/signal/Attribution.ts"
import { ATTRIBUTION_FIELDS } from "../../../src/signal/Attribution.ts"
import { DEFAULT_MANAGER_CONFIG, type ManagerConfig } from "../../../src/signal/Management.ts"
import { type Amount, amountOfCount } from "../../../src/signal/Money.ts"
import type { Price } from "../../../src/signal/Price.ts"
import type { TokenUsage } from "../../../src/signal/Usage.ts"
import { EMPTY_CHAIN } from "../../../src/tokens/AuditChain.ts"
import { entityOf } from "../../../src/tokens/BudgetIndex.ts"
import { type CleanedCell, type CleanedUsage, sumOfCells } from "../../../src/tokens/CleanedUsage.ts"
import { oldestOf } from "../../../src/tokens/Cleaning.ts"
import {
  type AuditHead,
  type AuditRow,
  type Batch,
  type BudgetDefinition,
  type Claim,
  type CommandRow,
  Fenced,
  type HeadCounters,
  type HoldState,
  type LedgerSnapshot,
  type LedgerStore,
  type OpenHold,
  type OverrideFilter,
  type OverrideRow,
  type PeriodRow,
  type RaisedAlert,
  type RecipientRow,
  type RequestRow,
  type SpentByEntityQuery,
  type SpentQuery,
  type UsageFilter,
  type UsageRow
} from "../../../src/tokens/LedgerStore.ts"
import type { RateRow } from "../../../src/tokens/RateBook.ts"
import type { Renaming } from "../../../src/tokens/Renaming.ts"
import { definitionIdOf } from "../../../src/tokens/StandingKey.ts"
import type { UnpricedRow } from "../../../src/tokens/UnpricedUse.ts"

import { forgetRows } from "./ForgottenRows.ts"

const EMPTY_HEAD: HeadCounters = { usageSeq: 0, alertSeq: 0, idSeq: 0, tracked: 0, tokens: 0n, cost: 0n }

const isTagged = (row: Attribution, tags: Attribution["tags"]): boolean =>
  Object.entries(tags ?? {}).every(([name, value]) => row.tags?.[name] === value)

const passes = (usage: TokenUsage, filter: UsageFilter): boolean =>
  usage.booked_at >= (filter.from ?? Number.NEGATIVE_INFINITY) &&
  usage.booked_at < (filter.to ?? Number.POSITIVE_INFINITY) &&
  (["provider", "model", "status", ...ATTRIBUTION_FIELDS] as const).every(
    (field) => filter[field] === undefined || filter[field] === usage[field]
  ) &&
  isTagged(usage, filter.tags)

const rollsOver = (budget: BudgetDefinition | undefined, liveAfter: number): boolean =>
  budget !== undefined && (budget.rollover !== null || budget.updatedAt > liveAfter)

/** Everything that one tenant has on disk. */
export class Rows {
  owner = ""
  epoch = 0
  journalSeq = 0
  lastBatchId = ""
  head: HeadCounters = EMPTY_HEAD
  config: ManagerConfig = DEFAULT_MANAGER_CONFIG
  readonly usage: Array<UsageRow> = []
  readonly unpriced: Array<UnpricedRow> = []
  /** The sums of rows that were cleaned up. */
  readonly cells = new Map<string, CleanedCell>()
  readonly requests = new Map<string, RequestRow>()
  /** How many holds were written into each page that is there. */
  readonly pages = new Map<number, number>()
  readonly open = new Map<string, OpenHold & { readonly page: number }>()
  readonly budgets = new Map<string, BudgetDefinition>()
  readonly periods = new Map<string, PeriodRow>()
  readonly overrides = new Map<string, OverrideRow>()
  readonly prices: Array<Price> = []
  readonly rates: Array<RateRow> = []
  readonly alerts: Array<RaisedAlert> = []
  recipients: ReadonlyArray<RecipientRow> = []
  readonly commands = new Map<string, CommandRow>()
  readonly audit: Array<AuditRow> = []
  /** A user whose forgetting is under way. */
  readonly renamings: Array<Renaming> = []

  get auditHead(): AuditHead {
    return this.audit.at(-1) ?? EMPTY_CHAIN
  }

  lastSeq = 0

  claim(tenant: string, owner: string): Claim {
    this.owner = owner
    this.epoch += 1
    return { tenant, owner, epoch: this.epoch }
  }

  holds(claim: Claim): boolean {
    return claim.owner === this.owner && claim.epoch === this.epoch
  }

  write(batch: Batch): void {
    if (batch.journalSeq !== this.journalSeq) throw new Error("a batch is written out of its order")
    for (const row of batch.newRequests) {
      if (this.requests.has(row.requestId)) throw new Error(`request ${row.requestId} is not new`)
      this.requests.set(row.requestId, row)
    }
    for (const row of batch.changedRequests) {
      if (!this.requests.has(row.requestId)) throw new Error(`request ${row.requestId} is not known`)
      this.requests.set(row.requestId, row)
    }
    for (const { requestId, hold } of batch.openHolds) {
      this.open.set(requestId, { requestId, hold, page: batch.journalSeq })
    }
    for (const { requestId, hold } of [...batch.newRequests, ...batch.changedRequests]) {
      if (hold !== null) this.open.delete(requestId)
    }
    if (batch.openHolds.length > 0) this.pages.set(batch.journalSeq, batch.openHolds.length)
    for (const page of batch.closedPages) {
      this.pages.delete(page)
      const left = [...this.open.values()].filter((it) => it.page === page)
      if (left.length > 0)
        throw new Error(`page ${page} is dropped, and ${left[0]?.requestId} is still in it`)
    }
    for (const row of batch.usage) {
      if (row.usage.usage_seq !== this.lastSeq + 1) throw new Error("usage_seq has a gap")
      this.lastSeq += 1
      this.usage.push(row)
    }
    this.unpriced.push(...batch.unpriced.added)
    for (const { usageSeq } of batch.unpriced.removed) {
      const index = this.unpriced.findIndex((row) => row.usageSeq === usageSeq)
      if (index === -1) throw new Error(`usage_seq ${usageSeq} does not wait for a price`)
      this.unpriced.splice(index, 1)
    }
    for (const budget of batch.budgets) this.budgets.set(budget.id, budget)
    for (const period of batch.periods) this.periods.set(`${period.budgetId} ${period.start}`, period)
    for (const row of batch.overrides) this.overrides.set(row.id, row)
    for (const row of batch.commands) this.commands.set(`${row.signal} ${row.requestId}`, row)
    this.prices.push(...batch.prices)
    this.rates.push(...batch.rates)
    this.alerts.push(...batch.alerts)
    this.audit.push(...batch.audit)
    this.config = batch.config ?? this.config
    this.recipients = batch.recipients ?? this.recipients
    if (batch.cleaned !== undefined) this.#clean(batch.cleaned)
    this.head = batch.head
    this.journalSeq += 1
    this.lastBatchId = batch.id
  }

  /** What became of a request's last hold. */
  holdStateOf(requestId: string): HoldState | undefined {
    return this.open.has(requestId) ? "held" : this.requests.get(requestId)?.hold?.state
  }

  snapshot(liveAfter: number): LedgerSnapshot {
    const openRequests = [...this.open.values()].map((it) => ({
      ...it,
      row: this.requests.get(it.requestId)
    }))
    const live = [...this.overrides.values()].filter((row) => ["pending", "approved"].includes(row.status))
    const booked = [...openRequests.flatMap(({ hold }) => hold.bookings), ...live]
    const all = [...this.periods.values()]
    const isOver = ({ end }: Pick<PeriodRow, "end">) => end !== null && end <= liveAfter
    const periods = all.filter((row) => {
      if (!isOver(row)) return true
      const ofBudget = all.filter(({ budgetId }) => budgetId === row.budgetId)
      return (
        booked.some(({ budgetId, periodStart }) => budgetId === row.budgetId && periodStart <= row.start) ||
        (rollsOver(this.budgets.get(definitionIdOf(row.budgetId)), liveAfter) &&
          ofBudget.filter(isOver).every(({ start }) => start <= row.start))
      )
    })
    return {
      journalSeq: this.journalSeq,
      head: this.head,
      auditHead: this.auditHead,
      config: this.config,
      budgets: [...this.budgets.values()],
      periods,
      overrides: live,
      lapsedOverrides: [...this.overrides.values()].flatMap((row) =>
        row.status === "expired" && row.approvedAmount !== null && !isOver({ end: row.periodEnd })
          ? [{ ...row, amount: row.approvedAmount }]
          : []
      ),
      openRequests,
      // Newest first, as a query without ORDER BY may well answer.
      prices: [...this.prices].reverse(),
      rates: [...this.rates],
      recipients: this.recipients,
      renamings: [...this.renamings]
    }
  }

  usageOf(request: RequestRow): ReadonlyArray<TokenUsage> {
    const seqs = request.attempts.flatMap(({ usageSeq, adjustments }) => [usageSeq, ...adjustments])
    return seqs.flatMap((seq) => this.rowOf(seq)?.usage ?? [])
  }

  /** Rows are cleaned up in the order of their numbers: those up to this one are gone. */
  get cleanedTo(): number {
    return this.lastSeq - this.usage.length
  }

  rowOf(seq: number): UsageRow | undefined {
    return this.usage[seq - 1 - this.cleanedTo]
  }

  #clean({ before, seqs, cells }: CleanedUsage): void {
    for (const seq of seqs) {
      const index = this.usage.findIndex(({ usage }) => usage.usage_seq === seq)
      if ((this.usage[index]?.usage.recorded_at ?? before) >= before) throw new Error(`row ${seq} is not old`)
      this.usage.splice(index, 1)
      const waiting = this.unpriced.findIndex((row) => row.usageSeq === seq)
      if (waiting !== -1) this.unpriced.splice(waiting, 1)
    }
    for (const cell of cells) {
      const place = `${cell.bookedFrom} ${cell.currency} ${cell.afterSeq} ${cell.key}`
      const known = this.cells.get(place)
      this.cells.set(place, known === undefined ? cell : sumOfCells(known, cell))
    }
  }

  oldUsage(before: number): ReadonlyArray<UsageRow> {
    return oldestOf(this.usage, before)
  }

  spentByEntity(query: SpentByEntityQuery, limit: number): ReadonlyMap<string, Amount> {
    const subjects = [
      ...this.usage.map(({ usage }) => usage),
      ...[...this.cells.values()].map((cell) => cell.subject)
    ]
    const entities = new Set(subjects.map((subject) => entityOf(query.type, subject)))
    const amounts = [...entities]
      .filter((entityId) => typeof entityId === "string")
      .map((entityId) => [entityId, this.spent({ ...query, entityId })] as const)
    return new Map(amounts.filter(([, amount]) => amount !== 0n).slice(0, limit))
  }

  /** What rows say a budget has spent in a window; only the rows after `rowsBefore`, up to `lastSeq`. */
  spent(
    { type, entityId, measure, from, to }: SpentQuery,
    rowsBefore = 0,
    lastSeq = Number.POSITIVE_INFINITY
  ): Amount {
    let spent = 0n
    for (const { usage, requests } of this.usage) {
      if (usage.usage_seq <= rowsBefore) continue
      if (usage.usage_seq > lastSeq) break
      if (entityOf(type, usage) !== entityId) continue
      if (usage.booked_at < from || (to !== null && usage.booked_at >= to)) continue
      spent += {
        cost: usage.cost,
        tokens: amountOfCount(usage.total_tokens),
        requests: amountOfCount(requests)
      }[measure]
    }
    for (const cell of this.cells.values()) {
      if (cell.afterSeq < rowsBefore || cell.afterSeq >= lastSeq) continue
      if (entityOf(type, cell.subject) !== entityId) continue
      if (cell.bookedFrom < from || (to !== null && cell.bookedFrom >= to)) continue
      spent += {
        cost: cell.cost,
        tokens: amountOfCount(cell.totalTokens),
        requests: amountOfCount(cell.requests)
      }[measure]
    }
    return spent
  }

  /** Newest first. */
  overridePage({ status, budgetId, about, now }: OverrideFilter, beforeSeq: number, limit: number) {
    const statusNow = (row: OverrideRow) =>
      row.status !== "denied" && (row.expiresAt ?? Number.POSITIVE_INFINITY) <= now ? "expired" : row.status
    return [...this.overrides.values()]
      .filter((row) => row.seq < beforeSeq && (status ?? statusNow(row)) === statusNow(row))
      .filter((row) => budgetId === undefined || row.budgetId.split("/")[0] === budgetId)
      .filter(
        (row) =>
          about === undefined || about.some((it) => it.type === row.type && it.entityId === row.entityId)
      )
      .sort((a, b) => b.seq - a.seq)
      .slice(0, limit)
  }

  filtered(filter: UsageFilter): ReadonlyArray<UsageRow> {
    return this.usage.filter(({ usage }) => passes(usage, filter))
  }
}

const totalsOf = (rows: ReadonlyArray<UsageRow>) => {
  const totals = { requests: 0, prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, cost: 0n }
  for (const { usage, requests } of rows) {
    totals.requests += requests
    totals.prompt_tokens += usage.prompt_tokens
    totals.completion_tokens += usage.completion_tokens
    totals.total_tokens += usage.total_tokens
    totals.cost += usage.cost
  }
  return totals
}

/** The port over `rows`, for one tenant. */
export const storeOver = (rows: Rows): LedgerStore => ({
  kind: "embedded",
  durability: "none: it is a test",
  isReachable: Effect.succeed(true),
  claim: (tenant, owner) => Effect.sync(() => rows.claim(tenant, owner)),
  load: (claim, liveAfter) =>
    Effect.suspend(() =>
      rows.holds(claim)
        ? Effect.succeed(rows.snapshot(liveAfter))
        : Effect.fail(new Fenced({ tenant: claim.tenant }))
    ),
  findRequests: (_, requestIds) =>
    Effect.sync(() =>
      requestIds.flatMap((id) => {
        const request = rows.requests.get(id)
        return request === undefined ? [] : [{ request, usage: rows.usageOf(request) }]
      })
    ),
  findCommands: (_, keys) =>
    Effect.sync(() =>
      keys.flatMap(({ signal, requestId }) => rows.commands.get(`${signal} ${requestId}`) ?? [])
    ),
  forget: (claim, step) =>
    Effect.suspend(() =>
      rows.holds(claim)
        ? Effect.succeed(forgetRows(rows, step))
        : Effect.fail(new Fenced({ tenant: claim.tenant }))
    ),
  findOverrides: (_, ids) => Effect.sync(() => ids.flatMap((id) => rows.overrides.get(id) ?? [])),
  overridePage: (_, filter, beforeSeq, limit) =>
    Effect.sync(() => rows.overridePage(filter, beforeSeq, limit)),
  spent: (_, query) => Effect.sync(() => rows.spent(query)),
  spentByEntity: (_, query, limit) => Effect.sync(() => rows.spentByEntity(query, limit)),
  findPeriods: (_, queries) =>
    Effect.sync(() =>
      queries.flatMap(({ budgetId, at }) => {
        const before = [...rows.periods.values()].filter((it) => it.budgetId === budgetId && it.start <= at)
        return before.sort((a, b) => b.start - a.start).slice(0, 1)
      })
    ),
  findUnpriced: (_, { provider, model, from }, limit) =>
    Effect.sync(() =>
      rows.unpriced
        .filter((row) => row.provider === provider && row.model === model)
        .filter(({ bookedAt }) => from === null || bookedAt >= from)
        .sort((a, b) => a.bookedAt - b.bookedAt || a.usageSeq - b.usageSeq)
        .slice(0, limit)
    ),
  commit: (claim, batch) =>
    Effect.suspend(() => {
      if (!rows.holds(claim)) return Effect.fail(new Fenced({ tenant: claim.tenant }))
      rows.write(batch)
      return Effect.void
    }),
  isOwner: (claim) => Effect.sync(() => rows.holds(claim)),
  resolve: (claim, batchId) =>
    Effect.suspend(() => {
      if (claim.owner !== rows.owner) return Effect.fail(new Fenced({ tenant: claim.tenant }))
      return Effect.succeed({
        claim: rows.claim(claim.tenant, claim.owner),
        isWritten: rows.lastBatchId === batchId
      })
    }),
  lastUsageSeq: () => Effect.sync(() => rows.head.usageSeq),
  oldUsage: (_, before, limit) => Effect.sync(() => rows.oldUsage(before).slice(0, limit)),
  countOldUsage: (_, before) => Effect.sync(() => rows.oldUsage(before).length),
  cleanedAfter: () => Effect.sync(() => [...rows.cells.values()]),
  usagePage: (_, filter, { maxSeq, beforeSeq, limit }) =>
    Effect.sync(() =>
      rows
        .filtered(filter)
        .map(({ usage }) => usage)
        .filter(({ usage_seq }) => usage_seq <= maxSeq && usage_seq < beforeSeq)
        .reverse()
        .slice(0, limit)
    ),
  usageTotals: (_, filter, maxSeq) =>
    Effect.sync(() => totalsOf(rows.filtered(filter).filter(({ usage }) => usage.usage_seq <= maxSeq))),
  usageAfter: (_, filter, afterSeq, limit) =>
    Effect.sync(() =>
      rows
        .filtered(filter)
        .map(({ usage }) => usage)
        .filter(({ usage_seq }) => usage_seq > afterSeq)
        .slice(0, limit)
    ),
  adjustmentsOf: (_, ids, afterSeq, limit) =>
    Effect.sync(() =>
      rows
        .filtered({})
        .filter(({ adjustsSeq, usage }) => adjustsSeq !== undefined || usage.attempt > 1)
        .map(({ usage }) => usage)
        .filter(({ workflow_id }) => workflow_id !== undefined && ids.includes(workflow_id))
        .filter(({ usage_seq }) => usage_seq > afterSeq)
        .slice(0, limit)
    ),
  auditHead: () => Effect.sync(() => ({ seq: rows.auditHead.seq, hash: rows.auditHead.hash })),
  auditPage: (
    _,
    { kind, principal, from = 0, to = Number.POSITIVE_INFINITY },
    { maxSeq, beforeSeq, limit }
  ) =>
    Effect.sync(() =>
      rows.audit
        .filter(({ seq }) => seq <= maxSeq && seq < beforeSeq)
        .filter(({ action }) => kind === undefined || action === kind)
        .filter((row) => principal === undefined || [row.keyId, row.owner].includes(principal))
        .filter(({ at }) => at >= from && at < to)
        .reverse()
        .slice(0, limit)
    ),
  lastAlertSeq: () => Effect.sync(() => rows.alerts.length),
  alertsAfter: (_, afterSeq, limit) =>
    Effect.sync(() => rows.alerts.filter(({ seq }) => seq > afterSeq).slice(0, limit))
})
