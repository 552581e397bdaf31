/**
 * The durable machines that are in memory on this node, between two of their lives too.
 *
 * Owns: who is there, and where each stands on its way into the store.
 * Does not decide: who comes or goes (DurableMachines, Lives).
 */
import { Deferred } from "effect"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { Birth } from "./DurableEnvironment.ts"

type AnyRef = Pick<ActorRef<never>, "address" | "isClosed">

interface Resident {
  readonly ref: AnyRef
  readonly birth: Birth
}

/** A machine that nobody waits for yet. */
export const birthOf = (input: Birth["input"]): Birth => ({ input, ready: Deferred.makeUnsafe() })

export class DurableResidents {
  readonly #residents = new Map<string, Resident>()

  /** A life of an actor begins; what an earlier one has told says nothing of this one. */
  begins(ref: AnyRef, birth: Birth): Birth {
    const now = Deferred.isDoneUnsafe(birth.ready) ? birthOf(birth.input) : birth
    this.#residents.set(ref.address.text, { ref, birth: now })
    return now
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

  /** Where they are. Those that have gone are forgotten. */
  addresses(): ReadonlyArray<Address> {
    const addresses: Array<Address> = []
    for (const [text, { ref }] of this.#residents) {
      if (ref.isClosed) this.#residents.delete(text)
      else addresses.push(ref.address)
    }
    return addresses
  }
}
