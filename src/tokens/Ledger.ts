/**
 * One tenant's money in memory, and the entries of the batch that is being decided.
 *
 * Owns: budgets, periods, requests with their holds, prices, counters; what changed since the last seal.
 * Does not decide: anything. The rules are in Holding, Posting, BudgetChanges and Costing; they are functions of
 * a ledger, a signal and a time, without I/O, clock or randomness. A ledger whose batch could not be written is
 * thrown away whole and read again from the store: there is no partial undo.
 */
import type { Alert } from "../signal/Budget.ts"
import type { ManagerConfig } from "../signal/Management.ts"
import type { Amount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import { type AuditNote, entryAfter } from "./AuditChain.ts"
import { Borrowers } from "./Borrowers.ts"
import { BudgetIndex } from "./BudgetIndex.ts"
import { LATE_WINDOW_MS, type PeriodRecord } from "./BudgetPeriods.ts"
import { BudgetRecord, isForeign } from "./BudgetRecord.ts"
import { CheapestPrices } from "./CheapestPrices.ts"
import { CleaningDraft } from "./CleaningDraft.ts"
import { CommandBook } from "./CommandBook.ts"
import { type Draft, emptyDraft, hasEntries } from "./Draft.ts"
import { Fifo } from "./Fifo.ts"
import { HoldBook } from "./HoldBook.ts"
import type {
  AuditHead,
  Batch,
  BudgetDefinition,
  CommandRow,
  HeadCounters,
  HoldRow,
  KnownRequest,
  LedgerSnapshot,
  OpenRequest,
  PeriodRow,
  RecipientRow,
  RequestRow,
  UsageRow
} from "./LedgerStore.ts"
import { OverrideBook } from "./OverrideBook.ts"
import { PeriodSweep } from "./PeriodSweep.ts"
import { inOrderOfIds, PriceBook } from "./PriceBook.ts"
import { RateBook, type RateRow } from "./RateBook.ts"
import { type Renaming, renamedHold, renamedUsage } from "./Renaming.ts"
import { type HoldRecord, keep, RequestRecord } from "./RequestRecord.ts"
import { UnpricedDraft } from "./UnpricedUse.ts"

/** Closed requests that are kept at hand for repeats; the store has them all. Few, so that they die young. */
const RECENT_REQUESTS_MAX = 1_000

/** Periods that ended before this much ago are neither loaded nor kept; an hour more than can still be booked. */
export const KEPT_PERIODS_MS = LATE_WINDOW_MS + 3_600_000

export class Ledger {
  readonly tenant: string
  readonly prices: PriceBook
  readonly cheapest: CheapestPrices
  readonly rates = new RateBook()
  readonly budgets = new Map<string, BudgetRecord>()
  readonly index = new BudgetIndex()
  /** How many of the budgets are active. */
  activeBudgets = 0
  readonly #holds = new HoldBook()
  readonly holds = this.#holds.byId
  readonly holdsByKey = this.#holds.byKey
  readonly deadlines = this.#holds.deadlines
  readonly overrides = new OverrideBook()
  readonly unpriced = new UnpricedDraft()
  /** Models whose missing price was told since the ledger was loaded. */
  readonly unpricedTold = new Set<string>()
  /** Keys, and what they leave out, that were told of since then. */
  readonly unattributedTold = new Set<string>()
  /** Users whose history is being renamed: what is read of it has their new names. */
  readonly renamings: ReadonlyArray<Renaming>
  config: ManagerConfig
  recipients: ReadonlyArray<RecipientRow>
  usageSeq: number
  tracked: number
  tokens: Amount
  cost: Amount
  #auditHead: AuditHead
  readonly #makeSalt: () => string
  /** Whether a budget is in another currency than the tenant's. */
  hasForeignBudgets = false
  #alertSeq: number
  #idSeq: number
  #journalSeq: number
  /** Periods that ended before are not in memory. */
  #horizon: Millis
  readonly #requests = new Map<string, RequestRecord>()
  readonly #sweep: PeriodSweep
  /** Requests that were closed when a batch was sealed, the oldest first. */
  readonly #closed = new Fifo<RequestRecord>()
  readonly #commands = new CommandBook()
  readonly #borrowers = new Borrowers(this.index.defaults)
  readonly cleaning = new CleaningDraft()
  #draft: Draft = emptyDraft()
  /** Counts seals; commits follow in the same order. */
  #batchNumber = 1
  #committedNumber = 0

  /**
   * `makeSalt`: the shell's randomness, for the audit chain. `liveAfter`: the snapshot has the periods that end after
   * it.
   */
  constructor(
    tenant: string,
    snapshot: LedgerSnapshot,
    builtInPrices: ReadonlyArray<Price>,
    makeSalt: () => string,
    liveAfter: Millis = Number.NEGATIVE_INFINITY
  ) {
    this.tenant = tenant
    this.#horizon = liveAfter
    this.#sweep = new PeriodSweep(this.index.defaults, liveAfter)
    this.config = snapshot.config
    this.recipients = snapshot.recipients
    this.renamings = snapshot.renamings
    this.prices = new PriceBook(builtInPrices, inOrderOfIds(snapshot.prices))
    this.cheapest = new CheapestPrices(this.prices)
    for (const rate of snapshot.rates) this.rates.put(rate)
    this.usageSeq = snapshot.head.usageSeq
    this.tracked = snapshot.head.tracked
    this.tokens = snapshot.head.tokens
    this.cost = snapshot.head.cost
    this.#auditHead = snapshot.auditHead
    this.#makeSalt = makeSalt
    this.#alertSeq = snapshot.head.alertSeq
    this.#idSeq = snapshot.head.idSeq
    this.#journalSeq = snapshot.journalSeq
    for (const definition of snapshot.budgets) this.#insertBudget(definition)
    for (const period of snapshot.periods) {
      const { budgetId } = period
      const budget = this.budgets.get(budgetId) ?? this.index.defaults.restore(budgetId)
      budget?.restore(period)
    }
    for (const request of snapshot.openRequests) this.#restoreOpen(request)
    this.overrides.restore(snapshot, (key, start) => this.budgetAt(key)?.periodFrom(start))
  }

  /** Whether the clock was put back to where periods are not in memory any more: then it must be loaded again. */
  isAheadOf(now: Millis): boolean {
    return now - LATE_WINDOW_MS < this.#horizon
  }

  /** A new id, unique in the tenant. */
  nextId(kind: string): string {
    this.#idSeq += 1
    return `${kind}_${this.#idSeq.toString(36)}`
  }

  // --- requests

  /** The request of this id. Its row has been learnt before, if the store has one. */
  request(requestId: string): RequestRecord | undefined {
    return this.#requests.get(requestId)
  }

  requestOrNew(requestId: string): RequestRecord {
    const known = this.#requests.get(requestId)
    if (known !== undefined) return known
    const fresh = new RequestRecord(requestId)
    this.#requests.set(requestId, fresh)
    return fresh
  }

  /** Takes over what the store knows of a request. */
  learnRequest({ request, usage: rows }: KnownRequest): void {
    const kept = rows.filter((row) => !this.cleaning.hasTaken(row.usage_seq))
    const usage = this.renamings.length === 0 ? kept : kept.map((row) => renamedUsage(row, this.renamings))
    const known = this.#requests.get(request.requestId)
    if (known !== undefined) {
      // An activation reads open requests without the usage of their attempts.
      for (const row of usage) known.keepUsage(row)
      return
    }
    const record = new RequestRecord(request.requestId)
    record.isStored = true
    record.attempts = request.attempts
    for (const row of usage) record.keepUsage(row)
    record.hold = request.hold && {
      ...renamedHold(request.hold, this.renamings),
      requestId: request.requestId,
      bookings: [],
      page: undefined
    }
    this.#closed.put(record)
    this.#requests.set(request.requestId, record)
  }

  changeRequest(record: RequestRecord): void {
    if (record.changedIn === this.#batchNumber) return
    record.changedIn = this.#batchNumber
    this.#draft.requests.push(record)
  }

  /** Requests that the batch which is being decided changes so far. */
  get changedRequests(): number {
    return this.#draft.requests.length
  }

  openHold(hold: HoldRecord): void {
    this.#holds.open(hold)
  }

  closeHold(hold: HoldRecord): void {
    this.#holds.close(hold)
  }

  /** Notes the deadline of an open hold, a new one or a later one. */
  watchDeadline(hold: HoldRecord): void {
    this.#holds.watchDeadline(hold)
  }

  // --- commands

  knowsCommand(signal: string, requestId: string): boolean {
    return this.#commands.has(signal, requestId)
  }

  command(signal: string, requestId: string): CommandRow | undefined {
    return this.#commands.get(signal, requestId)
  }

  learnCommand(row: CommandRow): void {
    this.#commands.put(row)
  }

  rememberCommand(row: CommandRow): void {
    this.learnCommand(row)
    this.#draft.commands.push(row)
  }

  // --- budgets, prices, configuration

  /** The budget, or the standing, whose periods are kept under `key`. */
  budgetAt(key: string): BudgetRecord | undefined {
    return this.budgets.get(key) ?? this.index.defaults.find(key)
  }

  /** All that counts: the budgets without the defaults, and the standings in these that are in memory. */
  *counting(): Generator<BudgetRecord, undefined> {
    for (const budget of this.budgets.values()) if (!budget.isDefault) yield budget
    yield* this.index.defaults.all()
    return undefined
  }

  /** Something is booked into `budget`: a standing that was made for this is in memory from now on. */
  adopt(budget: BudgetRecord): void {
    if (budget.isStanding) this.index.defaults.adopt(budget)
  }

  addBudget(definition: BudgetDefinition): BudgetRecord {
    const budget = this.#insertBudget(definition)
    this.#draftBudget(budget)
    return budget
  }

  changeBudget(budget: BudgetRecord, definition: BudgetDefinition): void {
    const before = budget.definition
    for (const period of budget.redefine(definition)) this.#notePeriod(period)
    if (before.rollover !== null || definition.rollover !== null) {
      for (const standing of this.index.defaults.standingsOf(budget)) {
        for (const period of standing.redefined(before)) this.#notePeriod(period)
      }
    }
    this.activeBudgets += Number(definition.isActive) - Number(before.isActive)
    this.#draftBudget(budget)
  }

  #draftBudget(budget: BudgetRecord): void {
    this.#draft.budgets ??= new Set()
    this.#draft.budgets.add(budget)
  }

  /** `period` has changed, and with it what it hands over to the periods after it. */
  changePeriod(period: PeriodRecord): void {
    this.#notePeriod(period)
    const budget = this.budgetAt(period.budgetId)
    if (budget === undefined) throw new Error(`${period.budgetId} is changed, and nobody has adopted it`)
    if (period.terms === null) return
    for (const later of budget.passOn(period)) this.#notePeriod(later)
  }

  #notePeriod(period: PeriodRecord): void {
    if (period.changedIn === this.#batchNumber) return
    period.changedIn = this.#batchNumber
    this.#draft.periods.push(period)
  }

  /** Periods that ended before are not in memory, but for those that may still hand over something else. */
  get horizon(): Millis {
    return this.#horizon
  }

  /** Takes a settled period from the store, until what is decided about it is committed. */
  borrowPeriod(budget: BudgetRecord, at: Millis, row: PeriodRow | undefined): void {
    this.adopt(budget)
    this.#borrowers.borrow(this.budgetAt(budget.key) ?? budget, at, row)
  }

  addPrice(price: Price): void {
    this.prices.put(price)
    this.#draft.prices.push(price)
  }

  addRate(rate: RateRow): void {
    this.rates.put(rate)
    this.#draft.rates.push(rate)
  }

  /** How many of `to` a unit of `from` is worth at `at`, or `undefined` where no rate was ever told. */
  rate(from: string, to: string, at: Millis): Amount | undefined {
    return this.rates.find(from, to, at, this.config.currency)
  }

  /** From now on, alerts are owed to these. */
  setRecipients(recipients: ReadonlyArray<RecipientRow>): void {
    this.recipients = recipients
    this.#draft.recipients = recipients
  }

  configure(config: ManagerConfig): void {
    if (config.currency !== this.config.currency)
      this.hasForeignBudgets = [...this.budgets.values()].some((it) => isForeign(it, config.currency))
    this.config = config
    this.#draft.isConfigChanged = true
  }

  // --- usage and alerts

  addUsage(row: UsageRow): void {
    this.#draft.usage.push(row)
  }

  raiseAlert(alert: Omit<Alert, "id">): Alert {
    this.#alertSeq += 1
    const raised: Alert = { id: `alert_${this.#alertSeq}`, ...alert }
    const recipients = this.recipients.map(({ id: recipient }) => recipient)
    this.#draft.alerts.push({ seq: this.#alertSeq, alert: raised, recipients })
    return raised
  }

  /** Notes who changed what the rules are. */
  audit(note: AuditNote): void {
    const row = entryAfter(this.tenant, this.#auditHead, note, this.#makeSalt())
    this.#auditHead = { seq: row.seq, hash: row.hash }
    this.#draft.audit.push(row)
  }

  get auditHead(): AuditHead {
    return this.#auditHead
  }

  // --- batches

  get head(): HeadCounters {
    return {
      usageSeq: this.usageSeq,
      alertSeq: this.#alertSeq,
      idSeq: this.#idSeq,
      tracked: this.tracked,
      tokens: this.tokens,
      cost: this.cost
    }
  }

  get hasEntries(): boolean {
    return hasEntries(this.#draft) || this.overrides.hasEntries || this.cleaning.hasEntries
  }

  /** The number of the next batch. */
  get journalSeq(): number {
    return this.#journalSeq
  }

  /** Everything decided since the last seal, as rows. Later decisions do not change them. */
  seal(batchId: string): Batch {
    const draft = this.#draft
    this.#draft = emptyDraft()
    const newRequests: Array<RequestRow> = []
    const changedRequests: Array<RequestRow> = []
    for (const record of draft.requests) {
      if (record.isOpen && record.attempts.length === 0) continue
      ;(record.isStored ? changedRequests : newRequests).push(record.toRow())
      record.isStored = true
      if (!record.isOpen) this.#closed.put(record)
    }
    const batch: Batch = {
      id: batchId,
      journalSeq: this.#journalSeq,
      head: this.head,
      usage: draft.usage,
      unpriced: this.unpriced.seal(),
      newRequests,
      changedRequests,
      openHolds: this.#holds.sealPage(draft.requests, this.#journalSeq),
      closedPages: this.#holds.takeClosedPages(),
      budgets: draft.budgets === undefined ? [] : Array.from(draft.budgets, ({ definition }) => definition),
      periods: draft.periods.map((period) => period.toRow()),
      overrides: this.overrides.seal(),
      prices: draft.prices,
      rates: draft.rates,
      alerts: draft.alerts,
      recipients: draft.recipients,
      commands: draft.commands,
      audit: draft.audit,
      cleaned: this.cleaning.seal(),
      config: draft.isConfigChanged ? this.config : undefined
    }
    this.#journalSeq += 1
    this.#batchNumber += 1
    return batch
  }

  /** The oldest sealed batch is committed: what is closed and old may be forgotten. */
  committed(now: Millis): void {
    this.#committedNumber += 1
    this.#forgetRequests()
    this.overrides.committed()
    this.#commands.forgetOldest()
    this.#borrowers.giveBack(this.#committedNumber)
    if (this.#sweep.isDue(now - KEPT_PERIODS_MS)) {
      this.#horizon = Math.max(this.#horizon, now - KEPT_PERIODS_MS)
      this.#sweep.start(this.counting(), this.#horizon)
    }
    this.#sweep.step(this.#committedNumber)
  }

  /** Forgets at once all periods that ended before, and that nothing can be booked into any more. */
  forgetPeriods(before: Millis): void {
    this.#horizon = Math.max(this.#horizon, before)
    this.#sweep.start(this.counting(), before)
    this.#sweep.step(this.#committedNumber, Number.POSITIVE_INFINITY)
  }

  /** Drops the oldest closed requests past the bound. What is open or not yet committed stays. */
  #forgetRequests(): void {
    for (let excess = this.#closed.length - RECENT_REQUESTS_MAX; excess > 0; excess--) {
      const record = this.#closed.take()
      if (record === undefined) return
      if (record.changedIn > this.#committedNumber) this.#closed.put(record)
      else if (!record.isOpen && this.#requests.get(record.requestId) === record) {
        this.#requests.delete(record.requestId)
      }
    }
  }

  #insertBudget(definition: BudgetDefinition): BudgetRecord {
    const budget = new BudgetRecord(definition)
    this.budgets.set(definition.id, budget)
    this.index.add(budget)
    if (definition.isActive) this.activeBudgets += 1
    this.hasForeignBudgets ||= isForeign(budget, this.config.currency)
    return budget
  }

  #restoreOpen({ requestId, hold: row, page, row: request }: OpenRequest): void {
    const record = new RequestRecord(requestId)
    record.isStored = request !== undefined
    record.attempts = request?.attempts ?? []
    record.hold = this.#restoreHold(requestId, row)
    this.#holds.restore(record.hold, page)
    this.#requests.set(requestId, record)
  }

  #restoreHold(requestId: string, row: HoldRow): HoldRecord {
    const hold: HoldRecord = { ...row, requestId, bookings: [], page: undefined }
    for (const { budgetId, periodStart, amount } of row.bookings) {
      const period = this.budgetAt(budgetId)?.periodFrom(periodStart)
      if (period === undefined)
        throw new Error(`the store has a hold on ${budgetId}, but not the period it is in`)
      keep(hold, period, amount)
    }
    return hold
  }
}
