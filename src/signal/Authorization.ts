/**
 * Who may send what, and for whom.
 *
 * Owns: the role check, the topics of each role, and forced attribution (signals.md, sections 2 and 10).
 * Does not decide: who somebody is (bridge/).
 */
import { Result } from "effect"
import { type Attribution, contradictionAtDoor, mergeAttribution } from "./Attribution.ts"
import { SIGNALS, type SignalName, type SignalPayload } from "./Catalogue.ts"
import { Forbidden } from "./Errors.ts"
import { hasRole, type Principal } from "./Principal.ts"
import { type Role, traitsOf } from "./Signal.ts"
import type { EventFilter, Topic } from "./Subscriptions.ts"
import { TAGS_MAX } from "./Text.ts"

const TOPIC_ROLES: { readonly [T in Topic]: ReadonlyArray<Role> } = {
  usage: ["app", "analyst"],
  alerts: ["analyst", "budget_admin", "operator"],
  budgets: ["app", "analyst", "budget_admin"],
  signals: ["operator"],
  actors: ["operator"],
  workflows: ["app", "analyst", "operator"]
}

const refuse = (what: string, roles: ReadonlyArray<Role>): Forbidden => {
  const required = roles[0] ?? "admin"
  return new Forbidden({
    message: `${what} needs the role ${[...roles, "admin"].join(" or ")}; ask an admin for a key that has it`,
    required_role: required
  })
}

const joinForced = (payload: Attribution, principal: Principal): Result.Result<unknown, Forbidden> => {
  const field = contradictionAtDoor(payload, principal.attribution)
  if (field !== undefined) {
    return Result.fail(
      new Forbidden({ message: `This key always has its own ${field}: leave it out, or use another key` })
    )
  }
  const joined = mergeAttribution(payload, principal.attribution)
  if (Object.keys(joined.tags ?? {}).length > TAGS_MAX) {
    return Result.fail(
      new Forbidden({ message: `With the tags that this key always adds there are more than ${TAGS_MAX}` })
    )
  }
  return Result.succeed(joined)
}

/** The payload with the key's forced attribution, if this principal may send this signal. */
export const authorize = <P>(
  name: SignalName,
  payload: P,
  principal: Principal
): Result.Result<P, Forbidden> => {
  const traits = traitsOf(SIGNALS[name])
  if (!traits.roles.some((role) => hasRole(principal, role)) && !hasRole(principal, "admin")) {
    return Result.fail(refuse(`The signal ${name}`, traits.roles))
  }
  if (!traits.isAttributed || Object.keys(principal.attribution).length === 0) return Result.succeed(payload)
  return joinForced(payload as Attribution, principal) as Result.Result<P, Forbidden>
}

const authorizeTopic = (topic: Topic, principal: Principal): Result.Result<void, Forbidden> =>
  TOPIC_ROLES[topic].some((role) => hasRole(principal, role))
    ? Result.succeed(undefined)
    : Result.fail(refuse(`The topic ${topic}`, TOPIC_ROLES[topic]))

/** What this principal sees of a topic that it may watch: what it asks for, and never more than is attributed to it. */
export const authorizeSubscription = (
  { topic, filter = {} }: Pick<SignalPayload<"subscribe">, "topic" | "filter">,
  principal: Principal
): Result.Result<EventFilter, Forbidden> => {
  const allowed = authorizeTopic(topic, principal)
  if (Result.isFailure(allowed)) return Result.fail(allowed.failure)
  const field = contradictionAtDoor(filter, principal.attribution)
  return field === undefined
    ? Result.succeed(mergeAttribution(filter, principal.attribution))
    : Result.fail(
        new Forbidden({
          message: `This key always has its own ${field}: leave it out of the filter, or use another key`
        })
      )
}
