/**
 * What the playground plays: budgets, people, and a workflow of three agents, which is also a sample of one.
 *
 * Owns: the script. It is data: the playing is in Playground.
 */
import type { SignalParams } from "../signal/Catalogue.ts"
import type { WorkflowDefinition as Definition } from "../signal/WorkflowDefinition.ts"

type WorkflowDefinition = typeof Definition.Encoded

type BudgetParams = SignalParams<"create_budget">

/** Sized so that some of them are used up while one watches, and agents are refused. */
export const BUDGETS: ReadonlyArray<BudgetParams> = [
  { name: "Whole company", type: "global", period: "daily", limit: "2.00" },
  { name: "Research team", type: "team", entity_id: "research", period: "daily", limit: "0.60" },
  { name: "Marketing team", type: "team", entity_id: "marketing", period: "hourly", limit: "0.006" },
  { name: "Ada", type: "user", entity_id: "ada", period: "daily", limit: "0.35" },
  { name: "Grace", type: "user", entity_id: "grace", period: "daily", limit: "0.004" },
  {
    name: "Report writer, soft",
    type: "feature",
    entity_id: "report-writer",
    period: "weekly",
    limit: "0.25",
    enforcement: "soft"
  },
  {
    name: "Reviewer's requests",
    type: "agent",
    entity_id: "review",
    period: "hourly",
    measure: "requests",
    limit: "120"
  },
  {
    name: "Slow model's tokens",
    type: "model",
    entity_id: "sim-slow",
    period: "daily",
    measure: "tokens",
    limit: "150000"
  }
]

export interface Person {
  readonly user_id: string
  readonly team_id: string
  readonly project_id: string
  readonly feature: string
}

export const PEOPLE: ReadonlyArray<Person> = [
  { user_id: "ada", team_id: "research", project_id: "atlas", feature: "report-writer" },
  { user_id: "grace", team_id: "research", project_id: "atlas", feature: "literature-search" },
  { user_id: "linus", team_id: "marketing", project_id: "launch", feature: "campaign-drafts" },
  { user_id: "mary", team_id: "support", project_id: "helpdesk", feature: "answer-drafts" }
]

/** Three agents in a row: each works on what the one before has written. */
export const REPORT: WorkflowDefinition = {
  name: "report",
  agents: [
    {
      name: "research",
      role: "Finds out what is known",
      system: "You are a researcher. You write notes: short, and in your own words.",
      prompt: "Collect what is known about {{input.subject}}.",
      provider: "simulator",
      model: "sim-slow",
      estimate: { prompt_tokens: 60, completion_tokens: 200 },
      max_completion_tokens: 600
    },
    {
      name: "draft",
      role: "Writes the report",
      prompt: "Write a draft about {{input.subject}} from these notes:\n{{research}}",
      provider: "simulator",
      model: "sim-fast",
      estimate: { prompt_tokens: 200, completion_tokens: 300 },
      max_completion_tokens: 900,
      depends_on: ["research"]
    },
    {
      name: "review",
      role: "Lists its faults",
      prompt: "Review this draft and list its faults:\n{{draft}}",
      provider: "simulator",
      model: "sim-flaky",
      estimate: { prompt_tokens: 300, completion_tokens: 100 },
      max_completion_tokens: 300,
      depends_on: ["draft"]
    }
  ],
  budget: { limit: "3000", measure: "tokens" },
  token_warning_at: 1_000
}

export const SUBJECTS: ReadonlyArray<string> = [
  "the cost of context windows",
  "how tides move sand",
  "a bakery that opens at four in the morning",
  "maps before the compass",
  "why bridges sing in the wind"
]
