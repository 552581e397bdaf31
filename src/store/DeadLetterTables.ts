/**
 * The tables of dead letters.
 *
 * Owns: columns and keys. Does not decide: what is written into them (SqlDeadLetters).
 *
 * `dead_letter_head` numbers a tenant's letters in the statement that writes them, and counts those that were sent again
 * and those that were never kept: what is gone beside is what the bound took. Payload and principal are text of JSON,
 * which the database never looks into.
 */
export const DEAD_LETTER_TABLES: ReadonlyArray<string> = [
  `CREATE TABLE dead_letter_head (
  tenant text PRIMARY KEY,
  last_seq bigint NOT NULL,
  sent bigint NOT NULL DEFAULT 0,
  lost bigint NOT NULL DEFAULT 0
)`,
  `CREATE TABLE dead_letter (
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
)`
]
