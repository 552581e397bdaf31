/**
 * What a web server answers when a signal has failed.
 *
 * Owns: the HTTP status of each error, when it makes sense to try again, and a body after RFC 9457.
 * Does not decide: how a server sends it, or whether users are shown more of a budget than the error's message says.
 */
import { Schema } from "effect"
import { InternalError, SignalError } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"

/** For any server. `Response.json(problem.body, problem)` makes a `Response` of it. */
export interface HttpProblem {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: { readonly title: string; readonly status: number; readonly detail: string }
}

const STATUS: { readonly [Tag in SignalError["_tag"]]: number } = {
  ParseError: 400,
  InvalidRequest: 400,
  UnknownSignal: 400,
  InvalidParams: 400,
  InternalError: 500,
  Unauthenticated: 401,
  Forbidden: 403,
  NotFound: 404,
  Conflict: 409,
  BudgetExceeded: 402,
  ProviderFailed: 502,
  PriceUnknown: 422,
  RateUnknown: 422,
  Overloaded: 429,
  Unavailable: 503
}

const isSignalError = Schema.is(SignalError)

/** In how many milliseconds it makes sense to try again: where waiting does not help, only somebody who changes something can. */
const retryAfterMs = (error: SignalError, now: Millis): number | undefined => {
  if (error._tag === "BudgetExceeded") return error.retry_at === null ? undefined : error.retry_at - now
  return error._tag === "Overloaded" || error._tag === "Unavailable" ? error.retry_after_ms : undefined
}

const problemOf = (status: number, title: string, detail: string, headers = {}): HttpProblem => ({
  status,
  headers: { "content-type": "application/problem+json", ...headers },
  body: { title, status, detail }
})

/** What an AbortSignal rejects with by itself: nobody waits any more, or it was this server that waited no longer. */
const abortedBy = (error: unknown): HttpProblem | undefined => {
  const name = error instanceof Error ? error.name : undefined
  if (name === "AbortError") return problemOf(499, name, "Whoever asked has gone")
  return name === "TimeoutError" ? problemOf(504, name, "This took longer than it may: try again") : undefined
}

/**
 * A refused budget is 429 with `Retry-After` where waiting helps, else 402. An AbortSignal's own `AbortError` is 499, which is
 * for the log: its client has gone. The `TimeoutError` of `AbortSignal.timeout` is 504. What else is no error of a signal is a
 * 500 that says nothing.
 */
export const httpProblem = (error: unknown, now: Millis = Date.now()): HttpProblem => {
  const aborted = abortedBy(error)
  if (aborted !== undefined) return aborted
  const known = isSignalError(error)
    ? error
    : new InternalError({ message: "This failed inside the server", incident: "" })
  const waitMs = retryAfterMs(known, now)
  const status = known._tag === "BudgetExceeded" && waitMs !== undefined ? 429 : STATUS[known._tag]
  const waiting = waitMs === undefined ? {} : { "retry-after": String(Math.max(1, Math.ceil(waitMs / 1000))) }
  return problemOf(status, known._tag, known.message, waiting)
}
