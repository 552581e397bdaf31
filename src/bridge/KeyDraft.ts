/**
 * What a new key will be, before it has an id and a secret.
 *
 * Owns: whose key it becomes, what it inherits from its maker, and what "the same content" means for `create_key`.
 * Does not decide: who may send `create_key` at all (signal/Authorization: admins).
 */
import { createHash } from "node:crypto"
import { Result } from "effect"
import { type Attribution, contradictionWith, mergeAttribution } from "../signal/Attribution.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { Conflict, Forbidden, type InvalidParams, invalidParam } from "../signal/Errors.ts"
import { hasRole, type Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import type { KeyRow } from "./KeyStore.ts"

export type CreateKey = SignalPayload<"create_key">
export type KeyDraft = Omit<KeyRow, "id" | "hash">

const sortedEntries = (attribution: Attribution): ReadonlyArray<unknown> =>
  Object.entries(attribution)
    .map(([field, value]) => [field, typeof value === "object" ? Object.entries(value).sort() : value])
    .sort()

const digestOf = (draft: Omit<KeyDraft, "request">, maker: Principal): string =>
  createHash("sha256")
    .update(
      JSON.stringify([
        maker.keyId,
        draft.name,
        draft.roles.toSorted(),
        draft.owner,
        sortedEntries(draft.attribution),
        draft.tenant,
        draft.expiresAt
      ])
    )
    .digest("hex")

const problemOf = (
  payload: CreateKey,
  maker: Principal,
  now: Millis
): Forbidden | InvalidParams | undefined => {
  if (payload.tenant !== undefined && payload.tenant !== maker.tenant && !maker.isInstallation) {
    return new Forbidden({
      message:
        "Only the installation's key makes keys for another tenant: leave tenant out, or use BURSAR_ADMIN_KEY"
    })
  }
  if (payload.owner !== undefined && payload.owner !== maker.owner && !hasRole(maker, "admin")) {
    return new Forbidden({
      message: "Only an admin sets another owner: leave owner out",
      required_role: "admin"
    })
  }
  const field = contradictionWith(payload.attribution ?? {}, maker.attribution)
  if (field !== undefined) {
    return new Forbidden({
      message: `The maker's key always has its own ${field}: its keys inherit it, so leave it out`
    })
  }
  if (payload.expires_at !== undefined && payload.expires_at <= now) {
    return invalidParam(["expires_at"], "Expected a time in the future")
  }
  return undefined
}

/** The key that `payload` asks for. It inherits the forced attribution of its maker. */
export const draftKey = (
  payload: CreateKey,
  maker: Principal,
  now: Millis
): Result.Result<KeyDraft, Forbidden | InvalidParams> => {
  const problem = problemOf(payload, maker, now)
  if (problem !== undefined) return Result.fail(problem)
  const draft = {
    name: payload.name,
    roles: [...new Set(payload.roles)],
    owner: payload.owner ?? maker.owner,
    attribution: mergeAttribution(payload.attribution ?? {}, maker.attribution),
    tenant: payload.tenant ?? maker.tenant,
    createdAt: now,
    expiresAt: payload.expires_at ?? null,
    lastUsedAt: null,
    revokedAt: null
  }
  const id = payload.request_id
  const request = id === undefined ? null : { tenant: maker.tenant, id, digest: digestOf(draft, maker) }
  return Result.succeed({ ...draft, request })
}

/** Why a request that made `kept` before may not answer with it again, or `undefined` when it may. */
export const refuseReuse = (kept: KeyRow, draft: KeyDraft): Conflict | undefined =>
  kept.request?.digest === draft.request?.digest
    ? undefined
    : new Conflict({
        message: "This request_id made another key: use a request_id of its own for each key",
        reason: "request_reused_with_different_content"
      })

/** The key that a request made before cannot be used any more, so it is no answer to it. */
export const madeAnEndedKey = (id: string, end: "revoked" | "expired"): Conflict =>
  new Conflict({
    message: `This request_id made the key ${id}, which ${end === "revoked" ? "was revoked" : "has expired"} since: take a new request_id to make another key`,
    reason: "key_ended"
  })
