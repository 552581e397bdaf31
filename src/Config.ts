/**
 * Every setting that comes from the environment, once.
 *
 * Owns: the names, the defaults, and what is wrong with a value.
 * Does not decide: what is done with a setting (main.ts).
 */
import { Config, type Redacted, Schema } from "effect"
import { nearest } from "./signal/Nearest.ts"

const secret = (name: string) => Config.Redacted(name).pipe(Config.option)
const url = (name: string) => Config.String(name).pipe(Config.option)

/** 0 picks a free one. */
const portNumber = Schema.FiniteFromString.check(
  Schema.isInt({ expected: "a port: a whole number from 0 to 65535" }),
  Schema.isBetween({ minimum: 0, maximum: 65_535 }, { expected: "a port: a whole number from 0 to 65535" })
)

/** Providers that this version can call, and what configures each. */
export const CONFIGURED_BY = {
  anthropic: "ANTHROPIC_API_KEY",
  openai: "OPENAI_API_KEY",
  simulator: "BURSAR_SIMULATOR"
} as const

/** Providers whose variables are known, but whose adapters come with a later version. */
export const LATER_PROVIDER_KEYS = [
  "GROQ_API_KEY",
  "CEREBRAS_API_KEY",
  "TOGETHER_API_KEY",
  "GEMINI_API_KEY",
  "OLLAMA_BASE_URL",
  "LMSTUDIO_BASE_URL"
] as const

export const settings = Config.all({
  host: Config.String("BURSAR_HOST").pipe(Config.withDefault("127.0.0.1")),
  port: Config.schema(portNumber, "BURSAR_PORT").pipe(Config.withDefault(4680)),
  allowedHosts: Config.String("BURSAR_ALLOWED_HOSTS").pipe(Config.withDefault("")),
  trustsProxy: Config.Boolean("BURSAR_TRUST_PROXY").pipe(Config.withDefault(false)),
  dataDirectory: Config.String("BURSAR_DATA").pipe(Config.withDefault("./.bursar")),
  databaseUrl: secret("DATABASE_URL"),
  adminKey: secret("BURSAR_ADMIN_KEY"),
  logLevel: Config.Literals(["error", "warn", "info", "debug"], "BURSAR_LOG_LEVEL").pipe(
    Config.withDefault("info" as const)
  ),
  webhookPrivateTargets: Config.Literals(["on", "off"], "BURSAR_WEBHOOK_PRIVATE_TARGETS").pipe(
    Config.withDefault("off" as const)
  ),
  nodeHost: Config.String("BURSAR_NODE_HOST").pipe(Config.withDefault("127.0.0.1")),
  nodePort: Config.schema(portNumber, "BURSAR_NODE_PORT").pipe(Config.withDefault(4681)),
  nodeAddress: Config.String("BURSAR_NODE_ADDRESS").pipe(Config.option),
  smtpUrl: secret("BURSAR_SMTP_URL"),
  smtpFrom: Config.String("BURSAR_SMTP_FROM").pipe(Config.withDefault("")),
  openWorkflowsMax: Config.schema(
    Schema.FiniteFromString.check(
      Schema.isInt({ expected: "a whole number of workflows" }),
      Schema.isGreaterThan(0, { expected: "at least one workflow" })
    ),
    "BURSAR_OPEN_WORKFLOWS_MAX"
  ).pipe(Config.withDefault(10_000)),
  recordFile: Config.String("BURSAR_RECORD").pipe(Config.withDefault("")),
  recordBytes: Config.schema(
    Schema.FiniteFromString.check(
      Schema.isInt({ expected: "a whole number of bytes" }),
      Schema.isGreaterThan(0, { expected: "a number of bytes" })
    ),
    "BURSAR_RECORD_BYTES"
  ).pipe(Config.withDefault(67_108_864)),
  recordContent: Config.Literals(["on", "off"], "BURSAR_RECORD_CONTENT").pipe(
    Config.withDefault("off" as const)
  ),
  simulator: Config.Literals(["on", "off"], CONFIGURED_BY.simulator).pipe(Config.withDefault("on" as const)),
  anthropicKey: secret(CONFIGURED_BY.anthropic),
  anthropicBaseUrl: url("ANTHROPIC_BASE_URL"),
  openaiKey: secret(CONFIGURED_BY.openai),
  openaiBaseUrl: url("OPENAI_BASE_URL")
})

/** Separated by commas, percent-encoded: `name=value,name=value`. */
const pairs = (name: string) =>
  Config.Record(Schema.String, Schema.StringFromUriComponent, name).pipe(Config.option)
const sampler = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const
const exporter = (name: string) =>
  Config.Literals(["otlp", "none"], name).pipe(Config.withDefault("otlp" as const))
const everyMs = (name: string, defaultMs: number) =>
  Config.schema(
    Schema.FiniteFromString.check(
      Schema.isInt({ expected: "a whole number of milliseconds" }),
      Schema.isGreaterThan(0, { expected: "more than 0 milliseconds" })
    ),
    name
  ).pipe(Config.withDefault(defaultMs))

/** OpenTelemetry's own variables, as far as this program knows what to do with them. */
export const telemetrySettings = Config.all({
  disabled: Config.Boolean("OTEL_SDK_DISABLED").pipe(Config.withDefault(false)),
  endpoint: url("OTEL_EXPORTER_OTLP_ENDPOINT"),
  tracesEndpoint: url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
  metricsEndpoint: url("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
  headers: pairs("OTEL_EXPORTER_OTLP_HEADERS"),
  tracesHeaders: pairs("OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
  metricsHeaders: pairs("OTEL_EXPORTER_OTLP_METRICS_HEADERS"),
  protocol: Config.Literals(["http/protobuf", "http/json"], "OTEL_EXPORTER_OTLP_PROTOCOL").pipe(
    Config.withDefault("http/protobuf" as const)
  ),
  tracesExporter: exporter("OTEL_TRACES_EXPORTER"),
  metricsExporter: exporter("OTEL_METRICS_EXPORTER"),
  serviceName: Config.String("OTEL_SERVICE_NAME").pipe(Config.withDefault("bursar")),
  resourceAttributes: pairs("OTEL_RESOURCE_ATTRIBUTES"),
  sampler: Config.Literals(sampler, "OTEL_TRACES_SAMPLER").pipe(
    Config.withDefault("parentbased_always_on" as const)
  ),
  sampleRatio: Config.schema(
    Schema.FiniteFromString.check(
      Schema.isBetween({ minimum: 0, maximum: 1 }, { expected: "a share of traces: a number from 0 to 1" })
    ),
    "OTEL_TRACES_SAMPLER_ARG"
  ).pipe(Config.withDefault(1)),
  timeoutMs: everyMs("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
  tracesEveryMs: everyMs("OTEL_BSP_SCHEDULE_DELAY", 5_000),
  metricsEveryMs: everyMs("OTEL_METRIC_EXPORT_INTERVAL", 60_000),
  content: Config.Boolean("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT").pipe(
    Config.withDefault(false)
  )
})

export type Settings = Config.Success<typeof settings>
export type Secret = Redacted.Redacted<string>

// --- what is said of a setting that cannot be used

/** Every variable of this program's own. */
export const OWN_NAMES = [
  "BURSAR_HOST",
  "BURSAR_PORT",
  "BURSAR_ALLOWED_HOSTS",
  "BURSAR_TRUST_PROXY",
  "BURSAR_DATA",
  "BURSAR_ADMIN_KEY",
  "BURSAR_LOG_LEVEL",
  "BURSAR_WEBHOOK_PRIVATE_TARGETS",
  "BURSAR_NODE_HOST",
  "BURSAR_NODE_PORT",
  "BURSAR_NODE_ADDRESS",
  "BURSAR_SMTP_URL",
  "BURSAR_SMTP_FROM",
  "BURSAR_OPEN_WORKFLOWS_MAX",
  "BURSAR_RECORD",
  "BURSAR_RECORD_BYTES",
  "BURSAR_RECORD_CONTENT",
  "BURSAR_SIMULATOR"
] as const
/** Clients and the compose file read these: they stand beside the server's. */
const OTHERS = /^BURSAR_(?:URL|KEY|PUBLISH(?:_.*)?)$/u
const UNKNOWN_MAX = 5
const VALUE_SHOWN = 60

/** What is said of variables that look like settings and are none; `undefined`: there are none. */
export const unknownSettings = (given: ReadonlyArray<string>): string | undefined => {
  const known: ReadonlyArray<string> = OWN_NAMES
  const unknown = given.filter(
    (name) => name.startsWith("BURSAR_") && !known.includes(name) && !OTHERS.test(name)
  )
  if (unknown.length === 0) return undefined
  const said = unknown.slice(0, UNKNOWN_MAX).map((name) => {
    const guess = nearest(name, known)
    return guess === undefined ? name : `${name} (did you mean ${guess}?)`
  })
  const more = unknown.length > UNKNOWN_MAX ? `, and ${unknown.length - UNKNOWN_MAX} more` : ""
  return `No setting, and so without effect: ${said.join(", ")}${more}`
}

const PORT = "a port: a whole number from 0 to 65535"
const EXPECTED: { readonly [name: string]: string } = {
  BURSAR_PORT: PORT,
  BURSAR_NODE_PORT: PORT,
  BURSAR_TRUST_PROXY: "true or false",
  BURSAR_OPEN_WORKFLOWS_MAX: "a whole number of workflows, at least one",
  BURSAR_RECORD_BYTES: "a whole number of bytes, above zero"
}

/** What is wrong with a setting, from what the schema says of it. */
export const settingProblem = (
  message: string,
  env: { readonly [name: string]: string | undefined }
): string => {
  const [, expected = "", name = ""] =
    /^(?:SchemaError\()?Expected (.*?),? (?:got .*?)?\s*at \["([A-Z_]+)"\]/su.exec(message) ?? []
  const value = env[name]
  if (value === undefined) return message
  const what = EXPECTED[name] ?? expected.replaceAll(" | ", " or ")
  return `${name} is ${JSON.stringify(value.slice(0, VALUE_SHOWN))}, and has to be ${what}`
}
