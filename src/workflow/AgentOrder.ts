/**
 * One call of one agent: what it needs, and the `complete` that it becomes. Plain JSON, and the same each time.
 *
 * Owns: the prompt that is filled in, the request id, and whom the call is attributed to.
 * Does not decide: when it is made (Plan), or what its end means (StepEnd).
 */
import { Result, type Schema } from "effect"
import { type Attribution, mergeAttribution } from "../signal/Attribution.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import type { AgentDefinition } from "../signal/WorkflowDefinition.ts"
import { instructionsFor } from "./Output.ts"
import { fillIn } from "./Template.ts"
import {
  agentOf,
  type StoredPrincipal,
  stepOf,
  stepRequestId,
  type WorkflowContext
} from "./WorkflowContext.ts"

export interface AgentOrder {
  readonly workflowId: string
  readonly workflowName: string
  readonly agent: AgentDefinition
  readonly tryNumber: number
  readonly notBefore: Millis | null
  readonly principal: StoredPrincipal
  readonly attribution: Attribution
  /** The input, and the outputs of the agents that it depends on. */
  readonly values: { readonly [name: string]: Schema.Json }
  readonly startedAt: Millis
  /** The trace of whoever started the workflow. */
  readonly traceparent?: string
  /** Its own budget, where it has one, and when to warn of it; `null`: never. */
  readonly budgetId: string | null
  readonly warnAt: number | null
}

export const orderOf = (context: WorkflowContext, name: string): AgentOrder => {
  const agent = agentOf(context, name)
  const step = stepOf(context, name)
  const outputs = agent.depends_on.map(
    (dependency) => [dependency, stepOf(context, dependency).output] as const
  )
  const { plan, isWarned } = context
  const warns = plan.budget?.measure === "tokens" && plan.tokenWarningAt > 0 && !isWarned
  return {
    workflowId: context.id,
    workflowName: plan.name,
    agent,
    tryNumber: step.tryNumber,
    notBefore: step.notBefore,
    principal: context.principal,
    attribution: context.attribution,
    values: { input: context.input, ...Object.fromEntries(outputs) },
    startedAt: context.startedAt,
    ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
    budgetId: context.ownBudget?.budgetId ?? null,
    warnAt: warns ? plan.tokenWarningAt : null
  }
}

/** Who asks: whoever started the workflow, and nothing else that they may do. */
export const callerOf = (principal: StoredPrincipal): Principal => ({ ...principal, roles: ["app"] })

/** Who looks at what the workflow itself spends and waits for, whatever the starter's key may see. */
export const insiderOf = (principal: StoredPrincipal): Principal => ({
  ...principal,
  roles: ["admin"],
  attribution: {}
})

/** A key that always has its own agent keeps it. */
export const attributionFor = (
  {
    workflowId,
    workflowName,
    principal,
    attribution
  }: Pick<AgentOrder, "workflowId" | "workflowName" | "principal" | "attribution">,
  agent: string
): Attribution => ({
  ...mergeAttribution(attribution, { operation: workflowName }),
  agent: principal.attribution.agent ?? agent,
  workflow_id: workflowId
})

/** The most that an agent may answer; `undefined`: the tenant's default is held for it. */
export const outputBoundOf = ({ max_completion_tokens, estimate }: AgentDefinition): number | undefined =>
  max_completion_tokens ?? estimate?.completion_tokens

/** The call; as an error, what is wrong with a prompt: "has {{x}}, and nothing is there". */
export const payloadOf = (order: AgentOrder): Result.Result<SignalPayload<"complete">, string> => {
  const { agent, values } = order
  const instructions = instructionsFor(agent.output)
  const bound = outputBoundOf(agent)
  return Result.flatMap(fillIn(agent.prompt, values), (content) =>
    Result.map(fillIn(agent.system ?? "", values), (filled): SignalPayload<"complete"> => {
      const system = [filled, instructions].filter((text) => text !== undefined && text !== "").join("\n\n")
      return {
        ...attributionFor(order, agent.name),
        request_id: stepRequestId(order.workflowId, agent.name, order.tryNumber),
        provider: agent.provider,
        model: agent.model,
        fallback: agent.fallback,
        max_attempts: 3,
        messages: [{ role: "user", content }],
        ...(system === "" ? {} : { system }),
        ...(bound === undefined ? {} : { max_completion_tokens: bound }),
        ...(agent.temperature === undefined ? {} : { temperature: agent.temperature }),
        ...(agent.deadline_ms === undefined ? {} : { deadline_ms: agent.deadline_ms }),
        stream: false,
        on_overrun: "extend"
      }
    })
  )
}
