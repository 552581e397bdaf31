/**
 * Forgets a user in the refusals that are kept.
 *
 * Owns: that all that was answered before is looked at, some rows at a time.
 * Does not decide: what in a refusal names a user (tokens/ForgottenText).
 */
import { Effect, Schema } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import { RefusedRequest } from "../signal/KeptRefusals.ts"
import { isAbout, renamedTexts } from "../tokens/ForgottenText.ts"
import type { RefusalKeeper } from "../tokens/RefusalKeeper.ts"
import type { KeptRefusal } from "../tokens/RefusalStore.ts"

interface Names {
  readonly from: string
  readonly to: string
}

const REFUSALS_AT_ONCE = 500

const encode = Schema.encodeSync(RefusedRequest)
const decode = Schema.decodeUnknownSync(RefusedRequest)

const renamed = ({ seq, request }: KeptRefusal, names: Names) => {
  const json = encode(request) as unknown as Schema.Json
  return isAbout(json, names) ? [{ seq, request: decode(renamedTexts(json, names)) }] : []
}

/** Whoever is refused again under the old name has come back. */
export const renameRefusals = (
  keeper: Pick<RefusalKeeper, "page" | "rewrite">,
  tenant: string,
  names: Names
): Effect.Effect<number, Unavailable> =>
  Effect.gen(function* () {
    let changed = 0
    let before: number | undefined
    while (true) {
      const { refusals } = yield* keeper.page(tenant, { before, limit: REFUSALS_AT_ONCE })
      const now = refusals.flatMap((refusal) => renamed(refusal, names))
      if (now.length > 0) yield* keeper.rewrite(tenant, now)
      changed += now.length
      if (refusals.length < REFUSALS_AT_ONCE) return changed
      before = refusals.at(-1)?.seq
    }
  })
