/**
 * The tables, as the first migration makes them.
 *
 * Owns: columns, keys and indexes, and why each is as it is.
 * Does not decide: when they are made (Migrations), or what is written into them.
 *
 * Amounts are `numeric` in whole units, exact to 10⁻¹². Times are the server's own instants. What is filtered or
 * summed is a column; the rest of a record is one text of JSON, which the database never looks into.
 *
 * - `usage` has no foreign keys and one index, because every call writes it; the indexes of adjustments have none but
 *   these. Its partitions are months of `recorded_at`. The DEFAULT partition takes what no month is there for, so a missing month never stops a
 *   commit (UsagePartitions moves such rows when it makes the month).
 * - `request` is written once a call, when its hold ends, and again only for more attempts. No index names anything
 *   that changes.
 * - `hold_page` has the open holds of one batch in one row, and is dropped when all of them have ended: opening and
 *   ending a hold write no row of their own. An activation reads the pages, however many requests there are. Its text
 *   is neither compressed nor taken apart: it lives for seconds.
 */
import { DEAD_LETTER_TABLES } from "./DeadLetterTables.ts"
import { MACHINE_TABLES } from "./MachineTables.ts"
import { REFUSAL_TABLES } from "./RefusalTables.ts"

export const TABLES: ReadonlyArray<string> = [
  `CREATE TABLE tenant_head (
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
) WITH (fillfactor = 20)`,

  `CREATE TABLE usage (
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
) PARTITION BY RANGE (recorded_at)`,
  "CREATE TABLE usage_default PARTITION OF usage DEFAULT",
  "CREATE INDEX usage_booked_at ON usage USING brin (booked_at)",
  "CREATE INDEX usage_adjusts ON usage (tenant, adjusts_seq) WHERE adjusts_seq IS NOT NULL",
  `CREATE INDEX usage_adjusts_workflow ON usage (tenant, workflow_id, usage_seq)
WHERE (adjusts_seq IS NOT NULL OR attempt > 1) AND workflow_id IS NOT NULL`,

  // Attempts that no row has a price of, by their first rows: what update_pricing may price, the oldest first.
  `CREATE TABLE unpriced_usage (
  tenant text NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  booked_at timestamptz NOT NULL,
  usage_seq bigint NOT NULL,
  request_id text NOT NULL,
  PRIMARY KEY (tenant, provider, model, booked_at, usage_seq)
)`,

  // Sums of usage rows that were deleted: with the rows that are left they add up to every counter. A cell is a quarter
  // of an hour of booked_at, and stands for all that a budget can be about, between two moments when budgets were made.
  `CREATE TABLE usage_cleaned (
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
)`,

  `CREATE TABLE request (
  tenant text NOT NULL,
  request_id text NOT NULL,
  state text,
  ended_in bigint,
  hold text,
  attempts text,
  PRIMARY KEY (tenant, request_id)
)`,

  `CREATE TABLE hold_page (
  tenant text NOT NULL,
  journal_seq bigint NOT NULL,
  holds text NOT NULL,
  PRIMARY KEY (tenant, journal_seq)
)`,
  "ALTER TABLE hold_page ALTER COLUMN holds SET STORAGE EXTERNAL",

  `CREATE TABLE budget (
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
)`,

  // A lifetime has no end: infinity, so that "still running" is one comparison. The rollover is what a period hands
  // over by: the limit and the bounds that were in force at its end; NULL where it hands nothing over.
  // The id is a budget's, or ID/ENTITY where an entity stands in a default; in the order of bytes, so that a default's
  // standings lie together.
  `CREATE TABLE budget_period (
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
) WITH (fillfactor = 45)`,
  "CREATE INDEX budget_period_end ON budget_period (tenant, period_end)",

  // What is asked for and decided is never deleted. An activation reads those that are live, and sums up those that
  // were approved and have expired, of the periods that can still change.
  `CREATE TABLE budget_override (
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
)`,
  "CREATE UNIQUE INDEX budget_override_newest ON budget_override (tenant, override_seq DESC)",
  `CREATE INDEX budget_override_live ON budget_override (tenant)
WHERE status IN ('pending', 'approved')`,
  `CREATE INDEX budget_override_lapsed ON budget_override (tenant, period_end)
WHERE status = 'expired' AND approved_amount IS NOT NULL`,

  // Of two prices from the same day the later one counts: position keeps the order.
  `CREATE TABLE price (
  tenant text NOT NULL,
  price_id text NOT NULL,
  position bigint GENERATED ALWAYS AS IDENTITY,
  provider text NOT NULL,
  model text NOT NULL,
  price jsonb NOT NULL,
  PRIMARY KEY (tenant, price_id)
)`,

  // What a unit of base is worth in currency from as_of on. Rows are only ever added.
  `CREATE TABLE exchange_rate (
  tenant text NOT NULL,
  rate_seq bigint NOT NULL,
  base text NOT NULL,
  currency text NOT NULL,
  rate numeric NOT NULL,
  as_of timestamptz NOT NULL,
  source text,
  PRIMARY KEY (tenant, rate_seq)
)`,

  `CREATE TABLE alert (
  tenant text NOT NULL,
  alert_seq bigint NOT NULL,
  alert jsonb NOT NULL,
  PRIMARY KEY (tenant, alert_seq)
)`,

  // Who is told of alerts: a URL with its sealed secret, or an address. All of them are looked through for what is due.
  `CREATE TABLE alert_recipient (
  tenant text NOT NULL,
  recipient_id text NOT NULL,
  kind text NOT NULL,
  target text NOT NULL,
  secret text,
  PRIMARY KEY (tenant, recipient_id)
)`,

  // An alert that is owed to a recipient. Whoever tries it moves due_at on first, so that nobody else does meanwhile.
  // What was delivered is deleted; what is given up becomes a dead letter.
  `CREATE TABLE alert_delivery (
  tenant text NOT NULL,
  recipient_id text NOT NULL,
  alert_seq bigint NOT NULL,
  due_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  claim text,
  failure text,
  PRIMARY KEY (tenant, recipient_id, alert_seq)
)`,
  "CREATE INDEX alert_delivery_due ON alert_delivery (tenant, recipient_id, due_at, alert_seq)",

  `CREATE TABLE command (
  tenant text NOT NULL,
  signal text NOT NULL,
  request_id text NOT NULL,
  digest text NOT NULL,
  result jsonb NOT NULL,
  PRIMARY KEY (tenant, signal, request_id)
)`,

  // A chain (tokens/AuditChain says what is hashed). The body is text, because its hash covers every byte of it; what is
  // filtered by is a column too. What can be forgotten can be NULL.
  `CREATE TABLE audit (
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
)`,

  // Who stands under which pseudonym, where a tenant anonymises its users. A user is known by a keyed hash of his id;
  // to forget him is to delete his row.
  `CREATE TABLE user_pseudonym (
  tenant text NOT NULL,
  user_key text NOT NULL,
  pseudonym text NOT NULL,
  PRIMARY KEY (tenant, user_key)
)`,

  // Users whose forgetting has begun and not ended: their history is being renamed, usage up to a number.
  `CREATE TABLE user_renaming (
  tenant text NOT NULL,
  user_id text NOT NULL,
  pseudonym text NOT NULL,
  up_to_seq bigint NOT NULL,
  PRIMARY KEY (tenant, user_id)
)`,

  `CREATE TABLE access_key (
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
)`,
  'CREATE INDEX access_key_newest ON access_key (tenant, created_at DESC, key_id COLLATE "C" DESC)',

  `CREATE TABLE browser_session (
  hash text PRIMARY KEY,
  key_id text NOT NULL,
  key_hash text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
)`,
  "CREATE INDEX browser_session_key ON browser_session (key_id)",
  "CREATE INDEX browser_session_expires ON browser_session (expires_at)",

  `CREATE TABLE installation (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  secret text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
)`,

  `CREATE TABLE completion (
  tenant text NOT NULL,
  request_id text NOT NULL,
  digest text NOT NULL,
  outcome json NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, request_id)
)`,
  ...MACHINE_TABLES,
  ...DEAD_LETTER_TABLES,
  ...REFUSAL_TABLES
]
