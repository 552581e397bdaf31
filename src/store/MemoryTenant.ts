/**
 * What the store in memory has of one tenant.
 *
 * Owns: its rows, how a batch is checked and written, what a snapshot is made of.
 * Does not decide: whose the tenant is (MemoryLedgerStore asks `isOf` first), or how rows are looked for (MemoryQueries).
 */
import { DEFAULT_MANAGER_CONFIG, type ManagerConfig } from "../signal/Management.ts"
import type { Price } from "../signal/Price.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { EMPTY_CHAIN } from "../tokens/AuditChain.ts"
import type { CleanedUsage } from "../tokens/CleanedUsage.ts"
import { oldestOf } from "../tokens/Cleaning.ts"
import type {
  AlertRow,
  AuditHead,
  AuditRow,
  Batch,
  BudgetDefinition,
  Claim,
  CommandRow,
  HeadCounters,
  LedgerSnapshot,
  OpenRequest,
  PeriodRow,
  RecipientRow,
  UsageRow
} from "../tokens/LedgerStore.ts"
import type { RateRow } from "../tokens/RateBook.ts"
import type { Renaming } from "../tokens/Renaming.ts"
import { definitionIdOf } from "../tokens/StandingKey.ts"
import type { UnpricedRow } from "../tokens/UnpricedUse.ts"
import { MemoryCells } from "./MemoryCells.ts"
import { MemoryOverrides } from "./MemoryOverrides.ts"
import { type EndedRequest, type HoldPage, lastVersions, openRequests } from "./OpenHolds.ts"

const NOTHING_YET: HeadCounters = { usageSeq: 0, alertSeq: 0, idSeq: 0, tracked: 0, tokens: 0n, cost: 0n }

export const commandKey = (signal: string, requestId: string): string => `${signal}\n${requestId}`

/** Everything of one tenant. */
export class MemoryTenant {
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
