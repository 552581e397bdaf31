/**
 * Workflows, made out of a list and of the facts that are told.
 *
 * Owns: how one workflow's row follows from them, which rows are kept, and which need a person first.
 * Does not decide: how a workflow runs, or when it parks (the runtime).
 */
import {
  type WireWorkflow,
  type WireWorkflowFact,
  WORKFLOW_FACTS_MAX,
  WORKFLOWS_MAX,
  type WorkflowRow
} from "./Model.ts"

export type WorkflowFilter = "all" | "parked" | "running" | "completed" | "failed" | "cancelled"

const NONE: WorkflowRow["facts"] = []

/** A list that was read before a fact came may arrive after it: what is older than what is known tells nothing. */
const isOlder = (workflow: WireWorkflow, known: WorkflowRow | undefined): boolean =>
  known !== undefined && Date.parse(workflow.updated_at) < Date.parse(known.progress.updated_at)

export const withProgress = (workflows: Map<string, WorkflowRow>, progress: WireWorkflow): void => {
  const known = workflows.get(progress.workflow_id)
  if (isOlder(progress, known)) return
  workflows.set(progress.workflow_id, { progress, facts: known?.facts ?? NONE })
}

export const withFact = (workflows: Map<string, WorkflowRow>, fact: WireWorkflowFact): void => {
  const { what, agent, detail, at, ...progress } = fact
  const known = workflows.get(progress.workflow_id)
  const happened = { what, agent, detail, at }
  workflows.set(progress.workflow_id, {
    progress: known !== undefined && isOlder(progress, known) ? known.progress : progress,
    facts: [...(known?.facts ?? NONE), happened].slice(-WORKFLOW_FACTS_MAX)
  })
}

type State = WireWorkflow["state"]

/** What needs a person, what moves, what is over. */
const RANK: { readonly [S in State]: number } = {
  parked: 2,
  running: 1,
  cancelling: 1,
  completed: 0,
  failed: 0,
  cancelled: 0
}

/** When its place in the list began: ended, or started. */
const placeOf = ({ ended_at, started_at }: WireWorkflow): number => Date.parse(ended_at ?? started_at)

/** What waits for a person first, then what runs, then what is over; of each the newest first. */
export const byNeed = (a: WireWorkflow, b: WireWorkflow): number =>
  RANK[b.state] - RANK[a.state] ||
  placeOf(b) - placeOf(a) ||
  (a.workflow_id < b.workflow_id ? -1 : a.workflow_id > b.workflow_id ? 1 : 0)

/** Past the bound those go that need a person least, the longest over first. */
export const boundWorkflows = (workflows: Map<string, WorkflowRow>): void => {
  if (workflows.size <= WORKFLOWS_MAX) return
  const sorted = [...workflows.values()].sort((a, b) => byNeed(a.progress, b.progress))
  for (const { progress } of sorted.slice(WORKFLOWS_MAX)) workflows.delete(progress.workflow_id)
}

/** What is being cancelled still runs. */
const shownAs = (state: State): WorkflowFilter => (state === "cancelling" ? "running" : state)

export const countsOf = (workflows: Iterable<WorkflowRow>): { readonly [F in WorkflowFilter]: number } => {
  const counts = { all: 0, parked: 0, running: 0, completed: 0, failed: 0, cancelled: 0 }
  for (const { progress } of workflows) {
    counts.all += 1
    counts[shownAs(progress.state)] += 1
  }
  return counts
}

const haystackOf = ({
  name,
  workflow_id,
  owner,
  attribution,
  current_agents,
  parked
}: WireWorkflow): string =>
  [
    name,
    workflow_id,
    owner,
    ...Object.values(attribution).filter((value) => typeof value === "string"),
    ...current_agents,
    ...(parked?.violations.map((violation) => violation.name) ?? [])
  ]
    .join("\n")
    .toLowerCase()

/** Those that pass, in the order of their need. A word looks in names, ids, owners, whom it is for, and budgets that refused. */
export const chosenFrom = (
  workflows: Iterable<WorkflowRow>,
  filter: WorkflowFilter,
  text: string
): ReadonlyArray<WireWorkflow> => {
  const words = text
    .toLowerCase()
    .split(/\s+/u)
    .filter((word) => word !== "")
  const chosen: Array<WireWorkflow> = []
  for (const { progress } of workflows) {
    if (filter !== "all" && shownAs(progress.state) !== filter) continue
    const haystack = words.length === 0 ? "" : haystackOf(progress)
    if (words.every((word) => haystack.includes(word))) chosen.push(progress)
  }
  return chosen.sort(byNeed)
}

export const hasEnded = ({ ended_at }: Pick<WireWorkflow, "ended_at">): boolean => ended_at !== null

/** Who it is for, the narrowest first. */
export const forWhom = ({ attribution }: Pick<WireWorkflow, "attribution">): string => {
  const { feature, user_id, team_id, project_id } = attribution
  return [user_id, team_id, project_id, feature].filter((part) => part !== undefined).join(" · ")
}

/** In one line, why it does not go on: what a list has room for. */
export const whyShort = ({ parked, failure }: Pick<WireWorkflow, "parked" | "failure">): string | null => {
  if (failure !== null)
    return failure.agent === null ? failure.message : `${failure.agent}: ${failure.message}`
  if (parked === null) return null
  const names = [...new Set(parked.violations.map(({ name }) => name))]
  return names.length === 0 ? parked.reason : `no room in ${names.join(", ")}`
}
