/**
 * What a host imports: the runtime behind promises ("bursar").
 *
 * Owns: starting and closing a runtime in the host's own process. Signals are sent as they are on the wire: amounts are
 * decimal strings, times are RFC 3339.
 * Does not decide: anything. It is the same runtime that the program serves; "bursar/effect" has it as layers.
 */
import { Effect, Layer, Redacted } from "effect"
import {
  type AlertsConfig,
  type BursarOptions,
  type Bursar as BursarServices,
  type ClusterOptions,
  layer,
  serve,
  type WorkflowDefinition
} from "./effect.ts"
import { type HostLogging, LOGGING, loggingLayer } from "./host/Logging.ts"
import { type Bursar, startRunning } from "./host/Running.ts"
import { adminKeyIn, DATA_DIRECTORY } from "./runtime/AdminKey.ts"
import { ALERTS } from "./runtime/Alerts.ts"
import { CLUSTER } from "./runtime/Node.ts"
import { RECORDING, type RecordOptions } from "./runtime/Recorder.ts"
import { TELEMETRY, type TelemetryConfig } from "./runtime/Telemetry.ts"
import {
  COUNT,
  type Known,
  LIST,
  listOf,
  OBJECT,
  PORT,
  refuseUnknown,
  SECRET,
  SWITCH,
  TEXT,
  WORD
} from "./signal/KnownOptions.ts"

export type { WorkflowDefinition } from "./effect.ts"
export type { CallStream, Client, Subscription } from "./host/Client.ts"
export type {
  EventOf,
  HostParams as SignalParams,
  HostResult as SignalResult,
  HostSignal as SignalName,
  SendOptions,
  StreamPart,
  SubscribeOptions,
  TopicEventOf
} from "./host/HostSignals.ts"
export { type HttpProblem, httpProblem } from "./host/HttpProblem.ts"
export type { Identity } from "./host/Identity.ts"
export type { CloseOptions } from "./host/Life.ts"
export type { HostLogging, HostLogLevel, LogEntry } from "./host/Logging.ts"
export type { Bursar } from "./host/Running.ts"
export type { SignalMethods } from "./host/SignalMethods.ts"
export type { ClusterOptions } from "./runtime/Node.ts"
export { RecordingFailed, type RecordOptions } from "./runtime/Recorder.ts"
export { type Recorded, RecordingUnreadable, readRecording } from "./runtime/RecordingReader.ts"
export * from "./signal/Errors.ts"
export type { Topic } from "./signal/Subscriptions.ts"

/** How to reach a provider. */
export interface ProviderOptions {
  /** `undefined` or empty: the provider is not there, as if it had not been named. */
  readonly apiKey: string | undefined
  /** For a gateway, or for tests. */
  readonly baseUrl?: string | undefined
}

export interface AlertOptions {
  /** Whether webhooks may go to private addresses, and without TLS. */
  readonly privateTargets?: boolean
  /** Certificates (PEM) that webhooks trust in place of the usual ones. */
  readonly trustedCa?: string
  /** `url`: `smtp://` or `smtps://`, with user and password; `from`: an address. */
  readonly smtp?: { readonly url: string; readonly from: string }
}

/** A place that takes OTLP over HTTP: the whole URL, such as `http://127.0.0.1:4318/v1/traces`. */
export interface OtlpTarget {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface TelemetryOptions extends Omit<TelemetryConfig, "traces" | "metrics"> {
  readonly traces?: OtlpTarget
  readonly metrics?: OtlpTarget
}

export interface ListenOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string
  /** 0 picks a free one. Default: 4680. */
  readonly port?: number
  /** The installation's own key. Default: one that is made at the first start and kept in the data directory, as `admin.key`. */
  readonly adminKey?: string
  /** Host names that requests may be addressed to, beside loopback and `host`. */
  readonly allowedHosts?: ReadonlyArray<string>
  /** Whether a proxy in front sets `X-Forwarded-Proto`. */
  readonly trustsProxy?: boolean
}

/** `undefined` is as if it were not there: options may come straight from `process.env`. */
export interface StartOptions {
  /** Where the embedded store lives, if there is no `databaseUrl`. Default: `./.bursar`. */
  readonly dataDirectory?: string | undefined
  /** A Postgres server to keep everything in. */
  readonly databaseUrl?: string | undefined
  readonly anthropic?: ProviderOptions | undefined
  readonly openai?: ProviderOptions | undefined
  /** Whether the built-in model answers when it is named. Default: yes. */
  readonly simulator?: boolean | undefined
  /** Where alerts may go. Default: by https to public servers, and no e-mail. */
  readonly alerts?: AlertOptions | undefined
  /** Makes this runtime one node of several, which share the Postgres server at `databaseUrl`. Default: it is alone. */
  readonly cluster?: ClusterOptions | undefined
  /** Workflows that can be started by their name. */
  readonly workflows?: ReadonlyArray<WorkflowDefinition> | undefined
  /** How many workflows of a tenant may be open (running or parked) at once. Default: 10,000. */
  readonly openWorkflowsMax?: number | undefined
  /** The tenant that this host speaks for. Default: `default`. */
  readonly tenant?: string | undefined
  /** Also serve the bridge and the console, for other programs and for people. */
  readonly listen?: ListenOptions | undefined
  /** What is logged, and where. Default: warnings and errors, to standard error. */
  readonly log?: HostLogging | undefined
  /** Where traces and metrics go, by OTLP over HTTP. Default: nowhere, and nothing is traced. */
  readonly telemetry?: TelemetryOptions | undefined
  /** Records what actors do into a file; `readRecording` reads it back. Default: nothing is recorded. */
  readonly record?: RecordOptions | undefined
}

const providerOf = <Name extends string>(name: Name, given: ProviderOptions | undefined) =>
  given?.apiKey === undefined || given.apiKey === ""
    ? {}
    : {
        [name]: {
          apiKey: Redacted.make(given.apiKey),
          ...(given.baseUrl === undefined ? {} : { baseUrl: given.baseUrl })
        }
      }

const alertsOf = ({ smtp, ...rest }: AlertOptions): AlertsConfig => ({
  ...rest,
  ...(smtp === undefined ? {} : { smtp: { url: Redacted.make(smtp.url), from: smtp.from } })
})

const targetOf = ({ url, headers }: OtlpTarget) => ({
  url,
  ...(headers === undefined ? {} : { headers: Redacted.make(headers) })
})

const telemetryOf = ({ traces, metrics, ...rest }: TelemetryOptions): TelemetryConfig => ({
  ...rest,
  ...(traces === undefined ? {} : { traces: targetOf(traces) }),
  ...(metrics === undefined ? {} : { metrics: targetOf(metrics) })
})

const PROVIDER = { apiKey: SECRET, baseUrl: TEXT } as const
const OTLP_TARGET = { url: TEXT, headers: OBJECT } as const

const KNOWN: Known<StartOptions> = {
  dataDirectory: WORD,
  databaseUrl: SECRET,
  anthropic: PROVIDER,
  openai: PROVIDER,
  simulator: SWITCH,
  alerts: { ...ALERTS, smtp: { url: SECRET, from: TEXT } },
  cluster: CLUSTER,
  workflows: LIST,
  openWorkflowsMax: COUNT,
  tenant: TEXT,
  listen: { host: TEXT, port: PORT, adminKey: SECRET, allowedHosts: listOf(TEXT), trustsProxy: SWITCH },
  log: LOGGING,
  telemetry: { ...TELEMETRY, traces: OTLP_TARGET, metrics: OTLP_TARGET },
  record: RECORDING
}

const layerOptions = (options: StartOptions): BursarOptions => ({
  simulator: options.simulator ?? true,
  ...(options.dataDirectory === undefined ? {} : { dataDirectory: options.dataDirectory }),
  ...(options.databaseUrl === undefined ? {} : { databaseUrl: Redacted.make(options.databaseUrl) }),
  ...(options.alerts === undefined ? {} : { alerts: alertsOf(options.alerts) }),
  ...(options.cluster === undefined ? {} : { cluster: options.cluster }),
  ...(options.record === undefined ? {} : { record: options.record }),
  ...(options.telemetry === undefined ? {} : { telemetry: telemetryOf(options.telemetry) }),
  ...(options.workflows === undefined ? {} : { workflows: options.workflows }),
  ...(options.openWorkflowsMax === undefined ? {} : { openWorkflowsMax: options.openWorkflowsMax }),
  ...providerOf("anthropic", options.anthropic),
  ...providerOf("openai", options.openai)
})

const listen = ({ adminKey, ...options }: ListenOptions, dataDirectory = DATA_DIRECTORY) =>
  Effect.gen(function* () {
    const key = adminKey === undefined ? yield* adminKeyIn(dataDirectory) : Redacted.make(adminKey)
    return yield* serve({ ...options, adminKey: key })
  })

/**
 * Starts a runtime. It is ready when the promise is fulfilled. Rejects with `InvalidParams` where there is no such option,
 * at whatever depth, or where one is of another kind than it has to be.
 */
export const startBursar = async (options: StartOptions = {}): Promise<Bursar> => {
  refuseUnknown(options, KNOWN)
  const { bursar } = await startRunning<BursarServices, unknown>({
    layer: Layer.provideMerge(layer(layerOptions(options)), loggingLayer(options.log ?? {})),
    tenant: options.tenant,
    listen: options.listen && listen(options.listen, options.dataDirectory)
  })
  return bursar
}
