/**
 * How much is kept of what watchers of durable machines are told.
 *
 * Owns: the bound for each tenant, and when it is held. Whoever comes from before it is told the gap.
 */
import { Effect, type Scope } from "effect"
import type { DurableMachines } from "../actor/DurableMachines.ts"
import type { MachineStore } from "../actor/MachineStore.ts"

/** Facts of a tenant that stay. */
export const FACTS_KEPT = 10_000
const TIDIED_EVERY = "1 minute"

/** Until the scope closes: removes the oldest facts of tenants that this node has committed some of. */
export const boundFacts = (
  machines: Pick<DurableMachines, "onFacts">,
  store: Pick<MachineStore, "removeFacts">
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const told = new Set<string>()
    const stop = machines.onFacts((tenant) => told.add(tenant))
    yield* Effect.addFinalizer(() => Effect.sync(stop))
    const tidy = Effect.suspend(() => {
      const tenants = [...told]
      told.clear()
      return Effect.forEach(tenants, (tenant) => store.removeFacts(tenant, FACTS_KEPT), { discard: true })
    }).pipe(Effect.catch((error) => Effect.logWarning("old facts could not be removed", error)))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(TIDIED_EVERY), tidy)))
  })
