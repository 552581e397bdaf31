/**
 * What the page knows, and how much of it is kept.
 *
 * Owns: the shape of the page's state and the bound of every list in it.
 * Does not decide: how events change it (Reduce), how it is drawn (rooms/).
 */
import type { ActorInfo } from "../../signal/Actors.ts"
import type { Attribution } from "../../signal/Attribution.ts"
import type { Alert, BudgetStatus } from "../../signal/Budget.ts"
import type { SignalResult } from "../../signal/Catalogue.ts"
import type { SignalRecord } from "../../signal/Inspection.ts"
import type { Amount } from "../../signal/Money.ts"
import type { Override } from "../../signal/Overrides.ts"
import type { Event, Topic } from "../../signal/Subscriptions.ts"
import type { TokenUsage } from "../../signal/Usage.ts"
import type { WorkflowFact, WorkflowProgress } from "../../signal/Workflows.ts"

export type WireEvent = typeof Event.Encoded
export type WireActor = typeof ActorInfo.Encoded
export type WireBudget = typeof BudgetStatus.Encoded
export type WireAlert = typeof Alert.Encoded
export type WireRecord = typeof SignalRecord.Encoded
export type WireUsage = typeof TokenUsage.Encoded
export type WireWorkflow = typeof WorkflowProgress.Encoded
export type WireWorkflowFact = typeof WorkflowFact.Encoded
export type WireOverride = typeof Override.Encoded
type WireStatus = SignalResult<"get_status">

/** Signals kept in the log; the oldest go first. */
export const LOG_MAX = 2_000
/** Calls kept, in flight or not; those that ended go first. */
export const CALLS_MAX = 400
export const ALERTS_MAX = 100
/** Of all who stand in defaults, the ones who used most are kept. */
export const STANDINGS_MAX = 60
/** Budgets of single workflows that are kept; those of workflows that ended go first. */
export const WORKFLOW_BUDGETS_MAX = 200
/** Actors kept; more are counted, not listed. */
export const ACTORS_MAX = 3_000
/** Actors that ended stay visible this long, and at most so many. */
export const ENDED_ACTOR_MS = 90_000
export const ENDED_ACTORS_MAX = 150
/** Workflows kept; those that ended longest ago go first. */
export const WORKFLOWS_MAX = 1_000
/** What happened to one workflow since the page was opened; the oldest goes first. */
export const WORKFLOW_FACTS_MAX = 60
/** Overrides kept; decided ones go first, the oldest of them before the others. */
export const OVERRIDES_MAX = 1_000
/** Steps of a machine's path that are kept. */
export const PATH_MAX = 60
/** Changes that may wait for the next frame; past it the oldest signals are dropped and counted as a gap. */
export const PENDING_MAX = 20_000

export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "loading" }
  | { readonly kind: "live" }
  | { readonly kind: "reconnecting"; readonly retryAt: number; readonly attempt: number }
  | { readonly kind: "signed_out"; readonly reason: string }

/** What `GET /console.json` says. */
export interface Identity {
  readonly tenant: string
  readonly version: string
  readonly playground: boolean
  /** Whose key opened this session. */
  readonly owner?: string
  readonly key_id?: string
  readonly roles?: ReadonlyArray<string>
}

interface Totals {
  readonly requests: number
  readonly tokens: number
  readonly cost: Amount
  readonly currency: string
}

/** One attempt that was recorded. */
export interface Attempt {
  readonly attempt: number
  readonly provider: string
  readonly model: string
  readonly status: WireUsage["status"]
  readonly tokens: number
  readonly cost: Amount
  readonly isPriced: boolean
  readonly latencyMs: number | null
}

export interface CallRow {
  readonly requestId: string
  readonly provider: string
  readonly model: string
  readonly attempt: number
  readonly state: string
  readonly isOpen: boolean
  /** Of the attempt that is on its way and not recorded yet. */
  readonly tokensInFlight: number
  readonly costInFlight: Amount
  readonly currency: string
  readonly attribution: Attribution
  readonly attempts: ReadonlyArray<Attempt>
  /** The signal with which budget said no. */
  readonly refusal: WireRecord | null
  readonly startedAt: number
  readonly at: number
}

export interface PathStep {
  readonly state: string
  readonly at: number
  /** What moved the machine here; `null` for the state it was first seen in. */
  readonly event: string | null
}

export interface ActorRow {
  readonly info: WireActor
  readonly endedAt: number | null
  readonly path: ReadonlyArray<PathStep>
}

/** What happened to a workflow, without where it stood then. */
export type WorkflowHappened = Pick<WireWorkflowFact, "what" | "agent" | "detail" | "at">

export interface WorkflowRow {
  readonly progress: WireWorkflow
  /** Since the page was opened, the oldest first. */
  readonly facts: ReadonlyArray<WorkflowHappened>
}

/** Steps that nobody told this page: how many at most, or `null` for unknown, and when that was seen. */
export interface WorkflowsGap {
  readonly count: number | null
  readonly at: number
}

export type LogEntry =
  | { readonly id: number; readonly kind: "signal"; readonly record: WireRecord }
  | {
      readonly id: number
      readonly kind: "gap"
      readonly count: number | null
      readonly why: string
      readonly at: number
    }

interface Counters {
  readonly signals: number
  /** Signals, not calls: a refused call is two, the call and its check. */
  readonly refused: number
  readonly failed: number
}

/** What a key may be kept from seeing: a topic with what is read for it, or a list that no topic tells whole. */
export type Deniable = Topic | "status" | "overrides"

export interface Model {
  readonly connection: Connection
  /** True once a first snapshot was read; from then on the page shows what it knows, however old. */
  readonly isLoaded: boolean
  readonly identity: Identity | null
  readonly status: WireStatus | null
  readonly totals: Totals | null
  /** The newest usage that is counted in `totals`. */
  readonly usageSeq: number
  /** By id; who stands in a default is beside it (Standings). */
  readonly budgets: ReadonlyMap<string, WireBudget>
  /** Types of budgets of which there are too many to be listed; those that change are seen. */
  readonly budgetsTooMany: ReadonlyArray<string>
  /** Budgets that an event named and that nobody has read yet. */
  readonly unknownBudgets: ReadonlySet<string>
  readonly actors: ReadonlyMap<string, ActorRow>
  readonly calls: ReadonlyMap<string, CallRow>
  readonly workflows: ReadonlyMap<string, WorkflowRow>
  /** Where older workflows begin that are not read yet; `null` where there are none. */
  readonly workflowsMore: string | null
  readonly workflowsGap: WorkflowsGap | null
  readonly overrides: ReadonlyMap<string, WireOverride>
  readonly overridesMore: string | null
  /** Dead letters that were told since the page was opened, and when the newest of them died. */
  readonly lettersTold: number
  readonly letterToldAt: number
  readonly log: ReadonlyArray<LogEntry>
  readonly alerts: ReadonlyArray<WireAlert>
  readonly counters: Counters
  /** What this key may not see, and the server's words for it. */
  readonly denied: ReadonlyMap<Deniable, string>
}

export const EMPTY_MODEL: Model = {
  connection: { kind: "connecting" },
  isLoaded: false,
  identity: null,
  status: null,
  totals: null,
  usageSeq: 0,
  budgets: new Map(),
  budgetsTooMany: [],
  unknownBudgets: new Set(),
  actors: new Map(),
  calls: new Map(),
  workflows: new Map(),
  workflowsMore: null,
  workflowsGap: null,
  overrides: new Map(),
  overridesMore: null,
  lettersTold: 0,
  letterToldAt: 0,
  log: [],
  alerts: [],
  counters: { signals: 0, refused: 0, failed: 0 },
  denied: new Map()
}

/** Everything that can change the model. */
export type Change =
  | { readonly kind: "event"; readonly topic: Topic; readonly event: WireEvent; readonly now: number }
  | { readonly kind: "connection"; readonly connection: Connection }
  | { readonly kind: "identity"; readonly identity: Identity }
  | { readonly kind: "status"; readonly status: WireStatus }
  | {
      readonly kind: "budgets"
      readonly budgets: ReadonlyArray<WireBudget>
      readonly isAll: boolean
      /** Budgets that were asked for by their id, whether they were found or not. */
      readonly asked?: ReadonlyArray<string>
      /** Types of which there are too many to be listed. */
      readonly tooMany?: ReadonlyArray<string>
    }
  | { readonly kind: "actors"; readonly actors: ReadonlyArray<WireActor>; readonly now: number }
  | { readonly kind: "usage"; readonly answer: SignalResult<"get_usage"> }
  | {
      readonly kind: "workflows"
      readonly workflows: ReadonlyArray<WireWorkflow>
      /** Absent where this was not the list's next page. */
      readonly more?: string | null
    }
  | {
      readonly kind: "overrides"
      readonly overrides: ReadonlyArray<WireOverride>
      readonly more?: string | null
    }
  | { readonly kind: "gap_read" }
  | { readonly kind: "denied"; readonly what: Deniable; readonly why: string }
  | {
      readonly kind: "gap"
      readonly topic: Topic
      readonly count: number | null
      readonly why: string
      readonly now: number
    }
  | { readonly kind: "loaded" }
  | { readonly kind: "tick"; readonly now: number }
