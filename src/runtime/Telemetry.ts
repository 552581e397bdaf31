/**
 * OpenTelemetry: where traces and metrics go, by OTLP over HTTP.
 *
 * Owns: the exporters, their bounds, and saying so where nothing arrives.
 * Does not decide: what is traced (actor/Tracing, provider/AttemptTrace), or any setting: no variable is read here.
 */
import {
  Clock,
  ConfigProvider,
  Context,
  Duration,
  Effect,
  Layer,
  Redacted,
  Schema,
  type Tracer
} from "effect"
import { FetchHttpClient, HttpClient, HttpClientError } from "effect/http"
import { OtlpExporter, OtlpMetrics, OtlpSerialization, OtlpTracer } from "effect/observability"
import { CurrentTracing, Tracing } from "../actor/Tracing.ts"
import {
  ABOVE_ZERO,
  type Known,
  NUMBER,
  OBJECT,
  oneOf,
  REDACTED,
  SWITCH,
  TEXT
} from "../signal/KnownOptions.ts"

export interface OtlpTarget {
  /** The whole URL, such as `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  /** Such as a collector's key. */
  readonly headers?: Redacted.Redacted<Readonly<Record<string, string>>>
}

export interface TelemetryConfig {
  /** Absent: no traces. */
  readonly traces?: OtlpTarget
  /** Absent: no metrics are sent; `/metrics` has them anyway. */
  readonly metrics?: OtlpTarget
  /** Default: protobuf. */
  readonly protocol?: "http/protobuf" | "http/json"
  /** Default: bursar. */
  readonly serviceName?: string
  readonly resourceAttributes?: Readonly<Record<string, string>>
  /** Of traces that begin here, how many are kept: from 0 to 1. Default: 1. */
  readonly sampleRatio?: number
  /** Whether a caller's trace is kept when the caller keeps it, and only then. Default: yes. */
  readonly followsParent?: boolean
  /** Whether prompt text and answers are put into spans. Default: no. */
  readonly content?: boolean
  /** Default: 5 seconds. */
  readonly tracesEveryMs?: number
  /** Default: a minute. */
  readonly metricsEveryMs?: number
  /** How long one export may take. Default: 10 seconds. */
  readonly timeoutMs?: number
}

const TARGET: Known<OtlpTarget> = { url: TEXT, headers: REDACTED }

/** Its options. */
export const TELEMETRY: Known<TelemetryConfig> = {
  traces: TARGET,
  metrics: TARGET,
  protocol: oneOf("http/protobuf", "http/json"),
  serviceName: TEXT,
  resourceAttributes: OBJECT,
  sampleRatio: NUMBER,
  followsParent: SWITCH,
  content: SWITCH,
  tracesEveryMs: ABOVE_ZERO,
  metricsEveryMs: ABOVE_ZERO,
  timeoutMs: ABOVE_ZERO
}

/** These settings cannot be used. */
export class TelemetryRefused extends Schema.TaggedError<TelemetryRefused>()("TelemetryRefused", {
  message: Schema.String
}) {}

/** Exports at a time: where a collector hangs, what comes meanwhile is dropped and not kept. */
const EXPORTS_MAX = 4
const TIMEOUT_MS = 10_000
const TOLD_EVERY_MS = 60_000
const SHUTDOWN_MS = 3_000

const problemOf = ({ traces, metrics, sampleRatio = 1 }: TelemetryConfig): string | undefined => {
  const wrong = [traces, metrics].find(
    (target) => target !== undefined && !/^https?:$/u.test(URL.parse(target.url)?.protocol ?? "")
  )
  if (wrong !== undefined)
    return `${wrong.url} is no place to send telemetry to: expected http://HOST:PORT or https://HOST`
  return sampleRatio >= 0 && sampleRatio <= 1 ? undefined : "A share of traces is a number from 0 to 1"
}

/** A client that gives up in time, never has many exports waiting, and says once a minute that nothing arrives. */
const boundedClient = (timeoutMs: number) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const clock = yield* Clock.Clock
      let running = 0
      let toldAt = Number.NEGATIVE_INFINITY
      const tell = (url: string, error: unknown) => {
        const now = clock.currentTimeMillisUnsafe()
        if (now - toldAt < TOLD_EVERY_MS) return Effect.void
        toldAt = now
        const why = error instanceof Error ? error.message : String(error)
        return Effect.logWarning(
          `Telemetry does not arrive at ${url} (${why}): it is dropped, and tried again every minute`
        )
      }
      return HttpClient.transform(client, (execute, request) =>
        Effect.suspend(() => {
          const failure = (description: string) =>
            new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({ request, description })
            })
          if (running >= EXPORTS_MAX)
            return Effect.fail(failure("the exports before it are still on their way"))
          running += 1
          return execute.pipe(
            Effect.timeoutOrElse({
              duration: timeoutMs,
              orElse: () => Effect.fail(failure(`no answer within ${timeoutMs} ms`))
            }),
            Effect.tap(({ status }) => (status >= 400 ? tell(request.url, `status ${status}`) : Effect.void)),
            Effect.tapError((error) => tell(request.url, error)),
            Effect.ensuring(
              Effect.sync(() => {
                running -= 1
              })
            )
          )
        })
      )
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))

const exportersOf = (config: TelemetryConfig, version: string) => {
  const resource = {
    serviceName: config.serviceName ?? "bursar",
    serviceVersion: version,
    attributes: { ...config.resourceAttributes }
  }
  const settingsOf = ({ url, headers }: OtlpTarget, everyMs: number) => ({
    url,
    resource,
    headers: headers === undefined ? undefined : Redacted.value(headers),
    exportInterval: Duration.millis(everyMs),
    shutdownTimeout: Duration.millis(SHUTDOWN_MS)
  })
  const tracing =
    config.traces === undefined
      ? Layer.empty
      : Layer.effect(
          CurrentTracing,
          Effect.gen(function* () {
            const tracer = yield* OtlpTracer.make(
              settingsOf(config.traces as OtlpTarget, config.tracesEveryMs ?? 5_000)
            )
            return yield* tracingWith(tracer, config)
          })
        )
  const metrics =
    config.metrics === undefined
      ? Layer.empty
      : Layer.effectDiscard(OtlpMetrics.make(settingsOf(config.metrics, config.metricsEveryMs ?? 60_000)))
  return Layer.merge(tracing, metrics).pipe(
    Layer.provide(OtlpExporter.layerFlusher),
    Layer.provide(
      config.protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
    ),
    Layer.provide(boundedClient(config.timeoutMs ?? TIMEOUT_MS)),
    // What is in the environment is for main.ts to read: a host's settings are all there are.
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
  )
}

const tracingWith = (tracer: Tracer.Tracer, config: TelemetryConfig) =>
  Effect.map(
    Clock.Clock,
    (clock) =>
      new Tracing({
        tracer,
        clock,
        content: config.content ?? false,
        ratio: config.sampleRatio ?? 1,
        followsParent: config.followsParent ?? true,
        random: Math.random
      })
  )

/** What a runtime traces with. Around it there is no tracing, and no exporter. */
export const telemetryLayer = (
  config: TelemetryConfig | undefined,
  version: string
): Layer.Layer<never, TelemetryRefused> => {
  if (config === undefined) return Layer.empty
  const problem = problemOf(config)
  return problem === undefined
    ? exportersOf(config, version)
    : Layer.effectContext(Effect.as(Effect.fail(new TelemetryRefused({ message: problem })), Context.empty()))
}
