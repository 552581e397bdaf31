/**
 * Where a tenant anonymises its users, they are replaced before an actor, a log, the inspection or the command log can
 * see them.
 *
 * Owns: where a user stands in a signal, in a filter, in a key's forced attribution and in what is kept of a failed
 * notification; that a key which is forced to a user speaks for that user only, whichever name either of them uses.
 * Does not decide: which pseudonym a user has (Pseudonyms). The TokenManager asks again (tokens/Anonymity): what it finds
 * to name a user comes back, and is replaced then.
 */
import { Effect } from "effect"
import type { KeptParams, LetterUse } from "../bridge/UserDisguise.ts"
import type { Attribution } from "../signal/Attribution.ts"
import type { ActorSignalName } from "../signal/Catalogue.ts"
import { ACTOR_SIGNALS } from "../signal/Catalogue.ts"
import { Forbidden, invalidParam, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { isNotAnonymised } from "../signal/Pseudonym.ts"
import { traitsOf } from "../signal/Signal.ts"
import { EVERYBODY } from "../tokens/StandingKey.ts"
import type { Pseudonyms } from "./Pseudonyms.ts"

/** What of a payload may name a user. */
interface Naming {
  readonly user_id?: string
  readonly type?: string
  readonly entity_id?: string
}

/** A signal that names nobody. */
interface Disguised {
  readonly payload: object
  readonly principal: Principal
}

const QUERIES: ReadonlySet<ActorSignalName> = new Set(
  (Object.keys(ACTOR_SIGNALS) as ReadonlyArray<ActorSignalName>).filter(
    (name) => traitsOf(ACTOR_SIGNALS[name]).kind === "query"
  )
)

const forcedToAnother = (): Forbidden =>
  new Forbidden({ message: "This key always has its own user_id: leave it out, or use another key" })

/** A door leaves it open whether a user and a pseudonym are the same: here both are of one kind. */
const forcedProblem = (payload: object, { attribution: { user_id } }: Principal): Forbidden | undefined => {
  if (user_id === undefined) return undefined
  const named = (payload as Naming).user_id
  return named === undefined || named === user_id ? undefined : forcedToAnother()
}

const withoutType = () =>
  invalidParam(
    ["entity_id"],
    "This tenant anonymises its users, and whether this is a user is not known: say the type too"
  )

export class Disguise {
  readonly pseudonyms: Pseudonyms
  readonly #isAlone: boolean
  readonly #listeners = new Set<(keyIds: ReadonlyArray<string>) => void>()

  /** `isAlone`: whatever is committed is committed by this process, so that it knows who anonymises. */
  constructor(pseudonyms: Pseudonyms, { isAlone }: { readonly isAlone: boolean }) {
    this.pseudonyms = pseudonyms
    this.#isAlone = isAlone
  }

  /** `send` is given what names nobody, where the tenant wants that. For tenants that do not, it costs one look. */
  ask<P extends object, A>(
    name: ActorSignalName,
    payload: P,
    principal: Principal,
    send: (payload: P, principal: Principal) => Effect.Effect<A, SignalError>
  ): Effect.Effect<A, SignalError> {
    if (this.#isAlone && this.pseudonyms.isPlain(principal.tenant) && name !== "forget_user") {
      const problem = forcedProblem(payload, principal)
      return problem === undefined ? send(payload, principal) : Effect.fail(problem)
    }
    return this.#askDisguised(name, payload, principal, send)
  }

  #askDisguised<P extends object, A>(
    name: ActorSignalName,
    payload: P,
    principal: Principal,
    send: (payload: P, principal: Principal) => Effect.Effect<A, SignalError>
  ): Effect.Effect<A, SignalError> {
    const sent = (it: Disguised) => {
      // Who is to be forgotten is named as he is (Erasure).
      const problem = name === "forget_user" ? undefined : forcedProblem(it.payload, it.principal)
      return problem === undefined ? send(it.payload as P, it.principal) : Effect.fail(problem)
    }
    const disguised = (isEntityUser: boolean) =>
      Effect.flatMap(this.#disguise(name, payload, principal, isEntityUser), sent)
    return Effect.flatMap(this.pseudonyms.isAnonymising(principal.tenant), (isAnonymising) =>
      isAnonymising ? disguised(false) : sent({ payload, principal })
    ).pipe(
      Effect.catchIf(isNotAnonymised, () => {
        this.pseudonyms.doubt(principal.tenant)
        return disguised(true)
      })
    )
  }

  /** `isEntityUser`: the ledger has said that something here names a user; in an override that is the entity. */
  #disguise(
    name: ActorSignalName,
    payload: object,
    principal: Principal,
    isEntityUser: boolean
  ): Effect.Effect<Disguised, SignalError> {
    return Effect.gen({ self: this }, function* () {
      // A subscription goes on: who is seen for the first time tomorrow must be seen by it.
      const onlyLooks = QUERIES.has(name)
      const { tenant } = principal
      const { user_id, type, entity_id } = (name === "forget_user" ? {} : payload) as Naming
      const isBudgets = name === "create_budget" || name === "get_budget_status"
      const isNamed = entity_id !== undefined && entity_id !== EVERYBODY
      if (isBudgets && isNamed && type === undefined && !this.pseudonyms.isOurs(tenant, entity_id))
        return yield* withoutType()
      const isUser = isNamed && (isBudgets ? type === "user" : name === "request_override" && isEntityUser)
      const change = {
        ...(user_id === undefined ? {} : { user_id: yield* this.#of(tenant, user_id, onlyLooks) }),
        ...(isUser ? { entity_id: yield* this.#of(tenant, entity_id, onlyLooks) } : {})
      }
      const attribution = yield* this.#attribution(tenant, principal.attribution)
      return {
        payload: Object.keys(change).length === 0 ? payload : { ...payload, ...change },
        principal: attribution === principal.attribution ? principal : { ...principal, attribution }
      }
    })
  }

  #of(tenant: string, userId: string, onlyLooks: boolean): Effect.Effect<string, SignalError> {
    return this.pseudonyms.of(tenant, userId, { onlyLooks })
  }

  #attribution(tenant: string, attribution: Attribution): Effect.Effect<Attribution, SignalError> {
    const { user_id } = attribution
    return user_id === undefined
      ? Effect.succeed(attribution)
      : Effect.map(this.#of(tenant, user_id, false), (pseudonym) => ({ ...attribution, user_id: pseudonym }))
  }

  // --- keys of who is forgotten

  onKeysEnded(listener: (keyIds: ReadonlyArray<string>) => void): void {
    this.#listeners.add(listener)
  }

  keysEnded(keyIds: ReadonlyArray<string>): void {
    for (const listener of this.#listeners) listener(keyIds)
  }

  /** The attribution that a key is forced to, as it is kept. */
  attribution(tenant: string, attribution: Attribution): Effect.Effect<Attribution, SignalError> {
    if (attribution.user_id === undefined) return Effect.succeed(attribution)
    return Effect.flatMap(this.pseudonyms.isAnonymising(tenant), (isAnonymising) =>
      isAnonymising ? this.#attribution(tenant, attribution) : Effect.succeed(attribution)
    )
  }

  /**
   * What may be kept of a notification that failed. In a tenant that anonymises, or may do so, one that nobody could make
   * out may name a user anywhere: only the names of its fields are kept. A command gives whom it names a pseudonym, as it
   * would have done; who is only asked about, or only shown, is given none. So what would be sent again in the name of
   * somebody who does not exist is not kept whole.
   */
  letter(principal: Principal, params: unknown, use: LetterUse): Effect.Effect<KeptParams> {
    const { tenant } = principal
    const mayBeSent = use === "command" || use === "query"
    return Effect.gen({ self: this }, function* () {
      if (!(yield* this.pseudonyms.isAnonymising(tenant))) return { principal, params, isWhole: mayBeSent }
      const attribution = yield* this.#attribution(tenant, principal.attribution)
      const shown =
        use === "unread" ? fieldsOf(params) : yield* this.#withoutUsers(tenant, params, use !== "command")
      const isTrue = use === "command" && !this.#mayNameUser(tenant, params)
      return {
        principal: { ...principal, attribution },
        params: shown,
        isWhole: mayBeSent && (isTrue || shown === params)
      }
    }).pipe(
      Effect.catch(() => {
        const { user_id: _, ...attribution } = principal.attribution
        const unnamed = { ...principal, attribution }
        return Effect.succeed({ principal: unnamed, params: fieldsOf(params), isWhole: false })
      })
    )
  }

  /** Whether nobody can say if the entity that stands there is a user. */
  #mayNameUser(tenant: string, params: unknown): boolean {
    const { type, entity_id } = (params ?? {}) as Naming
    return (
      type === undefined &&
      entity_id !== undefined &&
      entity_id !== EVERYBODY &&
      !this.pseudonyms.isOurs(tenant, entity_id)
    )
  }

  /** Users stand in a payload itself, in a filter, and in a key's attribution. What names nobody is answered as it is. */
  #withoutUsers(tenant: string, params: unknown, onlyLooks: boolean): Effect.Effect<unknown, SignalError> {
    return Effect.gen({ self: this }, function* () {
      if (typeof params !== "object" || params === null) return params
      const before = params as { readonly [field: string]: unknown }
      const { user_id, type, entity_id } = before as Naming
      const after: Record<string, unknown> = { ...before }
      if (typeof user_id === "string") after.user_id = yield* this.#of(tenant, user_id, onlyLooks)
      const mayBeUser = type === "user" || this.#mayNameUser(tenant, params)
      if (typeof entity_id === "string" && entity_id !== EVERYBODY && mayBeUser)
        after.entity_id = yield* this.#of(tenant, entity_id, onlyLooks || type === undefined)
      for (const part of ["filter", "attribution"])
        if (part in before) after[part] = yield* this.#withoutUsers(tenant, before[part], onlyLooks)
      return Object.keys(before).every((field) => after[field] === before[field]) ? params : after
    })
  }
}

const fieldsOf = (params: unknown): unknown =>
  typeof params === "object" && params !== null && !Array.isArray(params)
    ? Object.fromEntries(Object.keys(params).map((field) => [field, "hidden"]))
    : "hidden"
