/**
 * What the end of a call means for its step and for the workflow.
 *
 * Owns: done, again, parked or failed, and what was spent. Pure.
 * Does not decide: how a call ended (AgentCall), or when a parked workflow goes on (Parking).
 */
import type { Schema } from "effect"
import { type Millis, toSentence } from "../signal/Text.ts"
import type { StepRetries } from "../signal/WorkflowDefinition.ts"
import { type Adjustment, withLaterUse } from "./LaterUse.ts"
import { parkOn } from "./Parking.ts"
import {
  agentOf,
  type Failure,
  type OwnBudget,
  type Refusal,
  type Spent,
  stepOf,
  type WorkflowContext,
  withStep
} from "./WorkflowContext.ts"

/** Answers that were lost are asked for again without counting as retries; more often than this something is wrong. */
export const LOST_MAX = 1_000

const LOST_PAUSE_MS = 100
const LOST_PAUSE_MS_MAX = 5_000

/** After the first loss at once: a process has died. After that something may go on taking what this step is about. */
export const pauseAfterLosses = (lost: number): number =>
  lost < 2 ? 0 : Math.min(LOST_PAUSE_MS * 2 ** (lost - 2), LOST_PAUSE_MS_MAX)

interface Facts {
  readonly at: Millis
  /** All that this try has used; absent where it is not known, and where there was nothing. */
  readonly spent?: Spent
  readonly currency?: string
  readonly ownBudget?: OwnBudget
  /** All that adjusts calls of the workflow; absent where nothing does. */
  readonly adjustments?: ReadonlyArray<Adjustment>
  /** An alert about it was raised. */
  readonly isWarned?: boolean
}

/** How a try ended. */
export type StepEnd = Facts &
  (
    | {
        readonly kind: "done"
        readonly output: Schema.Json
        readonly provider: string
        readonly model: string
      }
    /** It was charged before, by a process that died before it had heard the answer. */
    | { readonly kind: "lost" }
    | { readonly kind: "refused"; readonly refusal: Omit<Refusal, "agent"> }
    | ({ readonly kind: "failed"; readonly isRetryable: boolean } & Failure)
  )

/** Doubles with each failure: no jitter, so that the same history gives the same moments. */
export const backoffMs = ({ backoff_ms, backoff_max_ms }: StepRetries, failures: number): number =>
  Math.min(backoff_ms * 2 ** Math.max(0, failures - 1), backoff_max_ms)

const spend = (context: WorkflowContext, agent: string, end: Facts): WorkflowContext => {
  const { spent, tryNumber } = stepOf(context, agent)
  const counted =
    end.spent === undefined
      ? context
      : withStep(context, agent, { spent: { ...spent, [tryNumber]: end.spent } })
  return {
    ...withLaterUse(counted, end.adjustments ?? []),
    now: Math.max(context.now, end.at),
    currency: end.currency ?? context.currency,
    ownBudget: end.ownBudget ?? context.ownBudget,
    isWarned: context.isWarned || end.isWarned === true
  }
}

/** The workflow ends with this step: everything else is settled, and nothing more starts. */
const fail = (context: WorkflowContext, agent: string, failure: Failure): WorkflowContext => ({
  ...withStep(context, agent, { state: "failed", failure, endedAt: context.now }),
  failure: context.failure ?? { agent, ...failure },
  ending: context.ending ?? "failed"
})

const again = (context: WorkflowContext, agent: string, failure: Failure): WorkflowContext => {
  const { retries } = agentOf(context, agent)
  const step = stepOf(context, agent)
  const failures = step.failures + 1
  if (failures > retries.max) {
    const tries = failures === 1 ? "" : ` (after ${failures} tries)`
    return fail(withStep(context, agent, { failures }), agent, {
      ...failure,
      message: toSentence(`${failure.message}${tries}`)
    })
  }
  return withStep(context, agent, {
    state: "pending",
    failure,
    failures,
    tryNumber: step.tryNumber + 1,
    notBefore: context.now + backoffMs(retries, failures)
  })
}

const lose = (context: WorkflowContext, agent: string): WorkflowContext => {
  const step = stepOf(context, agent)
  if (step.lost >= LOST_MAX) {
    const message = `The answers of ${LOST_MAX} tries were lost: is something else using request ids of this workflow?`
    return fail(context, agent, { error: "Conflict", message })
  }
  const lost = step.lost + 1
  const pauseMs = pauseAfterLosses(lost)
  return withStep(context, agent, {
    state: "pending",
    lost,
    tryNumber: step.tryNumber + 1,
    notBefore: pauseMs === 0 ? step.notBefore : context.now + pauseMs
  })
}

const refuse = (context: WorkflowContext, agent: string, refusal: Omit<Refusal, "agent">): WorkflowContext =>
  context.onDenied === "fail"
    ? fail(context, agent, { error: "BudgetExceeded", message: refusal.reason })
    : parkOn(withStep(context, agent, { state: "parked" }), { agent, ...refusal })

/** The workflow after a call of one of its agents has ended. */
export const endStep = (before: WorkflowContext, agent: string, end: StepEnd): WorkflowContext => {
  const context = spend(before, agent, end)
  switch (end.kind) {
    case "done":
      return withStep(context, agent, {
        state: "done",
        output: end.output,
        failure: null,
        notBefore: null,
        provider: end.provider,
        model: end.model,
        endedAt: context.now
      })
    case "lost":
      return lose(context, agent)
    case "refused":
      return refuse(context, agent, end.refusal)
    case "failed": {
      const failure = { error: end.error, message: toSentence(end.message) }
      return end.isRetryable ? again(context, agent, failure) : fail(context, agent, failure)
    }
  }
}
