/**
 * The port to where it is kept who has which pseudonym.
 *
 * Owns: what is kept, and what a store promises about it.
 * Does not decide: how pseudonyms are made, or who is given one (runtime/Pseudonyms).
 */
import { Context, type Effect } from "effect"
import type { Unavailable } from "../signal/Errors.ts"

/** Users stand in it by a keyed hash of their ids: whoever reads the table alone learns no id. */
export interface PseudonymStore {
  /** Whether the tenant's committed configuration says that users are anonymised. */
  readonly isAnonymising: (tenant: string) => Effect.Effect<boolean, Unavailable>
  readonly find: (tenant: string, userKey: string) => Effect.Effect<string | undefined, Unavailable>
  /** Gives a user this pseudonym, or changes nothing and answers the one that he has. */
  readonly assign: (tenant: string, userKey: string, fresh: string) => Effect.Effect<string, Unavailable>
}

export const PseudonymStore = Context.Service<PseudonymStore>("bursar/tokens/PseudonymStore")
