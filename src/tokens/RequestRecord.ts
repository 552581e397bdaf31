/**
 * A request in memory: its hold, its recorded attempts, and their usage for answering a repeat.
 *
 * Owns: how a request is turned into its row and back.
 */
import type { Attribution } from "../signal/Attribution.ts"
import type { ExchangeRates } from "../signal/ExchangeRates.ts"
import type { Amount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import type { AttemptRow, HoldRow, HoldState, RequestRow } from "./LedgerStore.ts"

/** What a hold keeps in one period of one budget. */
export interface LiveBooking {
  readonly period: PeriodRecord
  amount: Amount
}

/** A hold in memory. `bookings` is empty once it is closed. */
export interface HoldRecord {
  readonly id: string
  readonly requestId: string
  state: HoldState
  readonly digest: string
  readonly createdAt: Millis
  expiresAt: Millis
  readonly keyId: string
  readonly provider: string | null
  readonly model: string | null
  estimatedTokens: number
  estimatedCost: Amount
  remainingTokens: number
  remainingCost: Amount
  bookings: Array<LiveBooking>
  readonly attribution: Attribution
  readonly currency: string
  readonly priceId: string | null
  readonly serviceTier: string | null
  readonly exchangeRate: Amount
  rates: ExchangeRates | null
  /** The page of the store that it is in (HoldPages). */
  page: number | undefined
}

/** A hold's share in a period that it was not in before. */
export const keep = (hold: HoldRecord, period: PeriodRecord, amount: Amount): void => {
  hold.bookings.push({ period, amount })
  period.openHolds += 1
}

const NO_USAGE: ReadonlyArray<TokenUsage> = []

/** The numbers of all rows of an attempt. */
export const rowsOfAttempt = ({ usageSeq, adjustments }: AttemptRow): ReadonlyArray<number> =>
  adjustments.length === 0 ? [usageSeq] : [usageSeq, ...adjustments]

export class RequestRecord {
  readonly requestId: string
  hold: HoldRecord | null = null
  attempts: ReadonlyArray<AttemptRow> = []
  /** The rows of its attempts, adjustments too, where they are still at hand. */
  #usage: ReadonlyArray<TokenUsage> = NO_USAGE
  /** Whether the store has a row of this request, or will have with the batch that is on its way. */
  isStored = false
  /** The batch that changed it last; it is not forgotten before that one is committed. */
  changedIn = 0

  constructor(requestId: string) {
    this.requestId = requestId
  }

  /** Whether the usage of every attempt is at hand. */
  get hasAllUsage(): boolean {
    let rows = this.attempts.length
    for (const { adjustments } of this.attempts) rows += adjustments.length
    return this.#usage.length >= rows
  }

  usageBySeq(seq: number): TokenUsage | undefined {
    return this.#usage.find((usage) => usage.usage_seq === seq)
  }

  /** The rows of an attempt, the first one first; `undefined` where one of them is not at hand. */
  rowsOf(attempt: AttemptRow): readonly [TokenUsage, ...ReadonlyArray<TokenUsage>] | undefined {
    const first = this.usageBySeq(attempt.usageSeq)
    if (first === undefined) return undefined
    const adjustments: Array<TokenUsage> = []
    for (const seq of attempt.adjustments) {
      const row = this.usageBySeq(seq)
      if (row === undefined) return undefined
      adjustments.push(row)
    }
    return [first, ...adjustments]
  }

  keepUsage(usage: TokenUsage): void {
    if (this.#usage.length === 0) this.#usage = [usage]
    else if (this.usageBySeq(usage.usage_seq) === undefined) this.#usage = [...this.#usage, usage]
  }

  /** The row has been cleaned up. */
  forgetUsage(seq: number): void {
    this.#usage = this.#usage.filter((usage) => usage.usage_seq !== seq)
  }

  get isOpen(): boolean {
    return this.hold?.state === "held"
  }

  /** Whether it is charged for good: nothing more is held under its id. */
  get isPosted(): boolean {
    return this.hold === null ? this.attempts.length > 0 : this.hold.state === "posted"
  }

  /** Its row, without a hold that is open. */
  toRow(): RequestRow {
    return {
      requestId: this.requestId,
      hold: this.hold === null || this.isOpen ? null : toHoldRow(this.hold),
      attempts: this.attempts
    }
  }
}

export const toHoldRow = (hold: HoldRecord): HoldRow => ({
  id: hold.id,
  state: hold.state,
  digest: hold.digest,
  createdAt: hold.createdAt,
  expiresAt: hold.expiresAt,
  keyId: hold.keyId,
  provider: hold.provider,
  model: hold.model,
  estimatedTokens: hold.estimatedTokens,
  estimatedCost: hold.estimatedCost,
  remainingTokens: hold.remainingTokens,
  remainingCost: hold.remainingCost,
  bookings: hold.bookings.map(({ period, amount }) => ({
    budgetId: period.budgetId,
    periodStart: period.start,
    amount
  })),
  attribution: hold.attribution,
  currency: hold.currency,
  priceId: hold.priceId,
  serviceTier: hold.serviceTier,
  exchangeRate: hold.exchangeRate,
  rates: hold.rates
})
