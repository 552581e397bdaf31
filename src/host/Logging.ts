/**
 * What a runtime in a host's process writes to its log.
 *
 * Owns: how much of it is written, and where: to standard error, or to the host's own logger.
 */
import { Layer, Logger, type LogLevel, References } from "effect"
import { FUNCTION, type Known, oneOf } from "../signal/KnownOptions.ts"

/** From the least to the most; each has those before it. */
export type HostLogLevel = "none" | "error" | "warn" | "info" | "debug"

/** One entry of the log. */
export interface LogEntry {
  readonly level: Exclude<HostLogLevel, "none">
  readonly message: string
  /** RFC 3339. */
  readonly at: string
  /** What was caught, with its stack, if something was. */
  readonly cause: string | undefined
  /** What else is known, such as the number of an incident. */
  readonly fields: Readonly<Record<string, unknown>>
}

export interface HostLogging {
  /** Default: `warn`. */
  readonly level?: HostLogLevel
  /** Takes the entries in place of standard error. */
  readonly write?: (entry: LogEntry) => void
}

const LEVELS: { readonly [Level in HostLogLevel]: LogLevel.LogLevel } = {
  none: "None",
  error: "Error",
  warn: "Warn",
  info: "Info",
  debug: "Debug"
}

/** Its options. */
export const LOGGING: Known<HostLogging> = { level: oneOf(...Object.keys(LEVELS)), write: FUNCTION }

const SHOWN: { readonly [level: string]: LogEntry["level"] } = {
  FATAL: "error",
  ERROR: "error",
  WARN: "warn",
  INFO: "info"
}

const textOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part) => (typeof part === "string" ? part : JSON.stringify(part)))
    .join(" ")

const entries = Logger.map(
  Logger.formatStructured,
  ({ level, message, timestamp, cause, annotations }): LogEntry => ({
    level: SHOWN[level] ?? "debug",
    message: textOf(message),
    at: timestamp,
    cause,
    fields: annotations
  })
)

/** A logger of the host's that throws must not end an actor. */
const safely = (write: (entry: LogEntry) => void) => (entry: LogEntry) => {
  try {
    write(entry)
  } catch (error) {
    process.stderr.write(`bursar: the host's logger failed: ${error}\n`)
  }
}

export const loggingLayer = ({ level = "warn", write }: HostLogging): Layer.Layer<never> =>
  Layer.mergeAll(
    Logger.layer([
      write === undefined ? Logger.withConsoleError(Logger.formatLogFmt) : Logger.map(entries, safely(write))
    ]),
    Layer.succeed(References.MinimumLogLevel, LEVELS[level])
  )
