/**
 * What answers a tenant's signals where there are several nodes.
 *
 * Owns: the way of an ask: straight into the mailbox where the tenant is here, through the cluster where it is not; and
 * what this node does for the tenants that it has.
 * Does not decide: which node has a tenant (cluster/), or anything about money.
 */
import { Effect, Schedule } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import type { Placement, Resident } from "../actor/Placement.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { NotFound, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { repeatable } from "../signal/Repeatable.ts"
import type { LedgerStore } from "../tokens/LedgerStore.ts"
import { TOKEN_MANAGER, tokenManagerAddress } from "../tokens/TokenManager.ts"
import { restartActor, stopActor } from "./ActorControl.ts"
import { cursorAfter, inspectActor, listActors } from "./ActorsView.ts"
import { openForNode } from "./PlacedTopics.ts"
import type { TokenManagers } from "./TokenManagers.ts"
import type { TopicSurroundings } from "./Topics.ts"

const IS_HERE_ASKED_EVERY_MS = 50

/**
 * A tenant is claimed only where it lives, so that a node that wakes up does not take it back from its new owner. Where
 * it does not live here any more, its actor waits to be stopped.
 */
export const claimedHere = (store: LedgerStore, placement: Placement): LedgerStore => ({
  ...store,
  claim: (tenant, owner) => {
    const isHere = Effect.sync(() => placement.isHere(tokenManagerAddress(tenant)))
    const untilHere = Effect.repeat(isHere, {
      schedule: Schedule.spaced(IS_HERE_ASKED_EVERY_MS),
      until: (here) => here
    })
    return Effect.andThen(untilHere, store.claim(tenant, owner))
  }
})

/** Asks the TokenManager of the principal's tenant, on whichever node it is. */
export const placedTokenManagers = (system: ActorSystem, placement: Placement): TokenManagers => ({
  ask: (name, given, principal) => {
    const address = tokenManagerAddress(principal.tenant)
    const payload = repeatable(name, given)
    const known = system.find(address)
    // Where no actor is yet, the cluster has to hear of it: it is what stops it when the tenant moves.
    const isReachable = known !== undefined && !known.isClosed && placement.isServed(address)
    // Only who has the tenant says so, which it does where it is asked through the cluster.
    if (!isReachable || name === "get_status") return placement.ask(address, name, payload, principal)
    return Effect.catch(known.ask(name, payload, principal), (error) =>
      error._tag === "Unavailable" && !placement.isHere(address)
        ? placement.ask(address, name, payload, principal)
        : Effect.fail(error)
    )
  }
})

const clusterOf = (placement: Placement) => {
  const { node, shards, shardsOfAll } = placement.status()
  return { owner: node, node, shards, shards_of_all: shardsOfAll }
}

/** What this node does for the tenants that it has. */
export const tokenManagerResident = (
  local: TokenManagers,
  env: TopicSurroundings,
  placement: Placement
): Resident => ({
  kind: TOKEN_MANAGER,
  ask: ((_address, name, payload, principal) => {
    switch (name) {
      case "ask_machine":
        return Effect.map(
          env.feed.machines.answer(payload as SignalPayload<"ask_machine">, principal),
          (answer) => ({ answer })
        )
      case "list_actors":
        return listActors(env.system, payload as SignalPayload<"list_actors">, principal)
      case "inspect_actor":
        return inspectActor(env.system, payload as SignalPayload<"inspect_actor">, principal)
      case "stop_actor":
        return stopActor(env.system, payload as SignalPayload<"stop_actor">, principal)
      case "restart_actor":
        return restartActor(env.system, payload as SignalPayload<"restart_actor">, principal)
      case "get_status":
        return Effect.map(local.ask(name, payload as SignalPayload<"get_status">, principal), (status) => ({
          ...status,
          cluster: clusterOf(placement)
        }))
      default:
        return local.ask(name, payload, principal)
    }
  }) as Resident["ask"],
  follow: (_address, request, principal) => openForNode(env, placement.status().node, request, principal),
  // A tenant's durable machines live where its money does; they ask it until the last.
  leave: (address) =>
    Effect.andThen(
      env.feed.machines.release(({ tenant }) => tenant === address.tenant),
      env.system.stop(address)
    )
})

// --- looking at actors

/** The actors of this node, and those of the tenant on its owner's node. */
export const listPlacedActors = (
  system: ActorSystem,
  placement: Placement,
  payload: SignalPayload<"list_actors">,
  principal: Principal
): Effect.Effect<SignalSuccess<"list_actors">, SignalError> => {
  const address = tokenManagerAddress(principal.tenant)
  const here = listActors(system, payload, principal)
  if (placement.isHere(address)) return here
  return Effect.gen(function* () {
    const [ours, theirs] = yield* Effect.all([
      here,
      placement.ask(address, "list_actors", payload, principal)
    ])
    const listed = new Set(ours.items.map((item) => item.address))
    const others = theirs.items.filter(
      (item) => !item.address.startsWith("provider/") && !listed.has(item.address)
    )
    const all = [...ours.items, ...others].sort((a, b) => (a.address < b.address ? -1 : 1))
    const items = all.slice(0, payload.limit)
    const last = items.at(-1)
    const hasMore = all.length > items.length || ours.next_cursor !== null || theirs.next_cursor !== null
    return { items, next_cursor: hasMore && last !== undefined ? cursorAfter(last.address) : null }
  })
}

/** Looks at an actor here, and where it is not here, on the node that has the tenant. */
export const inspectPlacedActor = (
  system: ActorSystem,
  placement: Placement,
  payload: SignalPayload<"inspect_actor">,
  principal: Principal
): Effect.Effect<SignalSuccess<"inspect_actor">, SignalError> =>
  atOwnerToo(inspectActor(system, payload, principal), placement, "inspect_actor", payload, principal)

/** What was done here; where there is no such actor here, on the node that has the tenant. */
export const atOwnerToo = <Name extends "inspect_actor" | "stop_actor" | "restart_actor">(
  here: Effect.Effect<SignalSuccess<Name>, SignalError>,
  placement: Placement,
  name: Name,
  payload: SignalPayload<Name>,
  principal: Principal
): Effect.Effect<SignalSuccess<Name>, SignalError> => {
  const address = tokenManagerAddress(principal.tenant)
  return Effect.catch(here, (error) =>
    error instanceof NotFound && !placement.isHere(address)
      ? placement.ask(address, name, payload, principal)
      : Effect.fail(error)
  )
}
