/**
 * Whether a workflow may still spend in the name of the key that started it.
 *
 * Owns: what it ends as where it may not.
 * Does not decide: what a key may do now (the port), or what follows from a failure (StepEnd).
 *
 * A key's end ends what rests on it: connections, sessions, and workflows. One that waited for another key would have to
 * go on in somebody else's name, against budgets that it was not started under, or wait for ever.
 */
import { Effect } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import { hasRole } from "../signal/Principal.ts"
import type { KeyStandings } from "./Ports.ts"
import type { Failure, StoredPrincipal } from "./WorkflowContext.ts"

const WHAT_TO_DO = "Start it again with another key; get_workflow has what its agents have answered"

const failure = (error: string, keyId: string, what: string): Failure => ({
  error,
  message: `The key ${keyId}, which started it, ${what}. ${WHAT_TO_DO}`
})

/** `undefined`: it may go on. */
export const keyFailure = (
  keys: KeyStandings,
  principal: StoredPrincipal
): Effect.Effect<Failure | undefined, Unavailable> =>
  Effect.map(keys.of(principal), (standing): Failure | undefined => {
    const { keyId } = principal
    if ("holder" in standing) {
      return hasRole(standing.holder, "app")
        ? undefined
        : failure("key_may_not_spend", keyId, "has no longer the role app")
    }
    switch (standing.ended) {
      case "revoked":
        return failure("key_revoked", keyId, "was revoked")
      case "expired":
        return failure("key_expired", keyId, "has expired")
      case "unknown":
        return failure("key_unknown", keyId, "is not known any more")
    }
  })
