/**
 * What the roles of this session may send.
 *
 * Owns: asking the signals' own definitions. Does not decide: anything (the server does); what a role may not send is
 * not offered.
 */

import { CreateBudget, UpdateBudget } from "../../signal/Budgeting.ts"
import { ListDeadLetters, RedriveDeadLetter } from "../../signal/DeadLetters.ts"
import { ListRefusals } from "../../signal/KeptRefusals.ts"
import { DecideOverride, ListOverrides, RequestOverride } from "../../signal/Overrides.ts"
import { type SignalTraits, traitsOf } from "../../signal/Signal.ts"
import { CancelWorkflow, ListWorkflows, ResumeWorkflow, StartWorkflow } from "../../signal/Workflows.ts"
import type { Identity } from "./Model.ts"

const DEFINED = {
  cancel_workflow: CancelWorkflow,
  create_budget: CreateBudget,
  decide_override: DecideOverride,
  list_dead_letters: ListDeadLetters,
  list_overrides: ListOverrides,
  list_refusals: ListRefusals,
  list_workflows: ListWorkflows,
  redrive_dead_letter: RedriveDeadLetter,
  request_override: RequestOverride,
  resume_workflow: ResumeWorkflow,
  start_workflow: StartWorkflow,
  update_budget: UpdateBudget
} as const

export type Offered = keyof typeof DEFINED

const rolesOf = (name: Offered): SignalTraits["roles"] => traitsOf(DEFINED[name]).roles

/** A server that does not say who this is decides for itself. */
export const maySend = (identity: Pick<Identity, "roles"> | null, name: Offered): boolean => {
  const roles = identity?.roles
  if (roles === undefined || roles.includes("admin")) return true
  return rolesOf(name).some((role) => roles.includes(role))
}

/** `operator or admin`: whom to ask. */
export const neededFor = (name: Offered): string => [...rolesOf(name), "admin"].join(" or ")
