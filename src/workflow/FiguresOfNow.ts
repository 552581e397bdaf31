/**
 * What a workflow has used by now: as its machine has it, and with what the ledger has learnt of its calls since.
 *
 * Owns: that a workflow is shown with the ledger's figures, its own budget among them, also after it has ended.
 * Does not decide: which rows count (LaterUse).
 */
import { Effect } from "effect"
import type { SignalError } from "../signal/Errors.ts"
import { ownBudgetOf } from "./AgentCall.ts"
import { type Adjustment, withLaterUse } from "./LaterUse.ts"
import type { WorkflowPorts } from "./Ports.ts"
import type { WorkflowAt } from "./WorkflowView.ts"

/** `adjustments`: all of the workflow's. */
export const withFiguresOfNow = (
  ports: WorkflowPorts,
  at: WorkflowAt,
  adjustments: ReadonlyArray<Adjustment>
): Effect.Effect<WorkflowAt, SignalError> => {
  const context = withLaterUse(at.context, adjustments)
  if (context === at.context) return Effect.succeed(at)
  if (context.ownBudget === null) return Effect.succeed({ ...at, context })
  return Effect.map(ownBudgetOf(ports, context.ownBudget.budgetId, context.principal), (ownBudget) => ({
    ...at,
    context: { ...context, ownBudget: ownBudget ?? context.ownBudget }
  }))
}
