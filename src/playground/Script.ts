/**
 * What the playground plays: budgets, people, and a workflow of three agents.
 *
 * Owns: the script. It is data: the playing is in Playground.
 */
import type { SignalParams } from "../signal/Catalogue.ts"

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
    entity_id: "reviewer",
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

export interface Agent {
  readonly agent: string
  readonly model: string
  readonly max_completion_tokens: number
  readonly task: string
}

/** One workflow: each agent works on what the one before has written. */
export const AGENTS: ReadonlyArray<Agent> = [
  {
    agent: "researcher",
    model: "sim-slow",
    max_completion_tokens: 600,
    task: "Collect what is known about this"
  },
  { agent: "writer", model: "sim-fast", max_completion_tokens: 900, task: "Write a draft from these notes" },
  {
    agent: "reviewer",
    model: "sim-flaky",
    max_completion_tokens: 300,
    task: "Review this draft and list its faults"
  }
]

export const SUBJECTS: ReadonlyArray<string> = [
  "the cost of context windows",
  "how tides move sand",
  "a bakery that opens at four in the morning",
  "maps before the compass",
  "why bridges sing in the wind"
]
