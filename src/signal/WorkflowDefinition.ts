/**
 * What a workflow is: agents, what each waits for, and what all of them may spend. It is data, on the wire as in code.
 *
 * Owns: its shape and its bounds. Does not decide: whether a graph makes sense (workflow/Definition), or when an agent
 * may start (workflow/Plan).
 */
import { Schema } from "effect"
import { Enforcement, Measure, OverridePolicyTerms } from "./Budget.ts"
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
  Schema.Struct({
    /** The answer is kept as text. */
    type: Schema.Literal("text")
  }),
  Schema.Struct({
    /** The answer is read as JSON; what is none, or does not match, is asked again. */
    type: Schema.Literal("json"),
    /** A JSON Schema (2020-12); the answer is parsed and must match it. */
    schema: RawObject
  })
]).annotate({ identifier: "OutputSpec" })
export type OutputSpec = typeof OutputSpec.Type

export const StepRetries = Schema.Struct({
  /** Tries after the first, where the failure may pass or the answer does not match. */
  max: withDefault(Count.check(Schema.isLessThanOrEqualTo(RETRIES_MAX)), 2),
  /** The pause before the first of them; it doubles with each. */
  backoff_ms: withDefault(Count.check(Schema.isLessThanOrEqualTo(BACKOFF_MS_MAX)), 1_000),
  /** The longest pause. */
  backoff_max_ms: withDefault(Count.check(Schema.isLessThanOrEqualTo(BACKOFF_MS_MAX)), 60_000)
}).annotate({ identifier: "StepRetries" })
export type StepRetries = typeof StepRetries.Type

export const AgentDefinition = Schema.Struct({
  /** Unique in the workflow; prompts of others refer to its output by it. */
  name: AgentName,
  /** What it is there for, for people. */
  role: optional(Sentence),
  /** The system prompt; places as in `prompt`. */
  system: optional(Template),
  /** `{{input}}`, `{{input.field}}`, `{{research}}`: the input, and outputs of agents it depends on. */
  prompt: Template,
  /** Who is called. */
  provider: Id,
  /** As the provider and the price book name it. */
  model: Id,
  /** Tried in this order when the first model fails for good; at most 8. */
  fallback: withDefault(Schema.Array(ModelRef).check(Schema.isMaxLength(8)), []),
  /** What the answer must be. */
  output: withDefault(OutputSpec, { type: "text" }),
  /**
   * What a call is expected to use, for the look before the workflow starts; without `max_completion_tokens` the
   * answer is bounded by it.
   */
  estimate: optional(
    Schema.Struct({
      /** Default: from the length of the prompt. */
      prompt_tokens: optional(PositiveCount),
      /** The most output, where `max_completion_tokens` says nothing. */
      completion_tokens: optional(PositiveCount)
    })
  ),
  /** The most output. Default: `estimate.completion_tokens`, else the tenant's `default_completion_tokens`. */
  max_completion_tokens: optional(PositiveCount),
  /** Default: the provider's. */
  temperature: optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 }))),
  /** For one call, its retries included. Default: 24 hours. */
  deadline_ms: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(86_400_000))),
  /** How often it is tried again, and when. */
  retries: withDefault(StepRetries, {}),
  /** Agents that must be done before it starts; none: it starts at once. */
  depends_on: withDefault(Schema.Array(AgentName).check(Schema.isMaxLength(AGENTS_MAX)), [])
}).annotate({ identifier: "AgentDefinition" })
export type AgentDefinition = typeof AgentDefinition.Type

/** A budget of type `workflow`, in the tenant's currency: made before the first call, and inactive once the workflow has ended. */
export const WorkflowBudget = Schema.Struct({
  /** For the workflow's whole life: money in the tenant's currency, or a whole number of tokens or calls. */
  limit: NonNegativeDecimal,
  /** What is counted: money, tokens, or calls. */
  measure: withDefault(Measure, "cost"),
  /** `hard` parks or fails what has no room; `soft` only warns. */
  enforcement: withDefault(Enforcement, "hard"),
  /** Who may approve more, and how much. What is not named is as in the default of `create_budget`. */
  override_policy: optional(OverridePolicyTerms)
}).annotate({ identifier: "WorkflowBudget" })
export type WorkflowBudget = typeof WorkflowBudget.Type

export const WorkflowDefinition = Schema.Struct({
  /** By which a declared one is started; becomes the `operation` of its calls, where nothing else is said. */
  name: Name,
  /** At most 64. */
  agents: Schema.Array(AgentDefinition).check(Schema.isMinLength(1), Schema.isMaxLength(AGENTS_MAX)),
  /** Calls at the same time. */
  concurrency: withDefault(PositiveCount.check(Schema.isLessThanOrEqualTo(CONCURRENCY_MAX)), 4),
  /** Its own, beside all others that apply. Default: none. */
  budget: optional(WorkflowBudget),
  /**
   * An alert is raised when a budget of its own in tokens has no more than this left; 0: never. Default: 10,000, or a fifth
   * of that budget where that is less.
   */
  token_warning_at: optional(Count),
  /** Asks for an override when it parks; `{}` asks for what is missing. Default: it only waits. */
  request_override: optional(
    Schema.Struct({
      /** So much, in the budget's unit. Default: what is missing. */
      amount: optional(NonNegativeDecimal),
      /** For whoever decides. Default: a sentence that names the workflow. */
      reason: optional(Sentence)
    })
  )
}).annotate({ identifier: "WorkflowDefinition" })
export type WorkflowDefinition = typeof WorkflowDefinition.Type
