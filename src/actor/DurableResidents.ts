/**
 * The durable machines that are in memory on this node, between two of their lives too.
 *
 * Owns: who is there, and where each stands on its way into the store.
 * Does not decide: who comes or goes (DurableMachines, Lives).
 */
import { Deferred } from "effect"
import type { Millis } from "../signal/Text.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { Birth } from "./DurableEnvironment.ts"

type AnyRef = Pick<ActorRef<never>, "address" | "isClosed">

interface Resident {
  readonly ref: AnyRef
  readonly birth: Birth
  /** Whether it may leave memory now; there as soon as its life has begun. */
  rests?: Rests
}

/** Whether a life may leave memory, having been idle for `idleMs`, or for as long as its kind says. */
export type Rests = (now: Millis, idleMs: number | undefined) => boolean

/** A machine that nobody waits for yet. */
export const birthOf = (input: Birth["input"], why: Birth["why"] = "asked"): Birth => ({
  input,
  why,
  ready: Deferred.makeUnsafe()
})

export class DurableResidents {
  readonly #residents = new Map<string, Resident>()

  /** A life of an actor begins; what an earlier one has told says nothing of this one. */
  begins(ref: AnyRef, birth: Birth): Birth {
    const now = Deferred.isDoneUnsafe(birth.ready) ? birthOf(birth.input, birth.why) : birth
    this.#residents.set(ref.address.text, { ref, birth: now })
    return now
  }

  /** It has ended: there is no other life of it. */
  ends(ref: AnyRef): void {
    if (this.#residents.get(ref.address.text)?.ref === ref) this.#residents.delete(ref.address.text)
  }

  get count(): number {
    return this.#residents.size
  }

  /** Its life says when it may leave memory. */
  lives(ref: AnyRef, rests: Rests): void {
    const resident = this.#residents.get(ref.address.text)
    if (resident?.ref === ref) resident.rests = rests
  }

  /** The birth of an actor that has lived already. */
  birthOf(ref: AnyRef): Birth | undefined {
    const resident = this.#residents.get(ref.address.text)
    return resident?.ref === ref ? resident.birth : undefined
  }

  /** Whether one is there. One that has left memory or has ended is not. */
  has({ text }: Address): boolean {
    return this.#residents.get(text)?.ref.isClosed === false
  }

  /** Those that are there. Those that have gone are forgotten. */
  *living(): Iterable<Resident> {
    for (const [text, resident] of this.#residents) {
      if (resident.ref.isClosed) this.#residents.delete(text)
      else yield resident
    }
  }

  addresses(): ReadonlyArray<Address> {
    return Array.from(this.living(), ({ ref }) => ref.address)
  }
}
