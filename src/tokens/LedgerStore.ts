/**
 * The port to where a tenant's money is kept.
 *
 * Owns: what one commit writes, what an activation reads, and how a commit can fail.
 * Does not decide: what a row says (LedgerRows), how rows are laid out (store/), or what is written (Ledger).
 */
import { Context, type Effect } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { BudgetType, Measure } from "../signal/Budget.ts"
import type { ManagerConfig } from "../signal/Management.ts"
import type { Amount } from "../signal/Money.ts"
import type { OverrideStatus } from "../signal/Overrides.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import type { UsageTotals } from "../signal/Tracking.ts"
import type { TokenUsage, UsageStatus } from "../signal/Usage.ts"
import type { CleanedReads, CleanedUsage } from "./CleanedUsage.ts"
import type { ForgetWrites } from "./ForgetSteps.ts"
import type {
  AlertRow,
  AuditHead,
  AuditRow,
  BudgetDefinition,
  Claim,
  CommandRow,
  HeadCounters,
  LapsedOverrides,
  OpenHold,
  OverrideRow,
  PeriodRow,
  RaisedAlert,
  RecipientRow,
  RequestRow
} from "./LedgerRows.ts"
import type { RateRow } from "./RateBook.ts"
import type { Renaming } from "./Renaming.ts"
import type { CommitError, Fenced, StoreUnreachable } from "./StoreFailures.ts"
import type { FindUnpriced, UnpricedChanges } from "./UnpricedUse.ts"
import type { UsageRow } from "./UsageRow.ts"

export type * from "./LedgerRows.ts"
export {
  BatchRefused,
  type CommitError,
  Fenced,
  NotWritten,
  OutcomeUnknown,
  StoreUnreachable
} from "./StoreFailures.ts"
export type { UsageRow } from "./UsageRow.ts"

/** Which overrides are listed. By the clock: one whose time has come by `now` is `expired`, whatever its row says. */
export interface OverrideFilter {
  readonly status?: OverrideStatus
  /** Of a default: where anybody stands in it. */
  readonly budgetId?: string
  /** Only those of budgets about one of these. */
  readonly about?: ReadonlyArray<{ readonly type: BudgetType; readonly entityId: string }>
  readonly now: Millis
}

/** `[from, to)` on `at`; `principal` is a key's id or an owner. */
export interface AuditFilter {
  readonly kind?: string
  readonly principal?: string
  readonly from?: Millis
  readonly to?: Millis
}

/** Everything that one transaction writes. */
export interface Batch {
  readonly id: string
  /** The head's `journal_seq` before this batch; after it, one more. */
  readonly journalSeq: number
  readonly head: HeadCounters
  readonly usage: ReadonlyArray<UsageRow>
  readonly unpriced: UnpricedChanges
  /** Requests that the store has no row of yet. */
  readonly newRequests: ReadonlyArray<RequestRow>
  readonly changedRequests: ReadonlyArray<RequestRow>
  /** Holds that are open after this batch and were opened or changed in it, or moved here from an old page. */
  readonly openHolds: ReadonlyArray<OpenHold>
  /** Earlier pages none of whose holds is open any more, by their `journalSeq`. */
  readonly closedPages: ReadonlyArray<number>
  readonly budgets: ReadonlyArray<BudgetDefinition>
  readonly periods: ReadonlyArray<PeriodRow>
  readonly overrides: ReadonlyArray<OverrideRow>
  readonly prices: ReadonlyArray<Price>
  readonly rates: ReadonlyArray<RateRow>
  /** Each is owed to its recipients from this commit on. */
  readonly alerts: ReadonlyArray<RaisedAlert>
  /** All recipients there are from now on, where they changed. */
  readonly recipients: ReadonlyArray<RecipientRow> | undefined
  readonly commands: ReadonlyArray<CommandRow>
  /** In order; the last one is the chain's new head. */
  readonly audit: ReadonlyArray<AuditRow>
  /** Where a row of it is not there, nothing of the batch is written. */
  readonly cleaned: CleanedUsage | undefined
  readonly config: ManagerConfig | undefined
}

/** A request whose hold is open, when a tenant is loaded. */
export interface OpenRequest extends OpenHold {
  /** The `journalSeq` of the page that the hold is in. */
  readonly page: number
  /** The request's row, if it has one already. */
  readonly row: RequestRow | undefined
}

/** What an activation reads: everything but the requests that are closed. */
export interface LedgerSnapshot {
  readonly journalSeq: number
  readonly head: HeadCounters
  readonly auditHead: AuditHead
  readonly config: ManagerConfig
  readonly budgets: ReadonlyArray<BudgetDefinition>
  /**
   * The periods that can still change: those that end after `liveAfter`; of each budget the ones since the first that
   * an open hold or a live override is in, because they can still change; and, where a budget has a rollover or was
   * changed after `liveAfter`, the last one that ended before: the next period is derived from it, however long nothing
   * happened.
   */
  readonly periods: ReadonlyArray<PeriodRow>
  /** The overrides that are pending or approved. */
  readonly overrides: ReadonlyArray<OverrideRow>
  /** Of the periods that end after `liveAfter`. */
  readonly lapsedOverrides: ReadonlyArray<LapsedOverrides>
  readonly openRequests: ReadonlyArray<OpenRequest>
  readonly prices: ReadonlyArray<Price>
  /** In the order of `seq`. */
  readonly rates: ReadonlyArray<RateRow>
  readonly recipients: ReadonlyArray<RecipientRow>
  /** Users whose forgetting has begun. */
  readonly renamings: ReadonlyArray<Renaming>
}

/** A known request with the usage of its attempts, adjustments too. */
export interface KnownRequest {
  readonly request: RequestRow
  readonly usage: ReadonlyArray<TokenUsage>
}

/** What a budget that begins now has to count from the start of its period. */
export interface SpentQuery {
  readonly type: BudgetType
  readonly entityId: string | null
  readonly measure: Measure
  readonly from: Millis
  /** `null`: no end. */
  readonly to: Millis | null
}

/** What a default that begins now has to count from the start of its period, for each entity. */
export interface SpentByEntityQuery extends Omit<SpentQuery, "entityId"> {
  readonly type: Exclude<BudgetType, "global">
}

/** Asks for the period of a budget that a moment in the past falls into. */
export interface PeriodQuery {
  readonly budgetId: string
  readonly at: Millis
}

/** A filter over usage rows; tags match one by one. `[from, to)` on `booked_at`. */
export interface UsageFilter extends Attribution {
  readonly from?: Millis
  readonly to?: Millis
  readonly provider?: string
  readonly model?: string
  readonly status?: UsageStatus
}

/** Newest first by number: rows at most `maxSeq` (the snapshot) and less than `beforeSeq` (the page). */
export interface UsagePage {
  readonly maxSeq: number
  readonly beforeSeq: number
  readonly limit: number
}

export interface LedgerStore extends CleanedReads, ForgetWrites {
  readonly kind: "embedded" | "server"
  /** What an acknowledged write survives, in words. */
  readonly durability: string
  readonly isReachable: Effect.Effect<boolean>
  /** Takes the tenant over: a new owner and a new epoch, before anything is read. Creates the tenant's head. */
  readonly claim: (tenant: string, owner: string) => Effect.Effect<Claim, StoreUnreachable>
  readonly load: (claim: Claim, liveAfter: Millis) => Effect.Effect<LedgerSnapshot, StoreUnreachable | Fenced>
  /** The requests of these ids that have a row. At most 2,000 ids. */
  readonly findRequests: (
    tenant: string,
    requestIds: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<KnownRequest>, StoreUnreachable>
  readonly findCommands: (
    tenant: string,
    keys: ReadonlyArray<{ readonly signal: string; readonly requestId: string }>
  ) => Effect.Effect<ReadonlyArray<CommandRow>, StoreUnreachable>
  /** The overrides of these ids that there are. At most 2,000 ids. */
  readonly findOverrides: (
    tenant: string,
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<OverrideRow>, StoreUnreachable>
  /** Newest first: those with a `seq` less than `beforeSeq`. */
  readonly overridePage: (
    tenant: string,
    filter: OverrideFilter,
    beforeSeq: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<OverrideRow>, StoreUnreachable>
  /** Deleted rows count, like in `spentByEntity`. */
  readonly spent: (tenant: string, query: SpentQuery) => Effect.Effect<Amount, StoreUnreachable>
  /** By entity, where it is not nothing; any `limit` of them if there are more. */
  readonly spentByEntity: (
    tenant: string,
    query: SpentByEntityQuery,
    limit: number
  ) => Effect.Effect<ReadonlyMap<string, Amount>, StoreUnreachable>
  /** For each query the last period that starts at its moment or before, where there is one. At most 10,000 queries. */
  readonly findPeriods: (
    tenant: string,
    queries: ReadonlyArray<PeriodQuery>
  ) => Effect.Effect<ReadonlyArray<PeriodRow>, StoreUnreachable>
  readonly findUnpriced: FindUnpriced<StoreUnreachable>
  /** Writes a batch in one transaction, the head row first. */
  readonly commit: (claim: Claim, batch: Batch) => Effect.Effect<void, CommitError>
  /**
   * After `OutcomeUnknown`: on a new connection, bumps the epoch where the owner is still this one (which waits
   * for the old connection's transaction to end) and says whether the batch is there.
   */
  readonly resolve: (
    claim: Claim,
    batchId: string
  ) => Effect.Effect<{ readonly claim: Claim; readonly isWritten: boolean }, Fenced | StoreUnreachable>
  /** Whether the tenant is this claim's still: answers that write nothing rest on it. */
  readonly isOwner: (claim: Claim) => Effect.Effect<boolean, StoreUnreachable>
  /** The newest usage_seq that is committed; 0 where there is none. */
  readonly lastUsageSeq: (tenant: string) => Effect.Effect<number, StoreUnreachable>
  readonly usagePage: (
    tenant: string,
    filter: UsageFilter,
    page: UsagePage
  ) => Effect.Effect<ReadonlyArray<TokenUsage>, StoreUnreachable>
  readonly usageTotals: (
    tenant: string,
    filter: UsageFilter,
    maxSeq: number
  ) => Effect.Effect<Omit<UsageTotals, "currency">, StoreUnreachable>
  /** Usage rows after a cursor, the oldest first; for subscriptions. */
  readonly usageAfter: (
    tenant: string,
    filter: UsageFilter,
    afterSeq: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<TokenUsage>, StoreUnreachable>
  /** The rows of these workflows that adjust others or are further attempts, after a number, the oldest first. */
  readonly adjustmentsOf: (
    tenant: string,
    workflowIds: ReadonlyArray<string>,
    afterSeq: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<TokenUsage>, StoreUnreachable>
  /** The end of the audit chain that is committed. */
  readonly auditHead: (tenant: string) => Effect.Effect<AuditHead, StoreUnreachable>
  readonly auditPage: (
    tenant: string,
    filter: AuditFilter,
    page: UsagePage
  ) => Effect.Effect<ReadonlyArray<AuditRow>, StoreUnreachable>
  readonly lastAlertSeq: (tenant: string) => Effect.Effect<number, StoreUnreachable>
  readonly alertsAfter: (
    tenant: string,
    afterSeq: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<AlertRow>, StoreUnreachable>
}

export const LedgerStore = Context.Service<LedgerStore>("bursar/tokens/LedgerStore")
