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
    /** For people. */
    name: Name,
    /** What the key may do; `admin` may do everything in its tenant. */
    roles: Schema.Array(Role).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
    /**
     * Who answers for it: nobody decides an override that the same owner asked for. Default: the maker's. Only an
     * admin names another.
     */
    owner: optional(Name),
    /** Joins everything that the key sends, and bounds what it sees; a contradiction is `Forbidden`. */
    attribution: optional(Attribution),
    /** Default: the maker's. Only the installation's own key names another; a tenant begins with its first key. */
    tenant: optional(TenantName),
    /** When it ends; default: never. */
    expires_at: optional(Timestamp)
  },
  success: Schema.Struct({
    /** For `revoke_key`. */
    key_id: Id,
    /** The secret itself. It is shown once. */
    key: Schema.String
  })
})

export const KeyInfo = Schema.Struct({
  /** For `revoke_key`. */
  key_id: Id,
  /** For people. */
  name: Name,
  /** What the key may do. */
  roles: Schema.Array(Role),
  /** Who answers for it. */
  owner: Name,
  /** What joins everything that the key sends. */
  attribution: Attribution,
  /** Where it may do it. */
  tenant: TenantName,
  /** When it was made. */
  created_at: Timestamp,
  /** Null: never. */
  expires_at: Schema.NullOr(Timestamp),
  /** Null: never; it may lag behind a little. */
  last_used_at: Schema.NullOr(Timestamp),
  /** Null while it is good. */
  revoked_at: Schema.NullOr(Timestamp)
}).annotate({ identifier: "KeyInfo" })
export type KeyInfo = typeof KeyInfo.Type

export const ListKeys = query("list_keys", {
  family: "keys",
  roles: [],
  description: "Lists this tenant's keys, never their secrets.",
  payload: pageFields,
  success: Schema.Struct({
    /** Also those that have ended. */
    items: Schema.Array(KeyInfo),
    /** For the next page; null on the last. */
    next_cursor: Schema.NullOr(Schema.String)
  })
})

export const RevokeKey = command("revoke_key", {
  family: "keys",
  roles: [],
  description: "Ends a key. Its open connections and sessions close at once.",
  fails: ["NotFound"],
  payload: {
    /** The key to end; workflows that it started end with it. */
    key_id: Id
  },
  success: Schema.Struct({
    /** It is refused from now on. */
    revoked: Schema.Literal(true)
  })
})
