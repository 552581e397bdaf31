/**
 * Forgets a user on request.
 *
 * Owns: what only the doors know of it: under which key a user stands in the store, which pseudonym that is, a new name
 * for what is left; that this process and its keys know no better afterwards.
 * Does not decide: what is renamed, and in which order (tokens/Forget).
 */
import { Effect } from "effect"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { Forbidden, type SignalError } from "../signal/Errors.ts"
import type { Forgotten } from "../signal/Forgetting.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Disguise } from "./Disguise.ts"
import type { TokenManagers } from "./TokenManagers.ts"

/** It would end by what it asks for, or forget somebody who is none of its business. */
const speaksForOne = (): Forbidden =>
  new Forbidden({
    message: "A key that always has its own user_id forgets nobody: use an admin's key without one"
  })

export const forgetUser = (
  disguise: Disguise,
  tokenManagers: TokenManagers,
  { user_id, request_id }: SignalPayload<"forget_user">,
  principal: Principal
): Effect.Effect<Forgotten, SignalError> =>
  Effect.gen(function* () {
    const { pseudonyms } = disguise
    const { tenant, attribution } = principal
    if (attribution.user_id !== undefined) return yield* speaksForOne()
    const isPseudonym = pseudonyms.isOurs(tenant, user_id)
    const pseudonym = isPseudonym ? user_id : yield* pseudonyms.lookUp(tenant, user_id)
    const answer = yield* tokenManagers.ask(
      "forget_named",
      {
        ...(request_id === undefined ? {} : { request_id }),
        ...(isPseudonym ? {} : { user_id }),
        ...(pseudonym === undefined ? {} : { pseudonym }),
        user_key: pseudonyms.keyOf(tenant, user_id),
        fresh: pseudonyms.fresh(tenant)
      },
      principal
    )
    if (pseudonym !== undefined) pseudonyms.forgotten(pseudonym)
    disguise.keysEnded(answer.ended_keys)
    return answer.forgotten
  })
