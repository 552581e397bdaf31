/**
 * What an Effect host imports: the runtime as layers ("bursar/effect").
 *
 * Owns: which layers make a runtime, from one set of options.
 * Does not decide: any setting; no environment variable is read here.
 */
import { Effect, Layer, Redacted } from "effect"
import { type ActorSystem, layer as actorLayer } from "./actor/ActorSystem.ts"
import type { DurableMachines } from "./actor/DurableMachines.ts"
import type { InstallationSecret } from "./bridge/InstallationSecret.ts"
import type { KeyAudit } from "./bridge/KeyAudit.ts"
import type { KeyStore } from "./bridge/KeyStore.ts"
import { type KnownKeys, layer as knownKeysLayer } from "./bridge/KnownKeys.ts"
import type { SessionStore } from "./bridge/SessionStore.ts"
import type { UserDisguise } from "./bridge/UserDisguise.ts"
import { CONFIGURED_BY } from "./Config.ts"
import type { ClusterFailed } from "./cluster/Cluster.ts"
import { ADAPTER, type Adapter } from "./provider/Adapter.ts"
import { anthropic } from "./provider/Anthropic.ts"
import { openAi } from "./provider/OpenAi.ts"
import type { ProvidersConfig } from "./provider/Providers.ts"
import { simulator } from "./provider/Simulator.ts"
import { actorMetricsLayer } from "./runtime/ActorMetrics.ts"
import { DATA_DIRECTORY } from "./runtime/AdminKey.ts"
import { ALERTS, type AlertsConfig, AlertsRefused, alertsProblem } from "./runtime/Alerts.ts"
import { durableLayer, durableRunLayer } from "./runtime/DurableRuntime.ts"
import { CLUSTER, type ClusterOptions, ClusterRefused, clusterLayer } from "./runtime/Node.ts"
import { RECORDING, type RecordingFailed, type RecordOptions, recordingLayer } from "./runtime/Recorder.ts"
import { layer as runtimeLayer } from "./runtime/Runtime.ts"
import {
  TELEMETRY,
  type TelemetryConfig,
  type TelemetryRefused,
  telemetryLayer
} from "./runtime/Telemetry.ts"
import { VERSION } from "./runtime/Version.ts"
import { callableBy } from "./runtime/WorkflowPorts.ts"
import type { InvalidParams } from "./signal/Errors.ts"
import {
  COUNT,
  type Known,
  LIST,
  listOf,
  optionsRefused,
  REDACTED,
  SWITCH,
  TEXT,
  WORD
} from "./signal/KnownOptions.ts"
import type { SignalRouter } from "./signal/SignalRouter.ts"
import type { WorkflowDefinition as Definition } from "./signal/WorkflowDefinition.ts"
import { embeddedStore, type StoreFailed, serverStore } from "./store/Store.ts"
import type { LedgerStore } from "./tokens/LedgerStore.ts"
import { declare, type WorkflowRefused } from "./workflow/Workflows.ts"

export type {
  ActorRef,
  ActorSurroundings,
  CarriedSignal,
  Carry,
  MailboxPolicy
} from "./actor/ActorRef.ts"
export {
  type ActorContext,
  type ActorDetails,
  type ActorEntry,
  type ActorInsight,
  type ActorOptions,
  ActorSystem,
  type LivingActor
} from "./actor/ActorSystem.ts"
export { type Address, scopedAddress, sharedAddress, tenantAddress } from "./actor/Address.ts"
export {
  type BehaveOptions,
  type Behaviour,
  behave,
  type Handler,
  type Step,
  type Turn
} from "./actor/Behave.ts"
export type { Complain } from "./actor/Complaint.ts"
export type { DeadLetter, DeadLetters, WholeLetter } from "./actor/DeadLetters.ts"
export type { DurableKind, StartInput } from "./actor/DurableKind.ts"
export {
  type DurablyOptions,
  durably,
  type Invocation,
  signalTo,
  tell
} from "./actor/DurableLogic.ts"
export {
  type DurableMachine,
  durableMachine,
  type MachineView,
  type MigratedChild,
  type MigratedSnapshot,
  type OldChild,
  type OldSnapshot,
  type Resting,
  type SignalRule,
  type SignalRules,
  type SignalSource
} from "./actor/DurableMachine.ts"
export { DurableMachines } from "./actor/DurableMachines.ts"
export type { AnyEnvelope, EnvelopeIn } from "./actor/Envelope.ts"
export type {
  AnsweredSignal,
  ArrivedSignal,
  Inspection,
  InspectionListener
} from "./actor/Inspection.ts"
export { invoked } from "./actor/Machine.ts"
export { type MachineActor, machineActor } from "./actor/MachineActor.ts"
export type { MachineAsk, MachinePlaces } from "./actor/MachinePlaces.ts"
export type {
  MachineEntry,
  MachineFact,
  MachineStatus,
  MachineSummary,
  OutgoingSignal
} from "./actor/MachineStore.ts"
export type { Mailbox } from "./actor/Mailbox.ts"
export { OpenMachinesMax } from "./actor/OpenMachines.ts"
export type { Outgoing, Told } from "./actor/Outgoing.ts"
export { type ActorKind, type Elsewhere, IdleMs } from "./actor/Passivation.ts"
export { SignalDelivery } from "./actor/SignalDelivery.ts"
export {
  DEFAULT_SUPERVISION,
  ESCALATE,
  type FinalPolicy,
  NEVER_RESTART,
  type RestartPolicy,
  type SupervisionEntry,
  type SupervisionPolicy
} from "./actor/Supervision.ts"
export type { Ended, Watcher } from "./actor/Watching.ts"
export type { SmtpOptions } from "./alerts/Email.ts"
export type { Bridge } from "./bridge/Bridge.ts"
export type { Credentials } from "./bridge/KeySignals.ts"
export { ClusterFailed } from "./cluster/Cluster.ts"
export { type Door, type DoorOptions, makeDoor, type OpenEvents } from "./host/Door.ts"
export type {
  EventOf,
  HostParams as SignalParams,
  HostResult as SignalResult,
  HostSignal as SignalName,
  StreamPart,
  SubscribeOptions,
  TopicEventOf
} from "./host/HostSignals.ts"
export type { Identity } from "./host/Identity.ts"
export {
  type Adapter,
  type ModelAnswer,
  type ModelEvent,
  type ModelRequest,
  ProviderFailure,
  type ReportedUsage
} from "./provider/Adapter.ts"
export { type AlertsConfig, AlertsRefused } from "./runtime/Alerts.ts"
export { type ClusterOptions, ClusterRefused } from "./runtime/Node.ts"
export { RecordingFailed, type RecordOptions } from "./runtime/Recorder.ts"
export { type Recorded, RecordingUnreadable, readRecording } from "./runtime/RecordingReader.ts"
export { type ServeOptions, serve } from "./runtime/Serve.ts"
export { type OtlpTarget, type TelemetryConfig, TelemetryRefused } from "./runtime/Telemetry.ts"
export type { ActorInfo, MachineGraph } from "./signal/Actors.ts"
export type { Attribution } from "./signal/Attribution.ts"
export { type ActorSignals, SIGNALS, type Signals } from "./signal/Catalogue.ts"
export * from "./signal/Errors.ts"
export type { ActorFact, InspectionEvent } from "./signal/Inspection.ts"
export { installationPrincipal, type Principal } from "./signal/Principal.ts"
export {
  type AnySignal,
  type NameIn,
  type PayloadIn,
  type Protocol,
  protocol,
  type SuccessIn
} from "./signal/Protocol.ts"
export type {
  Completion,
  FinishReason,
  Message,
  ToolCall,
  ToolChoice,
  ToolDefinition
} from "./signal/Providers.ts"
export type { RecordingLine } from "./signal/Recording.ts"
export { command, type Family, query, type Role } from "./signal/Signal.ts"
export { SignalRouter } from "./signal/SignalRouter.ts"
export type { Event, EventFilter, Topic } from "./signal/Subscriptions.ts"
export type { Millis } from "./signal/Text.ts"
export type { Counts } from "./signal/Usage.ts"
export { StoreFailed } from "./store/Store.ts"
export { WorkflowRefused } from "./workflow/Workflows.ts"

/** A workflow as it is on the wire: amounts are decimal strings, defaults may be left out. */
export type WorkflowDefinition = typeof Definition.Encoded

/** How to reach a provider. */
export interface ProviderOptions {
  readonly apiKey: Redacted.Redacted<string>
  /** For a gateway, or for tests. */
  readonly baseUrl?: string
}

export interface BursarOptions {
  /** Where the embedded store lives, if there is no `databaseUrl`. Default: `./.bursar`. */
  readonly dataDirectory?: string
  /** A Postgres server to keep everything in. */
  readonly databaseUrl?: Redacted.Redacted<string>
  readonly anthropic?: ProviderOptions
  readonly openai?: ProviderOptions
  /** Whether the built-in model answers when it is named. */
  readonly simulator?: boolean
  /** Providers of the host's own, beside those above. A call reaches them only with a hold, like any other. */
  readonly adapters?: ReadonlyArray<Adapter>
  /** Webhooks to private targets, and the server for e-mail. Without it: https to public servers, and no e-mail. */
  readonly alerts?: AlertsConfig
  /** Makes this runtime one node of several, which share the Postgres server at `databaseUrl`. */
  readonly cluster?: ClusterOptions
  /** Where traces and metrics go, by OTLP over HTTP. Without it: nowhere, and nothing is traced. */
  readonly telemetry?: TelemetryConfig
  /** Records what actors do into a file. Without it: nothing is recorded. */
  readonly record?: RecordOptions
  /** Workflows that can be started by their name. Others are given whole, in `start_workflow`. */
  readonly workflows?: ReadonlyArray<WorkflowDefinition>
  /** How many workflows of a tenant may be open (running or parked) at once. Default: 10,000. */
  readonly openWorkflowsMax?: number
}

const PROVIDER: Known<ProviderOptions> = { apiKey: REDACTED, baseUrl: TEXT }

const KNOWN: Known<BursarOptions> = {
  dataDirectory: WORD,
  databaseUrl: REDACTED,
  anthropic: PROVIDER,
  openai: PROVIDER,
  simulator: SWITCH,
  adapters: listOf(ADAPTER),
  alerts: ALERTS,
  cluster: CLUSTER,
  telemetry: TELEMETRY,
  record: RECORDING,
  workflows: LIST,
  openWorkflowsMax: COUNT
}

/** What a runtime gives to whoever builds on it. */
export type Bursar =
  | SignalRouter
  | ActorSystem
  | DurableMachines
  | LedgerStore
  | KeyAudit
  | UserDisguise
  | KeyStore
  | KnownKeys
  | SessionStore
  | InstallationSecret

/** Why a runtime cannot start. */
type StartFailed =
  | InvalidParams
  | StoreFailed
  | AlertsRefused
  | ClusterFailed
  | ClusterRefused
  | TelemetryRefused
  | RecordingFailed
  | WorkflowRefused

const sdkOptions = ({ apiKey, baseUrl }: ProviderOptions) => ({
  apiKey: Redacted.value(apiKey),
  ...(baseUrl === undefined ? {} : { baseURL: baseUrl })
})

const providersOf = (options: BursarOptions): ProvidersConfig => ({
  adapters: [
    ...(options.anthropic === undefined ? [] : [anthropic(sdkOptions(options.anthropic))]),
    ...(options.openai === undefined ? [] : [openAi(sdkOptions(options.openai))]),
    ...(options.simulator === false ? [] : [simulator()]),
    ...(options.adapters ?? [])
  ],
  configuredBy: CONFIGURED_BY
})

/** This node among the others, or nothing: then every actor is here, and no signal looks for another node. */
const placementOf = ({ cluster, databaseUrl }: BursarOptions) => {
  if (cluster === undefined) return Layer.empty
  if (databaseUrl !== undefined) return clusterLayer(cluster, databaseUrl)
  const message = "Several nodes share a Postgres server: set DATABASE_URL, or leave the cluster out"
  return Layer.effectContext(Effect.fail(new ClusterRefused({ message })))
}

/**
 * A whole runtime. It ends with its scope: no new work, calls settled, commits finished, store closed. Fails with
 * `InvalidParams` where there is no such option, or where one is of another kind than it has to be.
 */
export const layer = (options: BursarOptions): Layer.Layer<Bursar, StartFailed> => {
  const refused = optionsRefused(options, KNOWN)
  if (refused !== undefined) return Layer.effectContext(Effect.fail(refused))
  const problem = alertsProblem(options.alerts ?? {})
  if (problem !== undefined) return Layer.effectContext(Effect.fail(new AlertsRefused({ message: problem })))
  const store =
    options.databaseUrl === undefined
      ? embeddedStore({ directory: options.dataDirectory ?? DATA_DIRECTORY })
      : serverStore({ url: options.databaseUrl })
  const runtime = Effect.map(
    declare(options.workflows ?? [], callableBy(providersOf(options).adapters)),
    (workflows) =>
      runtimeLayer({
        providers: providersOf(options),
        ...(options.alerts === undefined ? {} : { alerts: options.alerts }),
        workflows,
        openWorkflowsMax: options.openWorkflowsMax,
        version: VERSION
      })
  )
  return durableRunLayer.pipe(
    Layer.provideMerge(Layer.unwrap(runtime)),
    Layer.provide(placementOf(options)),
    Layer.merge(actorMetricsLayer({ isExported: options.telemetry?.metrics !== undefined })),
    Layer.merge(recordingLayer(options.record, VERSION)),
    Layer.provideMerge(durableLayer),
    Layer.provideMerge(actorLayer),
    Layer.provideMerge(Layer.provideMerge(knownKeysLayer, store)),
    Layer.provide(telemetryLayer(options.telemetry, VERSION))
  )
}
