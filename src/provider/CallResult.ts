/**
 * What a call answers, from how its machine ended.
 *
 * Owns: the answer and the error of `complete`, and what each error says to do.
 */
import { Schema } from "effect"
import { BudgetExceeded, InternalError, ProviderFailed, SignalError } from "../signal/Errors.ts"
import type { AttemptRecord, Completion } from "../signal/Providers.ts"
import { ProviderFailure } from "./Adapter.ts"
import type { Refused } from "./Admission.ts"
import type { Answer } from "./Attempt.ts"
import type { CallEnding } from "./CallMachine.ts"

export type CallResult = { readonly completion: Completion } | { readonly error: SignalError }

interface CallFacts {
  readonly requestId: string
  readonly attempts: ReadonlyArray<AttemptRecord>
  readonly deadlineMs: number
}

const NOTHING_SAID: Answer = { content: "", toolCalls: [], finishReason: "cancelled" }

const adviceFor = (failure: ProviderFailure, attempts: number): string => {
  // A call that was recorded answers the same whenever its id is sent again.
  if (failure.isRetryable && attempts > 0) {
    return "Send it again later, with a new request_id, or name a fallback"
  }
  if (failure.isRetryable) return "Send it again later, or name a fallback"
  if (failure.status === 401 || failure.status === 403) return "Check the provider's key"
  return "Change the request: the provider will not take it as it is"
}

const providerFailed = (failure: ProviderFailure, attempts: number): ProviderFailed =>
  new ProviderFailed({
    message: `${failure.provider}: ${failure.message}. ${adviceFor(failure, attempts)}`,
    provider: failure.provider,
    status: failure.status,
    retryable: failure.isRetryable,
    attempts
  })

const stopped = (ending: CallEnding, facts: CallFacts): ProviderFailed =>
  new ProviderFailed({
    message:
      ending.stop === "deadline"
        ? `The call was not finished within ${facts.deadlineMs} ms. Send it with a longer deadline_ms`
        : "The call was cancelled before it was sent",
    provider: ending.target.provider,
    status: null,
    retryable: true,
    attempts: facts.attempts.length
  })

/** Where waiting does not help, nobody is told to. */
const waits = (retryAt: Refused["retry_at"]): string =>
  retryAt === null
    ? " or ask for fewer tokens"
    : `, ask for fewer tokens, or wait until ${new Date(retryAt).toISOString()}`

/** Where a policy lets nobody ask for an override, nobody is told to. */
const budgetExceeded = ({ reason, violations, retry_at }: Refused): BudgetExceeded => {
  const asks = violations.every(({ override }) => override === "available") ? "Ask for an override, r" : "R"
  return new BudgetExceeded({
    message: violations.length === 0 ? reason : `${reason}. ${asks}aise the budget${waits(retry_at)}`,
    reason,
    violations,
    retry_at
  })
}

const isSignalError = Schema.is(SignalError)

const errorOf = (error: unknown, facts: CallFacts): SignalError => {
  if (error instanceof ProviderFailure) return providerFailed(error, facts.attempts.length)
  if (isSignalError(error)) return error
  return new InternalError({
    message: "The call failed by a defect of ours; the log says more",
    incident: facts.requestId
  })
}

const completionOf = (ending: CallEnding, facts: CallFacts, answer: Answer): CallResult | undefined =>
  ending.usage === undefined
    ? undefined
    : {
        completion: {
          request_id: facts.requestId,
          ...ending.target,
          content: answer.content,
          ...(answer.toolCalls.length > 0 && { tool_calls: answer.toolCalls }),
          finish_reason: answer.finishReason,
          usage: ending.usage,
          attempts: facts.attempts
        }
      }

/** A call that was cancelled after it had been sent answers what was received; nobody may be there to read it. */
export const resultOf = (ending: CallEnding, facts: CallFacts): CallResult => {
  if (ending.refused !== undefined) return { error: budgetExceeded(ending.refused) }
  if (ending.error !== undefined) return { error: errorOf(ending.error, facts) }
  const { end } = ending
  if (ending.state === "done" && end?.kind === "answered") {
    return completionOf(ending, facts, end.answer) ?? { error: errorOf(undefined, facts) }
  }
  if (ending.state === "cancelled") {
    const partial = end?.kind === "cancelled" ? end.partial : NOTHING_SAID
    return completionOf(ending, facts, partial) ?? { error: stopped(ending, facts) }
  }
  if (ending.stop === "deadline" || end?.kind !== "failed") return { error: stopped(ending, facts) }
  return { error: providerFailed(end.failure, facts.attempts.length) }
}
