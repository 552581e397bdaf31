/**
 * The port through which a verification reads what is stored, all of it as of one moment.
 *
 * Owns: which pages it reads, and that a row which makes no sense is read all the same, as what is wrong with it.
 * Does not decide: how rows are found (store/), or what must be true of them (the checks beside this file).
 */
import { Context, type Effect } from "effect"
import type { ManagerConfig } from "../../signal/Management.ts"
import type { CleanedCell, CleanedPlace } from "../CleanedUsage.ts"
import type {
  AlertRow,
  AuditHead,
  AuditRow,
  BudgetDefinition,
  HeadCounters,
  OpenHold,
  OverrideRow,
  PeriodRow,
  RequestRow,
  StoreUnreachable,
  UsageRow
} from "../LedgerStore.ts"
import type { Renaming } from "../Renaming.ts"
import type { UnpricedRow } from "../UnpricedUse.ts"

type Read<A> = Effect.Effect<A, StoreUnreachable>

/** A row as it is stored: its key, and what it says, or why it says nothing. */
export type Stored<Key, A> =
  | { readonly key: Key; readonly row: A }
  | { readonly key: Key; readonly row: undefined; readonly problem: string }

export interface StoredHead {
  readonly journalSeq: number
  readonly counters: HeadCounters
  readonly audit: AuditHead
  readonly config: ManagerConfig
}

export interface StoredRequest {
  readonly request: RequestRow
  /** The batch that its hold ended in. */
  readonly endedIn: number | null
}

/** Pages are in the order of their keys, after `after`; a page that is not full is the last one. */
export interface BooksReader {
  readonly tenants: Read<ReadonlyArray<string>>
  /** Tables with rows of a tenant that has no head. */
  readonly strays: Read<ReadonlyArray<{ readonly table: string; readonly tenant: string }>>
  readonly head: (tenant: string) => Read<StoredHead>
  readonly budgets: (tenant: string) => Read<ReadonlyArray<BudgetDefinition>>
  /** Users whose history is being renamed: their budgets have the new name already. */
  readonly renamings: (tenant: string) => Read<ReadonlyArray<Renaming>>
  /** How many periods there are of each budget that has any. */
  readonly periodCounts: (tenant: string) => Read<ReadonlyMap<string, number>>
  readonly periods: (tenant: string, budgetIds: ReadonlyArray<string>) => Read<ReadonlyArray<PeriodRow>>
  /** By their numbers. */
  readonly overrides: (
    tenant: string,
    after: number,
    limit: number
  ) => Read<ReadonlyArray<Stored<number, OverrideRow>>>
  /** What is kept of rows that were cleaned up, in the order of their places. */
  readonly cleaned: (
    tenant: string,
    after: CleanedPlace | undefined,
    limit: number
  ) => Read<ReadonlyArray<CleanedCell>>
  readonly usage: (
    tenant: string,
    after: number,
    limit: number
  ) => Read<ReadonlyArray<Stored<number, UsageRow>>>
  readonly usageBySeq: (
    tenant: string,
    seqs: ReadonlyArray<number>
  ) => Read<ReadonlyArray<Stored<number, UsageRow>>>
  /** Which of these are on the list of what waits for a price, by their numbers. */
  readonly unpricedAmong: (tenant: string, rows: ReadonlyArray<UnpricedRow>) => Read<ReadonlyArray<number>>
  /** How many are on it, with greater numbers than `after`. */
  readonly unpricedCount: (tenant: string, after: number) => Read<number>
  readonly requests: (
    tenant: string,
    after: string | undefined,
    limit: number
  ) => Read<ReadonlyArray<Stored<string, StoredRequest>>>
  readonly requestsById: (
    tenant: string,
    ids: ReadonlyArray<string>
  ) => Read<ReadonlyArray<Stored<string, StoredRequest>>>
  readonly pages: (
    tenant: string,
    after: number,
    limit: number
  ) => Read<ReadonlyArray<Stored<number, ReadonlyArray<OpenHold>>>>
  readonly alerts: (
    tenant: string,
    after: number,
    limit: number
  ) => Read<ReadonlyArray<Stored<number, AlertRow>>>
  readonly audit: (
    tenant: string,
    after: number,
    limit: number
  ) => Read<ReadonlyArray<Stored<number, AuditRow>>>
}

/** Opens the books as of one moment, for as long as they are used. */
export interface Books {
  /** Which store it is, in words. */
  readonly name: string
  readonly use: <A, E>(
    read: (reader: BooksReader) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | StoreUnreachable>
}

export const Books = Context.Service<Books>("bursar/tokens/verify/Books")
