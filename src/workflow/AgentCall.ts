/**
 * Makes the call of an agent, and says how it ended.
 *
 * Owns: what each answer and each error of `complete` means for a step, and what a try has used in all.
 * Does not decide: what follows (StepEnd), or anything about budgets (the TokenManager).
 *
 * It is run again after a crash, under the same request id: a call that is known to have ended answers from before; one
 * that was admitted or charged, but whose answer nobody has heard, ends as `lost`.
 */
import { Clock, Effect, Result, Schema } from "effect"
import { readTraceparent } from "../actor/TraceContext.ts"
import { CurrentTracing } from "../actor/Tracing.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { type SignalError, Violation } from "../signal/Errors.ts"
import { formatAmount } from "../signal/Money.ts"
import type { Completion } from "../signal/Providers.ts"
import { type AgentOrder, callerOf, insiderOf, payloadOf } from "./AgentOrder.ts"
import { keyFailure } from "./KeyEnds.ts"
import { adjustmentsOfOne } from "./LaterUse.ts"
import { outputOf } from "./Output.ts"
import type { WorkflowPorts } from "./Ports.ts"
import type { StepEnd } from "./StepEnd.ts"
import { type Failure, type OwnBudget, type Refusal, type Spent, stepRequestId } from "./WorkflowContext.ts"

const WAIT_MS = 200
const WAIT_MS_MAX = 30_000

export const encodeViolation = Schema.encodeSync(Violation)

/** Tries again for as long as the state lasts: what cannot be taken now says nothing about the call. */
export const untilTaken = <A>(ask: Effect.Effect<A, SignalError>): Effect.Effect<A, SignalError> => {
  const attempt = (waitMs: number): Effect.Effect<A, SignalError> => {
    const again = ({ retry_after_ms }: { readonly retry_after_ms: number }) =>
      Effect.andThen(
        Effect.sleep(Math.min(Math.max(waitMs, retry_after_ms), WAIT_MS_MAX)),
        attempt(Math.min(waitMs * 2, WAIT_MS_MAX))
      )
    return ask.pipe(Effect.catchTags({ Unavailable: again, Overloaded: again }))
  }
  return attempt(WAIT_MS)
}

type Kind =
  | { readonly kind: "done"; readonly output: Schema.Json; readonly provider: string; readonly model: string }
  | { readonly kind: "lost" }
  | { readonly kind: "refused"; readonly refusal: Omit<Refusal, "agent"> }
  | {
      readonly kind: "failed"
      readonly isRetryable: boolean
      readonly error: string
      readonly message: string
    }

/**
 * An answer that does not match is asked for again: models do not answer twice the same. One that was cut short, when the
 * process was told to stop, is no answer.
 */
export const endOfAnswer = (order: AgentOrder, completion: Completion): Kind => {
  if (completion.finish_reason === "cancelled") return { kind: "lost" }
  if (completion.finish_reason === "content_filter") {
    const message = `The provider's content filter has cut the answer of ${order.agent.name} off`
    return { kind: "failed", isRetryable: true, error: "content_filter", message }
  }
  const output = outputOf(order.agent.output, completion.content)
  if (Result.isFailure(output)) {
    const cut = completion.finish_reason === "length" ? " (it was cut off at max_completion_tokens)" : ""
    return {
      kind: "failed",
      isRetryable: true,
      error: "output_does_not_match",
      message: `The answer of ${order.agent.name} cannot be taken: ${output.failure}${cut}`
    }
  }
  return {
    kind: "done",
    output: output.success,
    provider: completion.provider,
    model: completion.model
  }
}

/** What an error of `complete` means. Errors that pass by themselves never come here. */
export const endOfError = (error: SignalError): Kind => {
  switch (error._tag) {
    case "BudgetExceeded":
      return {
        kind: "refused",
        refusal: {
          reason: error.reason,
          violations: error.violations.map((violation) => encodeViolation(violation)),
          retryAt: error.retry_at
        }
      }
    case "Conflict":
      // Only a call of ours has this id: it was made, and whoever made it died before the answer was kept.
      return { kind: "lost" }
    case "ProviderFailed":
      return {
        kind: "failed",
        isRetryable: error.retryable,
        error: error._tag,
        message: error.message
      }
    default:
      return {
        kind: "failed",
        isRetryable: error._tag === "InternalError",
        error: error._tag,
        message: error.message
      }
  }
}

/** What is known of a try's request: what it holds, and all that it has used. */
const requestOf = (ports: WorkflowPorts, order: AgentOrder) =>
  untilTaken(
    ports.money.ask(
      "find_request",
      { request_id: stepRequestId(order.workflowId, order.agent.name, order.tryNumber) },
      insiderOf(order.principal)
    )
  )

/** All that a try has used, by its rows: failed attempts, and those of a process that died. */
export const spentBy = (ports: WorkflowPorts, order: AgentOrder) =>
  Effect.map(requestOf(ports, order), ({ prompt_tokens, completion_tokens, cost, currency, last_seq }) => {
    const spent: Spent = {
      promptTokens: prompt_tokens,
      completionTokens: completion_tokens,
      cost: formatAmount(cost),
      lastSeq: last_seq
    }
    return { spent, currency }
  })

const spentOf = ({ usage }: Completion): { readonly spent: Spent; readonly currency: string } => ({
  spent: {
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    cost: formatAmount(usage.cost),
    lastSeq: usage.usage_seq
  },
  currency: usage.currency
})

/** Its own budget as it stands now, with what was approved on top. */
export const ownBudgetOf = (ports: WorkflowPorts, budgetId: string, principal: AgentOrder["principal"]) =>
  Effect.map(
    untilTaken(
      ports.money.ask(
        "get_budget_status",
        { budget_id: budgetId, include_inactive: true },
        insiderOf(principal)
      )
    ),
    ({ budgets: [budget] }): OwnBudget | undefined =>
      budget && {
        budgetId,
        limit: formatAmount(budget.limit + budget.override_total),
        remaining: formatAmount(budget.remaining)
      }
  )

/** Raised once, under an id of its own, however many steps find the budget so low. */
const warn = (ports: WorkflowPorts, order: AgentOrder, remaining: string) =>
  untilTaken(
    ports.money.ask(
      "raise_alert",
      {
        request_id: `${order.workflowId}/token_warning`,
        kind: "token_warning",
        severity: "warning",
        message: `The workflow ${order.workflowName} has no more than ${order.warnAt} tokens of its budget left`,
        ...(order.budgetId === null ? {} : { budget_id: order.budgetId }),
        data: { workflow_id: order.workflowId, warn_at: order.warnAt, remaining }
      },
      insiderOf(order.principal)
    )
  ).pipe(Effect.catchTag("Conflict", () => Effect.void))

/** What is said anew of calls that were counted before, as it is now. */
export const laterUse = (ports: WorkflowPorts, { workflowId, principal }: AgentOrder) =>
  Effect.map(untilTaken(adjustmentsOfOne(ports, workflowId, principal)), (adjustments) =>
    adjustments.length === 0 ? {} : { adjustments }
  )

const budgetFacts = (ports: WorkflowPorts, order: AgentOrder) =>
  Effect.gen(function* () {
    const { budgetId, warnAt } = order
    if (budgetId === null) return {}
    const ownBudget = yield* ownBudgetOf(ports, budgetId, order.principal)
    if (ownBudget === undefined) return {}
    const isLow = warnAt !== null && BigInt(ownBudget.remaining.split(".")[0] ?? "0") <= BigInt(warnAt)
    if (!isLow) return { ownBudget }
    yield* warn(ports, order, ownBudget.remaining)
    return { ownBudget, isWarned: true }
  })

const unfilled = (order: AgentOrder, what: string): Kind => ({
  kind: "failed",
  isRetryable: false,
  error: "prompt_cannot_be_filled",
  message: `The prompt of ${order.agent.name} ${what}`
})

/**
 * A process that has ended has asked before: its call was admitted or charged, and nobody has heard the answer. What is
 * held is settled, and the next try asks again; so both are charged, each as what it is.
 */
const settleLost = (ports: WorkflowPorts, order: AgentOrder, payload: SignalPayload<"complete">) =>
  Effect.gen(function* () {
    const before = yield* requestOf(ports, order)
    const caller = callerOf(order.principal)
    if (before.open_hold !== null) yield* untilTaken(ports.calls.settle(payload, caller))
    // What is charged for good cannot be asked for again: it has an end that is kept, or its end is lost.
    else if (!before.is_posted || (yield* untilTaken(ports.calls.isKnown(payload, caller)))) return undefined
    const lost: Kind = { kind: "lost" }
    return { ...lost, ...(yield* spentBy(ports, order)) }
  })

/** An answer that was paid for is never thrown away because what is only shown beside it cannot be had. */
const orElse = <A, B>(order: AgentOrder, look: Effect.Effect<A, SignalError>, otherwise: B) =>
  Effect.catch(look, ({ message }) =>
    Effect.as(
      Effect.logWarning(
        `The figures of ${order.workflowId}/${order.agent.name} could not be read: ${message}`
      ),
      otherwise
    )
  )

type Answered = { readonly completion: Completion } | { readonly keyEnd: Failure }

/** The key is looked at each time: who waited for a provider or the store may have lost it meanwhile. */
const answerTo = (ports: WorkflowPorts, order: AgentOrder, payload: SignalPayload<"complete">) =>
  untilTaken(
    Effect.gen(function* (): Effect.fn.Return<Answered, SignalError> {
      const keyEnd = yield* keyFailure(ports.keys, order.principal)
      if (keyEnd !== undefined) return { keyEnd }
      return { completion: yield* ports.calls.complete(payload, callerOf(order.principal)) }
    })
  )

/** A call of a workflow is a trace of its own, linked to whoever started the workflow: that may be days ago. */
const traced = <A, E>(order: AgentOrder, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(CurrentTracing, (tracing) => {
    if (tracing === undefined) return effect
    const facts = {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": order.agent.name,
      "bursar.tenant": order.principal.tenant,
      "bursar.workflow_id": order.workflowId,
      "bursar.request_id": stepRequestId(order.workflowId, order.agent.name, order.tryNumber)
    }
    return tracing.caused(
      `invoke_agent ${order.agent.name}`,
      readTraceparent(order.traceparent),
      facts,
      effect
    )
  })

const run = (ports: WorkflowPorts, order: AgentOrder) =>
  Effect.gen(function* () {
    const payload = payloadOf(order)
    if (Result.isFailure(payload)) return unfilled(order, payload.failure)
    const lost = yield* settleLost(ports, order, payload.success)
    if (lost !== undefined) return lost
    const answered = yield* Effect.result(answerTo(ports, order, payload.success))
    if (Result.isFailure(answered)) {
      return { ...endOfError(answered.failure), ...(yield* spentBy(ports, order)) }
    }
    if ("keyEnd" in answered.success) {
      const failed: Kind = { kind: "failed", isRetryable: false, ...answered.success.keyEnd }
      return { ...failed, ...(yield* spentBy(ports, order)) }
    }
    const { completion } = answered.success
    const spent =
      completion.usage.attempt > 1 || completion.usage.adjusts !== undefined
        ? yield* orElse(order, spentBy(ports, order), spentOf(completion))
        : spentOf(completion)
    return { ...endOfAnswer(order, completion), ...spent }
  })

/** Makes the call, when its time has come. It never fails: what cannot be said is a failure of the step. */
export const callAgent = (ports: WorkflowPorts, order: AgentOrder): Effect.Effect<StepEnd> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (order.notBefore !== null && order.notBefore > now) yield* Effect.sleep(order.notBefore - now)
    const end = yield* traced(order, run(ports, order))
    const later = yield* orElse(order, laterUse(ports, order), {})
    const facts = yield* orElse(order, budgetFacts(ports, order), {})
    return { ...end, ...later, ...facts, at: yield* Clock.currentTimeMillis }
  }).pipe(
    Effect.catch((error) =>
      Effect.map(
        Clock.currentTimeMillis,
        (at): StepEnd => ({
          at,
          kind: "failed",
          isRetryable: error._tag === "InternalError",
          error: error._tag,
          message: error.message
        })
      )
    )
  )
