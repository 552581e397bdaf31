/**
 * Every setting that comes from the environment, once.
 *
 * Owns: the names, the defaults, and what is wrong with a value.
 * Does not decide: what is done with a setting (main.ts).
 */
import { Config, type Redacted } from "effect"

const secret = (name: string) => Config.Redacted(name).pipe(Config.option)
const url = (name: string) => Config.String(name).pipe(Config.option)

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
  port: Config.Int("BURSAR_PORT").pipe(Config.withDefault(4680)),
  allowedHosts: Config.String("BURSAR_ALLOWED_HOSTS").pipe(Config.withDefault("")),
  trustsProxy: Config.Boolean("BURSAR_TRUST_PROXY").pipe(Config.withDefault(false)),
  dataDirectory: Config.String("BURSAR_DATA").pipe(Config.withDefault("./.bursar")),
  databaseUrl: secret("DATABASE_URL"),
  adminKey: secret("BURSAR_ADMIN_KEY"),
  logLevel: Config.String("BURSAR_LOG_LEVEL").pipe(Config.withDefault("info")),
  simulator: Config.String(CONFIGURED_BY.simulator).pipe(Config.withDefault("on")),
  anthropicKey: secret(CONFIGURED_BY.anthropic),
  anthropicBaseUrl: url("ANTHROPIC_BASE_URL"),
  openaiKey: secret(CONFIGURED_BY.openai),
  openaiBaseUrl: url("OPENAI_BASE_URL")
})

export type Settings = Config.Success<typeof settings>
export type Secret = Redacted.Redacted<string>
