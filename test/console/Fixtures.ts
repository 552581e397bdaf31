/** Wire values as the server writes them, with only what a test is about filled in. */
import type {
  WireActor,
  WireBudget,
  WireEvent,
  WireOverride,
  WireRecord,
  WireUsage,
  WireWorkflow,
  WireWorkflowFact
} from "../../src/console/model/Model.ts"

export const at = (second: number): string => new Date(Date.UTC(2026, 10, 23, 3, 0, second)).toISOString()

type Progress = Extract<WireEvent, { in_flight: unknown }>["in_flight"]

export const progress = (fields: Partial<Progress> = {}): WireEvent => ({
  in_flight: {
    request_id: "r1",
    attempt: 1,
    provider: "simulator",
    model: "sim-fast",
    state: "calling",
    prompt_tokens: 100,
    completion_tokens: 20,
    cost: "0.0012",
    currency: "USD",
    at: at(1),
    ...fields
  }
})

export const usage = (fields: Partial<WireUsage> = {}): WireUsage => ({
  id: "u1",
  usage_seq: 1,
  request_id: "r1",
  attempt: 1,
  provider: "simulator",
  model: "sim-fast",
  prompt_tokens: 100,
  completion_tokens: 50,
  total_tokens: 150,
  settle: true,
  timestamp: at(2),
  recorded_at: at(2),
  booked_at: at(2),
  status: "success",
  cost: "0.0015",
  currency: "USD",
  price_currency: "USD",
  exchange_rate: "1",
  cost_breakdown: [],
  price_id: "p1",
  cost_status: "priced",
  overage: "0",
  late: false,
  estimated_tokens: null,
  estimated_cost: null,
  ...fields
})

export const actor = (fields: Partial<WireActor> = {}): WireActor => ({
  address: "call/default/r1",
  kind: "call",
  status: "running",
  parent: null,
  started_at: at(0),
  restarts: 0,
  mailbox_depth: 0,
  mailbox_capacity: 1,
  signals_handled: 0,
  state: "estimating",
  ...fields
})

export const record = (fields: Partial<WireRecord> = {}): WireRecord => ({
  version: 1,
  signal: "check_budget",
  signal_id: 1,
  trace_id: null,
  address: "token_manager/default",
  principal: "key-1",
  request_id: "r1",
  at: at(1),
  duration_ms: 2,
  outcome: "ok",
  reason: null,
  payload: { request_id: "r1" },
  answer: null,
  ...fields
})

type Standing = Extract<WireEvent, { budget: unknown }>["budget"]

export const standing = (fields: Partial<Standing> = {}): WireEvent => ({
  budget: {
    budget_id: "b1",
    name: "Research",
    type: "agent",
    entity_id: "researcher",
    measure: "cost",
    currency: "USD",
    limit: "10",
    spent: "4",
    held: "0",
    remaining: "6",
    percent_used: 40,
    state: "ok",
    resets_at: null,
    ...fields
  }
})

export const budget = (fields: Partial<WireBudget> = {}): WireBudget => ({
  id: "b1",
  name: "Research",
  type: "agent",
  entity_id: "researcher",
  measure: "cost",
  currency: "USD",
  limit: "10",
  period: "daily",
  time_zone: "UTC",
  week_starts_on: "monday",
  period_start: at(0),
  period_end: null,
  spent: "2.5",
  held: "1.5",
  carried_over: "0",
  override_total: "0",
  remaining: "6",
  percent_used: 25,
  state: "ok",
  alert_thresholds: [50],
  alerts_sent: [],
  enforcement: "hard",
  rollover: null,
  override_policy: {
    requires_approval: true,
    approvers: [],
    max_override_percentage: 50,
    notification_required: true
  },
  active: true,
  created_at: at(0),
  updated_at: at(0),
  version: 1,
  projected_exhaustion: null,
  burn_rate_per_hour: "0",
  open_holds: 1,
  pending_overrides: 0,
  ...fields
})

type Parked = NonNullable<WireWorkflow["parked"]>
export type WireViolation = Parked["violations"][number]

export const workflow = (fields: Partial<WireWorkflow> = {}): WireWorkflow => ({
  workflow_id: "w1",
  name: "report",
  state: "running",
  on_denied: "park",
  steps_done: 1,
  steps_total: 3,
  current_agents: ["draft"],
  prompt_tokens: 100,
  completion_tokens: 50,
  total_tokens: 150,
  cost: "0.0015",
  currency: "USD",
  budget: null,
  remaining: null,
  completion_percent: 33,
  budget_percent: null,
  parked: null,
  failure: null,
  owner: "ada",
  attribution: {},
  started_at: at(0),
  updated_at: at(1),
  ended_at: null,
  ...fields
})

export const workflowFact = (
  what: WireWorkflowFact["what"],
  fields: Partial<WireWorkflowFact> = {}
): WireEvent => {
  const progress = workflow(fields)
  return { workflow: { what, agent: null, detail: null, at: progress.updated_at, ...progress, ...fields } }
}

export const violation = (fields: Partial<WireViolation> = {}): WireViolation => ({
  budget_id: "b1",
  name: "Research",
  type: "agent",
  entity_id: "researcher",
  measure: "cost",
  currency: "USD",
  limit: "10",
  spent: "9",
  held: "0",
  remaining: "1",
  percent_used: 90,
  state: "warning",
  resets_at: null,
  requested: "3",
  shortfall: "2",
  override: "available",
  ...fields
})

export const parked = (fields: Partial<Parked> = {}): Parked => ({
  reason: "Refused",
  agents: ["draft"],
  violations: [violation()],
  retry_at: null,
  looks_at: at(2),
  approvers: ["budget_admin"],
  overrides: [],
  since: at(1),
  ...fields
})

export const override = (fields: Partial<WireOverride> = {}): WireOverride => ({
  id: "o1",
  budget_id: "b1",
  type: "agent",
  entity_id: "researcher",
  measure: "cost",
  currency: "USD",
  status: "pending",
  amount: "2",
  approved_amount: null,
  reason: "The report is due",
  note: null,
  period_start: null,
  period_end: null,
  requested_by: "ada",
  requested_at: at(0),
  decided_by: null,
  decided_at: null,
  expires_at: null,
  ...fields
})
