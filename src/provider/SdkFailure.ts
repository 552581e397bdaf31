/**
 * Turns what an SDK throws into a `ProviderFailure`.
 *
 * Owns: which failures are worth another try, and whether the provider may have read the request.
 * Does not decide: whether there is another try (Retry).
 */
import { NO_USAGE, ProviderFailure } from "./Adapter.ts"
import { retryAfterMs } from "./RetryAfter.ts"

/** The fields of an SDK's error that both SDKs share. */
interface SdkError {
  readonly status?: number | undefined
  readonly headers?: Headers | undefined
  readonly code?: string | null | undefined
  readonly type?: string | null | undefined
  readonly message: string
  readonly cause?: unknown
}

/** The classes by which an SDK's errors are told apart. */
export interface SdkErrorClasses {
  readonly APIError: abstract new (...args: never) => Error
  readonly APIConnectionError: abstract new (...args: never) => Error
  readonly APIConnectionTimeoutError: abstract new (...args: never) => Error
}

/** What an error event inside a stream would have been as an HTTP status: Anthropic, "Errors"; OpenAI, "Error codes". */
const STATUS_OF_TYPE: { readonly [type: string]: number | undefined } = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
  api_error: 500,
  server_error: 500,
  timeout_error: 504,
  overloaded_error: 529
}

const NEVER_CONNECTED = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT"
])

const MESSAGE_LENGTH_MAX = 500

/** True when some cause says that there never was a connection. */
const neverConnected = (error: unknown): boolean => {
  let cause: unknown = error
  for (let depth = 0; depth < 5 && typeof cause === "object" && cause !== null; depth += 1) {
    const { code, cause: inner, errors } = cause as { code?: unknown; cause?: unknown; errors?: unknown }
    if (typeof code === "string" && NEVER_CONNECTED.has(code)) return true
    if (Array.isArray(errors) && errors.length > 0) return errors.every(neverConnected)
    cause = inner
  }
  return false
}

const isRetryableStatus = (status: number): boolean => status === 408 || status === 429 || status >= 500

const shorten = (message: string): string =>
  message.length > MESSAGE_LENGTH_MAX ? `${message.slice(0, MESSAGE_LENGTH_MAX)}…` : message

/** An error answer: a status and no content, so it costs nothing. */
const answeredWith = (provider: string, error: SdkError, status: number, now: number): ProviderFailure => {
  const told = error.headers?.get("x-should-retry")
  const isQuotaGone = error.code === "insufficient_quota" || error.type === "insufficient_quota"
  return new ProviderFailure({
    provider,
    status,
    isRetryable: isRetryableStatus(status) && !isQuotaGone && told !== "false",
    retryAfterMs: retryAfterMs(error.headers, now),
    message: shorten(error.message),
    usage: { counts: NO_USAGE },
    reachedProvider: true
  })
}

/** An error event in the middle of a stream. What came before it is counted by whoever reads the stream. */
const toldInStream = (provider: string, error: SdkError): ProviderFailure => {
  const status = STATUS_OF_TYPE[error.code ?? ""] ?? STATUS_OF_TYPE[error.type ?? ""] ?? 500
  return new ProviderFailure({
    provider,
    status,
    isRetryable: isRetryableStatus(status) && (error.code ?? error.type) !== "insufficient_quota",
    retryAfterMs: undefined,
    message: shorten(error.message),
    usage: undefined,
    reachedProvider: true
  })
}

/** No answer: no connection, a lost one, or a timeout. */
const unanswered = (provider: string, message: string, reachedProvider: boolean): ProviderFailure =>
  new ProviderFailure({
    provider,
    status: null,
    isRetryable: true,
    retryAfterMs: undefined,
    message: shorten(message),
    usage: reachedProvider ? undefined : { counts: NO_USAGE },
    reachedProvider
  })

/** An error event that came before anything else is as free as an error answer. */
export const withoutCost = (failure: ProviderFailure): ProviderFailure =>
  new ProviderFailure({ ...failure, message: failure.message, usage: { counts: NO_USAGE } })

/** A stream that ended before the provider said that it had finished. */
export const cutStream = (provider: string): ProviderFailure =>
  unanswered(provider, "the stream ended before the provider finished", true)

/** A stream that went silent. */
export const silentStream = (provider: string, idleMs: number): ProviderFailure =>
  unanswered(provider, `the stream was silent for ${idleMs} ms`, true)

export const sdkFailure = (
  provider: string,
  classes: SdkErrorClasses,
  thrown: unknown,
  now: number
): ProviderFailure => {
  if (thrown instanceof ProviderFailure) return thrown
  const error = (thrown instanceof Error ? thrown : new Error(String(thrown))) as SdkError & Error
  if (thrown instanceof classes.APIConnectionTimeoutError) return unanswered(provider, error.message, true)
  if (thrown instanceof classes.APIConnectionError) {
    return unanswered(provider, error.message, !neverConnected(error))
  }
  if (thrown instanceof classes.APIError) {
    return error.status === undefined
      ? toldInStream(provider, error)
      : answeredWith(provider, error, error.status, now)
  }
  // A body that breaks off, or text that is not what the provider documents.
  return unanswered(provider, `${error.name}: ${error.message}`, !neverConnected(error))
}
