/**
 * What is kept of a tenant's money, row by row.
 *
 * Owns: what each kind of row says, and its key.
 * Does not decide: how rows are laid out (store/), which of them are written together, or how they are found
 * (LedgerStore).
 */
import type { Schema } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type {
  Alert,
  BudgetType,
  Enforcement,
  Measure,
  OverridePolicy,
  Period,
  Rollover,
  Weekday
} from "../signal/Budget.ts"
import type { ExchangeRates } from "../signal/ExchangeRates.ts"
import type { Amount } from "../signal/Money.ts"
import type { OverrideStatus } from "../signal/Overrides.ts"
import type { Millis } from "../signal/Text.ts"

/** A budget as it was defined; its counters are in its periods. */
export interface BudgetDefinition {
  readonly id: string
  readonly name: string
  readonly type: BudgetType
  /** `null` for a global budget; `*` for a default, of which every entity has a standing of its own. */
  readonly entityId: string | null
  readonly period: Period
  /** By its canonical name. */
  readonly timeZone: string
  readonly weekStartsOn: Weekday
  readonly measure: Measure
  readonly currency: string
  readonly limit: Amount
  readonly alertThresholds: ReadonlyArray<number>
  readonly enforcement: Enforcement
  readonly rollover: Rollover | null
  readonly overridePolicy: OverridePolicy
  readonly isActive: boolean
  readonly createdAt: Millis
  readonly updatedAt: Millis
  readonly version: number
  /** The usage_seq when it was made: it counts what is recorded after it, and began with what was before. */
  readonly sinceSeq: number
  /** The rate at which what was spent before came into its currency; one where that is the tenant's. */
  readonly openingRate: Amount
}

/** How a period hands over what is left of it. */
export interface RolloverTerms {
  /** What could be spent in it, beside what it was handed itself. */
  readonly limit: Amount
  readonly max: Amount
  readonly min: Amount
}

/**
 * One budget's counters in one period. Key: (budgetId, start). A period between two rows, of which there is none,
 * had the terms of the row before it, and nothing was spent or held in it.
 */
export interface PeriodRow {
  /** The budget's id; of a standing of a default its key (StandingKey). */
  readonly budgetId: string
  /** Milliseconds; 0 for a lifetime. */
  readonly start: Millis
  /** `null` for a lifetime. */
  readonly end: Millis | null
  readonly spent: Amount
  /** The part of `spent` that was booked after the period was settled: what it handed over stays as it was. */
  readonly spentAfterwards: Amount
  readonly held: Amount
  /** What the period before it handed over. */
  readonly carriedOver: Amount
  /** What approved overrides add. */
  readonly overrideTotal: Amount
  /** The terms in force at its end, or so far; `null` where it hands nothing over. */
  readonly terms: RolloverTerms | null
  readonly alertsSent: ReadonlyArray<number>
}

/**
 * A rise of one budget in one period, asked for or decided. Key: id. While it is pending or approved it can change:
 * then its period is in memory.
 */
export interface OverrideRow {
  readonly id: string
  /** Later ones have greater numbers, in one tenant. */
  readonly seq: number
  /** Or the key of a standing (StandingKey). */
  readonly budgetId: string
  readonly periodStart: Millis
  /** `null` for a lifetime. */
  readonly periodEnd: Millis | null
  readonly type: BudgetType
  readonly entityId: string | null
  readonly measure: Measure
  readonly currency: string
  readonly status: OverrideStatus
  readonly amount: Amount
  /** `null` until it is approved; it stays when that has expired. */
  readonly approvedAmount: Amount | null
  readonly reason: string
  readonly note: string | null
  readonly requestedBy: string
  readonly requestedAt: Millis
  readonly decidedBy: string | null
  readonly decidedAt: Millis | null
  /** `null`: it has no end, which only a lifetime allows. */
  readonly expiresAt: Millis | null
}

/** What was approved in one period of a budget and has expired since. Key: (budgetId, periodStart). */
export interface LapsedOverrides {
  readonly budgetId: string
  readonly periodStart: Millis
  readonly amount: Amount
}

/** What a hold keeps in one budget's period. */
export interface Booking {
  /** As in `PeriodRow`. */
  readonly budgetId: string
  readonly periodStart: Millis
  readonly amount: Amount
}

export type HoldState = "held" | "posted" | "released" | "expired"

export interface HoldRow {
  readonly id: string
  readonly state: HoldState
  readonly digest: string
  readonly createdAt: Millis
  readonly expiresAt: Millis
  readonly keyId: string
  readonly provider: string | null
  readonly model: string | null
  readonly estimatedTokens: number
  readonly estimatedCost: Amount
  /** What is still kept of the estimate: less after attempts that did not settle. */
  readonly remainingTokens: number
  readonly remainingCost: Amount
  readonly bookings: ReadonlyArray<Booking>
  readonly attribution: Attribution
  /** The tenant's currency when it was made: its costs are in it. */
  readonly currency: string
  /** The price that it was estimated with, and that its call is charged at; `null` where there was none. */
  readonly priceId: string | null
  readonly serviceTier: string | null
  /** From the price's currency into the tenant's; one where that is the same. */
  readonly exchangeRate: Amount
  /** From the tenant's currency into those of the budgets that it is in; `null` where all are in the tenant's. */
  readonly rates: ExchangeRates | null
}

/** One recorded attempt of a request. */
export interface AttemptRow {
  readonly attempt: number
  readonly digest: string
  /** Its first row. */
  readonly usageSeq: number
  readonly isEstimated: boolean
  /** Estimated by somebody who took the process that called for dead: what that one reports replaces it. */
  readonly isGuess: boolean
  /** The rows that adjust the first one, in their order: all of them together are what it amounts to now. */
  readonly adjustments: ReadonlyArray<number>
  /** The row that answers a repeat of the report. */
  readonly answerSeq: number
}

/**
 * Everything that makes a request unique, from the first hold that ended or the first attempt that was recorded. One
 * row per request; it outlives its usage rows. A hold that is open is not in it but in a page (`OpenHold`).
 */
export interface RequestRow {
  readonly requestId: string
  /** The last hold, if it has ended. */
  readonly hold: HoldRow | null
  readonly attempts: ReadonlyArray<AttemptRow>
}

/**
 * A hold that is open, as it was when its batch was written. The open holds of a batch are kept as one page, under
 * the batch's `journalSeq`: of a request's versions the last one counts, until the request's hold has ended.
 */
export interface OpenHold {
  readonly requestId: string
  readonly hold: HoldRow
}

/** The result of a command, kept under its `request_id` so that it can be sent again. Key: (signal, requestId). */
export interface CommandRow {
  readonly signal: string
  readonly requestId: string
  readonly digest: string
  /** The answer as it was written on the wire. */
  readonly result: Schema.Json
}

/** The tenant's counters that move with every commit. */
export interface HeadCounters {
  readonly usageSeq: number
  readonly alertSeq: number
  readonly idSeq: number
  /** Requests counted so far. */
  readonly tracked: number
  readonly tokens: Amount
  readonly cost: Amount
}

export interface AlertRow {
  readonly seq: number
  readonly alert: Alert
}

/** An alert with who is told of it beside subscribers: the recipients there were when it was raised. */
export interface RaisedAlert extends AlertRow {
  readonly recipients: ReadonlyArray<string>
}

/** One URL or one address that alerts go to. */
export interface RecipientRow {
  readonly id: string
  readonly kind: "webhook" | "email"
  readonly target: string
  /** What signs a webhook, sealed; `null` for e-mail. */
  readonly secret: string | null
}

/** The end of a tenant's audit chain. */
export interface AuditHead {
  /** 0: it has no entries. */
  readonly seq: number
  readonly hash: string
}

/** An entry of the audit chain (AuditChain). What can be forgotten is `null` once it is. */
export interface AuditRow {
  readonly seq: number
  readonly at: Millis
  readonly keyId: string | null
  readonly owner: string | null
  readonly action: string
  readonly subject: string | null
  readonly salt: string | null
  /** JSON, exactly as it was hashed. */
  readonly body: string | null
  readonly digest: string
  readonly hash: string
}

/** The right to write: it holds as long as the head row still says so. */
export interface Claim {
  readonly tenant: string
  readonly owner: string
  readonly epoch: number
}
