/**
 * Workflows that run: the signals that start, show and end them, and what they tell of their progress
 * (signals.md, sections 8 and 9).
 *
 * Owns: the shapes. Does not decide: how a workflow runs (workflow/).
 */
import { Schema } from "effect"
import { Attribution, attributionFields } from "./Attribution.ts"
import { Measure } from "./Budget.ts"
import { Currency } from "./Currency.ts"
import { Violation } from "./Errors.ts"
import { Decimal } from "./Money.ts"
import { command, query } from "./Signal.ts"
import { boundedJson, Count, Id, Name, optional, Sentence, Timestamp, withDefault } from "./Text.ts"
import { pageFields } from "./Tracking.ts"
import { WorkflowDefinition } from "./WorkflowDefinition.ts"

const INPUT_BYTES_MAX = 262_144
const INPUT_DEPTH_MAX = 16
/** It stands in front of every step's request id. */
const WORKFLOW_ID_LENGTH_MAX = 128

export const WorkflowId = Id.check(Schema.isMaxLength(WORKFLOW_ID_LENGTH_MAX))

export const OnDenied = Schema.Literals(["park", "fail"])
export type OnDenied = typeof OnDenied.Type

export const WorkflowState = Schema.Literals([
  "running",
  "parked",
  "cancelling",
  "completed",
  "failed",
  "cancelled"
])
export type WorkflowState = typeof WorkflowState.Type

export const StepState = Schema.Literals(["pending", "running", "parked", "done", "failed", "cancelled"])
export type StepState = typeof StepState.Type

/** Why a workflow waits: what refused it, when it looks again at the latest, and who can let it go on. */
export const Parked = Schema.Struct({
  reason: Sentence,
  agents: Schema.Array(Name),
  violations: Schema.Array(Violation),
  retry_at: Schema.NullOr(Timestamp),
  approvers: Schema.Array(Name).annotate({
    description: "roles or owners who may approve an override of what refused it"
  }),
  overrides: Schema.Array(Id).annotate({ description: "overrides that the workflow itself has asked for" }),
  since: Timestamp
}).annotate({ identifier: "Parked" })
export type Parked = typeof Parked.Type

export const WorkflowFailure = Schema.Struct({
  agent: Schema.NullOr(Name),
  error: Schema.String.annotate({
    description:
      "the _tag of the error, or output_does_not_match, prompt_cannot_be_filled, key_revoked, key_expired"
  }),
  message: Sentence
}).annotate({ identifier: "WorkflowFailure" })
export type WorkflowFailure = typeof WorkflowFailure.Type

/** Where a workflow stands. No prompt, no input and no output is in it. */
export const WorkflowProgress = Schema.Struct({
  workflow_id: Id,
  name: Name,
  state: WorkflowState,
  on_denied: OnDenied,
  steps_done: Count,
  steps_total: Count,
  current_agents: Schema.Array(Name),
  prompt_tokens: Count,
  completion_tokens: Count,
  total_tokens: Count,
  cost: Decimal,
  currency: Schema.NullOr(Currency).annotate({ description: "the tenant's; null until something was used" }),
  budget: Schema.NullOr(
    Schema.Struct({ budget_id: Id, measure: Measure, limit: Decimal, remaining: Decimal })
  ).annotate({ description: "its own budget, as it stood after the last step" }),
  remaining: Schema.NullOr(Decimal).annotate({ description: "of its own budget" }),
  completion_percent: Count,
  budget_percent: Schema.NullOr(Schema.Finite),
  parked: Schema.NullOr(Parked),
  failure: Schema.NullOr(WorkflowFailure),
  owner: Name,
  attribution: Attribution,
  started_at: Timestamp,
  updated_at: Timestamp,
  ended_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "WorkflowProgress" })
export type WorkflowProgress = typeof WorkflowProgress.Type

/** One fact of the topic `workflows`: what happened, to which agent, and where the workflow stands since then. */
export const WorkflowFact = Schema.Struct({
  what: Schema.Literals([
    "started",
    "step_started",
    "step_done",
    "step_retried",
    "step_failed",
    "parked",
    "resumed",
    "cancelling",
    "completed",
    "failed",
    "cancelled"
  ]),
  agent: Schema.NullOr(Name),
  detail: Schema.NullOr(Sentence),
  at: Timestamp,
  ...WorkflowProgress.fields
}).annotate({ identifier: "WorkflowFact" })
export type WorkflowFact = typeof WorkflowFact.Type

export const WorkflowStep = Schema.Struct({
  agent: Name,
  state: StepState,
  depends_on: Schema.Array(Name),
  tries: Count,
  request_id: Schema.NullOr(Id).annotate({ description: "of its last try: WORKFLOW/AGENT/TRY" }),
  provider: Id,
  model: Id,
  output: Schema.Json,
  failure: Schema.NullOr(WorkflowFailure),
  prompt_tokens: Count,
  completion_tokens: Count,
  cost: Decimal,
  started_at: Schema.NullOr(Timestamp),
  ended_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "WorkflowStep" })
export type WorkflowStep = typeof WorkflowStep.Type

/** A workflow with its input, its definition and what its agents have answered. */
export const Workflow = Schema.Struct({
  ...WorkflowProgress.fields,
  input: Schema.Json,
  definition: Schema.Json.annotate({
    description: "its definition, as start_workflow takes it, with every default written out"
  }),
  steps: Schema.Array(WorkflowStep)
}).annotate({ identifier: "Workflow" })
export type Workflow = typeof Workflow.Type

export const StartWorkflow = command("start_workflow", {
  family: "workflows",
  roles: ["app"],
  description:
    "Starts a workflow of agents: a declared one by its name, or one that is given here. Its calls are budgeted, held and recorded like any other, attributed to it.",
  payload: {
    workflow: Schema.Union([Name, WorkflowDefinition]),
    input: boundedJson(INPUT_BYTES_MAX, INPUT_DEPTH_MAX),
    on_denied: withDefault(OnDenied, "park"),
    ...attributionFields,
    /** The workflow's own id; without it one is made. */
    workflow_id: optional(WorkflowId)
  },
  success: Schema.Struct({ workflow_id: Id, workflow: WorkflowProgress })
})

export const GetWorkflow = query("get_workflow", {
  family: "workflows",
  roles: ["app", "analyst", "operator"],
  description: "Shows one workflow: its steps, their outputs, what they cost, and what it waits for.",
  payload: { workflow_id: Id },
  success: Schema.Struct({ workflow: Workflow })
})

export const ListWorkflows = query("list_workflows", {
  family: "workflows",
  roles: ["app", "analyst", "operator"],
  description: "Lists workflows, the newest first.",
  payload: {
    state: optional(WorkflowState),
    name: optional(Name),
    user_id: attributionFields.user_id,
    team_id: attributionFields.team_id,
    project_id: attributionFields.project_id,
    feature: attributionFields.feature,
    ...pageFields
  },
  success: Schema.Struct({ items: Schema.Array(WorkflowProgress), next_cursor: Schema.NullOr(Schema.String) })
})

export const CancelWorkflow = command("cancel_workflow", {
  family: "workflows",
  roles: ["app", "operator"],
  description:
    "Ends a workflow: calls on their way are cancelled and settled, what is held is given back, nothing more starts.",
  payload: { workflow_id: Id, reason: optional(Sentence) },
  success: Schema.Struct({ workflow: WorkflowProgress })
})

export const ResumeWorkflow = command("resume_workflow", {
  family: "workflows",
  roles: ["app", "operator"],
  description: "Lets a parked workflow try again now. One that is not parked goes on as it does.",
  payload: { workflow_id: Id },
  success: Schema.Struct({ workflow: WorkflowProgress })
})
