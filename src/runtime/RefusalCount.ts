/**
 * Refusals, kept and counted.
 *
 * Owns: that they are written as long as the runtime lives, and once more when it ends; the metric and its labels: the
 * signal and the kind of reason, never a tenant, a key or a budget.
 * Does not decide: what is kept of a refusal (tokens/RefusedCall).
 */
import { Effect, Metric, type Scope } from "effect"
import { RefusalKeeper, type RefusalTally } from "../tokens/RefusalKeeper.ts"
import type { RefusalStore } from "../tokens/RefusalStore.ts"

const refusals = Metric.counter("bursar_refusals_total", {
  description: "Calls, and extensions of holds, that a budget or a rule refused",
  incremental: true
})

/** It ends after all who are refused: what is built later ends first. */
export const makeRefusals = (store: RefusalStore): Effect.Effect<RefusalKeeper, never, Scope.Scope> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<never>()
    const tally: RefusalTally = (signal, kind) =>
      Metric.withAttributes(refusals, { signal, kind }).updateUnsafe(1, services)
    const keeper = new RefusalKeeper(store, tally)
    yield* Effect.forkScoped(keeper.running)
    yield* Effect.addFinalizer(() => keeper.flushed)
    return keeper
  })
