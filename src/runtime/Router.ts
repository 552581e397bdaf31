/**
 * Brings each signal to the actor that answers it.
 *
 * Owns: which signal goes where; that no user comes to one by his own id, where the tenant anonymises users.
 * Does not decide: who may send it, or what is answered.
 */
import { Effect, Option } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import type { DeadLetterStore } from "../actor/DeadLetterStore.ts"
import type { Placement } from "../actor/Placement.ts"
import type { AlertDelivery } from "../alerts/AlertDelivery.ts"
import type { Providers } from "../provider/Providers.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { RoutedSignal, SignalRouter } from "../signal/SignalRouter.ts"
import type { LedgerStore } from "../tokens/LedgerStore.ts"
import type { KeyStandings } from "../workflow/Ports.ts"
import type { Workflows } from "../workflow/Workflows.ts"
import { restartActor, stopActor } from "./ActorControl.ts"
import { inspectActor, listActors } from "./ActorsView.ts"
import { listDeadLetters, redriveDeadLetter } from "./DeadLetterBox.ts"
import type { Disguise } from "./Disguise.ts"
import { forgetUser } from "./Erasure.ts"
import type { Hub } from "./Hub.ts"
import { explained } from "./OutOfMemory.ts"
import { atOwnerToo, inspectPlacedActor, listPlacedActors } from "./PlacedActors.ts"
import { openPlacedTopic } from "./PlacedTopics.ts"
import type { TokenManagers } from "./TokenManagers.ts"
import { openTopic } from "./Topics.ts"
import type { WorkflowFeed } from "./WorkflowsTopic.ts"

export interface RouterOptions {
  readonly system: ActorSystem
  readonly store: LedgerStore
  readonly hub: Hub
  readonly tokenManagers: TokenManagers
  readonly providers: Providers
  readonly alerts: AlertDelivery
  readonly workflows: Workflows
  readonly feed: WorkflowFeed
  readonly letters: DeadLetterStore
  /** What a key may do now. */
  readonly keys: KeyStandings
  /** Where there are several nodes. */
  readonly placement?: Placement | undefined
  readonly disguise: Disguise
}

export const makeRouter = (options: RouterOptions): SignalRouter => {
  const { system, tokenManagers, providers, alerts, letters, keys, workflows, placement, disguise } = options
  const { pseudonyms } = disguise

  /** No actor ever sees a secret: it is sealed before. */
  const configure = (payload: SignalPayload<"configure_manager">, principal: Principal) => {
    const { tenant } = principal
    const done = Effect.flatMap(alerts.admit(payload, tenant), (admitted) =>
      tokenManagers.ask("configure_manager", admitted, principal)
    )
    return payload.anonymize_users === true
      ? pseudonyms.turning(
          tenant,
          Effect.tap(done, ({ config }) =>
            Effect.sync(() => pseudonyms.configured(tenant, config.anonymize_users))
          )
        )
      : done
  }

  /** Who has the tenant says so; how this node is, only this node knows. */
  const askedAt = (atOwner: NonNullable<SignalSuccess<"get_status">["cluster"]>) => {
    if (placement === undefined) return atOwner
    const { node, shards, shardsOfAll } = placement.status()
    return { owner: atOwner.owner, node, shards, shards_of_all: shardsOfAll }
  }

  const status = (payload: SignalPayload<"get_status">, principal: Principal) =>
    Effect.gen(function* () {
      const status = yield* tokenManagers.ask("get_status", payload, principal)
      const answered = status.cluster === undefined ? status : { ...status, cluster: askedAt(status.cluster) }
      if (!answered.store.reachable) return answered
      const counts = yield* Effect.option(alerts.counts(principal.tenant))
      if (Option.isNone(counts)) return answered
      const { pending, deadLetters } = counts.value
      return { ...answered, alert_deliveries: { pending, dead_letters: deadLetters } }
    })

  const list = (payload: SignalPayload<"list_actors">, principal: Principal) =>
    placement === undefined
      ? listActors(system, payload, principal)
      : listPlacedActors(system, placement, payload, principal)

  const inspect = (payload: SignalPayload<"inspect_actor">, principal: Principal) => {
    const inspected =
      placement === undefined
        ? inspectActor(system, payload, principal)
        : inspectPlacedActor(system, placement, payload, principal)
    return explained(inspected, options.feed.store, payload.address, principal)
  }

  /** Here, and where it is not here, on the node that has the tenant. */
  const control = <Name extends "stop_actor" | "restart_actor">(
    name: Name,
    done: (
      system: ActorSystem,
      payload: SignalPayload<Name>,
      principal: Principal
    ) => Effect.Effect<SignalSuccess<Name>, SignalError>,
    payload: SignalPayload<Name>,
    principal: Principal
  ): Effect.Effect<unknown, SignalError> => {
    const here = done(system, payload, principal)
    const controlled = placement === undefined ? here : atOwnerToo(here, placement, name, payload, principal)
    return explained(controlled, options.feed.store, payload.address, principal)
  }

  const send = (
    name: RoutedSignal,
    payload: SignalPayload<RoutedSignal>,
    principal: Principal
  ): Effect.Effect<unknown, SignalError> => {
    switch (name) {
      case "complete":
        return providers.complete(payload as SignalPayload<"complete">, principal)
      case "start_workflow":
      case "cancel_workflow":
      case "resume_workflow":
      case "get_workflow":
      case "list_workflows":
        return workflows[name](payload as never, principal)
      case "list_actors":
        return list(payload as SignalPayload<"list_actors">, principal)
      case "inspect_actor":
        return inspect(payload as SignalPayload<"inspect_actor">, principal)
      case "stop_actor":
        return control("stop_actor", stopActor, payload as SignalPayload<"stop_actor">, principal)
      case "restart_actor":
        return control("restart_actor", restartActor, payload as SignalPayload<"restart_actor">, principal)
      case "list_dead_letters":
        return listDeadLetters(letters, payload as SignalPayload<"list_dead_letters">, principal)
      case "redrive_dead_letter":
        return redriveDeadLetter(
          // By way of the disguise: the tenant may have begun to anonymise its users since.
          { store: letters, system, keys, alerts, send: ask },
          payload as SignalPayload<"redrive_dead_letter">,
          principal
        )
      case "configure_manager":
        return configure(payload as SignalPayload<"configure_manager">, principal)
      case "forget_user":
        return forgetUser(disguise, tokenManagers, payload as SignalPayload<"forget_user">, principal)
      case "get_status":
        return status(payload as SignalPayload<"get_status">, principal)
      default:
        return tokenManagers.ask(name, payload as never, principal)
    }
  }
  const ask = (
    name: RoutedSignal,
    payload: SignalPayload<RoutedSignal>,
    principal: Principal
  ): Effect.Effect<unknown, SignalError> =>
    disguise.ask(name, payload, principal, (shown, who) => send(name, shown, who))

  return {
    ask: ask as SignalRouter["ask"],
    stream: (payload, principal) =>
      disguise.ask("complete", payload, principal, (shown, who) => providers.stream(shown, who)),
    subscribe: (topic, filter, fromCursor, principal) =>
      disguise.ask("subscribe", filter, principal, (shown, who) =>
        placement === undefined
          ? openTopic(options, topic, shown, fromCursor, who)
          : openPlacedTopic(options, placement, topic, shown, fromCursor, who)
      )
  }
}
