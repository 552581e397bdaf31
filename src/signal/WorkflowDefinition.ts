/**
 * What a workflow is: agents, what each waits for, and what all of them may spend. It is data, on the wire as in code.
 *
 * Owns: its shape and its bounds. Does not decide: whether a graph makes sense (workflow/Definition), or when an agent
 * may start (workflow/Plan).
 */
import { Schema } from "effect"
import { Enforcement, Measure, OverridePolicy } from "./Budget.ts"
import { NonNegativeDecimal } from "./Money.ts"
import { ModelRef } from "./Providers.ts"
import {
  Count,
  Id,
  isForbiddenKey,
  Name,
  optional,
  PositiveCount,
  Prose,
  RawObject,
  Sentence,
  withDefault
} from "./Text.ts"

/** Agents of one workflow. */
export const AGENTS_MAX = 64
/** Characters of one prompt, before anything is put into it. */
const PROMPT_LENGTH_MAX = 32_768
/** Calls of one workflow at the same time. */
export const CONCURRENCY_MAX = 16
const RETRIES_MAX = 10
const BACKOFF_MS_MAX = 3_600_000

const Template = Prose.check(Schema.isMinLength(1), Schema.isMaxLength(PROMPT_LENGTH_MAX))

/** `input` stands for what the workflow was started with. */
export const AgentName = Schema.String.check(
  Schema.isPattern(/^[a-z][a-z0-9_-]{0,63}$/u, {
    expected: "a name of a-z, 0-9, _ and -, that begins with a letter, at most 64 long"
  }),
  Schema.makeFilter(
    (name: string) => name !== "input" || "Expected another name: input is what is started with"
  ),
  Schema.makeFilter((name: string) => !isForbiddenKey(name) || `Expected no agent named ${name}`)
)

export const OutputSpec = Schema.Union([
  Schema.Struct({ type: Schema.Literal("text") }),
  Schema.Struct({
    type: Schema.Literal("json"),
    schema: RawObject.annotate({
      description: "a JSON Schema (2020-12); the answer is parsed and must match it"
    })
  })
]).annotate({ identifier: "OutputSpec" })
export type OutputSpec = typeof OutputSpec.Type

export const StepRetries = Schema.Struct({
  max: withDefault(Count.check(Schema.isLessThanOrEqualTo(RETRIES_MAX)), 2),
  backoff_ms: withDefault(Count.check(Schema.isLessThanOrEqualTo(BACKOFF_MS_MAX)), 1_000),
  backoff_max_ms: withDefault(Count.check(Schema.isLessThanOrEqualTo(BACKOFF_MS_MAX)), 60_000)
}).annotate({ identifier: "StepRetries" })
export type StepRetries = typeof StepRetries.Type

export const AgentDefinition = Schema.Struct({
  name: AgentName,
  role: optional(Sentence.annotate({ description: "what it is there for, for people" })),
  system: optional(Template),
  prompt: Template.annotate({
    description:
      "`{{input}}`, `{{input.field}}`, `{{research}}`: the input, and outputs of agents it depends on"
  }),
  provider: Id,
  model: Id,
  fallback: withDefault(Schema.Array(ModelRef).check(Schema.isMaxLength(8)), []),
  output: withDefault(OutputSpec, { type: "text" }),
  /** What a call is expected to use; without max_completion_tokens the answer is bounded by it. */
  estimate: optional(
    Schema.Struct({ prompt_tokens: optional(PositiveCount), completion_tokens: optional(PositiveCount) })
  ),
  max_completion_tokens: optional(PositiveCount),
  temperature: optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 }))),
  deadline_ms: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(86_400_000))),
  retries: withDefault(StepRetries, {}),
  depends_on: withDefault(Schema.Array(AgentName).check(Schema.isMaxLength(AGENTS_MAX)), [])
}).annotate({ identifier: "AgentDefinition" })
export type AgentDefinition = typeof AgentDefinition.Type

/** A budget of type `workflow`, in the tenant's currency: made before the first call, and inactive once the workflow has ended. */
export const WorkflowBudget = Schema.Struct({
  limit: NonNegativeDecimal,
  measure: withDefault(Measure, "cost"),
  enforcement: withDefault(Enforcement, "hard"),
  override_policy: optional(OverridePolicy)
}).annotate({ identifier: "WorkflowBudget" })
export type WorkflowBudget = typeof WorkflowBudget.Type

export const WorkflowDefinition = Schema.Struct({
  name: Name,
  agents: Schema.Array(AgentDefinition).check(Schema.isMinLength(1), Schema.isMaxLength(AGENTS_MAX)),
  concurrency: withDefault(PositiveCount.check(Schema.isLessThanOrEqualTo(CONCURRENCY_MAX)), 4),
  budget: optional(WorkflowBudget),
  token_warning_at: withDefault(Count, 10_000).annotate({
    description: "an alert is raised when a budget of its own in tokens has no more than this left; 0: never"
  }),
  request_override: optional(
    Schema.Struct({
      amount: optional(NonNegativeDecimal),
      reason: optional(Sentence)
    }).annotate({
      description: "asks for an override when it parks: of so much, or of what is missing"
    })
  )
}).annotate({ identifier: "WorkflowDefinition" })
export type WorkflowDefinition = typeof WorkflowDefinition.Type
