/** The signals by which a user is forgotten. The contract names the thing, and no signal for it: this one is ours. */
import { Schema } from "effect"
import { command } from "./Signal.ts"
import { Count, Id, optional } from "./Text.ts"

const Forgotten = Schema.Struct({
  /** The user's pseudonym, if there was one, belongs to nobody; another one is made when the user comes again. */
  pseudonym_deleted: Schema.Boolean,
  /** Rows of usage that named the user by an own id; they stand under a random pseudonym now. */
  usage_rows: Count,
  /** Requests that named the user. */
  requests: Count,
  /** Budgets of this user. */
  budgets: Count,
  /** Periods of such budgets. */
  periods: Count,
  /** Overrides of such budgets, or that the user asked for. */
  overrides: Count,
  /** Alerts about the user. */
  alerts: Count,
  /** Answers of commands that are kept for who sends them again. */
  commands: Count,
  /** Sums of usage that was cleaned up. */
  cleaned_sums: Count,
  /** Entries of the audit trail whose content was deleted; their hashes stay. */
  audit_entries: Count,
  /** Workflows and other durable machines about the user; those that run go on. */
  machines: Count,
  /** Dead letters that named the user. */
  dead_letters: Count,
  /** Refusals that named the user. */
  refusals: Count,
  /** Keys that always spoke for the user: they have ended. */
  keys_ended: Count
}).annotate({ identifier: "Forgotten" })
export type Forgotten = typeof Forgotten.Type

export const ForgetUser = command("forget_user", {
  family: "management",
  roles: [],
  description:
    "Forgets a user: the pseudonym belongs to nobody, and what still names the user by an own id is renamed. Totals, counters and the audit chain stay as they are.",
  payload: {
    /** The user's own id, as callers use it, or the pseudonym. */
    user_id: Id
  },
  sensitive: ["user_id"],
  success: Forgotten
})

/** The same with what only the doors know: under which key a user stands in the store, and a name for what is left. */
export const ForgetNamed = command("forget_named", {
  family: "management",
  roles: [],
  description: "Forgets a user.",
  payload: {
    /** Absent where only a pseudonym is known. */
    user_id: optional(Id),
    pseudonym: optional(Id),
    user_key: Schema.String,
    fresh: Id
  },
  sensitive: ["user_id"],
  success: Schema.Struct({ forgotten: Forgotten, ended_keys: Schema.Array(Id) })
})

/** One step of it, done while nothing else is on its way to the store. */
export const ForgetStep = command("forget_step", {
  family: "management",
  roles: [],
  description: "Renames some of the rows that name a user.",
  payload: { step: Schema.Unknown },
  sensitive: ["step"],
  success: Schema.Struct({ done: Schema.Unknown })
})

/** The end of it: it is audited without a name, and its answer is remembered under the command's `request_id`. */
export const RecordForgetting = command("record_forgetting", {
  family: "management",
  roles: [],
  description: "Notes in the audit trail that a user was forgotten.",
  payload: {
    forgotten: Forgotten,
    answers: Schema.NullOr(Schema.Struct({ request_id: Id, digest: Schema.String, result: Schema.Json }))
  },
  success: Schema.Struct({ recorded: Schema.Literal(true) })
})
