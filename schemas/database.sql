-- The tables of the store. The program makes them, and a partition of usage for each month.

CREATE TABLE tenant_head (
  tenant text PRIMARY KEY,
  owner text NOT NULL,
  epoch bigint NOT NULL,
  journal_seq bigint NOT NULL DEFAULT 0,
  batch_id text,
  usage_seq bigint NOT NULL DEFAULT 0,
  alert_seq bigint NOT NULL DEFAULT 0,
  id_seq bigint NOT NULL DEFAULT 0,
  tracked bigint NOT NULL DEFAULT 0,
  tokens numeric NOT NULL DEFAULT 0,
  cost numeric NOT NULL DEFAULT 0,
  audit_seq bigint NOT NULL DEFAULT 0,
  audit_hash text,
  config jsonb
) WITH (fillfactor = 20);

CREATE TABLE usage (
  tenant text NOT NULL,
  usage_seq bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  booked_at timestamptz NOT NULL,
  request_id text NOT NULL,
  attempt integer NOT NULL,
  requests smallint NOT NULL,
  adjusts_seq bigint,
  provider text NOT NULL,
  model text NOT NULL,
  status text NOT NULL,
  prompt_tokens bigint NOT NULL,
  completion_tokens bigint NOT NULL,
  total_tokens bigint NOT NULL,
  cost numeric NOT NULL,
  currency text NOT NULL,
  user_id text,
  team_id text,
  project_id text,
  feature text,
  agent text,
  operation text,
  operation_id text,
  task_id text,
  workflow_id text,
  conversation_id text,
  parent_request_id text,
  tags jsonb,
  detail text NOT NULL,
  PRIMARY KEY (tenant, usage_seq, recorded_at)
) PARTITION BY RANGE (recorded_at);

CREATE TABLE usage_default PARTITION OF usage DEFAULT;

CREATE INDEX usage_booked_at ON usage USING brin (booked_at);

CREATE INDEX usage_adjusts ON usage (tenant, adjusts_seq) WHERE adjusts_seq IS NOT NULL;

CREATE INDEX usage_adjusts_workflow ON usage (tenant, workflow_id, usage_seq)
WHERE (adjusts_seq IS NOT NULL OR attempt > 1) AND workflow_id IS NOT NULL;

CREATE TABLE unpriced_usage (
  tenant text NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  booked_at timestamptz NOT NULL,
  usage_seq bigint NOT NULL,
  request_id text NOT NULL,
  PRIMARY KEY (tenant, provider, model, booked_at, usage_seq)
);

CREATE TABLE usage_cleaned (
  tenant text NOT NULL,
  booked_from timestamptz NOT NULL,
  currency text NOT NULL,
  after_seq bigint NOT NULL,
  cell text NOT NULL,
  rows bigint NOT NULL,
  requests bigint NOT NULL,
  prompt_tokens numeric NOT NULL,
  completion_tokens numeric NOT NULL,
  total_tokens numeric NOT NULL,
  cost numeric NOT NULL,
  converted jsonb,
  provider text,
  model text,
  user_id text,
  team_id text,
  project_id text,
  feature text,
  agent text,
  operation text,
  workflow_id text,
  conversation_id text,
  PRIMARY KEY (tenant, after_seq, booked_from, currency, cell)
);

CREATE TABLE request (
  tenant text NOT NULL,
  request_id text NOT NULL,
  state text,
  ended_in bigint,
  hold text,
  attempts text,
  PRIMARY KEY (tenant, request_id)
);

CREATE TABLE hold_page (
  tenant text NOT NULL,
  journal_seq bigint NOT NULL,
  holds text NOT NULL,
  PRIMARY KEY (tenant, journal_seq)
);

ALTER TABLE hold_page ALTER COLUMN holds SET STORAGE EXTERNAL;

CREATE TABLE budget (
  tenant text NOT NULL,
  budget_id text NOT NULL,
  name text NOT NULL,
  type text NOT NULL,
  entity_id text,
  period text NOT NULL,
  time_zone text NOT NULL,
  week_starts_on text NOT NULL,
  measure text NOT NULL,
  currency text NOT NULL,
  limit_amount numeric NOT NULL,
  alert_thresholds integer[] NOT NULL,
  enforcement text NOT NULL,
  rollover_max numeric,
  rollover_min numeric,
  override_policy jsonb NOT NULL,
  is_active boolean NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  version bigint NOT NULL,
  since_seq bigint NOT NULL,
  opening_rate numeric NOT NULL,
  PRIMARY KEY (tenant, budget_id)
);

CREATE TABLE budget_period (
  tenant text NOT NULL,
  budget_id text COLLATE "C" NOT NULL,
  period_start timestamptz NOT NULL,
  period_end timestamptz NOT NULL,
  spent numeric NOT NULL,
  spent_afterwards numeric NOT NULL,
  held numeric NOT NULL,
  carried_over numeric NOT NULL,
  override_total numeric NOT NULL,
  rollover_limit numeric,
  rollover_max numeric,
  rollover_min numeric,
  alerts_sent integer[] NOT NULL,
  PRIMARY KEY (tenant, budget_id, period_start)
) WITH (fillfactor = 45);

CREATE INDEX budget_period_end ON budget_period (tenant, period_end);

CREATE TABLE budget_override (
  tenant text NOT NULL,
  override_id text NOT NULL,
  override_seq bigint NOT NULL,
  budget_id text NOT NULL,
  period_start timestamptz NOT NULL,
  period_end timestamptz NOT NULL,
  type text NOT NULL,
  entity_id text,
  measure text NOT NULL,
  currency text NOT NULL,
  status text NOT NULL,
  amount numeric NOT NULL,
  approved_amount numeric,
  reason text NOT NULL,
  note text,
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL,
  decided_by text,
  decided_at timestamptz,
  expires_at timestamptz,
  PRIMARY KEY (tenant, override_id)
);

CREATE UNIQUE INDEX budget_override_newest ON budget_override (tenant, override_seq DESC);

CREATE INDEX budget_override_live ON budget_override (tenant)
WHERE status IN ('pending', 'approved');

CREATE INDEX budget_override_lapsed ON budget_override (tenant, period_end)
WHERE status = 'expired' AND approved_amount IS NOT NULL;

CREATE TABLE price (
  tenant text NOT NULL,
  price_id text NOT NULL,
  position bigint GENERATED ALWAYS AS IDENTITY,
  provider text NOT NULL,
  model text NOT NULL,
  price jsonb NOT NULL,
  PRIMARY KEY (tenant, price_id)
);

CREATE TABLE exchange_rate (
  tenant text NOT NULL,
  rate_seq bigint NOT NULL,
  base text NOT NULL,
  currency text NOT NULL,
  rate numeric NOT NULL,
  as_of timestamptz NOT NULL,
  source text,
  PRIMARY KEY (tenant, rate_seq)
);

CREATE TABLE alert (
  tenant text NOT NULL,
  alert_seq bigint NOT NULL,
  alert jsonb NOT NULL,
  PRIMARY KEY (tenant, alert_seq)
);

CREATE TABLE alert_recipient (
  tenant text NOT NULL,
  recipient_id text NOT NULL,
  kind text NOT NULL,
  target text NOT NULL,
  secret text,
  PRIMARY KEY (tenant, recipient_id)
);

CREATE TABLE alert_delivery (
  tenant text NOT NULL,
  recipient_id text NOT NULL,
  alert_seq bigint NOT NULL,
  due_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  claim text,
  failure text,
  PRIMARY KEY (tenant, recipient_id, alert_seq)
);

CREATE INDEX alert_delivery_due ON alert_delivery (tenant, recipient_id, due_at, alert_seq);

CREATE TABLE command (
  tenant text NOT NULL,
  signal text NOT NULL,
  request_id text NOT NULL,
  digest text NOT NULL,
  result jsonb NOT NULL,
  PRIMARY KEY (tenant, signal, request_id)
);

CREATE TABLE audit (
  tenant text NOT NULL,
  audit_seq bigint NOT NULL,
  at timestamptz NOT NULL,
  key_id text,
  owner text,
  action text NOT NULL,
  subject text,
  salt text,
  body text,
  digest text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (tenant, audit_seq)
);

CREATE TABLE user_pseudonym (
  tenant text NOT NULL,
  user_key text NOT NULL,
  pseudonym text NOT NULL,
  PRIMARY KEY (tenant, user_key)
);

CREATE TABLE user_renaming (
  tenant text NOT NULL,
  user_id text NOT NULL,
  pseudonym text NOT NULL,
  up_to_seq bigint NOT NULL,
  PRIMARY KEY (tenant, user_id)
);

CREATE TABLE access_key (
  key_id text PRIMARY KEY,
  tenant text NOT NULL,
  name text NOT NULL,
  roles text[] NOT NULL,
  owner text NOT NULL,
  attribution jsonb NOT NULL,
  hash text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  request_tenant text,
  request_id text,
  request_digest text,
  UNIQUE (request_tenant, request_id)
);

CREATE INDEX access_key_newest ON access_key (tenant, created_at DESC, key_id COLLATE "C" DESC);

CREATE TABLE browser_session (
  hash text PRIMARY KEY,
  key_id text NOT NULL,
  key_hash text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE INDEX browser_session_key ON browser_session (key_id);

CREATE INDEX browser_session_expires ON browser_session (expires_at);

CREATE TABLE installation (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  secret text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE completion (
  tenant text NOT NULL,
  request_id text NOT NULL,
  digest text NOT NULL,
  outcome json NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, request_id)
);

CREATE TABLE machine (
  address text COLLATE "C" PRIMARY KEY,
  tenant text NOT NULL,
  kind text NOT NULL,
  owner text NOT NULL,
  epoch bigint NOT NULL,
  revision bigint NOT NULL DEFAULT 0,
  commit_id text,
  status text,
  state text,
  reason text,
  about text,
  version text,
  snapshot text,
  wakes_at timestamptz,
  ended_at timestamptz DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE INDEX machine_newest ON machine (tenant, kind, created_at DESC, address);

CREATE INDEX machine_wakes ON machine (wakes_at, address) WHERE wakes_at IS NOT NULL;

CREATE INDEX machine_open ON machine (kind, tenant, address) WHERE ended_at IS NULL;

CREATE INDEX machine_ended ON machine (tenant, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE machine_removed (
  address text COLLATE "C" PRIMARY KEY,
  tenant text NOT NULL,
  removed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE machine_outbox (
  address text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  receiver text NOT NULL,
  signal text NOT NULL,
  params text NOT NULL,
  traceparent text,
  PRIMARY KEY (address, seq)
);

CREATE TABLE machine_seen (
  address text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  mark bigint NOT NULL,
  digest text,
  revision bigint NOT NULL,
  place integer NOT NULL,
  PRIMARY KEY (address, id)
);

CREATE TABLE machine_feed (
  tenant text PRIMARY KEY,
  last_seq bigint NOT NULL DEFAULT 0,
  removed_to bigint NOT NULL DEFAULT 0
);

CREATE TABLE machine_fact (
  tenant text NOT NULL,
  seq bigint NOT NULL,
  address text NOT NULL,
  kind text NOT NULL,
  body text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant, seq)
);

CREATE TABLE dead_letter_head (
  tenant text PRIMARY KEY,
  last_seq bigint NOT NULL,
  sent bigint NOT NULL DEFAULT 0,
  lost bigint NOT NULL DEFAULT 0
);

CREATE TABLE dead_letter (
  tenant text NOT NULL,
  seq bigint NOT NULL,
  at timestamptz NOT NULL,
  address text NOT NULL,
  signal text NOT NULL,
  principal text NOT NULL,
  why text NOT NULL,
  preview text NOT NULL,
  params text,
  claimed_until timestamptz,
  PRIMARY KEY (tenant, seq)
);

CREATE TABLE refusal_head (
  tenant text PRIMARY KEY,
  last_seq bigint NOT NULL,
  cleaned bigint NOT NULL DEFAULT 0,
  lost bigint NOT NULL DEFAULT 0
);

CREATE TABLE refusal (
  tenant text NOT NULL,
  seq bigint NOT NULL,
  request_id text NOT NULL,
  digest text NOT NULL,
  hour bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  count bigint NOT NULL,
  attribution jsonb NOT NULL,
  budget_ids jsonb NOT NULL,
  request text NOT NULL,
  PRIMARY KEY (tenant, seq),
  UNIQUE (tenant, request_id, digest, hour)
);
