/**
 * A TokenManager as the runtime makes one: an actor on the ActorSystem, with a store behind it.
 *
 * Owns: putting it together for a row, and telling the row what was committed.
 */
import { Effect, Layer, ManagedRuntime } from "effect"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { ActorSystem, layer as actorLayer } from "../../src/actor/ActorSystem.ts"
import { type Batch, LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { tokenManager } from "../../src/tokens/TokenManager.ts"
import { TENANT } from "./Workload.ts"

export interface BenchManager {
  readonly ref: ActorRef
  readonly run: <A, E>(effect: Effect.Effect<A, E, ActorSystem>) => Promise<A>
  readonly stop: () => Promise<void>
}

/** Starts an ActorSystem with one TokenManager; `onCommit` hears of every batch. */
export const startManager = async <E>(
  store: Layer.Layer<LedgerStore, E>,
  onCommit: (batch: Batch) => void = () => {}
): Promise<BenchManager> => {
  const runtime = ManagedRuntime.make(Layer.mergeAll(actorLayer, store))
  const ref = await runtime.runPromise(
    Effect.gen(function* () {
      const system = yield* ActorSystem
      return yield* system.spawn(
        tokenManager({
          tenant: TENANT,
          store: yield* LedgerStore,
          builtInPrices: [],
          version: "bench",
          observer: {
            isObserved: () => false,
            committed: (_tenant, batch) => onCommit(batch),
            reset: () => undefined
          }
        })
      )
    })
  )
  return { ref, run: (effect) => runtime.runPromise(effect), stop: () => runtime.dispose() }
}
