/**
 * No user's own id gets into the ledger of a tenant that anonymises its users.
 *
 * Owns: telling that a signal names a user, and whether anonymising may begin or end.
 * Does not decide: which pseudonym a user has (the doors; PseudonymStore). They replace the user before a signal is sent;
 * this is asked again here, because the ledger's own configuration is the one that counts.
 */
import type { Envelope } from "../actor/Envelope.ts"
import { Conflict } from "../signal/Errors.ts"
import { isPseudonym } from "../signal/Pseudonym.ts"
import type { Ledger } from "./Ledger.ts"
import { EVERYBODY } from "./StandingKey.ts"

/** What of a signal may name a user. */
interface Naming {
  readonly user_id?: string
  readonly type?: string
  readonly entity_id?: string
}

const isOwnId = (id: string | undefined): boolean => id !== undefined && id !== EVERYBODY && !isPseudonym(id)

/** What is about a key, whose maker's attribution is nobody's business; and what is about forgetting a user. */
const MAY_NAME: ReadonlySet<string> = new Set(["record_audit", "forget_named", "forget_step"])

/** Whether it names a user by his own id, as far as the signal itself says so. */
export const namesUser = ({ name, payload, principal }: Envelope): boolean => {
  if (MAY_NAME.has(name)) return false
  if (isOwnId(principal.attribution.user_id)) return true
  const { user_id, type, entity_id } = payload as Naming
  if (isOwnId(user_id)) return true
  // Whether an id without a type is a user's is not known.
  const isBudgets = name === "create_budget" || name === "get_budget_status"
  return isBudgets && (type === "user" || type === undefined) && isOwnId(entity_id)
}

/** Whether a signal that a ledger decides names a user. */
export const namesUserOf = (ledger: Ledger, envelope: Envelope): boolean => {
  if (namesUser(envelope)) return true
  if (envelope.name !== "request_override") return false
  const { budget_id, entity_id } = envelope.payload
  return ledger.budgets.get(budget_id)?.definition.type === "user" && isOwnId(entity_id)
}

/** Users that budgets, standings and open holds name by their own ids. */
function* namedIn(ledger: Ledger): Generator<string> {
  for (const { definition, entityId } of ledger.counting()) {
    if (definition.type === "user" && entityId !== null && isOwnId(entityId)) yield entityId
  }
  for (const { attribution } of ledger.holds.values()) {
    if (attribution.user_id !== undefined && isOwnId(attribution.user_id)) yield attribution.user_id
  }
}

/** Why `anonymize_users` cannot be set so, or `undefined`. */
export const anonymityProblem = (ledger: Ledger, wanted: boolean): Conflict | undefined => {
  if (wanted === ledger.config.anonymize_users) return undefined
  if (!wanted)
    return new Conflict({
      reason: "users_are_anonymised",
      message:
        "Users cannot be named again: budgets and records are about pseudonyms, and nothing turns these back"
    })
  const named = new Set(namedIn(ledger))
  if (named.size === 0) return undefined
  return new Conflict({
    reason: "users_are_named",
    message: `${named.size} user(s) have a budget, a place in a default or an open hold under their own ids, which would not count for their pseudonyms: make them in a tenant that anonymises from its start, or forget these users (forget_user)`
  })
}
