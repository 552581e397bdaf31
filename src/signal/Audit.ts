/** The signals of the audit trail (signals.md, section 7): reading it, and noting in it what is done outside the ledger. */
import { Schema } from "effect"
import { command, query } from "./Signal.ts"
import { Count, Id, Name, optional, PositiveCount, Sentence, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

/** What an entry is about: an id, or two with a "/" between them (a provider and its model, a request and its attempt). */
const Subject = Sentence

/** One change of what the rules are. What was forgotten is `null`; the hash stays. */
export const AuditEntry = Schema.Struct({
  /** The entry's place in the tenant's chain, without gaps. */
  seq: PositiveCount,
  /** When the change was made. */
  at: Timestamp,
  /** Who changed it; null where nobody did or the name was forgotten. */
  principal: Schema.NullOr(
    Schema.Struct({
      /** The key; `installation`, or `host` for the process that embeds the runtime. */
      key_id: Id,
      /** Who answers for the key. */
      owner: Name
    })
  ),
  /** Most often the signal, such as `update_budget`. */
  action: Id,
  /** What was changed: an id, or two with a `/` between them. */
  subject: Schema.NullOr(Subject),
  /** What it was; null where there was nothing, or it was forgotten. */
  before: Schema.Json,
  /** What it became; null where it was forgotten. */
  after: Schema.Json,
  /** Covers this entry and the hash before it. */
  hash: Schema.String
}).annotate({ identifier: "AuditEntry" })
export type AuditEntry = typeof AuditEntry.Type

/** All that is noted in the trail: commands that change what the rules are. */
export const AuditKind = Schema.Literals([
  "create_budget",
  "update_budget",
  "request_override",
  "decide_override",
  "update_pricing",
  "update_exchange_rates",
  "configure_manager",
  "correct_usage",
  "cleanup_old_data",
  "forget_user",
  "create_key",
  "revoke_key"
])

export const auditFilterFields = {
  /** Only this action. */
  kind: optional(AuditKind),
  /** Only by this key's id, or this owner. */
  principal: optional(Id),
  /** From this moment on. */
  from: optional(Timestamp),
  /** Before this moment. */
  to: optional(Timestamp)
}

export const GetAuditTrail = query("get_audit_trail", {
  family: "management",
  roles: ["analyst"],
  description: "Lists who changed the rules and when, with before and after, newest first.",
  payload: { ...auditFilterFields, ...pageFields },
  success: Schema.Struct({
    /** Newest first. */
    items: Schema.Array(AuditEntry),
    /** The end of the whole chain, when the first page was read. */
    head: Schema.Struct({
      /** How many entries there are. */
      seq: Count,
      /** Of the last one. */
      hash: Schema.String
    }),
    /** For the next page; null on the last. */
    next_cursor: Schema.NullOr(Schema.String)
  })
})

/** Notes what was done outside the ledger. Under the same `request_id` it is noted once. */
export const RecordAudit = command("record_audit", {
  family: "management",
  roles: [],
  description: "Notes in the audit trail what another part of the runtime has done.",
  payload: { request_id: Id, action: Id, subject: Id, before: Schema.Json, after: Schema.Json },
  success: Schema.Struct({ recorded: Schema.Literal(true) })
})
