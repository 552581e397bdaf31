/**
 * Budgets that workflows brought with them: one for each, and they stay when their workflow has ended.
 *
 * Owns: which of them are kept and shown, so that what limits everybody is not lost among them.
 */
import { type WireBudget, WORKFLOW_BUDGETS_MAX, type WorkflowRow } from "./Model.ts"
import { hasEnded } from "./Workflows.ts"

type Workflows = ReadonlyMap<string, WorkflowRow>

export const isOfWorkflow = ({ type, entity_id }: Pick<WireBudget, "type" | "entity_id">): boolean =>
  type === "workflow" && entity_id !== "*"

const lives = ({ entity_id }: WireBudget, workflows: Workflows): boolean => {
  const row = workflows.get(entity_id ?? "")
  return row !== undefined && !hasEnded(row.progress)
}

/** Past the bound those go whose workflow has ended, or is not known, the oldest first. */
export const boundWorkflowBudgets = (budgets: Map<string, WireBudget>, workflows: Workflows): void => {
  const own = [...budgets].filter(([, budget]) => isOfWorkflow(budget))
  if (own.length <= WORKFLOW_BUDGETS_MAX) return
  own.sort(
    ([, a], [, b]) =>
      Number(lives(b, workflows)) - Number(lives(a, workflows)) ||
      Date.parse(b.created_at) - Date.parse(a.created_at)
  )
  for (const [key] of own.slice(WORKFLOW_BUDGETS_MAX)) budgets.delete(key)
}

export interface Sorted {
  /** What limits more than one workflow. */
  readonly common: ReadonlyArray<WireBudget>
  /** Of workflows that have not ended. */
  readonly own: ReadonlyArray<WireBudget>
}

export const sortedBudgets = (budgets: Iterable<WireBudget>, workflows: Workflows): Sorted => {
  const common: Array<WireBudget> = []
  const own: Array<WireBudget> = []
  for (const budget of budgets) {
    if (!isOfWorkflow(budget)) common.push(budget)
    else if (lives(budget, workflows)) own.push(budget)
  }
  return { common, own }
}
