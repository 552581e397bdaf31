/** The signals by which old usage goes (signals.md, section 7). Nothing is ever cleaned up unasked. */
import { Schema } from "effect"
import { command } from "./Signal.ts"
import { Count, Id, optional, Sentence, Timestamp, withDefault } from "./Text.ts"

/** A week that still runs, and what can still be booked late, are never old: usage is kept for at least this long. */
export const RETENTION_DAYS_MIN = 9

export const RetentionDays = Schema.Int.check(
  Schema.isBetween({ minimum: RETENTION_DAYS_MIN, maximum: 36_500 })
)

export const CleanupOldData = command("cleanup_old_data", {
  family: "management",
  roles: [],
  description:
    "Deletes usage rows older than so many days, and keeps their sums; removes workflows and other durable machines that ended before, and refusals. Budgets, totals, the audit trail and the uniqueness of request ids stay as they are.",
  payload: {
    /** Default: the tenant's `retention_days`. What is younger than 9 days is still needed. */
    older_than_days: optional(RetentionDays),
    /** `true` only counts what would go. */
    dry_run: withDefault(Schema.Boolean, true)
  },
  success: Schema.Struct({
    /** Whether nothing was deleted. */
    dry_run: Schema.Boolean,
    /** Rows that went, or would go. */
    usage_rows: Count,
    /** Workflows and other durable machines that had ended; absent where there were none. */
    ended_machines: optional(Count),
    /** Refusals that were kept; absent where there were none. */
    refusals: optional(Count),
    /** What was booked before this moment is old. */
    before: Timestamp,
    /** What was done, for people. */
    message: Sentence
  })
})

/** One step of a cleanup: it takes the oldest rows that are older than `before`. */
export const CleanUsage = command("clean_usage", {
  family: "management",
  roles: [],
  description: "Deletes some of the usage rows that are older than a moment.",
  payload: { before: Timestamp },
  success: Schema.Struct({ cleaned: Count })
})

/** The end of a cleanup: it is audited, and its answer is remembered under the command's `request_id`. */
export const RecordCleanup = command("record_cleanup", {
  family: "management",
  roles: [],
  description: "Notes a cleanup in the audit trail.",
  payload: {
    before: Timestamp,
    usage_rows: Count,
    ended_machines: optional(Count),
    refusals: optional(Count),
    answers: Schema.NullOr(Schema.Struct({ request_id: Id, digest: Schema.String, result: Schema.Json }))
  },
  success: Schema.Struct({ recorded: Schema.Literal(true) })
})
