/** One rich example of every signal, as it is on the wire: what is sent and what is answered. */
import type { SignalName, SignalParams, SignalResult } from "../../src/signal/Catalogue.ts"

const attribution = { user_id: "ann", team_id: "red", tags: { env: "prod", "a.b-c_d": "" } }

const standing = {
  budget_id: "budget_1",
  name: "all",
  type: "global",
  entity_id: null,
  measure: "cost",
  currency: "USD",
  limit: "100",
  spent: "4.5",
  held: "1",
  remaining: "94.5",
  percent_used: 4.5,
  state: "ok",
  resets_at: "2026-03-11T00:00:00.000Z"
} as const

const policy = {
  requires_approval: true,
  approvers: ["budget_admin"],
  max_override_percentage: 50,
  notification_required: true
}

const budget = {
  id: "budget_1",
  name: "all",
  type: "global",
  entity_id: null,
  measure: "cost",
  currency: "USD",
  limit: "100",
  period: "lifetime",
  time_zone: "UTC",
  week_starts_on: "monday",
  period_start: null,
  period_end: null,
  spent: "4.5",
  held: "1",
  carried_over: "0",
  override_total: "0",
  remaining: "94.5",
  percent_used: 4.5,
  state: "ok",
  alert_thresholds: [50, 80, 90],
  alerts_sent: [],
  enforcement: "hard",
  rollover: null,
  override_policy: policy,
  active: true,
  created_at: "2026-03-10T10:00:00.000Z",
  updated_at: "2026-03-10T10:00:00.000Z",
  version: 1
} as const

const alert = {
  id: "alert_1",
  kind: "threshold",
  severity: "warning",
  message: "Half of it is spent",
  budget_id: "budget_1",
  at: "2026-03-10T10:00:00.000Z",
  data: { threshold: 50, nested: { deep: [1, null, "x"] } }
} as const

const override = {
  id: "override_3",
  budget_id: "budget_1",
  type: "team",
  entity_id: "red",
  measure: "cost",
  currency: "USD",
  status: "approved",
  amount: "20",
  approved_amount: "12.5",
  reason: "the launch is tomorrow",
  note: "half of it",
  period_start: "2026-03-10T00:00:00.000Z",
  period_end: "2026-03-11T00:00:00.000Z",
  requested_by: "ann",
  requested_at: "2026-03-10T10:00:00.000Z",
  decided_by: "bob",
  decided_at: "2026-03-10T10:05:00.000Z",
  expires_at: "2026-03-11T00:00:00.000Z"
} as const

const pendingOverride = {
  ...override,
  status: "pending",
  approved_amount: null,
  note: null,
  period_start: null,
  period_end: null,
  decided_by: null,
  decided_at: null,
  expires_at: null
} as const

const workflow = {
  name: "report",
  agents: [
    {
      name: "research",
      role: "finds what is known",
      system: "You are thorough.",
      prompt: "What is known of {{input.topic}}?",
      provider: "simulator",
      model: "sim-fast",
      fallback: [{ provider: "openai", model: "m" }],
      output: { type: "json", schema: { type: "object", properties: { points: { type: "array" } } } },
      estimate: { prompt_tokens: 100, completion_tokens: 200 },
      max_completion_tokens: 300,
      temperature: 0.5,
      deadline_ms: 60_000,
      retries: { max: 2, backoff_ms: 1_000, backoff_max_ms: 60_000 },
      depends_on: []
    },
    {
      name: "draft",
      prompt: "Write it up: {{research}}",
      provider: "simulator",
      model: "sim-fast",
      fallback: [],
      output: { type: "text" },
      retries: { max: 0, backoff_ms: 0, backoff_max_ms: 0 },
      depends_on: ["research"]
    }
  ],
  concurrency: 2,
  budget: { limit: "20000", measure: "tokens", enforcement: "hard", override_policy: policy },
  token_warning_at: 10_000,
  request_override: { amount: "5", reason: "the launch is tomorrow" }
} as const

const workflowProgress = {
  workflow_id: "wf_1",
  name: "report",
  state: "parked",
  on_denied: "park",
  steps_done: 1,
  steps_total: 2,
  current_agents: [],
  prompt_tokens: 100,
  completion_tokens: 50,
  total_tokens: 150,
  cost: "0.01",
  currency: "USD",
  budget: { budget_id: "budget_1", measure: "tokens", limit: "20000", remaining: "19850" },
  remaining: "19850",
  completion_percent: 50,
  budget_percent: 0.75,
  parked: {
    reason: "Refused: no room",
    agents: ["draft"],
    violations: [{ ...standing, requested: "2", shortfall: "1.5", override: "available" }],
    retry_at: "2026-03-11T00:00:00.000Z",
    looks_at: "2026-03-10T10:00:00.000Z",
    approvers: ["budget_admin"],
    overrides: ["override_3"],
    since: "2026-03-10T10:00:00.000Z"
  },
  failure: { agent: null, error: "cancelled", message: "not needed" },
  owner: "ann",
  attribution,
  started_at: "2026-03-10T10:00:00.000Z",
  updated_at: "2026-03-10T10:00:01.000Z",
  ended_at: null
} as const

const usage = {
  id: "use_1",
  usage_seq: 1,
  request_id: "r1",
  attempt: 1,
  provider: "anthropic",
  model: "claude-sonnet-4-20250514",
  prompt_tokens: 5000,
  completion_tokens: 2000,
  prompt_tokens_details: { cached_tokens: 100 },
  total_tokens: 7000,
  ...attribution,
  hold_id: "hold_2.r1",
  settle: true,
  timestamp: "2026-03-10T10:00:00.000Z",
  recorded_at: "2026-03-10T10:00:00.000Z",
  booked_at: "2026-03-10T10:00:00.000Z",
  status: "success",
  metadata: { any: ["thing"] },
  cost: "0.045",
  currency: "USD",
  price_currency: "USD",
  exchange_rate: "1",
  budget_rates: { EUR: "0.92" },
  cost_breakdown: [
    { token_type: "input", tokens: 5000, price_per_million: "3", cost: "0.015" },
    { token_type: "output", tokens: 4000, price_per_million: "15", factor: "0.5", cost: "0.03" }
  ],
  price_id: "catalogue:anthropic/claude-sonnet-4-20250514",
  cost_status: "priced",
  overage: "0",
  late: false,
  estimated_tokens: 8000,
  estimated_cost: "0.06",
  adjusts: "use_0"
} as const

const price = {
  id: "price_1",
  provider: "anthropic",
  model: "own",
  currency: "USD",
  prompt_per_million: "3",
  completion_per_million: "15",
  cached_per_million: "0.3",
  per_request: "0.001",
  tiers: [{ above_prompt_tokens: 200_000, prompt_per_million: "6", completion_per_million: "22.5" }],
  service_tiers: { batch: "0.5", priority: "1.8" },
  effective_from: "2026-03-01T00:00:00.000Z",
  effective_to: null,
  source: "override"
} as const

const approval = {
  allowed: true,
  hold_id: "hold_2.r1",
  expires_at: "2026-03-10T10:10:00.000Z",
  estimated_tokens: 8000,
  estimated_cost: "0.06",
  currency: "USD",
  budgets: [standing],
  warnings: [alert]
} as const

const refusal = {
  allowed: false,
  kind: "no_room",
  reason: "Refused: no room",
  estimated_tokens: 8000,
  estimated_cost: "0.06",
  currency: "USD",
  violations: [{ ...standing, requested: "95", shortfall: "0.5", override: "none" }],
  retry_at: null,
  alternatives: [{ provider: "openai", model: "gpt-4o-mini", estimated_cost: "0.001" }]
} as const

const config = {
  currency: "USD",
  budget_check_mode: "strict",
  unknown_price_policy: "refuse_hold",
  default_completion_tokens: 4096,
  required_attribution: [],
  on_store_down: "deny",
  alert_channels: [
    { type: "webhook", url: "https://hooks.example.com/bursar" },
    { type: "email", to: ["ops@example.com"] }
  ],
  commit_interval_ms: 0,
  max_pending: 10_000,
  retention_days: 90,
  anonymize_users: true
} as const

const actor = {
  address: "token_manager/default",
  kind: "token_manager",
  status: "running",
  parent: null,
  started_at: "2026-03-10T10:00:00.000Z",
  restarts: 0,
  mailbox_depth: 0,
  mailbox_capacity: 10_000,
  signals_handled: 4,
  state: null
} as const

const inside = {
  children: ["call/default/r1"],
  tags: ["busy"],
  meta: { calling: { about: "it asks" } },
  mailbox: { policy: "refuse", refused: 1, dropped: 0, waited: 0, senders_waiting: 0, stashed: 0 },
  supervision: [
    { at: "2026-03-10T10:00:00.000Z", decision: "restart", why: "Error: a rule threw", pause_ms: 50 }
  ]
} as const

const completion = {
  request_id: "r1",
  provider: "anthropic",
  model: "claude-sonnet-4-20250514",
  content: "Hello",
  tool_calls: [{ id: "t1", name: "look", arguments: "{}" }],
  finish_reason: "stop",
  usage,
  attempts: [{ provider: "anthropic", model: "m", status: "error", latency_ms: 5, why: "429" }]
} as const

export interface Example<Name extends SignalName> {
  /** As it is written, with every default spelt out. */
  readonly params: SignalParams<Name>
  readonly results: ReadonlyArray<SignalResult<Name>>
}

export const EXAMPLES: { readonly [Name in SignalName]: Example<Name> } = {
  track_usage: {
    params: {
      request_id: "r1",
      attempt: 1,
      provider: "anthropic",
      model: "claude-sonnet-4-20250514",
      prompt_tokens: 5000,
      completion_tokens: 2000,
      prompt_tokens_details: { cached_tokens: 100, cache_write_5m_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 50 },
      ...attribution,
      settle: true,
      timestamp: "2026-03-10T10:00:00.000Z",
      status: "success",
      latency_ms: 12,
      tools_used: ["look"],
      reported_cost: "0.04",
      raw_usage: { input: 5000, nested: { a: [1, 2] } },
      prompt_parts: { system: 10 },
      metadata: { any: ["thing"] }
    },
    results: [{ tracked: true, duplicate: false, usage, budgets: [standing], alerts: [alert] }]
  },
  correct_usage: {
    params: {
      request_id: "r1",
      attempt: 2,
      usage: {
        prompt_tokens: 4000,
        completion_tokens: 2000,
        prompt_tokens_details: { cached_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 7 }
      },
      reason: "The proxy counted the system prompt twice"
    },
    results: [
      {
        corrected: true,
        duplicate: false,
        usage: {
          ...usage,
          prompt_tokens: -1000,
          completion_tokens: 0,
          prompt_tokens_details: { cached_tokens: -100 },
          total_tokens: -1000,
          cost: "-0.003",
          cost_breakdown: [{ token_type: "input", tokens: -1000, price_per_million: "3", cost: "-0.003" }],
          reason: "The proxy counted the system prompt twice"
        },
        budgets: [standing],
        alerts: []
      }
    ]
  },
  get_usage: {
    params: {
      from: "2026-03-01T00:00:00.000Z",
      provider: "anthropic",
      ...attribution,
      limit: 10,
      cursor: "x"
    },
    results: [
      { items: [usage], next_cursor: "x" },
      {
        items: [],
        next_cursor: null,
        totals: {
          requests: 1,
          prompt_tokens: 2,
          completion_tokens: 3,
          total_tokens: 5,
          cost: "0.045",
          currency: "USD"
        }
      }
    ]
  },
  check_budget: {
    params: {
      request_id: "r1",
      provider: "anthropic",
      model: "m",
      estimated_prompt_tokens: 5000,
      max_completion_tokens: 3000,
      estimated_cost: "0.06",
      ...attribution,
      hold: true,
      hold_ttl_ms: 600_000
    },
    results: [approval, refusal]
  },
  extend_hold: {
    params: { request_id: "c1", hold_id: "hold_2.r1", by: { tokens: 5, cost: "0.1" }, ttl_ms: 1000 },
    results: [approval, refusal]
  },
  release_hold: { params: { hold_id: "hold_2.r1", reason: "not needed" }, results: [{ released: true }] },
  create_budget: {
    params: {
      name: "all",
      type: "team",
      entity_id: "red",
      period: "monthly",
      limit: "100",
      measure: "cost",
      currency: "USD",
      time_zone: "Europe/Berlin",
      week_starts_on: "sunday",
      alert_thresholds: [50],
      enforcement: "soft",
      rollover: { max: "50", min: "1" },
      override_policy: policy,
      active: true
    },
    results: [{ budget_id: "budget_1", budget }]
  },
  update_budget: {
    params: {
      budget_id: "budget_1",
      updates: { limit: "5", active: false, rollover: null },
      expected_version: 1
    },
    results: [{ budget }]
  },
  get_budget_status: {
    params: { type: "team", entity_id: "red", include_inactive: true },
    results: [
      {
        budgets: [
          {
            ...budget,
            projected_exhaustion: "2026-03-10T18:00:00.000Z",
            burn_rate_per_hour: "0.5",
            open_holds: 1,
            pending_overrides: 0
          }
        ]
      }
    ]
  },
  request_override: {
    params: {
      budget_id: "budget_1",
      amount: "20",
      reason: "the launch is tomorrow",
      expires_at: "2026-03-11T00:00:00.000Z"
    },
    results: [
      { override_id: "override_3", status: "pending", override: pendingOverride },
      { override_id: "override_3", status: "approved", override }
    ]
  },
  decide_override: {
    params: { override_id: "override_3", decision: "approve", amount: "12.5", note: "half of it" },
    results: [{ override }]
  },
  list_overrides: {
    params: { status: "pending", budget_id: "budget_1", limit: 10, cursor: "x" },
    results: [{ items: [override, pendingOverride], next_cursor: null }]
  },
  list_refusals: {
    params: {
      request_id: "r1",
      budget_id: "budget_1",
      from: "2026-03-10T09:00:00.000Z",
      to: "2026-03-10T11:00:00.000Z",
      user_id: "ann",
      tags: { env: "prod" },
      limit: 10,
      cursor: "x"
    },
    results: [
      {
        items: [
          {
            refusal_id: "refusal_7",
            count: 3,
            first_at: "2026-03-10T10:00:00.000Z",
            last_at: "2026-03-10T10:00:09.000Z",
            request_id: "r1",
            signal: "check_budget",
            kind: "no_room",
            principal: "key_1",
            owner: "ada",
            attribution: { user_id: "ann", tags: { env: "prod" } },
            provider: "openai",
            model: "gpt-4o",
            estimated_tokens: 8000,
            estimated_cost: "0.06",
            currency: "USD",
            reason: refusal.reason,
            violations: [...refusal.violations],
            more_violations: 0,
            retry_at: null,
            alternatives: [...refusal.alternatives]
          }
        ],
        next_cursor: "x",
        dropped: 2
      }
    ]
  },
  calculate_cost: {
    params: {
      provider: "anthropic",
      model: "m",
      prompt_tokens: 1,
      completion_tokens: 1,
      at: "2026-03-10T10:00:00.000Z"
    },
    results: [
      {
        cost: "0.045",
        currency: "EUR",
        price_currency: "USD",
        exchange_rate: "0.92",
        price_id: "p",
        breakdown: [...usage.cost_breakdown]
      }
    ]
  },
  get_pricing: {
    params: { provider: "anthropic" },
    results: [
      {
        items: [
          price,
          {
            ...price,
            effective_from: null,
            source: "catalogue",
            catalogue: "a catalogue",
            catalogue_date: "2026-09-23"
          }
        ]
      }
    ]
  },
  update_pricing: {
    params: {
      provider: "anthropic",
      model: "own",
      pricing: {
        prompt_per_million: "3",
        completion_per_million: "15",
        tiers: [{ above_prompt_tokens: 200_000, prompt_per_million: "6", completion_per_million: "22.5" }],
        service_tiers: { batch: "0.5" }
      },
      effective_from: "2026-03-01T00:00:00.000Z",
      reason: "new contract",
      reprice_unpriced: true,
      confirm_outlier: true
    },
    results: [
      { updated: true, price, repriced: 0 },
      { updated: true, price, repriced: 1000, unpriced_left: true }
    ]
  },
  update_exchange_rates: {
    params: {
      base: "EUR",
      rates: { USD: "1.1", JPY: "160.25" },
      as_of: "2026-03-01T00:00:00.000Z",
      source: "a bank",
      confirm_outlier: false
    },
    results: [
      {
        updated: true,
        base: "EUR",
        rates: { USD: "1.1", JPY: "160.25" },
        as_of: "2026-03-01T00:00:00.000Z",
        source: "a bank"
      }
    ]
  },
  configure_manager: {
    params: {
      unknown_price_policy: "record_unpriced",
      default_completion_tokens: 10,
      max_pending: 5,
      anonymize_users: true,
      alert_channels: [
        { type: "webhook", url: "https://hooks.example.com/bursar", secret: "a secret of our receiver" },
        { type: "email", to: ["ops@example.com"] }
      ]
    },
    results: [{ config }]
  },
  forget_user: {
    params: { user_id: "ann" },
    results: [
      {
        pseudonym_deleted: true,
        usage_rows: 3,
        requests: 2,
        budgets: 1,
        periods: 1,
        overrides: 0,
        alerts: 1,
        commands: 1,
        cleaned_sums: 0,
        audit_entries: 2,
        machines: 1,
        dead_letters: 1,
        refusals: 2,
        keys_ended: 1
      }
    ]
  },
  cleanup_old_data: {
    params: { older_than_days: 30, dry_run: false },
    results: [
      { dry_run: false, usage_rows: 7, before: "2026-02-08T10:00:00.000Z", message: "7 rows were deleted" }
    ]
  },
  get_audit_trail: {
    params: {
      kind: "update_budget",
      principal: "ann",
      from: "2026-03-10T10:00:00.000Z",
      to: "2026-03-11T10:00:00.000Z",
      limit: 10,
      cursor: "x"
    },
    results: [
      {
        items: [
          {
            seq: 7,
            at: "2026-03-10T10:00:00.000Z",
            principal: { key_id: "key_1", owner: "ann" },
            action: "update_budget",
            subject: "budget_1",
            before: { limit: "10", alert_thresholds: [50, 80], rollover: null },
            after: { limit: "20", alert_thresholds: [], rollover: { max: "5" } },
            hash: "f".repeat(64)
          },
          {
            seq: 6,
            at: "2026-03-10T09:00:00.000Z",
            principal: null,
            action: "update_budget",
            subject: null,
            before: null,
            after: null,
            hash: "e".repeat(64)
          }
        ],
        head: { seq: 7, hash: "f".repeat(64) },
        next_cursor: "x"
      },
      { items: [], head: { seq: 0, hash: "0".repeat(64) }, next_cursor: null }
    ]
  },
  get_status: {
    params: {},
    results: [
      {
        healthy: true,
        tenant: "default",
        budgets_active: 1,
        open_holds: 0,
        mailbox_depth: 0,
        pending_commits: 0,
        total_tracked: 1,
        total_tokens: 7000,
        total_cost: "0.045",
        currency: "USD",
        last_commit_at: null,
        store: { kind: "embedded", reachable: true, durability: "until the machine loses power" },
        uptime_ms: 5,
        version: "0.1.0",
        alert_deliveries: { pending: 1, dead_letters: 0 },
        config
      }
    ]
  },
  complete: {
    params: {
      provider: "anthropic",
      model: "m",
      fallback: [{ provider: "openai", model: "n" }],
      max_attempts: 3,
      messages: [{ role: "user", content: "Hello" }],
      system: "Be brief",
      tools: [{ name: "look", parameters: { type: "object" } }],
      tool_choice: { name: "look" },
      max_completion_tokens: 10,
      temperature: 0.5,
      stream: false,
      on_overrun: "stop",
      deadline_ms: 1000,
      ...attribution
    },
    results: [completion, { subscription: "s1" }]
  },
  start_workflow: {
    params: {
      workflow,
      input: { topic: "tides", depth: 2 },
      on_denied: "fail",
      workflow_id: "wf_1",
      request_id: "r1",
      ...attribution
    },
    results: [{ workflow_id: "wf_1", workflow: workflowProgress }]
  },
  get_workflow: {
    params: { workflow_id: "wf_1" },
    results: [
      {
        workflow: {
          ...workflowProgress,
          input: { topic: "tides" },
          definition: workflow,
          steps: [
            {
              agent: "research",
              state: "done",
              depends_on: [],
              tries: 2,
              request_id: "wf_1/research/2",
              provider: "simulator",
              model: "sim-fast",
              output: { points: ["a"] },
              failure: null,
              prompt_tokens: 100,
              completion_tokens: 50,
              cost: "0.01",
              started_at: "2026-03-10T10:00:00.000Z",
              ended_at: "2026-03-10T10:00:01.000Z"
            },
            {
              agent: "draft",
              state: "parked",
              depends_on: ["research"],
              tries: 0,
              request_id: null,
              provider: "simulator",
              model: "sim-fast",
              output: null,
              failure: { agent: "draft", error: "ProviderFailed", message: "simulator: 500" },
              prompt_tokens: 0,
              completion_tokens: 0,
              cost: "0",
              started_at: null,
              ended_at: null
            }
          ]
        }
      }
    ]
  },
  list_workflows: {
    params: { state: "parked", name: "report", user_id: "ann", limit: 5 },
    results: [{ items: [workflowProgress], next_cursor: null }]
  },
  cancel_workflow: {
    params: { workflow_id: "wf_1", reason: "not needed", request_id: "r1" },
    results: [{ workflow: { ...workflowProgress, state: "cancelling", parked: null } }]
  },
  resume_workflow: { params: { workflow_id: "wf_1" }, results: [{ workflow: workflowProgress }] },
  list_actors: { params: { kind: "call", limit: 5 }, results: [{ items: [actor], next_cursor: null }] },
  inspect_actor: {
    params: { address: "token_manager/default" },
    results: [
      {
        ...actor,
        ...inside,
        machine: {
          id: "call",
          states: [{ id: "idle", parent: null, type: "atomic", is_initial: true }],
          transitions: [{ source: "idle", target: "done", event: "go", guard: null }]
        },
        context: { open_holds: 1 }
      },
      { ...actor, ...inside, supervision: [], machine: null, context: {} }
    ]
  },
  stop_actor: {
    params: { address: "token_manager/default" },
    results: [
      { stopped: true, address: "token_manager/default", message: "It comes back when it is asked again" }
    ]
  },
  restart_actor: {
    params: { address: "token_manager/default" },
    results: [{ restarted: true, address: "token_manager/default", message: "It begins again" }]
  },
  list_dead_letters: {
    params: { address: "bridge", signal: "track_usage", limit: 5 },
    results: [
      {
        items: [
          {
            letter_id: "letter_7",
            at: "2026-03-10T10:00:00.000Z",
            address: "bridge",
            signal: "track_usage",
            principal: "key_1",
            why: "The store cannot be reached",
            payload: '{request_id:"r1"}',
            redrivable: true
          }
        ],
        next_cursor: "letter_7",
        dropped: 3
      }
    ]
  },
  redrive_dead_letter: {
    params: { letter_id: "letter_7" },
    results: [
      { redriven: true, letter_id: "letter_7", error: null },
      {
        redriven: false,
        letter_id: "letter_7",
        error: { _tag: "NotFound", message: "There is no such hold" }
      }
    ]
  },
  subscribe: {
    params: { topic: "usage", filter: { user_id: "ann" }, from_cursor: "5" },
    results: [{ subscription: "s1", cursor: null }]
  },
  unsubscribe: { params: { subscription: "s1" }, results: [{ unsubscribed: true }] },
  create_key: {
    params: {
      name: "app",
      roles: ["app"],
      attribution,
      tenant: "acme",
      expires_at: "2027-01-01T00:00:00.000Z"
    },
    results: [{ key_id: "key_1", key: "secret" }]
  },
  list_keys: {
    params: { limit: 5 },
    results: [
      {
        items: [
          {
            key_id: "key_1",
            name: "app",
            roles: ["app"],
            owner: "ann",
            attribution,
            tenant: "acme",
            created_at: "2026-03-10T10:00:00.000Z",
            expires_at: null,
            last_used_at: null,
            revoked_at: "2026-03-10T10:00:00.000Z"
          }
        ],
        next_cursor: null
      }
    ]
  },
  revoke_key: { params: { key_id: "key_1" }, results: [{ revoked: true }] }
}

export const SIGNAL_NAMES = Object.keys(EXAMPLES) as ReadonlyArray<SignalName>
