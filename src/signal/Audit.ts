/** The signals of the audit trail (signals.md, section 7): reading it, and noting in it what is done outside the ledger. */
import { Schema } from "effect"
import { command, query } from "./Signal.ts"
import { Count, Id, Name, optional, PositiveCount, Sentence, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

/** What an entry is about: an id, or two with a "/" between them (a provider and its model, a request and its attempt). */
const Subject = Sentence

/** One change of what the rules are. What was forgotten is `null`; the hash stays. */
export const AuditEntry = Schema.Struct({
  seq: PositiveCount,
  at: Timestamp,
  principal: Schema.NullOr(Schema.Struct({ key_id: Id, owner: Name })),
  action: Id,
  subject: Schema.NullOr(Subject),
  before: Schema.Json,
  after: Schema.Json,
  hash: Schema.String.annotate({ description: "covers this entry and the hash before it" })
}).annotate({ identifier: "AuditEntry" })
export type AuditEntry = typeof AuditEntry.Type

export const auditFilterFields = {
  kind: optional(Id.annotate({ description: "an action, such as create_budget" })),
  principal: optional(Id.annotate({ description: "a key's id, or an owner" })),
  from: optional(Timestamp),
  to: optional(Timestamp)
}

export const GetAuditTrail = query("get_audit_trail", {
  family: "management",
  roles: ["analyst"],
  description: "Lists who changed the rules and when, with before and after, newest first.",
  payload: { ...auditFilterFields, ...pageFields },
  success: Schema.Struct({
    items: Schema.Array(AuditEntry),
    head: Schema.Struct({ seq: Count, hash: Schema.String }).annotate({
      description: "the end of the whole chain, when the first page was read"
    }),
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
