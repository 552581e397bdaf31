/**
 * Which agents may start.
 *
 * Owns: dependencies, and the limit of calls at the same time. Pure.
 * Does not decide: what a call is (AgentCall), or what its end means (StepEnd).
 */
import type { AgentDefinition } from "../signal/WorkflowDefinition.ts"
import { stepOf, type WorkflowContext, withStep } from "./WorkflowContext.ts"

const isReady = (context: WorkflowContext, { name, depends_on }: AgentDefinition): boolean =>
  stepOf(context, name).state === "pending" &&
  depends_on.every((dependency) => stepOf(context, dependency).state === "done")

const running = (context: WorkflowContext): ReadonlyArray<AgentDefinition> =>
  context.plan.agents.filter(({ name }) => stepOf(context, name).state === "running")

/** Agents that may start now, in the order of the definition. While it is parked or ends, none. */
export const startable = (context: WorkflowContext): ReadonlyArray<string> => {
  if (context.parked !== null || context.ending !== null) return []
  const free = context.plan.concurrency - running(context).length
  return context.plan.agents
    .filter((agent) => isReady(context, agent))
    .slice(0, Math.max(0, free))
    .map(({ name }) => name)
}

export const runningAgents = (context: WorkflowContext): ReadonlyArray<string> =>
  running(context).map(({ name }) => name)

export const isAllDone = (context: WorkflowContext): boolean =>
  Object.values(context.steps).every(({ state }) => state === "done")

/** These agents have started. */
export const start = (before: WorkflowContext, names: ReadonlyArray<string>): WorkflowContext =>
  names.reduce(
    (context, name) =>
      withStep(context, name, {
        state: "running",
        startedAt: stepOf(context, name).startedAt ?? context.now
      }),
    before
  )
