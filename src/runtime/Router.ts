/**
 * Brings each signal to the actor that answers it.
 *
 * Owns: which signal goes where. Does not decide: who may send it, or what is answered.
 */
import { Effect, Option } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import type { AlertDelivery } from "../alerts/AlertDelivery.ts"
import type { Providers } from "../provider/Providers.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { RoutedSignal, SignalRouter } from "../signal/SignalRouter.ts"
import type { LedgerStore } from "../tokens/LedgerStore.ts"
import { inspectActor, listActors } from "./ActorsView.ts"
import type { Hub } from "./Hub.ts"
import type { TokenManagers } from "./TokenManagers.ts"
import { openTopic } from "./Topics.ts"

export interface RouterOptions {
  readonly system: ActorSystem
  readonly store: LedgerStore
  readonly hub: Hub
  readonly tokenManagers: TokenManagers
  readonly providers: Providers
  readonly alerts: AlertDelivery
}

export const makeRouter = (options: RouterOptions): SignalRouter => {
  const { system, tokenManagers, providers, alerts } = options

  /** No actor ever sees a secret: it is sealed before. */
  const configure = (payload: SignalPayload<"configure_manager">, principal: Principal) =>
    Effect.flatMap(alerts.admit(payload, principal.tenant), (admitted) =>
      tokenManagers.ask("configure_manager", admitted, principal)
    )

  const status = (payload: SignalPayload<"get_status">, principal: Principal) =>
    Effect.gen(function* () {
      const answered = yield* tokenManagers.ask("get_status", payload, principal)
      if (!answered.store.reachable) return answered
      const counts = yield* Effect.option(alerts.counts(principal.tenant))
      if (Option.isNone(counts)) return answered
      const { pending, deadLetters } = counts.value
      return { ...answered, alert_deliveries: { pending, dead_letters: deadLetters } }
    })

  const ask = (
    name: RoutedSignal,
    payload: SignalPayload<RoutedSignal>,
    principal: Principal
  ): Effect.Effect<unknown, SignalError> => {
    switch (name) {
      case "complete":
        return providers.complete(payload as SignalPayload<"complete">, principal)
      case "list_actors":
        return listActors(system, payload as SignalPayload<"list_actors">, principal)
      case "inspect_actor":
        return inspectActor(system, payload as SignalPayload<"inspect_actor">, principal)
      case "configure_manager":
        return configure(payload as SignalPayload<"configure_manager">, principal)
      case "get_status":
        return status(payload as SignalPayload<"get_status">, principal)
      default:
        return tokenManagers.ask(name, payload as never, principal)
    }
  }
  return {
    ask: ask as SignalRouter["ask"],
    stream: (payload, principal) => providers.stream(payload, principal),
    subscribe: (topic, filter, fromCursor, principal) =>
      openTopic(options, topic, filter, fromCursor, principal)
  }
}
