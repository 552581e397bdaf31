/**
 * Pseudonyms in memory: for tests and benchmarks.
 *
 * Owns: the same promises as the store on Postgres. `anonymising` is what the tenants' configurations say.
 */
import { Effect } from "effect"
import type { PseudonymStore } from "../tokens/PseudonymStore.ts"

export const makeMemoryPseudonyms = (anonymising: ReadonlySet<string> = new Set()): PseudonymStore => {
  const pseudonyms = new Map<string, string>()
  const placeOf = (tenant: string, userKey: string): string => `${tenant}\n${userKey}`
  return {
    isAnonymising: (tenant) => Effect.sync(() => anonymising.has(tenant)),
    find: (tenant, userKey) => Effect.sync(() => pseudonyms.get(placeOf(tenant, userKey))),
    assign: (tenant, userKey, fresh) =>
      Effect.sync(() => {
        const place = placeOf(tenant, userKey)
        const known = pseudonyms.get(place)
        if (known === undefined) pseudonyms.set(place, fresh)
        return known ?? fresh
      })
  }
}
