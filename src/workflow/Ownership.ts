/**
 * Whose a workflow is.
 *
 * Owns: who sees a workflow, and may cancel or resume it.
 * Does not decide: who may send the signals at all (signal/Authorization).
 */
import { type Attribution, isAttributedAs } from "../signal/Attribution.ts"
import { hasRole, type Principal } from "../signal/Principal.ts"

export interface Owned {
  readonly owner: string
  readonly attribution: Attribution
}

const seesAll = (principal: Principal): boolean =>
  hasRole(principal, "operator") || hasRole(principal, "analyst")

const isForced = ({ attribution }: Principal): boolean => Object.keys(attribution).length > 0

/**
 * Operators and analysts see all workflows of their tenant; an app sees those that keys of its owner have started. A key
 * with forced attribution sees those that are attributed as it is, whoever has started them, and no others.
 */
export const isOwn = (workflow: Owned, workflowId: string, principal: Principal): boolean => {
  if (!isAttributedAs({ ...workflow.attribution, workflow_id: workflowId }, principal.attribution))
    return false
  return seesAll(principal) || isForced(principal) || workflow.owner === principal.owner
}
