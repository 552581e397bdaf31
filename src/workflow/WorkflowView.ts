/**
 * What is shown of a workflow: where it stands, its steps, and what happened between two steps of its machine.
 *
 * Owns: percentages, sums, and that neither prompt, input nor output is in what is told of its progress.
 * Does not decide: who may look (Workflows).
 */

import { Schema } from "effect"
import { formatAmount, parseAmount, percentOf } from "../signal/Money.ts"
import { formatTimestamp, type Millis, toSentence } from "../signal/Text.ts"
import { WorkflowDefinition } from "../signal/WorkflowDefinition.ts"
import {
  Workflow,
  WorkflowFact,
  WorkflowProgress,
  type WorkflowState,
  type WorkflowStep
} from "../signal/Workflows.ts"
import { outputBoundOf } from "./AgentOrder.ts"
import { retryAtOf } from "./Parking.ts"
import { runningAgents } from "./Plan.ts"
import {
  agentOf,
  definitionOf,
  type ParkedRecord,
  type Refusal,
  type Spent,
  type StepRecord,
  stepOf,
  stepRequestId,
  type WorkflowContext
} from "./WorkflowContext.ts"

/** A machine after some step: all that a view is made of. */
export interface WorkflowAt {
  /** The top state of the machine. */
  readonly state: string
  readonly context: WorkflowContext
  /** Why it stopped, where it was not the workflow itself that did: its code changed, or it failed by a defect. */
  readonly stopped: { readonly isOver: boolean; readonly reason: string } | null
}

type Progress = typeof WorkflowProgress.Encoded
type Fact = typeof WorkflowFact.Encoded

const timestamp = (at: Millis | null): string | null => (at === null ? null : formatTimestamp(at))

export const stateOf = ({ state, context, stopped }: WorkflowAt): WorkflowState => {
  if (stopped !== null) return stopped.isOver ? "failed" : "parked"
  switch (state) {
    case "completed":
    case "failed":
    case "cancelled":
      return state
    case "ending":
      return "cancelling"
    case "closing":
      return context.ending === null ? "running" : "cancelling"
    default:
      return context.parked === null ? "running" : "parked"
  }
}

export const hasEnded = (state: WorkflowState): boolean =>
  state === "completed" || state === "failed" || state === "cancelled"

interface Sum {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cost: bigint
}

const sumOf = (spent: ReadonlyArray<Spent>): Sum =>
  spent.reduce<Sum>(
    (sum, { promptTokens, completionTokens, cost }) => ({
      promptTokens: sum.promptTokens + promptTokens,
      completionTokens: sum.completionTokens + completionTokens,
      cost: sum.cost + parseAmount(cost)
    }),
    { promptTokens: 0, completionTokens: 0, cost: 0n }
  )

/** What an agent that does not say how much it may answer is refused for. */
const estimateNotes = (context: WorkflowContext, refusals: ReadonlyArray<Refusal>): ReadonlyArray<string> => {
  const unbounded = refusals
    .filter(({ violations }) => violations.some(({ measure }) => measure !== "requests"))
    .filter(({ agent }) => outputBoundOf(agentOf(context, agent)) === undefined)
    .map(({ agent }) => agent)
  if (unbounded.length === 0) return []
  return [
    `${unbounded.join(", ")} gave no max_completion_tokens, so the tenant's default_completion_tokens are held for the answer: with a smaller max_completion_tokens less is asked for`
  ]
}

/** A sentence for people: what refused, what could not be asked for, and what would make it smaller. */
const reasonOf = (context: WorkflowContext, { refusals, notes }: ParkedRecord): string =>
  toSentence(
    [refusals[0]?.reason ?? "Refused", ...notes, ...estimateNotes(context, refusals)]
      .map((text) => text.replace(/\.$/u, ""))
      .join(". ")
  )

const parkedOf = ({ context, stopped }: WorkflowAt): Progress["parked"] => {
  const { parked } = context
  if (stopped !== null && !stopped.isOver) {
    return {
      reason: toSentence(stopped.reason),
      agents: [],
      violations: [],
      retry_at: null,
      looks_at: null,
      approvers: [],
      overrides: [],
      since: formatTimestamp(context.now)
    }
  }
  if (parked === null) return null
  return {
    reason: reasonOf(context, parked),
    agents: parked.refusals.map(({ agent }) => agent),
    violations: parked.refusals.flatMap(({ violations }) => violations),
    retry_at: timestamp(retryAtOf(parked.refusals)),
    looks_at: formatTimestamp(parked.lookAt),
    approvers: parked.approvers,
    overrides: parked.overrides,
    since: formatTimestamp(parked.since)
  }
}

const failureOf = ({ context, stopped }: WorkflowAt): Progress["failure"] => {
  if (stopped?.isOver === true)
    return { agent: null, error: "InternalError", message: toSentence(stopped.reason) }
  if (context.failure === null) return null
  return { ...context.failure, message: toSentence(context.failure.message) }
}

const budgetOf = ({
  plan,
  ownBudget
}: WorkflowContext): Pick<Progress, "budget" | "remaining" | "budget_percent"> => {
  if (plan.budget === null || ownBudget === null)
    return { budget: null, remaining: null, budget_percent: null }
  const limit = parseAmount(ownBudget.limit)
  const remaining = parseAmount(ownBudget.remaining)
  return {
    budget: {
      budget_id: ownBudget.budgetId,
      measure: plan.budget.measure,
      limit: ownBudget.limit,
      remaining: ownBudget.remaining
    },
    remaining: ownBudget.remaining,
    budget_percent: percentOf(limit - remaining, limit)
  }
}

/** A moment that was ahead when it was parked may be over: then the next one counts. */
export const progressAsOf = <P extends WorkflowProgress>(progress: P, now: Millis): P => {
  const { parked } = progress
  if (parked === null || parked.retry_at === null || parked.retry_at > now) return progress
  const later = parked.violations.flatMap(({ resets_at }) =>
    resets_at !== null && resets_at > now ? [resets_at] : []
  )
  return { ...progress, parked: { ...parked, retry_at: later.length === 0 ? null : Math.min(...later) } }
}

/** Where a workflow stands, as it is on the wire. */
export const progressOf = (at: WorkflowAt): Progress => {
  const { context } = at
  const steps = Object.values(context.steps)
  const done = steps.filter(({ state }) => state === "done").length
  const sum = sumOf(steps.flatMap(({ spent }) => Object.values(spent)))
  const state = stateOf(at)
  return {
    workflow_id: context.id,
    name: context.plan.name,
    state,
    on_denied: context.onDenied,
    steps_done: done,
    steps_total: steps.length,
    current_agents: runningAgents(context),
    prompt_tokens: sum.promptTokens,
    completion_tokens: sum.completionTokens,
    total_tokens: sum.promptTokens + sum.completionTokens,
    cost: formatAmount(sum.cost),
    currency: context.currency,
    ...budgetOf(context),
    completion_percent: Math.floor((100 * done) / steps.length),
    parked: parkedOf(at),
    failure: failureOf(at),
    owner: context.principal.owner,
    attribution: context.attribution,
    started_at: formatTimestamp(context.startedAt),
    updated_at: formatTimestamp(context.now),
    ended_at: hasEnded(state) ? formatTimestamp(context.now) : null
  }
}

/** What a row says of a workflow, so that nobody has to read all of it: what lists show, and the key that started it. */
export type WorkflowAbout = Progress & { readonly key_id: string }

export const aboutOf = (at: WorkflowAt): WorkflowAbout => ({
  ...progressOf(at),
  key_id: at.context.principal.keyId
})

const stepViewOf = (context: WorkflowContext, name: string): typeof WorkflowStep.Encoded => {
  const step = stepOf(context, name)
  const sum = sumOf(Object.values(step.spent))
  const hasStarted = step.startedAt !== null
  return {
    agent: name,
    state: step.state,
    depends_on: agentOf(context, name).depends_on,
    tries: hasStarted ? step.tryNumber : 0,
    request_id: hasStarted ? stepRequestId(context.id, name, step.tryNumber) : null,
    provider: step.provider,
    model: step.model,
    output: step.output,
    failure: step.failure === null ? null : { agent: name, ...step.failure },
    prompt_tokens: sum.promptTokens,
    completion_tokens: sum.completionTokens,
    cost: formatAmount(sum.cost),
    started_at: timestamp(step.startedAt),
    ended_at: timestamp(step.endedAt)
  }
}

const encodeDefinition = Schema.encodeSync(WorkflowDefinition)

/** All of a workflow, as it is on the wire. */
export const workflowOf = (at: WorkflowAt): typeof Workflow.Encoded => ({
  ...progressOf(at),
  input: at.context.input,
  definition: encodeDefinition(definitionOf(at.context.plan)),
  steps: at.context.plan.agents.map(({ name }) => stepViewOf(at.context, name))
})

type Happened = Pick<Fact, "what" | "agent" | "detail">

/** What became of one step. */
const stepFact = (name: string, before: StepRecord | undefined, after: StepRecord): Happened | undefined => {
  const detail = after.failure?.message ?? null
  if (before?.state !== after.state) {
    if (after.state === "running") return { what: "step_started", agent: name, detail: null }
    if (after.state === "done") return { what: "step_done", agent: name, detail: null }
    if (after.state === "failed") return { what: "step_failed", agent: name, detail }
  }
  if (before !== undefined && after.tryNumber > before.tryNumber) {
    const why = after.lost > before.lost ? "its answer was lost with the process that asked" : detail
    return { what: "step_retried", agent: name, detail: why }
  }
  return undefined
}

const workflowFact = (before: WorkflowAt | undefined, after: WorkflowAt): Happened | undefined => {
  if (before === undefined) return { what: "started", agent: null, detail: null }
  const [was, is] = [stateOf(before), stateOf(after)]
  if (was === is) return undefined
  if (is === "running") return was === "parked" ? { what: "resumed", agent: null, detail: null } : undefined
  const detail = is === "parked" ? (parkedOf(after)?.reason ?? null) : (failureOf(after)?.message ?? null)
  return { what: is, agent: null, detail }
}

/** What happened in a step of the machine, in the order in which it is told. */
export const factsBetween = (before: WorkflowAt | undefined, after: WorkflowAt): ReadonlyArray<Fact> => {
  const steps = after.context.plan.agents.flatMap(({ name }) => {
    const happened = stepFact(name, before?.context.steps[name], stepOf(after.context, name))
    // A step that waits for its first turn is nothing that happened.
    return happened === undefined ? [] : [happened]
  })
  const ofAll = workflowFact(before, after)
  const isFirst = ofAll?.what === "started" || ofAll?.what === "resumed"
  const happened = ofAll === undefined ? steps : isFirst ? [ofAll, ...steps] : [...steps, ofAll]
  if (happened.length === 0) return []
  const progress = progressOf(after)
  // The end is told once, by the last fact.
  const until = {
    ...progress,
    state: before === undefined ? progress.state : stateOf(before),
    ended_at: null
  }
  return happened.map((one) => ({
    ...one,
    at: formatTimestamp(after.context.now),
    ...(hasEnded(progress.state) && one !== ofAll ? until : progress)
  }))
}

export const decodeProgress = Schema.decodeUnknownSync(WorkflowProgress)
export const decodeWorkflow = Schema.decodeUnknownSync(Workflow)
export const decodeFact = Schema.decodeUnknownSync(WorkflowFact)
