/**
 * Whether whoever starts a workflow may give it the budget that its definition brings along.
 *
 * Owns: what such a budget would do to others: refuse calls that are attributed to the same id, or take the place of the
 * default for all workflows. Who may make budgets may do both.
 * Does not decide: what the host has declared, which is the host's own word; what a budget allows (the TokenManager).
 */
import { Effect } from "effect"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { Forbidden, type SignalError } from "../signal/Errors.ts"
import { hasRole, type Principal } from "../signal/Principal.ts"
import { untilTaken } from "./AgentCall.ts"
import { insiderOf } from "./AgentOrder.ts"
import type { WorkflowPorts } from "./Ports.ts"
import type { WorkflowInput } from "./WorkflowContext.ts"

const forbidden = (message: string): Effect.Effect<never, Forbidden> =>
  Effect.fail(new Forbidden({ message, required_role: "budget_admin" }))

/** Asked before it is started. */
export const checkOwnBudget = (
  ports: WorkflowPorts,
  { workflow, workflow_id }: SignalPayload<"start_workflow">,
  input: WorkflowInput,
  principal: Principal
): Effect.Effect<void, SignalError> =>
  Effect.gen(function* () {
    const isBrought = typeof workflow !== "string" && input.plan.budget !== null
    if (!isBrought || hasRole(principal, "budget_admin")) return
    if (workflow_id !== undefined)
      return yield* forbidden(
        "A budget of a workflow_id of your own would stand for every call that names it: leave workflow_id out, or the budget"
      )
    const wanted = { type: "workflow", entity_id: input.id, include_inactive: true } as const
    const { budgets } = yield* untilTaken(
      ports.money.ask("get_budget_status", wanted, insiderOf(input.principal))
    )
    if (budgets.some(({ period }) => period === "lifetime"))
      return yield* forbidden(
        "A budget stands for every workflow, and one of its own would take its place: leave the budget out"
      )
  })
