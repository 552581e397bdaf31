/**
 * The tables of refusals.
 *
 * Owns: columns and keys. Does not decide: what is written into them (SqlRefusals).
 *
 * `refusal_head` numbers a tenant's refusals in the statement that writes them, and counts those that a cleanup took and
 * those that were never kept: what is gone beside is what the bound took. `request` is text of JSON, which the database
 * never looks into; what a list is filtered by stands beside it.
 */
export const REFUSAL_TABLES: ReadonlyArray<string> = [
  `CREATE TABLE refusal_head (
  tenant text PRIMARY KEY,
  last_seq bigint NOT NULL,
  cleaned bigint NOT NULL DEFAULT 0,
  lost bigint NOT NULL DEFAULT 0
)`,
  `CREATE TABLE refusal (
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
)`
]
