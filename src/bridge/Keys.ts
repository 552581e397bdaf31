/**
 * Keys: who somebody is.
 *
 * Owns: verifying a key; making, listing and ending keys (signals.md, section 10); telling connections that a
 * key has ended. A key reads `bk_ID_SECRET`; only its keyed hash is kept.
 * Does not decide: what a role may do (signal/Authorization), or how a key reaches us (Access).
 *
 * Both are noted in the audit trail of the key's tenant, after the store has them and before they are answered. So a
 * key whose secret anybody knows has its entry; a crash in between leaves a key that nobody can use. A key that was
 * revoked has ended whether or not that could be noted: where it could not, revoking it again notes it.
 *
 * `create_key` with a `request_id` can be sent again and must answer the same key, yet the key is not kept. So
 * the secret of such a key is derived from the installation's secret, the key's random id and the request: the
 * hash alone gives nothing away, and a key without `request_id` is random and can never be shown again.
 */
import { randomBytes } from "node:crypto"
import { Clock, Context, Effect, Layer, Redacted } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { NotFound, type SignalError, Unauthenticated, type Unavailable } from "../signal/Errors.ts"
import { installationPrincipal, type Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { type Credential, type Ended, makeRecent } from "./Credential.ts"
import { InstallationSecret, isSameHash, keyedHash } from "./InstallationSecret.ts"
import { created, KeyAudit, revoked } from "./KeyAudit.ts"
import { type CreateKey, draftKey, madeAnEndedKey, refuseReuse } from "./KeyDraft.ts"
import { infoOfKey, type ListKeys, nextKeyCursor, readKeyCursor } from "./KeyList.ts"
import { type KeyRow, KeyStore } from "./KeyStore.ts"
import { endOfKey, KnownKeys, principalOfKey } from "./KnownKeys.ts"
import { UserDisguise } from "./UserDisguise.ts"

/** The key id of BURSAR_ADMIN_KEY, which no store holds. */
const INSTALLATION_KEY_ID = "installation"

const TOUCHED_MAX = 10_000
const TOUCH_EVERY_MS = 60_000
const KEY_BYTES_MAX = 256

export interface Keys {
  /** Who holds this key. The store is asked at most every 30 s for the same key. */
  readonly verify: (key: string) => Effect.Effect<Credential, Unauthenticated | Unavailable>
  /**
   * Whether a key that was verified before still holds, as it was no longer than `freshMs` ago. `keyHash` must be the one
   * it was verified with.
   */
  readonly verifyAgain: (
    keyId: string,
    keyHash: string,
    freshMs?: Millis
  ) => Effect.Effect<Credential, Unauthenticated | Unavailable>
  readonly create: (
    payload: SignalPayload<"create_key">,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<"create_key">, SignalError>
  readonly list: (
    payload: ListKeys,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<"list_keys">, SignalError>
  readonly revoke: (
    payload: SignalPayload<"revoke_key">,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<"revoke_key">, SignalError>
  /** Calls back when a key is revoked here, before `revoke` answers. Answers how to stop listening. */
  readonly onEnded: (listener: (ended: Ended) => void) => () => void
}

export const Keys = Context.Service<Keys>("bursar/bridge/Keys")

const refused = (why: string) => new Unauthenticated({ message: why })
const UNKNOWN = "This key is not known here: check that it was copied whole, or ask an admin for a new one"

/** The id inside `bk_ID_SECRET`, or `undefined` when it does not look like a key. */
const idInKey = (key: string): string | undefined =>
  /^bk_([0-9a-f]{18})_[\w-]{43}$/u.exec(key.length <= KEY_BYTES_MAX ? key : "")?.[1]

const problemOf = (row: KeyRow, now: Millis): Unauthenticated | undefined => {
  switch (endOfKey(row, now)) {
    case "revoked":
      return refused("This key was revoked: ask an admin for a new one")
    case "expired":
      return refused("This key has expired: ask an admin for a new one")
    default:
      return undefined
  }
}

const credentialOf = (row: KeyRow): Credential => ({
  principal: principalOfKey(row),
  keyHash: row.hash,
  session: undefined,
  expiresAt: row.expiresAt
})

/** Tenants that a principal's key signals reach: its own; for the installation's key, all of them. */
const reachOf = (principal: Principal): string | null => (principal.isInstallation ? null : principal.tenant)

const makeVerifier = (
  store: KeyStore,
  known: KnownKeys,
  installation: InstallationSecret,
  adminKey: Redacted.Redacted<string>
) => {
  const hashOf = (key: string) => keyedHash(installation, "key", key).toString("hex")
  const admin: Credential = {
    principal: installationPrincipal(),
    keyHash: hashOf(Redacted.value(adminKey)),
    session: undefined,
    expiresAt: null
  }
  const touched = makeRecent<true>(TOUCHED_MAX, TOUCH_EVERY_MS)

  const touch = (id: string, now: Millis) => {
    if (touched.get(id, now) === true) return Effect.void
    touched.set(id, true, now)
    return Effect.asVoid(Effect.forkDetach(Effect.ignore(store.touch(id, now))))
  }

  const verifyRow = Effect.fnUntraced(function* (id: string, hash: string, freshMs?: Millis) {
    const row = yield* known.find(id, freshMs)
    if (row === undefined || !isSameHash(row.hash, hash)) return yield* refused(UNKNOWN)
    const now = yield* Clock.currentTimeMillis
    const problem = problemOf(row, now)
    if (problem !== undefined) return yield* problem
    yield* touch(id, now)
    return credentialOf(row)
  })

  const verify = (key: string) => {
    const hash = hashOf(key)
    if (isSameHash(hash, admin.keyHash)) return Effect.succeed(admin)
    const id = idInKey(key)
    return id === undefined ? Effect.fail(refused(UNKNOWN)) : verifyRow(id, hash)
  }

  const verifyAgain: Keys["verifyAgain"] = (keyId, keyHash, freshMs) => {
    if (keyId !== INSTALLATION_KEY_ID) return verifyRow(keyId, keyHash, freshMs)
    return isSameHash(keyHash, admin.keyHash) ? Effect.succeed(admin) : Effect.fail(refused(UNKNOWN))
  }

  return { hashOf, verify, verifyAgain }
}

/** Keys over the store of the context. `adminKey` is the installation's own. */
export const make = Effect.fnUntraced(function* (adminKey: Redacted.Redacted<string>) {
  const store = yield* KeyStore
  const installation = yield* InstallationSecret
  const audit = yield* KeyAudit
  const users = yield* UserDisguise
  const known = yield* KnownKeys
  const verifier = makeVerifier(store, known, installation, adminKey)
  const listeners = new Set<(ended: Ended) => void>()

  const ended = (id: string, now: Millis) => {
    known.end(id, now)
    for (const listener of listeners) listener({ keyId: id })
  }
  const clock = yield* Clock.Clock
  users.onKeysEnded((ids) => {
    for (const id of ids) ended(id, clock.currentTimeMillisUnsafe())
  })

  const create = Effect.fnUntraced(function* (
    payload: CreateKey,
    principal: Principal
  ): Effect.fn.Return<SignalSuccess<"create_key">, SignalError> {
    const now = yield* Clock.currentTimeMillis
    const tenant = payload.tenant ?? principal.tenant
    const attribution = yield* users.attribution(tenant, payload.attribution ?? {})
    const maker = { ...principal, attribution: yield* users.attribution(tenant, principal.attribution) }
    const draft = yield* Effect.fromResult(draftKey({ ...payload, attribution }, maker, now))
    const id = randomBytes(9).toString("hex")
    const keyOf = (keyId: string) => {
      const derived = payload.request_id !== undefined
      const secret = derived
        ? keyedHash(installation, "create_key", keyId, principal.tenant, payload.request_id)
        : randomBytes(32)
      return `bk_${keyId}_${secret.toString("base64url")}`
    }
    const key = keyOf(id)
    const kept = yield* store.insert({ ...draft, id, hash: verifier.hashOf(key) })
    const reuse = kept.id === id ? undefined : refuseReuse(kept, draft)
    if (reuse !== undefined) return yield* reuse
    yield* audit.record(created(kept, principal))
    const end = endOfKey(kept, now)
    if (end !== undefined) return yield* madeAnEndedKey(kept.id, end)
    return { key_id: kept.id, key: kept.id === id ? key : keyOf(kept.id) }
  })

  const list = Effect.fnUntraced(function* (payload: ListKeys, principal: Principal) {
    const after = yield* Effect.fromResult(readKeyCursor(payload.cursor))
    const rows = yield* store.list(reachOf(principal), after, payload.limit + 1)
    const page = rows.slice(0, payload.limit)
    return { items: page.map(infoOfKey), next_cursor: rows.length > page.length ? nextKeyCursor(page) : null }
  })

  const revoke = Effect.fnUntraced(function* (
    payload: SignalPayload<"revoke_key">,
    principal: Principal
  ): Effect.fn.Return<SignalSuccess<"revoke_key">, SignalError> {
    const { key_id: id } = payload
    const now = yield* Clock.currentTimeMillis
    if (!(yield* store.revoke(id, reachOf(principal), now))) {
      return yield* new NotFound({ message: `There is no key ${id}: see list_keys`, kind: "key", id })
    }
    ended(id, now)
    const row = yield* store.find(id)
    if (row !== undefined) yield* audit.record(revoked(row, principal))
    return { revoked: true as const }
  })

  return Keys.of({
    verify: verifier.verify,
    verifyAgain: verifier.verifyAgain,
    create,
    list,
    revoke,
    onEnded: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  })
})

export const layer = (adminKey: Redacted.Redacted<string>) => Layer.effect(Keys, make(adminKey))
