/**
 * Pseudonyms on Postgres.
 *
 * Owns: their rows; that a user has one at a time, whoever comes first.
 * Does not decide: how they are made (runtime/Pseudonyms), or when one is forgotten.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { PseudonymStore } from "../tokens/PseudonymStore.ts"
import { orUnavailable } from "./Unavailable.ts"

interface Stored {
  readonly pseudonym: string
}

const make = Effect.map(PgClient.PgClient, (sql) => {
  const find = (tenant: string, userKey: string) =>
    Effect.map(
      sql.unsafe<Stored>("SELECT pseudonym FROM user_pseudonym WHERE tenant = $1 AND user_key = $2", [
        tenant,
        userKey
      ]),
      ([row]) => row?.pseudonym
    )

  /** Somebody else may insert between the look and the insert, and delete again: it is looked at once more. */
  const assign = Effect.fnUntraced(function* (tenant: string, userKey: string, fresh: string) {
    for (;;) {
      const known = yield* find(tenant, userKey)
      if (known !== undefined) return known
      const [made] = yield* sql.unsafe<Stored>(
        "INSERT INTO user_pseudonym (tenant, user_key, pseudonym) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING pseudonym",
        [tenant, userKey, fresh]
      )
      if (made !== undefined) return made.pseudonym
    }
  })

  return PseudonymStore.of({
    isAnonymising: (tenant) =>
      orUnavailable(
        Effect.map(
          sql.unsafe<{ readonly anonymising: boolean | null }>(
            "SELECT (config->>'anonymize_users')::boolean AS anonymising FROM tenant_head WHERE tenant = $1",
            [tenant]
          ),
          ([row]) => row?.anonymising === true
        )
      ),
    find: (tenant, userKey) => orUnavailable(find(tenant, userKey)),
    assign: (tenant, userKey, fresh) => orUnavailable(assign(tenant, userKey, fresh))
  })
})

export const pseudonymStoreLayer = Layer.effect(PseudonymStore, make)
