/**
 * A workflow's own budget: a budget of type `workflow` like any other.
 *
 * Owns: making it, once, before the first call; ending it (it becomes inactive) before the workflow ends. What was spent of it
 * stays, and so does the budget, because its usage does: it refuses nothing any more.
 * Does not decide: what it allows (the TokenManager).
 */
import { Clock, Effect } from "effect"
import { DEFAULT_OVERRIDE_POLICY } from "../signal/Budget.ts"
import type { SignalError } from "../signal/Errors.ts"
import { formatAmount, parseAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import { untilTaken } from "./AgentCall.ts"
import { insiderOf } from "./AgentOrder.ts"
import type { WorkflowPorts } from "./Ports.ts"
import type { Failure, OwnBudget, Plan, StoredPrincipal, WorkflowContext } from "./WorkflowContext.ts"

export interface OwnBudgetOrder {
  readonly workflowId: string
  readonly name: string
  readonly principal: StoredPrincipal
  readonly budget: Plan["budget"]
}

export type OwnBudgetMade = { readonly at: Millis } & (
  | { readonly ownBudget: OwnBudget | null }
  | { readonly failure: Failure }
)

export const ownBudgetOrderOf = ({ id, plan, principal }: WorkflowContext): OwnBudgetOrder => ({
  workflowId: id,
  name: plan.name,
  principal,
  budget: plan.budget
})

/** The same request id each time: a workflow has one budget of its own, however often this is run. */
const make = (
  ports: WorkflowPorts,
  { workflowId, name, principal, budget }: OwnBudgetOrder
): Effect.Effect<{ readonly ownBudget: OwnBudget | null }, SignalError> =>
  budget === null
    ? Effect.succeed({ ownBudget: null })
    : untilTaken(
        ports.money.ask(
          "create_budget",
          {
            request_id: `${workflowId}/budget`,
            name,
            type: "workflow",
            entity_id: workflowId,
            period: "lifetime",
            limit: parseAmount(budget.limit),
            measure: budget.measure,
            enforcement: budget.enforcement,
            override_policy: { ...DEFAULT_OVERRIDE_POLICY, ...budget.override_policy },
            time_zone: "UTC",
            week_starts_on: "monday",
            alert_thresholds: [50, 80, 90],
            active: true
          },
          insiderOf(principal)
        )
      ).pipe(
        Effect.map(({ budget_id, budget: made }) => ({
          ownBudget: {
            budgetId: budget_id,
            limit: formatAmount(made.limit),
            remaining: formatAmount(made.remaining)
          }
        }))
      )

/** It never fails: without its budget a workflow does not begin, and says why. */
export const makeOwnBudget = (ports: WorkflowPorts, order: OwnBudgetOrder): Effect.Effect<OwnBudgetMade> =>
  make(ports, order).pipe(
    Effect.catch((error) =>
      Effect.succeed({
        failure: { error: error._tag, message: `Its budget could not be made: ${error.message}` }
      })
    ),
    Effect.flatMap((made) => Effect.map(Clock.currentTimeMillis, (at) => ({ at, ...made })))
  )

export interface BudgetEndOrder {
  readonly workflowId: string
  readonly principal: StoredPrincipal
  /** `null`: whether it was made is not known. */
  readonly budgetId: string | null
}

export const budgetEndOrderOf = ({ id, principal, ownBudget }: WorkflowContext): BudgetEndOrder => ({
  workflowId: id,
  principal,
  budgetId: ownBudget?.budgetId ?? null
})

/** Where it was cancelled while its budget was being made, the budget is there or is not. */
const idsOf = (ports: WorkflowPorts, { workflowId, principal, budgetId }: BudgetEndOrder) =>
  budgetId !== null
    ? Effect.succeed([budgetId])
    : Effect.map(
        untilTaken(
          ports.money.ask(
            "get_budget_status",
            { type: "workflow", entity_id: workflowId, include_inactive: true },
            insiderOf(principal)
          )
        ),
        ({ budgets }) =>
          budgets
            .filter(({ entity_id, period }) => entity_id === workflowId && period === "lifetime")
            .map(({ id }) => id)
      )

/** The same request id each time: it is ended once, however often this is run. */
export const endOwnBudget = (
  ports: WorkflowPorts,
  order: BudgetEndOrder
): Effect.Effect<{ readonly at: Millis }> =>
  idsOf(ports, order).pipe(
    Effect.flatMap((ids) =>
      Effect.forEach(ids, (budget_id) =>
        untilTaken(
          ports.money.ask(
            "update_budget",
            {
              request_id: `${order.workflowId}/budget/end`,
              budget_id,
              updates: { active: false }
            },
            insiderOf(order.principal)
          )
        )
      )
    ),
    Effect.catch(({ message }) =>
      Effect.logWarning(`The budget of the workflow ${order.workflowId} stays active: ${message}`)
    ),
    Effect.andThen(Effect.map(Clock.currentTimeMillis, (at) => ({ at })))
  )

export const afterBudget = (context: WorkflowContext, made: OwnBudgetMade): WorkflowContext => {
  const now = Math.max(context.now, made.at)
  return "failure" in made
    ? { ...context, now, failure: { agent: null, ...made.failure }, ending: "failed" }
    : { ...context, now, ownBudget: made.ownBudget }
}
