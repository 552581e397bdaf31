/**
 * The ledger's store in memory: for tests, simulations and benchmarks.
 *
 * Owns: the same promises as the store on Postgres: fencing, a batch is written whole or not at all, unique ids,
 * order. Nothing outlives the process.
 * Does not decide: anything that the port leaves open. Rows are kept as they were given, without a copy: they are
 * never changed by anybody.
 */
import { Effect, Layer } from "effect"
import { ATTRIBUTION_FIELDS } from "../signal/Attribution.ts"
import { DEFAULT_MANAGER_CONFIG, type ManagerConfig } from "../signal/Management.ts"
import { type Amount, amountOfCount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { EMPTY_CHAIN } from "../tokens/AuditChain.ts"
import { entityOf, type Subject } from "../tokens/BudgetIndex.ts"
import type { CleanedUsage } from "../tokens/CleanedUsage.ts"
import { oldestOf } from "../tokens/Cleaning.ts"
import {
  type AlertRow,
  type AuditFilter,
  type AuditHead,
  type AuditRow,
  type Batch,
  BatchRefused,
  type BudgetDefinition,
  type Claim,
  type CommandRow,
  type CommitError,
  Fenced,
  type HeadCounters,
  type LedgerSnapshot,
  LedgerStore,
  type OpenRequest,
  type PeriodRow,
  type RecipientRow,
  type SpentByEntityQuery,
  type SpentQuery,
  type UsageFilter,
  type UsageRow
} from "../tokens/LedgerStore.ts"
import type { RateRow } from "../tokens/RateBook.ts"
import type { Renaming } from "../tokens/Renaming.ts"
import { rowsOfAttempt } from "../tokens/RequestRecord.ts"
import { definitionIdOf } from "../tokens/StandingKey.ts"
import type { UnpricedQuery, UnpricedRow } from "../tokens/UnpricedUse.ts"
import { isStorable } from "./Columns.ts"
import { MemoryCells } from "./MemoryCells.ts"
import { MemoryDeliveries } from "./MemoryDeliveries.ts"
import { forgetInMemory } from "./MemoryForgetting.ts"
import { MemoryOverrides } from "./MemoryOverrides.ts"
import { type EndedRequest, type HoldPage, lastVersions, openRequests } from "./OpenHolds.ts"

export interface MemoryLedgerStoreOptions {
  /** Whether text that Postgres would refuse is refused here too. Off in a benchmark of the ledger alone. */
  readonly checksText?: boolean
  /** Where recipients, and the alerts that are owed to them, are written; shared with their own port. */
  readonly deliveries?: MemoryDeliveries
}

const NOTHING_YET: HeadCounters = { usageSeq: 0, alertSeq: 0, idSeq: 0, tracked: 0, tokens: 0n, cost: 0n }

const commandKey = (signal: string, requestId: string): string => `${signal}\n${requestId}`

/** Everything of one tenant. */
class Tenant {
  owner = ""
  epoch = 0
  journalSeq = 0
  batchId: string | undefined
  head: HeadCounters = NOTHING_YET
  config: ManagerConfig = DEFAULT_MANAGER_CONFIG
  /** By `usage_seq`, the oldest first. */
  readonly usage: Array<UsageRow> = []
  /** By the number of their first row. */
  readonly unpriced = new Map<number, UnpricedRow>()
  readonly cells = new MemoryCells()
  readonly requests = new Map<string, EndedRequest>()
  readonly pages = new Map<number, HoldPage>()
  readonly budgets = new Map<string, BudgetDefinition>()
  /** By budget and start. */
  readonly periods = new Map<string, Map<number, PeriodRow>>()
  readonly overrides = new MemoryOverrides()
  readonly prices = new Map<string, Price>()
  readonly rates = new Map<number, RateRow>()
  readonly alerts = new Map<number, AlertRow>()
  readonly commands = new Map<string, CommandRow>()
  /** By number, the oldest first. */
  readonly audit: Array<AuditRow> = []
  readonly renamings = new Map<string, Renaming>()

  get auditHead(): AuditHead {
    const last = this.audit.at(-1)
    return last === undefined ? EMPTY_CHAIN : { seq: last.seq, hash: last.hash }
  }

  isOf(claim: Claim): boolean {
    return this.owner === claim.owner && this.epoch === claim.epoch
  }

  /** What is wrong with a batch, before anything of it is written. */
  problemWith(batch: Batch): string | undefined {
    const fresh = new Set<string>()
    for (const { requestId } of batch.newRequests) {
      if (this.requests.has(requestId) || fresh.has(requestId))
        return `the request ${requestId} is there already`
      fresh.add(requestId)
    }
    for (const { requestId } of batch.changedRequests) {
      if (!this.requests.has(requestId)) return `the changed request ${requestId} is not there`
    }
    if (this.#hasUsageOf(batch.usage)) return "a usage_seq is there already"
    const { cleaned } = batch
    if (cleaned?.seqs.some((seq) => (this.usageOf(seq)?.recorded_at ?? cleaned.before) >= cleaned.before))
      return "a deleted row is not there"
    if (batch.alerts.some(({ seq }) => this.alerts.has(seq))) return "an alert is there already"
    if (batch.rates.some(({ seq }) => this.rates.has(seq))) return "an exchange rate is there already"
    if (batch.commands.some((row) => this.commands.has(commandKey(row.signal, row.requestId)))) {
      return "the result of a command is there already"
    }
    const audited = this.auditHead.seq
    if (batch.audit.some(({ seq }) => seq <= audited)) return "an audit entry is there already"
    return undefined
  }

  /** Whether one of these is there already, or is there twice. Nearly always each comes after all before it. */
  #hasUsageOf(rows: ReadonlyArray<UsageRow>): boolean {
    let last = this.usage.at(-1)?.usage.usage_seq ?? 0
    let isAscending = true
    for (const { usage } of rows) {
      isAscending &&= usage.usage_seq > last
      last = usage.usage_seq
    }
    if (isAscending) return false
    const seqs = new Set(rows.map(({ usage }) => usage.usage_seq))
    return seqs.size < rows.length || rows.some(({ usage }) => this.usageOf(usage.usage_seq) !== undefined)
  }

  usageOf(seq: number): TokenUsage | undefined {
    const usage = this.usage[this.indexAfter(seq) - 1]?.usage
    return usage?.usage_seq === seq ? usage : undefined
  }

  write(batch: Batch): void {
    const seq = this.journalSeq
    this.journalSeq += 1
    this.batchId = batch.id
    this.head = batch.head
    this.config = batch.config ?? this.config
    this.#writeUsage(batch.usage)
    for (const row of batch.unpriced.added) this.unpriced.set(row.usageSeq, row)
    for (const { usageSeq } of batch.unpriced.removed) this.unpriced.delete(usageSeq)
    for (const rows of [batch.newRequests, batch.changedRequests]) {
      for (const row of rows)
        this.requests.set(row.requestId, { row, endedIn: row.hold === null ? null : seq })
    }
    if (batch.openHolds.length > 0) this.pages.set(seq, { journalSeq: seq, holds: batch.openHolds })
    for (const page of batch.closedPages) this.pages.delete(page)
    for (const row of batch.budgets) this.budgets.set(row.id, row)
    for (const row of batch.periods) this.#writePeriod(row)
    this.overrides.write(batch.overrides)
    for (const row of batch.prices) this.prices.set(row.id, row)
    for (const row of batch.rates) this.rates.set(row.seq, row)
    for (const { seq, alert } of batch.alerts) this.alerts.set(seq, { seq, alert })
    for (const row of batch.commands) this.commands.set(commandKey(row.signal, row.requestId), row)
    this.audit.push(...batch.audit)
    if (batch.cleaned !== undefined) this.#clean(batch.cleaned)
  }

  #clean({ seqs, cells }: CleanedUsage): void {
    const gone = new Set(seqs)
    const left = this.usage.filter(({ usage }) => !gone.has(usage.usage_seq))
    this.usage.length = 0
    for (const row of left) this.usage.push(row)
    for (const seq of seqs) this.unpriced.delete(seq)
    this.cells.add(cells)
  }

  /** The oldest rows before a moment. */
  oldUsage(before: number): ReadonlyArray<UsageRow> {
    return oldestOf(this.usage, before)
  }

  #writePeriod(row: PeriodRow): void {
    const known = this.periods.get(row.budgetId)
    if (known === undefined) this.periods.set(row.budgetId, new Map([[row.start, row]]))
    else known.set(row.start, row)
  }

  #writeUsage(rows: ReadonlyArray<UsageRow>): void {
    const last = this.usage.at(-1)?.usage.usage_seq ?? 0
    for (const row of rows) {
      this.usage.push(row)
    }
    if (rows.some(({ usage }, index) => usage.usage_seq <= (rows[index - 1]?.usage.usage_seq ?? last))) {
      this.usage.sort((a, b) => a.usage.usage_seq - b.usage.usage_seq)
    }
  }

  #openRequests(): ReadonlyArray<OpenRequest> {
    return openRequests(lastVersions([...this.pages.values()]).values(), (id) => this.requests.get(id))
  }

  snapshot(liveAfter: number, recipients: ReadonlyArray<RecipientRow>): LedgerSnapshot {
    const openRequests = this.#openRequests()
    return {
      journalSeq: this.journalSeq,
      head: this.head,
      auditHead: this.auditHead,
      config: this.config,
      budgets: [...this.budgets.values()],
      periods: this.#periodsThatCanChange(liveAfter, openRequests),
      overrides: this.overrides.live,
      lapsedOverrides: this.overrides.lapsed(liveAfter),
      openRequests,
      prices: [...this.prices.values()],
      rates: [...this.rates.values()],
      recipients,
      renamings: [...this.renamings.values()]
    }
  }

  #periodsThatCanChange(liveAfter: number, open: ReadonlyArray<OpenRequest>): ReadonlyArray<PeriodRow> {
    const firstBooked = new Map<string, number>()
    const booked = open.flatMap(({ hold }) => hold.bookings)
    for (const { budgetId, periodStart } of [...booked, ...this.overrides.live]) {
      firstBooked.set(budgetId, Math.min(firstBooked.get(budgetId) ?? periodStart, periodStart))
    }
    const lastEnded = new Map<string, PeriodRow>()
    const periods = Array.from(this.periods.values(), (ofBudget) => [...ofBudget.values()]).flat()
    for (const period of periods) {
      if (period.end === null || period.end > liveAfter) continue
      if ((lastEnded.get(period.budgetId)?.start ?? Number.NEGATIVE_INFINITY) < period.start)
        lastEnded.set(period.budgetId, period)
    }
    return periods.filter((period) => {
      const { budgetId, start, end } = period
      if (end === null || end > liveAfter) return true
      if (start >= (firstBooked.get(budgetId) ?? Number.POSITIVE_INFINITY)) return true
      return (
        rollsOver(this.budgets.get(definitionIdOf(budgetId)), liveAfter) && lastEnded.get(budgetId) === period
      )
    })
  }

  /** Index of the first usage row after `seq`. */
  indexAfter(seq: number): number {
    let low = 0
    let high = this.usage.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.usage[middle]?.usage.usage_seq ?? 0) <= seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Whether a budget has a rollover, or may have lost it lately. */
const rollsOver = (budget: BudgetDefinition | undefined, liveAfter: number): boolean =>
  budget !== undefined && (budget.rollover !== null || budget.updatedAt > liveAfter)

const hasOnlyStorableText = (value: unknown): boolean => {
  if (typeof value === "string") return isStorable(value)
  if (typeof value !== "object" || value === null) return true
  for (const [key, part] of Object.entries(value)) {
    if (!isStorable(key) || !hasOnlyStorableText(part)) return false
  }
  return true
}

const matches = (usage: TokenUsage, filter: UsageFilter): boolean => {
  for (const field of ["provider", "model", "status", ...ATTRIBUTION_FIELDS] as const) {
    if (filter[field] !== undefined && usage[field] !== filter[field]) return false
  }
  for (const [name, value] of Object.entries(filter.tags ?? {})) {
    if (usage.tags?.[name] !== value) return false
  }
  if (filter.from !== undefined && usage.booked_at < filter.from) return false
  return filter.to === undefined || usage.booked_at < filter.to
}

const isAbout = (row: AuditRow, { kind, principal, from, to }: AuditFilter): boolean =>
  (kind === undefined || row.action === kind) &&
  (principal === undefined || row.keyId === principal || row.owner === principal) &&
  (from === undefined || row.at >= from) &&
  (to === undefined || row.at < to)

/** What counts in budgets: a row that is there, or the sums of rows that are not. */
interface Charge {
  readonly usage: Subject & Pick<TokenUsage, "booked_at" | "cost" | "total_tokens">
  readonly requests: number
}

const chargesOf = (tenant: Tenant): ReadonlyArray<Charge> => [...tenant.usage, ...tenant.cells.charges]

const spentIn = (rows: ReadonlyArray<Charge>, query: SpentQuery): Amount => {
  let amount = 0n
  for (const { usage, requests } of rows) {
    if (usage.booked_at < query.from || (query.to !== null && usage.booked_at >= query.to)) continue
    if (entityOf(query.type, usage) !== query.entityId) continue
    if (query.measure === "cost") amount += usage.cost
    else amount += amountOfCount(query.measure === "tokens" ? usage.total_tokens : requests)
  }
  return amount
}

const spentByEntity = (
  rows: ReadonlyArray<Charge>,
  query: SpentByEntityQuery,
  limit: number
): ReadonlyMap<string, Amount> => {
  const byEntity = new Map<string, Array<Charge>>()
  for (const row of rows) {
    const entityId = entityOf(query.type, row.usage)
    if (entityId == null) continue
    const known = byEntity.get(entityId)
    if (known === undefined) byEntity.set(entityId, [row])
    else known.push(row)
  }
  const amounts = Array.from(
    byEntity,
    ([entityId, own]) => [entityId, spentIn(own, { ...query, entityId })] as const
  )
  return new Map(amounts.filter(([, amount]) => amount !== 0n).slice(0, limit))
}

const waiting = (rows: Iterable<UnpricedRow>, { provider, model, from }: UnpricedQuery) =>
  [...rows]
    .filter((row) => row.provider === provider && row.model === model)
    .filter(({ bookedAt }) => bookedAt >= (from ?? Number.NEGATIVE_INFINITY))
    .sort((a, b) => a.bookedAt - b.bookedAt || a.usageSeq - b.usageSeq)

/** The last of a budget's periods that starts at a moment or before. */
const lastBefore = (periods: Iterable<PeriodRow> = [], at: number): PeriodRow | undefined =>
  [...periods]
    .filter(({ start }) => start <= at)
    .sort((a, b) => a.start - b.start)
    .at(-1)

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

/** A fresh, empty store. Whoever shares the object shares the data. */
export const makeMemoryLedgerStore = ({
  checksText = true,
  deliveries = new MemoryDeliveries()
}: MemoryLedgerStoreOptions = {}): LedgerStore => {
  const tenants = new Map<string, Tenant>()
  const tenantOf = (name: string): Tenant => {
    const known = tenants.get(name)
    if (known !== undefined) return known
    const fresh = new Tenant()
    tenants.set(name, fresh)
    return fresh
  }

  const commit = (claim: Claim, batch: Batch): Effect.Effect<void, CommitError> =>
    Effect.suspend((): Effect.Effect<void, CommitError> => {
      const tenant = tenantOf(claim.tenant)
      if (!tenant.isOf(claim) || tenant.journalSeq !== batch.journalSeq) {
        return Effect.fail(new Fenced({ tenant: claim.tenant }))
      }
      const problem =
        checksText && !hasOnlyStorableText(batch)
          ? "a text has U+0000 or a lone surrogate"
          : tenant.problemWith(batch)
      if (problem !== undefined)
        return Effect.fail(new BatchRefused({ tenant: claim.tenant, message: problem }))
      tenant.write(batch)
      deliveries.write(claim.tenant, batch)
      return Effect.void
    })

  const claimTenant = (name: string, owner: string): Claim => {
    const tenant = tenantOf(name)
    tenant.owner = owner
    tenant.epoch += 1
    return { tenant: name, owner, epoch: tenant.epoch }
  }

  const select = (name: string, filter: UsageFilter, from: number, to: number): Array<UsageRow> => {
    const tenant = tenantOf(name)
    const rows = tenant.usage.slice(tenant.indexAfter(from), tenant.indexAfter(to))
    return rows.filter(({ usage }) => matches(usage, filter))
  }
  const usageOf = (row: UsageRow): TokenUsage => row.usage

  return {
    kind: "embedded",
    durability: "Nothing outlives the process: this store is in memory, for tests",
    isReachable: Effect.succeed(true),
    claim: (tenant, owner) => Effect.sync(() => claimTenant(tenant, owner)),
    load: (claim, liveAfter) =>
      Effect.suspend(() => {
        const tenant = tenantOf(claim.tenant)
        return tenant.isOf(claim)
          ? Effect.succeed(tenant.snapshot(liveAfter, deliveries.recipients.get(claim.tenant) ?? []))
          : Effect.fail(new Fenced({ tenant: claim.tenant }))
      }),
    findRequests: (name, ids) =>
      Effect.sync(() => {
        const tenant = tenantOf(name)
        return ids
          .flatMap((id) => tenant.requests.get(id)?.row ?? [])
          .map((request) => ({
            request,
            usage: request.attempts.flatMap(rowsOfAttempt).flatMap((seq) => tenant.usageOf(seq) ?? [])
          }))
      }),
    findCommands: (name, keys) =>
      Effect.sync(() =>
        keys.flatMap((key) => tenantOf(name).commands.get(commandKey(key.signal, key.requestId)) ?? [])
      ),
    findOverrides: (name, ids) => Effect.sync(() => tenantOf(name).overrides.byId(ids)),
    overridePage: (name, filter, beforeSeq, limit) =>
      Effect.sync(() => tenantOf(name).overrides.page(filter, beforeSeq, limit)),
    oldUsage: (name, before, limit) => Effect.sync(() => tenantOf(name).oldUsage(before).slice(0, limit)),
    countOldUsage: (name, before) => Effect.sync(() => tenantOf(name).oldUsage(before).length),
    cleanedAfter: (name, after, limit) => Effect.sync(() => tenantOf(name).cells.after(after, limit)),
    forget: (claim, step) =>
      Effect.suspend(() => {
        const tenant = tenantOf(claim.tenant)
        return tenant.isOf(claim)
          ? Effect.succeed(forgetInMemory(tenant, step))
          : Effect.fail(new Fenced({ tenant: claim.tenant }))
      }),
    spent: (name, query) => Effect.sync(() => spentIn(chargesOf(tenantOf(name)), query)),
    spentByEntity: (name, query, limit) =>
      Effect.sync(() => spentByEntity(chargesOf(tenantOf(name)), query, limit)),
    findPeriods: (name, queries) =>
      Effect.sync(() => {
        const { periods } = tenantOf(name)
        return queries.flatMap(({ budgetId, at }) => lastBefore(periods.get(budgetId)?.values(), at) ?? [])
      }),
    findUnpriced: (name, query, limit) =>
      Effect.sync(() => waiting(tenantOf(name).unpriced.values(), query).slice(0, limit)),
    commit,
    isOwner: (claim) => Effect.sync(() => tenantOf(claim.tenant).isOf(claim)),
    resolve: (claim, batchId) =>
      Effect.suspend(() => {
        const tenant = tenantOf(claim.tenant)
        if (tenant.owner !== claim.owner) return Effect.fail(new Fenced({ tenant: claim.tenant }))
        tenant.epoch += 1
        return Effect.succeed({
          claim: { ...claim, epoch: tenant.epoch },
          isWritten: tenant.batchId === batchId
        })
      }),
    lastUsageSeq: (name) => Effect.sync(() => tenantOf(name).head.usageSeq),
    usagePage: (name, filter, { maxSeq, beforeSeq, limit }) =>
      Effect.sync(() =>
        select(name, filter, 0, Math.min(maxSeq, beforeSeq - 1))
          .reverse()
          .slice(0, limit)
          .map(usageOf)
      ),
    usageTotals: (name, filter, maxSeq) => Effect.sync(() => totalsOf(select(name, filter, 0, maxSeq))),
    usageAfter: (name, filter, afterSeq, limit) =>
      Effect.sync(() => select(name, filter, afterSeq, Number.MAX_SAFE_INTEGER).slice(0, limit).map(usageOf)),
    auditHead: (name) => Effect.sync(() => tenantOf(name).auditHead),
    auditPage: (name, filter, { maxSeq, beforeSeq, limit }) =>
      Effect.sync(() =>
        tenantOf(name)
          .audit.filter((row) => row.seq <= maxSeq && row.seq < beforeSeq && isAbout(row, filter))
          .reverse()
          .slice(0, limit)
      ),
    lastAlertSeq: (name) => Effect.sync(() => tenantOf(name).head.alertSeq),
    alertsAfter: (name, afterSeq, limit) =>
      Effect.sync(() =>
        [...tenantOf(name).alerts.values()]
          .filter(({ seq }) => seq > afterSeq)
          .sort((a, b) => a.seq - b.seq)
          .slice(0, limit)
      )
  }
}

export const memoryLedgerStoreLayer = (options: MemoryLedgerStoreOptions = {}) =>
  Layer.sync(LedgerStore, () => makeMemoryLedgerStore(options))
