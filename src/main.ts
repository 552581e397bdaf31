#!/usr/bin/env node
/**
 * The program: reads the environment, chooses live layers, serves until it is told to stop.
 *
 * Owns: the command line, what is printed, and when the playground opens.
 * Does not decide: anything else.
 */
import { runMain } from "@effect/platform-node/NodeRuntime"
import { Cause, Effect, Exit, Layer, Logger, Option, Redacted, References, Runtime } from "effect"
import {
  LATER_PROVIDER_KEYS,
  type Secret,
  type Settings,
  settingProblem,
  settings,
  telemetrySettings,
  unknownSettings
} from "./Config.ts"
import {
  type AlertsConfig,
  type BursarOptions,
  type ClusterOptions,
  layer,
  type ProviderOptions,
  type RecordOptions,
  serve
} from "./effect.ts"
import { runPlayground } from "./playground/Playground.ts"
import { REPORT } from "./playground/Script.ts"
import { adminKeyIn } from "./runtime/AdminKey.ts"
import { auditVerify, EXIT } from "./runtime/AuditVerify.ts"
import { readCommandLine } from "./runtime/CommandLine.ts"
import { showRecording } from "./runtime/ShowRecording.ts"
import { telemetryOf } from "./runtime/TelemetrySettings.ts"
import { VERSION } from "./runtime/Version.ts"
import { embeddedBooks, serverBooks } from "./store/Store.ts"

const HELP = `bursar ${VERSION}: an actor runtime for LLM agents in which no token is spent without a budget

  bursar [serve] [--no-playground]     serves; this is what npm start does
  bursar serve --cluster               serves as one node of several, which share a Postgres server. It
                                       needs DATABASE_URL, of a server that is not behind a pooler in
                                       transaction mode, and a port that the other nodes reach:
                                       BURSAR_NODE_HOST, BURSAR_NODE_PORT and BURSAR_NODE_ADDRESS (where
                                       they reach it). Nodes know each other by the installation's
                                       secret in the store; nobody else can connect. SIGTERM: it leaves
                                       in order, and the others go on
  bursar audit verify [--tenant NAME]  works out every counter anew from its rows, follows the audit
                                       chain, and says what differs. It writes nothing. Beside a
                                       server it needs DATABASE_URL; an embedded store must be free.
                                       Exits with 0: all is true, 1: something differs, 2: it could
                                       not run
  bursar recording show FILE [--actor ADDRESS] [--signal NAME] [--summary]
                                       what was recorded (BURSAR_RECORD), event by event, and what it
                                       comes to: who was refused and why, what failed, who crashed
  bursar --help, bursar --version

Settings come from the environment; .env.example lists them. With neither DATABASE_URL nor a provider's
key set, a playground opens: the built-in simulator, some budgets, and agents at work on them.
`

const LEVELS = { debug: "Debug", info: "Info", warn: "Warn", error: "Error" } as const

const providerOf = (
  key: Option.Option<Secret>,
  baseUrl: Option.Option<string>
): ProviderOptions | undefined =>
  Option.isNone(key)
    ? undefined
    : { apiKey: key.value, ...(Option.isSome(baseUrl) ? { baseUrl: baseUrl.value } : {}) }

const alertsOf = (set: Settings): AlertsConfig => ({
  privateTargets: set.webhookPrivateTargets === "on",
  ...(Option.isSome(set.smtpUrl) ? { smtp: { url: set.smtpUrl.value, from: set.smtpFrom } } : {})
})

const clusterOf = (set: Settings): ClusterOptions => ({
  host: set.nodeHost,
  port: set.nodePort,
  ...(Option.isSome(set.nodeAddress) ? { address: set.nodeAddress.value } : {})
})

const recordOf = (set: Settings): RecordOptions => ({
  file: set.recordFile,
  maxBytes: set.recordBytes,
  content: set.recordContent === "on"
})

const optionsOf = (set: Settings, inCluster: boolean): BursarOptions => {
  const anthropic = providerOf(set.anthropicKey, set.anthropicBaseUrl)
  const openai = providerOf(set.openaiKey, set.openaiBaseUrl)
  return {
    dataDirectory: set.dataDirectory,
    ...(Option.isSome(set.databaseUrl) ? { databaseUrl: set.databaseUrl.value } : {}),
    ...(anthropic === undefined ? {} : { anthropic }),
    ...(openai === undefined ? {} : { openai }),
    simulator: set.simulator !== "off",
    alerts: alertsOf(set),
    openWorkflowsMax: set.openWorkflowsMax,
    ...(inCluster ? { cluster: clusterOf(set) } : {}),
    ...(set.recordFile === "" ? {} : { record: recordOf(set) })
  }
}

const isPlayground = (options: BursarOptions): boolean =>
  options.databaseUrl === undefined &&
  options.anthropic === undefined &&
  options.openai === undefined &&
  options.simulator === true

const warnOfLaterProviders = Effect.forEach(
  LATER_PROVIDER_KEYS.filter((name) => process.env[name] !== undefined),
  (name) => Effect.logWarning(`${name} is set, but this version has no adapter for that provider`),
  { discard: true }
)

const ADMIN_KEY_LENGTH_MIN = 16

const warnOfSettings = (set: Settings) =>
  Effect.gen(function* () {
    yield* warnOfLaterProviders
    const unknown = unknownSettings(Object.keys(process.env))
    if (unknown !== undefined) yield* Effect.logWarning(unknown)
    if (Option.isSome(set.adminKey) && Redacted.value(set.adminKey.value).length < ADMIN_KEY_LENGTH_MIN)
      yield* Effect.logWarning(
        `BURSAR_ADMIN_KEY is shorter than ${ADMIN_KEY_LENGTH_MIN} characters, and may do everything: take a longer one that nobody can guess (openssl rand -hex 32)`
      )
  })

const run = Effect.fnUntraced(function* (set: Settings, playground: boolean) {
  const adminKey = Option.isSome(set.adminKey) ? set.adminKey.value : yield* adminKeyIn(set.dataDirectory)
  const bridge = yield* serve({
    host: set.host,
    port: set.port,
    adminKey,
    allowedHosts: set.allowedHosts.split(",").filter((host) => host !== ""),
    trustsProxy: set.trustsProxy,
    playground
  })
  if (playground) yield* Effect.forkScoped(runPlayground)
  yield* Effect.sync(() => announce(bridge.url, bridge.oneTimeLink(), playground))
  return yield* Effect.never
})

const announce = (url: string, link: string, playground: boolean): void => {
  process.stdout.write(`bursar ready ${url}\n`)
  process.stdout.write(`console ${link} (good once, for five minutes)\n`)
  if (playground) {
    process.stdout.write(
      "This is the playground: a built-in simulator, no real provider, made-up prices. --no-playground turns it off.\n"
    )
  }
}

const loggingOf = (set: Settings) =>
  Layer.mergeAll(
    Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
    Layer.succeed(References.MinimumLogLevel, LEVELS[set.logLevel])
  )

const said = (error: { readonly _tag: string; readonly message: string }): string =>
  error._tag === "ConfigError" ? settingProblem(error.message, process.env) : error.message

const serving = (mayPlay: boolean, inCluster: boolean) =>
  Effect.gen(function* () {
    const set = yield* settings
    const telemetry = telemetryOf(yield* telemetrySettings)
    const options = { ...optionsOf(set, inCluster), ...(telemetry === undefined ? {} : { telemetry }) }
    const isPlaying = mayPlay && isPlayground(options)
    // The doors close before what is behind them: a bridge that still takes signals would wake actors that have stopped.
    yield* Effect.scoped(Effect.andThen(warnOfSettings(set), run(set, isPlaying))).pipe(
      Effect.provide(layer(isPlaying ? { ...options, workflows: [REPORT] } : options)),
      Effect.provide(loggingOf(set))
    )
  }).pipe(
    // A defect keeps its stack; what somebody can mend is said in a line.
    Effect.catch((error) =>
      Effect.sync(() => {
        const hint = error._tag === "BridgeFailed" ? " (BURSAR_PORT)" : ""
        process.stderr.write(`bursar could not start: ${said(error)}${hint}\n`)
      })
    )
  )

const verifying = (tenant: string | undefined) =>
  Effect.gen(function* () {
    const set = yield* settings
    const books = Option.isSome(set.databaseUrl)
      ? serverBooks({ url: set.databaseUrl.value })
      : embeddedBooks({ directory: set.dataDirectory })
    return yield* auditVerify(tenant, (text) => process.stdout.write(text)).pipe(
      Effect.provide(books),
      Effect.provide(loggingOf(set))
    )
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        process.stderr.write(`bursar audit verify could not run: ${said(error)}\n`)
        return EXIT.couldNotRun
      })
    )
  )

/** Told to stop, and stopped in order: that is what was asked for, and no failure. What could not start returns. */
const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(1)
  return Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
}

/** The exit code is what was found. */
const exitWithAnswer: Runtime.Teardown = (exit, onExit) =>
  onExit(Exit.isSuccess(exit) && typeof exit.value === "number" ? exit.value : EXIT.couldNotRun)

const command = readCommandLine(process.argv.slice(2))
switch (command._tag) {
  case "help":
    process.stdout.write(HELP)
    break
  case "version":
    process.stdout.write(`${VERSION}\n`)
    break
  case "wrong":
    process.stderr.write(
      `bursar: ${command.what} is not understood; settings come from the environment\n\n${HELP}`
    )
    process.exitCode = 2
    break
  case "verify":
    runMain(verifying(command.tenant), { teardown: exitWithAnswer })
    break
  case "recording":
    process.exitCode = await showRecording(
      command,
      (text) => process.stdout.write(text),
      (text) => process.stderr.write(text)
    )
    break
  case "serve":
    runMain(serving(command.mayPlay, command.inCluster), { teardown })
    break
}
