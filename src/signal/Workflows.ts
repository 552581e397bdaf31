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

/** Why a workflow waits: what refused it, when there may be room, when it looks again, and who can let it go on. */
export const Parked = Schema.Struct({
  /** A sentence for people. */
  reason: Sentence,
  /** Whose calls were refused. */
  agents: Schema.Array(Name),
  /** The budgets that have no room. */
  violations: Schema.Array(Violation),
  /**
   * The earliest moment at which there may be room without anybody's doing, as of the last look; null where waiting alone does
   * not help. Where money is only held that is soon.
   */
  retry_at: Schema.NullOr(Timestamp),
  /** When it looks again by itself at the latest, in its turn; null where nothing but a restart lets it go on. */
  looks_at: Schema.NullOr(Timestamp),
  /** Roles or owners who may approve an override of what refused it. */
  approvers: Schema.Array(Name),
  /** Overrides that the workflow itself has asked for. */
  overrides: Schema.Array(Id),
  /** When it was parked. */
  since: Timestamp
}).annotate({ identifier: "Parked" })
export type Parked = typeof Parked.Type

export const WorkflowFailure = Schema.Struct({
  /** Whose step failed; null where it was none. */
  agent: Schema.NullOr(Name),
  /**
   * The `_tag` of the error, or `output_does_not_match`, `prompt_cannot_be_filled`, `key_revoked`, `key_expired`,
   * `key_unknown`.
   */
  error: Schema.String,
  /** What to do about it. */
  message: Sentence
}).annotate({ identifier: "WorkflowFailure" })
export type WorkflowFailure = typeof WorkflowFailure.Type

/** Where a workflow stands. No prompt, no input and no output is in it. */
export const WorkflowProgress = Schema.Struct({
  /** For `get_workflow`, `cancel_workflow`, `resume_workflow`. */
  workflow_id: Id,
  /** The definition's. */
  name: Name,
  /** `parked`: a budget refused, and it waits for room; `cancelling`: calls on their way are settled. */
  state: WorkflowState,
  /** What it does when a budget refuses. */
  on_denied: OnDenied,
  /** Agents that have answered. */
  steps_done: Count,
  /** All agents. */
  steps_total: Count,
  /** Those whose calls are on their way. */
  current_agents: Schema.Array(Name),
  /** Of all calls so far, failed ones too. */
  prompt_tokens: Count,
  /** Of all calls so far, failed ones too. */
  completion_tokens: Count,
  /** `prompt_tokens` + `completion_tokens`. */
  total_tokens: Count,
  /** Of all calls so far, in `currency`. */
  cost: Decimal,
  /** The tenant's; null until something was used. */
  currency: Schema.NullOr(Currency),
  /** Its own budget, as it stood after the last step; null where it has none. */
  budget: Schema.NullOr(
    Schema.Struct({
      /** For `request_override` and `get_budget_status`. */
      budget_id: Id,
      /** The unit of the amounts. */
      measure: Measure,
      /** As it was defined, or raised. */
      limit: Decimal,
      /** What may still be spent. */
      remaining: Decimal
    })
  ),
  /** Of its own budget; null where it has none. */
  remaining: Schema.NullOr(Decimal),
  /** `steps_done` of `steps_total`, rounded down. */
  completion_percent: Count,
  /** How much of its own budget is used; null where it has none. */
  budget_percent: Schema.NullOr(Schema.Finite),
  /** Why it waits; null where it does not. */
  parked: Schema.NullOr(Parked),
  /** Why it failed; null where it did not. */
  failure: Schema.NullOr(WorkflowFailure),
  /** Who started it. */
  owner: Name,
  /** What all its calls carry, beside `workflow_id` and `agent`. */
  attribution: Attribution,
  /** When it was started. */
  started_at: Timestamp,
  /** When it last changed. */
  updated_at: Timestamp,
  /** Null while it runs. */
  ended_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "WorkflowProgress" })
export type WorkflowProgress = typeof WorkflowProgress.Type

/** One fact of the topic `workflows`: what happened, to which agent, and where the workflow stands since then. */
export const WorkflowFact = Schema.Struct({
  /** What happened. */
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
  /** Whose step it was; null where it was none. */
  agent: Schema.NullOr(Name),
  /** Why, where there is something to say. */
  detail: Schema.NullOr(Sentence),
  /** When it happened. */
  at: Timestamp,
  ...WorkflowProgress.fields
}).annotate({ identifier: "WorkflowFact" })
export type WorkflowFact = typeof WorkflowFact.Type

export const WorkflowStep = Schema.Struct({
  /** Its name. */
  agent: Name,
  /** `pending`: waits for others, or for a free place. */
  state: StepState,
  /** Agents that must be done before. */
  depends_on: Schema.Array(Name),
  /** How often it was called. */
  tries: Count,
  /** Of its last try: WORKFLOW/AGENT/TRY; null before the first. */
  request_id: Schema.NullOr(Id),
  /** Who is called. */
  provider: Id,
  /** Who is called. */
  model: Id,
  /** What it answered: text, or JSON; null until then. */
  output: Schema.Json,
  /** Why it failed; null where it did not. */
  failure: Schema.NullOr(WorkflowFailure),
  /** Of all tries. */
  prompt_tokens: Count,
  /** Of all tries. */
  completion_tokens: Count,
  /** Of all tries, in the tenant's currency. */
  cost: Decimal,
  /** When it was first called; null before. */
  started_at: Schema.NullOr(Timestamp),
  /** Null until it is done or has failed. */
  ended_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "WorkflowStep" })
export type WorkflowStep = typeof WorkflowStep.Type

/** A workflow with its input, its definition and what its agents have answered. */
export const Workflow = Schema.Struct({
  ...WorkflowProgress.fields,
  /** What it was started with. */
  input: Schema.Json,
  /** Its definition, as `start_workflow` takes it, with every default written out. */
  definition: Schema.Json,
  /** One per agent. */
  steps: Schema.Array(WorkflowStep)
}).annotate({ identifier: "Workflow" })
export type Workflow = typeof Workflow.Type

export const StartWorkflow = command("start_workflow", {
  family: "workflows",
  roles: ["app"],
  description:
    "Starts a workflow of agents: a declared one by its name, or one that is given here. Its calls are budgeted, held and recorded like any other, attributed to it.",
  fails: ["NotFound", "BudgetExceeded", "RateUnknown"],
  payload: {
    /** The name of one that the host declared, or a whole definition. */
    workflow: Schema.Union([Name, WorkflowDefinition]),
    /** Any JSON for `{{input}}`; at most 256 KiB, 16 levels deep. */
    input: boundedJson(INPUT_BYTES_MAX, INPUT_DEPTH_MAX),
    /**
     * When a budget refuses: `park` waits for room or an override, `fail` ends it, and starts nothing where the
     * first call has no room.
     */
    on_denied: withDefault(OnDenied, "park"),
    ...attributionFields,
    /** The workflow's own id, at most 128 characters; without it one is made. One that is taken is a `Conflict`. */
    workflow_id: optional(WorkflowId)
  },
  success: Schema.Struct({
    /** For `get_workflow` and the topic `workflows`. */
    workflow_id: Id,
    /** Where it stands. */
    workflow: WorkflowProgress
  })
})

export const GetWorkflow = query("get_workflow", {
  family: "workflows",
  roles: ["app", "analyst", "operator"],
  description: "Shows one workflow: its steps, their outputs, what they cost, and what it waits for.",
  fails: ["NotFound"],
  payload: {
    /** One of `list_workflows`. */
    workflow_id: Id
  },
  success: Schema.Struct({
    /** All of it, outputs included. */
    workflow: Workflow
  })
})

export const ListWorkflows = query("list_workflows", {
  family: "workflows",
  roles: ["app", "analyst", "operator"],
  description: "Lists workflows, the newest first.",
  payload: {
    /** Only these. */
    state: optional(WorkflowState),
    /** Only of this name. */
    name: optional(Name),
    /** Only for this user. */
    user_id: attributionFields.user_id,
    /** Only for this team. */
    team_id: attributionFields.team_id,
    /** Only for this project. */
    project_id: attributionFields.project_id,
    /** Only for this feature. */
    feature: attributionFields.feature,
    ...pageFields
  },
  success: Schema.Struct({
    /** Newest first. */
    items: Schema.Array(WorkflowProgress),
    /** For the next page; null on the last. */
    next_cursor: Schema.NullOr(Schema.String)
  })
})

export const CancelWorkflow = command("cancel_workflow", {
  family: "workflows",
  roles: ["app", "operator"],
  description:
    "Ends a workflow: calls on their way are cancelled and settled, what is held is given back, nothing more starts.",
  fails: ["NotFound"],
  payload: {
    /** One that is cancelled already stays so; one that has ended otherwise is a `Conflict`. */
    workflow_id: Id,
    /** Why, for whoever reads the workflow. */
    reason: optional(Sentence)
  },
  success: Schema.Struct({
    /** Where it stands. */
    workflow: WorkflowProgress
  })
})

export const ResumeWorkflow = command("resume_workflow", {
  family: "workflows",
  roles: ["app", "operator"],
  description: "Lets a parked workflow try again now. One that is not parked goes on as it does.",
  fails: ["NotFound"],
  payload: {
    /** One that runs; one that has ended is a `Conflict`. */
    workflow_id: Id
  },
  success: Schema.Struct({
    /** Where it stands. */
    workflow: WorkflowProgress
  })
})
