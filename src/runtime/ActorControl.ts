/**
 * Ends actors, and begins them again.
 *
 * Owns: stop_actor and restart_actor, and who may do that to whom. Does not decide: how an actor ends (actor/).
 */
import { Effect } from "effect"
import type { ActorEntry, ActorSystem } from "../actor/ActorSystem.ts"
import { PROVIDER } from "../provider/ProviderActor.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Conflict, Forbidden, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { WORKFLOW } from "../workflow/WorkflowAddress.ts"
import { noSuchActor } from "./ActorsView.ts"
import { isVisible } from "./Topics.ts"

const entryFor = (
  system: ActorSystem,
  address: string,
  principal: Principal
): Effect.Effect<ActorEntry, SignalError> => {
  const entry = system.entry(address)
  if (entry === undefined || !isVisible(entry.address, principal)) return Effect.fail(noSuchActor(address))
  if (entry.address.tenant === undefined && !principal.isInstallation) {
    const message = `${address} is shared by tenants: only the installation's key may end it or begin it again`
    return Effect.fail(new Forbidden({ message }))
  }
  return Effect.succeed(entry)
}

/** Asked before it is stopped: then it is not there to be asked. */
const afterStop = (system: ActorSystem, { address, details }: ActorEntry): string => {
  if (address.kind === WORKFLOW) return "its workflow goes on within seconds: cancel_workflow ends it"
  if (address.kind === PROVIDER) return "the next complete that names it begins it again"
  if (details().isDurable) {
    return (
      "its machine lies in the store and goes on: within seconds where something of it runs, at its moment where it " +
      "waits for one, else with its next signal; only what brings it to its end ends it"
    )
  }
  return system.comesBack(address)
    ? "it comes back when it is asked again"
    : "it does not come back by itself"
}

export const stopActor = (
  system: ActorSystem,
  { address }: SignalPayload<"stop_actor">,
  principal: Principal
): Effect.Effect<SignalSuccess<"stop_actor">, SignalError> =>
  Effect.gen(function* () {
    const entry = yield* entryFor(system, address, principal)
    const after = afterStop(system, entry)
    yield* system.stop(entry.address)
    return { stopped: true, address, message: `${address} has stopped; ${after}` }
  })

export const restartActor = (
  system: ActorSystem,
  { address }: SignalPayload<"restart_actor">,
  principal: Principal
): Effect.Effect<SignalSuccess<"restart_actor">, SignalError> =>
  Effect.gen(function* () {
    const entry = yield* entryFor(system, address, principal)
    if (!system.restart(entry.address, `asked for by ${principal.owner}`)) {
      return yield* new Conflict({
        reason: "not_restartable",
        message: `${address} lives once: stop it, and send what it was for again`
      })
    }
    return { restarted: true, address, message: `${address} begins again; what waits in its mailbox is kept` }
  })
