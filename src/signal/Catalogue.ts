/**
 * Every signal there is, by name.
 *
 * Owns: the list. A name that is not in it is an `UnknownSignal`.
 */
import { InspectActor, ListActors } from "./Actors.ts"
import { RaiseAlert } from "./Alerts.ts"
import { AskMachine } from "./AskMachine.ts"
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
import { ListRefusals } from "./KeptRefusals.ts"
import { CreateKey, ListKeys, RevokeKey } from "./Keys.ts"
import { ConfigureManager, GetStatus } from "./Management.ts"
import { DecideOverride, ListOverrides, RequestOverride } from "./Overrides.ts"
import { Complete } from "./Providers.ts"
import { FindAdjustments, FindAttempt, FindRequest, SettleHold } from "./RequestState.ts"
import { CleanUsage, CleanupOldData, RecordCleanup } from "./Retention.ts"
import { Subscribe, Unsubscribe } from "./Subscriptions.ts"
import { CorrectUsage, GetUsage, TrackUsage } from "./Tracking.ts"
import { CancelWorkflow, GetWorkflow, ListWorkflows, ResumeWorkflow, StartWorkflow } from "./Workflows.ts"

/** Named one by one, so that a declaration file names each definition too: what is inferred is written out, without its comments. */
export type Signals = {
  readonly track_usage: typeof TrackUsage
  readonly correct_usage: typeof CorrectUsage
  readonly get_usage: typeof GetUsage
  readonly check_budget: typeof CheckBudget
  readonly extend_hold: typeof ExtendHold
  readonly release_hold: typeof ReleaseHold
  readonly create_budget: typeof CreateBudget
  readonly update_budget: typeof UpdateBudget
  readonly get_budget_status: typeof GetBudgetStatus
  readonly request_override: typeof RequestOverride
  readonly decide_override: typeof DecideOverride
  readonly list_overrides: typeof ListOverrides
  readonly list_refusals: typeof ListRefusals
  readonly calculate_cost: typeof CalculateCost
  readonly get_pricing: typeof GetPricing
  readonly update_pricing: typeof UpdatePricing
  readonly update_exchange_rates: typeof UpdateExchangeRates
  readonly configure_manager: typeof ConfigureManager
  readonly get_status: typeof GetStatus
  readonly get_audit_trail: typeof GetAuditTrail
  readonly cleanup_old_data: typeof CleanupOldData
  readonly forget_user: typeof ForgetUser
  readonly complete: typeof Complete
  readonly start_workflow: typeof StartWorkflow
  readonly get_workflow: typeof GetWorkflow
  readonly list_workflows: typeof ListWorkflows
  readonly cancel_workflow: typeof CancelWorkflow
  readonly resume_workflow: typeof ResumeWorkflow
  readonly list_actors: typeof ListActors
  readonly inspect_actor: typeof InspectActor
  readonly stop_actor: typeof StopActor
  readonly restart_actor: typeof RestartActor
  readonly list_dead_letters: typeof ListDeadLetters
  readonly redrive_dead_letter: typeof RedriveDeadLetter
  readonly subscribe: typeof Subscribe
  readonly unsubscribe: typeof Unsubscribe
  readonly create_key: typeof CreateKey
  readonly list_keys: typeof ListKeys
  readonly revoke_key: typeof RevokeKey
}

export const SIGNALS: Signals = {
  track_usage: TrackUsage,
  correct_usage: CorrectUsage,
  get_usage: GetUsage,
  check_budget: CheckBudget,
  extend_hold: ExtendHold,
  release_hold: ReleaseHold,
  create_budget: CreateBudget,
  update_budget: UpdateBudget,
  get_budget_status: GetBudgetStatus,
  list_refusals: ListRefusals,
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
}

export type SignalName = keyof Signals

/** Signals between parts of the runtime. They are no part of the contract: no door finds them. */
type InternalSignals = {
  readonly record_audit: typeof RecordAudit
  readonly clean_usage: typeof CleanUsage
  readonly record_cleanup: typeof RecordCleanup
  readonly raise_alert: typeof RaiseAlert
  readonly find_request: typeof FindRequest
  readonly find_attempt: typeof FindAttempt
  readonly settle_hold: typeof SettleHold
  readonly find_adjustments: typeof FindAdjustments
  readonly forget_named: typeof ForgetNamed
  readonly forget_step: typeof ForgetStep
  readonly record_forgetting: typeof RecordForgetting
  readonly ask_machine: typeof AskMachine
}

const INTERNAL_SIGNALS: InternalSignals = {
  record_audit: RecordAudit,
  clean_usage: CleanUsage,
  record_cleanup: RecordCleanup,
  raise_alert: RaiseAlert,
  find_request: FindRequest,
  find_attempt: FindAttempt,
  settle_hold: SettleHold,
  find_adjustments: FindAdjustments,
  forget_named: ForgetNamed,
  forget_step: ForgetStep,
  record_forgetting: RecordForgetting,
  ask_machine: AskMachine
}

/** Everything that an actor can be sent. */
export type ActorSignals = Signals & InternalSignals
export const ACTOR_SIGNALS: ActorSignals = { ...SIGNALS, ...INTERNAL_SIGNALS }
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
