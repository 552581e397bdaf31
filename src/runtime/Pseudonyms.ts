/**
 * Who has which pseudonym, as this process knows it.
 *
 * Owns: which tenants anonymise their users, as far as the doors have to know; making pseudonyms, and telling those that
 * were made here from anything that looks like one; what is kept at hand of them.
 * Does not decide: whether a tenant anonymises (its ledger's configuration), or where a user stands in a signal (Disguise).
 *
 * A pseudonym is random, and closed by a keyed hash of the random part: so one that was read from a report is known for
 * one without asking the store, also when it belongs to nobody any more.
 */
import { randomBytes } from "node:crypto"
import { Clock, Effect } from "effect"
import { InstallationSecret, keyedHash } from "../bridge/InstallationSecret.ts"
import type { Unavailable } from "../signal/Errors.ts"
import { isPseudonym, pseudonymOf } from "../signal/Pseudonym.ts"
import type { Millis } from "../signal/Text.ts"
import { PseudonymStore } from "../tokens/PseudonymStore.ts"

const KNOWN_MAX = 100_000
/** How long a user's pseudonym is believed before the store is asked again: another node may have forgotten him. */
const KNOWN_FRESH_MS = 30_000
const RANDOM_BYTES = 16
const SEAL_BYTES = 8

interface Known {
  readonly pseudonym: string
  readonly since: Millis
}

export class Pseudonyms {
  readonly #store: PseudonymStore
  readonly #installation: InstallationSecret
  readonly #now: () => Millis
  /** Tenants that are known not to anonymise: their signals pass as they are. */
  readonly #plain = new Set<string>()
  readonly #anonymising = new Set<string>()
  /** Tenants that may be about to begin, with how many signals say so. */
  readonly #turning = new Map<string, number>()
  /** By tenant and user. */
  readonly #known = new Map<string, Known>()

  constructor(store: PseudonymStore, installation: InstallationSecret, now: () => Millis) {
    this.#store = store
    this.#installation = installation
    this.#now = now
  }

  // --- which tenants

  /** Whether a tenant is known not to anonymise its users. */
  isPlain(tenant: string): boolean {
    return this.#plain.has(tenant)
  }

  /** What a configuration says that was committed. */
  configured(tenant: string, isAnonymising: boolean): void {
    const [is, isNot] = isAnonymising ? [this.#anonymising, this.#plain] : [this.#plain, this.#anonymising]
    isNot.delete(tenant)
    if (isAnonymising || !this.#turning.has(tenant)) is.add(tenant)
  }

  /** A ledger, wherever it is, knows it better: the store is asked again. */
  doubt(tenant: string): void {
    this.#plain.delete(tenant)
  }

  /** While this runs, the tenant may begin to anonymise at any moment. */
  turning<A, E>(tenant: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      this.#plain.delete(tenant)
      this.#turning.set(tenant, (this.#turning.get(tenant) ?? 0) + 1)
      return effect
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          const left = (this.#turning.get(tenant) ?? 0) - 1
          if (left > 0) this.#turning.set(tenant, left)
          else this.#turning.delete(tenant)
        })
      )
    )
  }

  /** Whether users are to be replaced. The store is asked where nobody has said so yet. */
  isAnonymising(tenant: string): Effect.Effect<boolean, Unavailable> {
    return Effect.suspend(() => {
      if (this.#anonymising.has(tenant)) return Effect.succeed(true)
      if (this.#plain.has(tenant) || this.#turning.has(tenant)) return Effect.succeed(false)
      return Effect.map(this.#store.isAnonymising(tenant), (stored) => {
        // What was committed meanwhile counts more than what was read.
        if (!this.#anonymising.has(tenant)) this.configured(tenant, stored)
        return this.#anonymising.has(tenant)
      })
    })
  }

  // --- which pseudonym

  /** A pseudonym that nobody has. */
  fresh(tenant: string): string {
    const random = randomBytes(RANDOM_BYTES).toString("hex")
    return pseudonymOf(random + this.#sealOf(tenant, random))
  }

  #sealOf(tenant: string, random: string): string {
    return keyedHash(this.#installation, "pseudonym: seal", tenant, random)
      .subarray(0, SEAL_BYTES)
      .toString("hex")
  }

  /** What a user stands under in the store. */
  keyOf(tenant: string, userId: string): string {
    return keyedHash(this.#installation, "pseudonym: user", tenant, userId).toString("base64url")
  }

  /** Whether it is a pseudonym that was made here for this tenant, whoever has it or had it. */
  isOurs(tenant: string, userId: string): boolean {
    if (!isPseudonym(userId)) return false
    const random = userId.slice(-2 * (RANDOM_BYTES + SEAL_BYTES), -2 * SEAL_BYTES)
    return userId === pseudonymOf(random + this.#sealOf(tenant, random))
  }

  /** The pseudonym at hand, and not too old. */
  atHand(tenant: string, userId: string): string | undefined {
    const known = this.#known.get(`${tenant}\n${userId}`)
    return known !== undefined && this.#now() - known.since < KNOWN_FRESH_MS ? known.pseudonym : undefined
  }

  /**
   * The pseudonym of a user; of a pseudonym, itself. Who has none is given one, or, where somebody only looks, one that
   * nobody has. While the store is away, the one that was known last.
   */
  of(
    tenant: string,
    userId: string,
    { onlyLooks }: { readonly onlyLooks: boolean }
  ): Effect.Effect<string, Unavailable> {
    const atHand = this.atHand(tenant, userId)
    if (atHand !== undefined) return Effect.succeed(atHand)
    if (this.isOurs(tenant, userId)) {
      this.#keep(tenant, userId, userId)
      return Effect.succeed(userId)
    }
    const key = this.keyOf(tenant, userId)
    const found: Effect.Effect<string | undefined, Unavailable> = onlyLooks
      ? this.#store.find(tenant, key)
      : this.#store.assign(tenant, key, this.fresh(tenant))
    return found.pipe(
      Effect.map((pseudonym) => {
        if (pseudonym !== undefined) this.#keep(tenant, userId, pseudonym)
        return pseudonym ?? this.fresh(tenant)
      }),
      Effect.catch((unavailable) => {
        const before = this.#known.get(`${tenant}\n${userId}`)
        return before === undefined ? Effect.fail(unavailable) : Effect.succeed(before.pseudonym)
      })
    )
  }

  /** The pseudonym that a user has in the store. */
  lookUp(tenant: string, userId: string): Effect.Effect<string | undefined, Unavailable> {
    return this.#store.find(tenant, this.keyOf(tenant, userId))
  }

  /** Nobody has this pseudonym any more, as far as this process knew who had it. */
  forgotten(pseudonym: string): void {
    for (const [user, known] of this.#known) if (known.pseudonym === pseudonym) this.#known.delete(user)
  }

  #keep(tenant: string, userId: string, pseudonym: string): void {
    const key = `${tenant}\n${userId}`
    this.#known.delete(key)
    this.#known.set(key, { pseudonym, since: this.#now() })
    if (this.#known.size <= KNOWN_MAX) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      return
    }
  }
}

export const makePseudonyms: Effect.Effect<Pseudonyms, never, PseudonymStore | InstallationSecret> =
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    return new Pseudonyms(yield* PseudonymStore, yield* InstallationSecret, () =>
      clock.currentTimeMillisUnsafe()
    )
  })
