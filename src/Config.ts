/**
 * Every setting that comes from the environment, once.
 *
 * Owns: the names, the defaults, and what is wrong with a value.
 * Does not decide: what is done with a setting (main.ts).
 */
import { Config, type Redacted, Schema } from "effect"

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
  simulator: Config.Literals(["on", "off"], CONFIGURED_BY.simulator).pipe(Config.withDefault("on" as const)),
  anthropicKey: secret(CONFIGURED_BY.anthropic),
  anthropicBaseUrl: url("ANTHROPIC_BASE_URL"),
  openaiKey: secret(CONFIGURED_BY.openai),
  openaiBaseUrl: url("OPENAI_BASE_URL")
})

export type Settings = Config.Success<typeof settings>
export type Secret = Redacted.Redacted<string>
