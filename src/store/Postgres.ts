/**
 * The client of a Postgres server.
 *
 * Owns: how a session is set, and how a dead connection is noticed.
 * Does not decide: tables and SQL.
 *
 * Every session gets, in its startup packet, so that no statement runs before it is set:
 * - `statement_timeout`: an owner of a tenant waits for its batch no longer than this, and a statement that the
 *   client has given up on does not go on holding locks. Migrations and long reports raise it with
 *   `SET LOCAL statement_timeout` in their own transaction.
 * - `idle_in_transaction_session_timeout`: an owner that is frozen inside a transaction holds its tenant's head
 *   row. Postgres ends its session after this, so that the successor gets the row.
 * - `plan_cache_mode`: statements are prepared once but planned each time (under 1 ms). A plan that was made and kept
 *   while the tables were small reads all of them later: commits of 50 ms were seen to take 3 s.
 *
 * A pooler in transaction mode (PgBouncer) refuses or drops startup parameters; there set both on the role
 * (`ALTER ROLE … SET`).
 *
 * `keepAlive` notices a peer that vanished while nothing is being sent; a write to a dead peer is bounded by
 * the caller's own timeout.
 */
import { PgClient } from "@effect/sql-pg"
import { Duration, type Redacted } from "effect"

export interface ServerOptions {
  readonly url: Redacted.Redacted
  /** Default 10. Each owner of tenants needs one while it commits; reports take more. */
  readonly maxConnections?: number
  readonly applicationName?: string
  readonly statementTimeout?: Duration.Input
  readonly idleInTransactionTimeout?: Duration.Input
  readonly connectTimeout?: Duration.Input
}

const milliseconds = (input: Duration.Input | undefined, fallback: Duration.Input) =>
  String(Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(input ?? fallback))))

/** Settings of the client, also for a single `PgConnection` outside the pool. */
export const serverConfig = (options: ServerOptions): PgClient.PgPoolConfig => ({
  url: options.url,
  applicationName: options.applicationName ?? "bursar",
  maxConnections: options.maxConnections ?? 10,
  connectTimeout: options.connectTimeout ?? "5 seconds",
  keepAlive: "10 seconds",
  startupParameters: {
    statement_timeout: milliseconds(options.statementTimeout, "5 seconds"),
    idle_in_transaction_session_timeout: milliseconds(options.idleInTransactionTimeout, "5 seconds"),
    // Times are bound and read as instants; reports name their zone. A server's default must not matter.
    timezone: "UTC",
    plan_cache_mode: "force_custom_plan"
  }
})

export const serverLayer = (options: ServerOptions) => PgClient.layer(serverConfig(options))
