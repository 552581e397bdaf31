/**
 * Topics where there are several nodes.
 *
 * Owns: which node each topic is read on. Usage, alerts and budgets are read where the tenant's TokenManager is, signals
 * and actors there and here; when the tenant moves they go on at its new owner, from the cursor where there is one, and
 * after a gap where there is none.
 * Does not decide: what the events of a topic are (Topics).
 *
 * What other nodes than these two do for a tenant (its calls on their way) is not seen here.
 */
import { Effect, Stream } from "effect"
import type { Address } from "../actor/Address.ts"
import type { Placement, TopicRequest } from "../actor/Placement.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { OpenTopic, TopicEvent } from "../signal/SignalRouter.ts"
import type { Event, EventFilter, Topic } from "../signal/Subscriptions.ts"
import { tokenManagerAddress } from "../tokens/TokenManager.ts"
import { callsUnderWay, openTopic, type TopicSurroundings, withoutCursor } from "./Topics.ts"

const REOPENED_AFTER_MS = 50

const UNKNOWN_GAP: TopicEvent = { cursor: null, event: { gap: null } }

/** A topic at the owner of an address, wherever that is, and wherever it goes. */
const followOwner = (
  placement: Placement,
  address: Address,
  request: TopicRequest,
  principal: Principal
): Effect.Effect<OpenTopic, SignalError> =>
  Effect.map(placement.follow(address, request, principal), (opened) => {
    let cursor = opened.cursor
    const remember = (event: TopicEvent) => {
      if (event.cursor !== null) cursor = event.cursor
    }
    const again = Effect.suspend(() =>
      placement.follow(address, { ...request, fromCursor: cursor ?? undefined }, principal)
    ).pipe(
      Effect.delay(REOPENED_AFTER_MS),
      Effect.map(({ events }) =>
        cursor === null ? Stream.concat(Stream.succeed(UNKNOWN_GAP), events) : events
      )
    )
    const lives = Stream.concat(Stream.succeed(opened.events), Stream.fromEffectRepeat(again))
    const events = Stream.flatMap(lives, (life) =>
      Stream.tap(life, (event) => Effect.sync(() => remember(event)))
    )
    return { cursor: opened.cursor, events }
  })

/** Actors that tenants share are on every node: the other one's are not ours. */
const isOfTheOther = (event: Event): boolean =>
  !("actor" in event) || !event.actor.actor.address.startsWith("provider/")

export const openPlacedTopic = (
  env: TopicSurroundings,
  placement: Placement,
  topic: Topic,
  filter: EventFilter,
  fromCursor: string | undefined,
  principal: Principal
): Effect.Effect<OpenTopic, SignalError> => {
  const address = tokenManagerAddress(principal.tenant)
  const request: TopicRequest = { topic, filter, fromCursor, from: placement.status().node }
  const atOwner = followOwner(placement, address, request, principal)
  switch (topic) {
    case "alerts":
    case "budgets":
      return atOwner
    case "usage":
      return Effect.map(atOwner, ({ cursor, events }) => {
        const isElsewhere = () => !placement.isHere(address)
        return {
          cursor,
          events: Stream.merge(events, callsUnderWay(env, filter, isElsewhere, principal.tenant))
        }
      })
    case "workflows":
      // It is read from the store, which all nodes have.
      return openTopic(env, topic, filter, fromCursor, principal)
    case "signals":
    case "actors":
      return Effect.gen(function* () {
        // Before anything is open: what is open and never read stays open.
        yield* withoutCursor(topic, fromCursor)
        const there = yield* atOwner
        const here = yield* openTopic(env, topic, filter, fromCursor, principal)
        const others = Stream.filter(there.events, ({ event }) => isOfTheOther(event))
        return { cursor: null, events: Stream.merge(here.events, others) }
      })
  }
}

/** What the owner sends to a node that follows a topic: nothing of what that node sees for itself. */
export const openForNode = (
  env: TopicSurroundings,
  node: string,
  { topic, filter, fromCursor, from }: TopicRequest,
  principal: Principal
): Effect.Effect<OpenTopic, SignalError> => {
  const seesItself = from === node && (topic === "signals" || topic === "actors")
  return seesItself
    ? Effect.succeed({ cursor: null, events: Stream.never })
    : openTopic(env, topic, filter, fromCursor, principal)
}
