/**
 * For whom a host speaks.
 *
 * Owns: how a host names one of its users, teams or services, and that each naming only narrows: what it may do, for
 * whom it spends. The rules are those of keys (signals.md, section 10), without a key.
 * Does not decide: who somebody is. The host has found that out.
 */
import { createHash } from "node:crypto"
import { Result, Schema } from "effect"
import { Attribution, contradictionWith, mergeAttribution } from "../signal/Attribution.ts"
import { toInvalidParams } from "../signal/Decode.ts"
import { Forbidden, type InvalidParams } from "../signal/Errors.ts"
import { TenantName } from "../signal/Keys.ts"
import { DEFAULT_TENANT, hasRole, installationPrincipal, type Principal } from "../signal/Principal.ts"
import { Role } from "../signal/Signal.ts"
import { Name, optional } from "../signal/Text.ts"

const IdentitySchema = Schema.Struct({
  /** What it may do. Only roles that whoever names it has as well. */
  roles: Schema.Array(Role).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
  /** Who answers for it: an override is decided by another owner than who asked for it. Default: the host. */
  owner: optional(Name),
  /** Joins everything that is sent; a contradiction is `Forbidden`. So money cannot be spent for somebody else. */
  attribution: optional(Attribution),
  /** Another tenant. Only the host itself can name one. */
  tenant: optional(TenantName)
})

/** For whom signals are sent. */
export type Identity = typeof IdentitySchema.Encoded

const decode = Schema.decodeUnknownResult(IdentitySchema, { errors: "all", onExcessProperty: "error" })

const sortedEntries = (attribution: Attribution): ReadonlyArray<unknown> =>
  Object.entries(attribution)
    .map(([field, value]) => [field, typeof value === "object" ? Object.entries(value).sort() : value])
    .sort()

/** Holds are counted, and can be released, by key: the same owner and attribution is the same key, also after a restart. */
const keyIdOf = (owner: string, attribution: Attribution): string => {
  const identity = JSON.stringify([owner, sortedEntries(attribution)])
  return `host:${createHash("sha256").update(identity).digest("hex").slice(0, 18)}`
}

const problemOf = (identity: typeof IdentitySchema.Type, parent: Principal): Forbidden | undefined => {
  const role = identity.roles.find((it) => !hasRole(parent, it))
  if (role !== undefined) {
    return new Forbidden({
      message: `Whoever names an identity gives it no role of which it has none itself: leave ${role} out`,
      required_role: role
    })
  }
  if (identity.tenant !== undefined && identity.tenant !== parent.tenant && !parent.isInstallation) {
    return new Forbidden({ message: "Only the host itself names another tenant: leave tenant out" })
  }
  if (identity.owner !== undefined && identity.owner !== parent.owner && !hasRole(parent, "admin")) {
    return new Forbidden({
      message: "Only an admin names another owner: leave owner out",
      required_role: "admin"
    })
  }
  const field = contradictionWith(identity.attribution ?? {}, parent.attribution)
  return field === undefined
    ? undefined
    : new Forbidden({ message: `Whoever names this identity always has its own ${field}: leave it out` })
}

/** The principal that `parent` names. It can do no more than `parent`, and never acts for every tenant. */
export const narrow = (
  identity: Identity,
  parent: Principal
): Result.Result<Principal, Forbidden | InvalidParams> => {
  const decoded = decode(identity)
  if (Result.isFailure(decoded))
    return Result.fail(toInvalidParams(decoded.failure.issue, identity, "identity"))
  const problem = problemOf(decoded.success, parent)
  if (problem !== undefined) return Result.fail(problem)
  const { roles, owner = parent.owner, attribution = {}, tenant = parent.tenant } = decoded.success
  const forced = mergeAttribution(attribution, parent.attribution)
  return Result.succeed({
    keyId: keyIdOf(owner, forced),
    owner,
    tenant,
    roles: [...new Set(roles)],
    attribution: forced,
    isInstallation: false
  })
}

const decodeTenant = Schema.decodeUnknownResult(TenantName)

/** The host itself, in one tenant: it may do everything there, and name anybody in any tenant. */
export const hostPrincipal = (tenant: string = DEFAULT_TENANT): Result.Result<Principal, InvalidParams> =>
  Result.mapBoth(decodeTenant(tenant), {
    onFailure: (error) => toInvalidParams(error.issue, tenant, "tenant"),
    onSuccess: (name) => installationPrincipal(name, "host")
  })
