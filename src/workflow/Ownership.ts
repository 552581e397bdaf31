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

const isAbout = ({ attribution }: Owned, workflowId: string, principal: Principal): boolean =>
  isAttributedAs({ ...attribution, workflow_id: workflowId }, principal.attribution)

const isOf = (workflow: Owned, workflowId: string, principal: Principal): boolean =>
  isAbout(workflow, workflowId, principal) && (isForced(principal) || workflow.owner === principal.owner)

/**
 * Operators and analysts see all workflows of their tenant; an app sees those that keys of its owner have started. A key
 * with forced attribution sees those that are attributed as it is, whoever has started them, and no others.
 */
export const isOwn = (workflow: Owned, workflowId: string, principal: Principal): boolean =>
  isOf(workflow, workflowId, principal) || (seesAll(principal) && isAbout(workflow, workflowId, principal))

/** The same without those who only read: an analyst changes what is theirs, and no more. */
export const mayChange = (workflow: Owned, workflowId: string, principal: Principal): boolean =>
  isOf(workflow, workflowId, principal) ||
  (hasRole(principal, "operator") && isAbout(workflow, workflowId, principal))
