/** The signals about credentials (signals.md, section 10). */
import { Schema } from "effect"
import { Attribution } from "./Attribution.ts"
import { command, query, Role } from "./Signal.ts"
import { Id, Name, optional, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

/** Tenants stand in addresses and cookies, so their names are plain. */
export const TenantName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9_-]{0,63}$/u, {
    expected: "a tenant's name of a-z, 0-9, _ and -, at most 64 long"
  })
)

export const CreateKey = command("create_key", {
  family: "keys",
  roles: [],
  description:
    "Makes a key. It is shown once; only its keyed hash is stored. A tenant begins with its first key.",
  payload: {
    name: Name,
    roles: Schema.Array(Role).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
    owner: optional(Name),
    attribution: optional(Attribution),
    tenant: optional(TenantName),
    expires_at: optional(Timestamp)
  },
  success: Schema.Struct({ key_id: Id, key: Schema.String })
})

export const KeyInfo = Schema.Struct({
  key_id: Id,
  name: Name,
  roles: Schema.Array(Role),
  owner: Name,
  attribution: Attribution,
  tenant: TenantName,
  created_at: Timestamp,
  expires_at: Schema.NullOr(Timestamp),
  last_used_at: Schema.NullOr(Timestamp),
  revoked_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "KeyInfo" })
export type KeyInfo = typeof KeyInfo.Type

export const ListKeys = query("list_keys", {
  family: "keys",
  roles: [],
  description: "Lists this tenant's keys, never their secrets.",
  payload: pageFields,
  success: Schema.Struct({ items: Schema.Array(KeyInfo), next_cursor: Schema.NullOr(Schema.String) })
})

export const RevokeKey = command("revoke_key", {
  family: "keys",
  roles: [],
  description: "Ends a key. Its open connections and sessions close at once.",
  payload: { key_id: Id },
  success: Schema.Struct({ revoked: Schema.Literal(true) })
})
