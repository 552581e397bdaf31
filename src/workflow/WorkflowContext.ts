/**
 * All that is known of one workflow: the machine's context.
 *
 * Owns: its shape. It is plain JSON, because it is a snapshot in the store: amounts are decimal strings.
 * Does not decide: how it changes (StepEnd, Parking), or what is shown of it (WorkflowView).
 */
import type { Schema } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { Violation } from "../signal/Errors.ts"
import { formatAmount, parseAmount, UNIT } from "../signal/Money.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import type { AgentDefinition, WorkflowDefinition } from "../signal/WorkflowDefinition.ts"
import type { OnDenied, StepState } from "../signal/Workflows.ts"

/** What a try of a step has used so far. */
export interface Spent {
  readonly promptTokens: number
  readonly completionTokens: number
  /** In the tenant's currency. */
  readonly cost: string
  /** The `usage_seq` of the last row that is counted here: what adjusts it later is not (LaterUse). */
  readonly lastSeq: number
}

export interface Failure {
  readonly error: string
  readonly message: string
}

export interface StepRecord {
  readonly state: StepState
  /** The try that runs, or is the next one: the last part of its request id. */
  readonly tryNumber: number
  /** Tries that failed, as far as they count as retries. */
  readonly failures: number
  /** Tries whose answer was lost: they were charged, and nobody has heard them. */
  readonly lost: number
  /** A retry waits until then. */
  readonly notBefore: Millis | null
  readonly output: Schema.Json
  readonly failure: Failure | null
  /** By try, so that what is told twice counts once. */
  readonly spent: { readonly [tryNumber: string]: Spent }
  readonly provider: string
  readonly model: string
  readonly startedAt: Millis | null
  readonly endedAt: Millis | null
}

/** A budget that refused a step, as it is on the wire. */
export type Refusing = typeof Violation.Encoded

/** One step that was refused. */
export interface Refusal {
  readonly agent: string
  readonly reason: string
  readonly violations: ReadonlyArray<Refusing>
  readonly retryAt: Millis | null
}

export interface ParkedRecord {
  readonly refusals: ReadonlyArray<Refusal>
  readonly since: Millis
  /** The number of the last refusal: whoever looked at an earlier one looks again. */
  readonly round: number
  readonly lookedAtRound: number
  /** When it looks by itself whether there is room, and has to be in memory for that. */
  readonly lookAt: Millis
  /** When its key ends by itself: it looks then, too. */
  readonly keyEndsAt: Millis | null
  /** How often it has looked so, and found none. */
  readonly looks: number
  readonly approvers: ReadonlyArray<string>
  readonly overrides: ReadonlyArray<string>
  /** Why an override that it was told to ask for could not be asked for. */
  readonly notes: ReadonlyArray<string>
}

/** Its own budget, as it stood when somebody last looked. */
export interface OwnBudget {
  readonly budgetId: string
  readonly limit: string
  readonly remaining: string
}

/** Whoever started it: it goes on in their name, also after a restart. */
export type StoredPrincipal = Pick<
  Principal,
  "keyId" | "owner" | "tenant" | "roles" | "attribution" | "isInstallation"
>

/** A definition without anything that JSON cannot write. */
export interface Plan {
  readonly name: string
  readonly agents: ReadonlyArray<AgentDefinition>
  readonly concurrency: number
  readonly tokenWarningAt: number
  readonly budget:
    | (Omit<NonNullable<WorkflowDefinition["budget"]>, "limit"> & { readonly limit: string })
    | null
  readonly requestOverride: { readonly amount?: string; readonly reason?: string } | null
}

export interface WorkflowInput {
  readonly id: string
  readonly principal: StoredPrincipal
  readonly attribution: Attribution
  readonly plan: Plan
  readonly input: Schema.Json
  readonly onDenied: OnDenied
  /** Of what it was started with, so that a repeat can be told from another one. */
  readonly digest: string
  readonly startedAt: Millis
  /** The trace of whoever started it; absent where there is none. */
  readonly traceparent?: string
}

export interface WorkflowContext extends WorkflowInput {
  /** The moment of the last event: machines have no clock of their own. */
  readonly now: Millis
  readonly steps: { readonly [agent: string]: StepRecord }
  readonly currency: string | null
  readonly ownBudget: OwnBudget | null
  readonly isWarned: boolean
  readonly parked: ParkedRecord | null
  /** Refusals so far: what is asked for in one round is not what is asked for in another. */
  readonly rounds: number
  readonly failure: (Failure & { readonly agent: string | null }) | null
  /** What it ends as, once everything is settled. */
  readonly ending: "failed" | "cancelled" | null
}

const TOKEN_WARNING_AT = 10_000n

/** A warning that comes before the first call says nothing: of a small budget it is a fifth. */
const tokenWarningAtOf = ({ budget, token_warning_at }: WorkflowDefinition): number => {
  if (token_warning_at !== undefined) return token_warning_at
  const fifth = budget?.measure === "tokens" ? budget.limit / UNIT / 5n : TOKEN_WARNING_AT
  return Number(fifth < TOKEN_WARNING_AT ? fifth : TOKEN_WARNING_AT)
}

export const planOf = (definition: WorkflowDefinition): Plan => ({
  name: definition.name,
  agents: definition.agents,
  concurrency: definition.concurrency,
  tokenWarningAt: tokenWarningAtOf(definition),
  budget:
    definition.budget === undefined
      ? null
      : { ...definition.budget, limit: formatAmount(definition.budget.limit) },
  requestOverride:
    definition.request_override === undefined
      ? null
      : {
          ...(definition.request_override.amount === undefined
            ? {}
            : { amount: formatAmount(definition.request_override.amount) }),
          ...(definition.request_override.reason === undefined
            ? {}
            : { reason: definition.request_override.reason })
        }
})

export const definitionOf = (plan: Plan): WorkflowDefinition => ({
  name: plan.name,
  agents: plan.agents,
  concurrency: plan.concurrency,
  token_warning_at: plan.tokenWarningAt,
  ...(plan.budget === null ? {} : { budget: { ...plan.budget, limit: parseAmount(plan.budget.limit) } }),
  ...(plan.requestOverride === null
    ? {}
    : {
        request_override: {
          ...(plan.requestOverride.amount === undefined
            ? {}
            : { amount: parseAmount(plan.requestOverride.amount) }),
          ...(plan.requestOverride.reason === undefined ? {} : { reason: plan.requestOverride.reason })
        }
      })
})

const newStep = (agent: AgentDefinition): StepRecord => ({
  state: "pending",
  tryNumber: 1,
  failures: 0,
  lost: 0,
  notBefore: null,
  output: null,
  failure: null,
  spent: {},
  provider: agent.provider,
  model: agent.model,
  startedAt: null,
  endedAt: null
})

export const newContext = (input: WorkflowInput): WorkflowContext => ({
  ...input,
  now: input.startedAt,
  steps: Object.fromEntries(input.plan.agents.map((agent) => [agent.name, newStep(agent)])),
  currency: null,
  ownBudget: null,
  isWarned: false,
  parked: null,
  rounds: 0,
  failure: null,
  ending: null
})

/** A step that is there: agents and steps are made together. */
export const stepOf = (context: Pick<WorkflowContext, "steps">, agent: string): StepRecord => {
  const step = context.steps[agent]
  if (step === undefined) throw new Error(`the workflow has no agent ${agent}`)
  return step
}

export const agentOf = (context: Pick<WorkflowContext, "plan">, name: string): AgentDefinition => {
  const agent = context.plan.agents.find((candidate) => candidate.name === name)
  if (agent === undefined) throw new Error(`the workflow has no agent ${name}`)
  return agent
}

export const withStep = (
  context: WorkflowContext,
  agent: string,
  changes: Partial<StepRecord>
): WorkflowContext => ({
  ...context,
  steps: { ...context.steps, [agent]: { ...stepOf(context, agent), ...changes } }
})

/** The request id of a step's try: what its call is held, reported and found under. */
export const stepRequestId = (workflowId: string, agent: string, tryNumber: number): string =>
  `${workflowId}/${agent}/${tryNumber}`
