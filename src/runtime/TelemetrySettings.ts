/**
 * OpenTelemetry's variables as a configuration.
 *
 * Owns: what follows from what, as its specification has it: a signal's own variable goes before the one for all, a
 * path is put behind the endpoint for all and none behind a signal's own.
 * Does not decide: the names and defaults (Config.ts), or what is done with it (Telemetry).
 */
import { Option, Redacted } from "effect"
import type { OtlpTarget, TelemetryConfig } from "./Telemetry.ts"

type Pairs = Readonly<Record<string, string>>

/** The settings, as Config.ts reads them. */
export interface TelemetryVariables {
  readonly disabled: boolean
  readonly endpoint: Option.Option<string>
  readonly tracesEndpoint: Option.Option<string>
  readonly metricsEndpoint: Option.Option<string>
  readonly headers: Option.Option<Pairs>
  readonly tracesHeaders: Option.Option<Pairs>
  readonly metricsHeaders: Option.Option<Pairs>
  readonly protocol: "http/protobuf" | "http/json"
  readonly tracesExporter: "otlp" | "none"
  readonly metricsExporter: "otlp" | "none"
  readonly serviceName: string
  readonly resourceAttributes: Option.Option<Pairs>
  readonly sampler: string
  readonly sampleRatio: number
  readonly timeoutMs: number
  readonly tracesEveryMs: number
  readonly metricsEveryMs: number
  readonly content: boolean
}

const targetOf = (url: string | undefined, headers: Option.Option<Pairs>): OtlpTarget | undefined =>
  url === undefined || url === ""
    ? undefined
    : { url, ...(Option.isSome(headers) ? { headers: Redacted.make(headers.value) } : {}) }

const urlFor = (own: Option.Option<string>, all: Option.Option<string>, path: string): string | undefined => {
  if (Option.isSome(own) && own.value !== "") return own.value
  return Option.isSome(all) && all.value !== "" ? `${all.value.replace(/\/$/u, "")}${path}` : undefined
}

/** Of a trace that begins here, whether it is kept: by its sampler's name. */
const ratioOf = ({ sampler, sampleRatio }: TelemetryVariables): number => {
  if (sampler.endsWith("always_off")) return 0
  return sampler.endsWith("traceidratio") ? sampleRatio : 1
}

/** `undefined` where nothing is to be sent anywhere. */
export const telemetryOf = (set: TelemetryVariables): TelemetryConfig | undefined => {
  if (set.disabled) return undefined
  const headersOf = (own: Option.Option<Pairs>) => Option.orElse(own, () => set.headers)
  const traces =
    set.tracesExporter === "none"
      ? undefined
      : targetOf(urlFor(set.tracesEndpoint, set.endpoint, "/v1/traces"), headersOf(set.tracesHeaders))
  const metrics =
    set.metricsExporter === "none"
      ? undefined
      : targetOf(urlFor(set.metricsEndpoint, set.endpoint, "/v1/metrics"), headersOf(set.metricsHeaders))
  if (traces === undefined && metrics === undefined) return undefined
  return {
    ...(traces === undefined ? {} : { traces }),
    ...(metrics === undefined ? {} : { metrics }),
    protocol: set.protocol,
    serviceName: set.serviceName,
    resourceAttributes: Option.getOrElse(set.resourceAttributes, () => ({})),
    sampleRatio: ratioOf(set),
    followsParent: set.sampler.startsWith("parentbased"),
    content: set.content,
    tracesEveryMs: set.tracesEveryMs,
    metricsEveryMs: set.metricsEveryMs,
    timeoutMs: set.timeoutMs
  }
}
