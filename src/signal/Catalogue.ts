/**
 * Every signal there is, by name.
 *
 * Owns: the list. A name that is not in it is an `UnknownSignal`.
 */
import { InspectActor, ListActors } from "./Actors.ts"
import { RaiseAlert } from "./Alerts.ts"
import { GetAuditTrail, RecordAudit } from "./Audit.ts"
import {
  CheckBudget,
  CreateBudget,
  ExtendHold,
  GetBudgetStatus,
  ReleaseHold,
  UpdateBudget
} from "./Budgeting.ts"
import { CalculateCost, GetPricing, UpdateExchangeRates, UpdatePricing } from "./Cost.ts"
import { ListDeadLetters, RedriveDeadLetter, RestartActor, StopActor } from "./DeadLetters.ts"
import { ForgetNamed, ForgetStep, ForgetUser, RecordForgetting } from "./Forgetting.ts"
import { CreateKey, ListKeys, RevokeKey } from "./Keys.ts"
import { ConfigureManager, GetStatus } from "./Management.ts"
import { DecideOverride, ListOverrides, RequestOverride } from "./Overrides.ts"
import { Complete } from "./Providers.ts"
import { FindRequest } from "./RequestState.ts"
import { CleanUsage, CleanupOldData, RecordCleanup } from "./Retention.ts"
import { Subscribe, Unsubscribe } from "./Subscriptions.ts"
import { CorrectUsage, GetUsage, TrackUsage } from "./Tracking.ts"
import { CancelWorkflow, GetWorkflow, ListWorkflows, ResumeWorkflow, StartWorkflow } from "./Workflows.ts"

export const SIGNALS = {
  track_usage: TrackUsage,
  correct_usage: CorrectUsage,
  get_usage: GetUsage,
  check_budget: CheckBudget,
  extend_hold: ExtendHold,
  release_hold: ReleaseHold,
  create_budget: CreateBudget,
  update_budget: UpdateBudget,
  get_budget_status: GetBudgetStatus,
  request_override: RequestOverride,
  decide_override: DecideOverride,
  list_overrides: ListOverrides,
  calculate_cost: CalculateCost,
  get_pricing: GetPricing,
  update_pricing: UpdatePricing,
  update_exchange_rates: UpdateExchangeRates,
  configure_manager: ConfigureManager,
  get_status: GetStatus,
  get_audit_trail: GetAuditTrail,
  cleanup_old_data: CleanupOldData,
  forget_user: ForgetUser,
  complete: Complete,
  start_workflow: StartWorkflow,
  get_workflow: GetWorkflow,
  list_workflows: ListWorkflows,
  cancel_workflow: CancelWorkflow,
  resume_workflow: ResumeWorkflow,
  list_actors: ListActors,
  inspect_actor: InspectActor,
  stop_actor: StopActor,
  restart_actor: RestartActor,
  list_dead_letters: ListDeadLetters,
  redrive_dead_letter: RedriveDeadLetter,
  subscribe: Subscribe,
  unsubscribe: Unsubscribe,
  create_key: CreateKey,
  list_keys: ListKeys,
  revoke_key: RevokeKey
} as const

export type Signals = typeof SIGNALS
export type SignalName = keyof Signals

/** Signals between parts of the runtime. They are no part of the contract: no door finds them. */
const INTERNAL_SIGNALS = {
  record_audit: RecordAudit,
  clean_usage: CleanUsage,
  record_cleanup: RecordCleanup,
  raise_alert: RaiseAlert,
  find_request: FindRequest,
  forget_named: ForgetNamed,
  forget_step: ForgetStep,
  record_forgetting: RecordForgetting
} as const

/** Everything that an actor can be sent. */
export const ACTOR_SIGNALS = { ...SIGNALS, ...INTERNAL_SIGNALS }
export type ActorSignals = typeof ACTOR_SIGNALS
export type ActorSignalName = keyof ActorSignals

/** What a signal takes, as it is written on the wire. */
export type SignalParams<Name extends ActorSignalName> = ActorSignals[Name]["payloadSchema"]["Encoded"]
/** What a signal takes, once decoded. */
export type SignalPayload<Name extends ActorSignalName> = ActorSignals[Name]["payloadSchema"]["Type"]
/** What a signal answers, before it is encoded. */
export type SignalSuccess<Name extends ActorSignalName> = ActorSignals[Name]["successSchema"]["Type"]
/** What a signal answers, as it is written on the wire. */
export type SignalResult<Name extends ActorSignalName> = ActorSignals[Name]["successSchema"]["Encoded"]

export const isSignalName = (name: string): name is SignalName => Object.hasOwn(SIGNALS, name)
