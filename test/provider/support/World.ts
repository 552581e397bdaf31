/** Everything that providers need around them, in memory, and watched. */
import { Effect, Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { ActorSystem, layer as actorSystemLayer } from "../../../src/actor/ActorSystem.ts"
import type { Adapter } from "../../../src/provider/Adapter.ts"
import { BudgetKeeper, CallObserver, CompletionLog } from "../../../src/provider/BudgetKeeper.ts"
import type { CompletePayload } from "../../../src/provider/CallRequest.ts"
import { makeProviders, type ProvidersConfig } from "../../../src/provider/Providers.ts"
import { installationPrincipal } from "../../../src/signal/Principal.ts"
import type { CallProgress } from "../../../src/signal/Subscriptions.ts"
import { MemoryCompletionLog } from "../../../src/store/MemoryCompletionLog.ts"
import { FakeKeeper } from "./FakeKeeper.ts"

export const principal = installationPrincipal()

export const request = (fields: Partial<CompletePayload> = {}): CompletePayload => ({
  provider: "scripted",
  model: "model-a",
  fallback: [],
  max_attempts: 3,
  messages: [{ role: "user", content: "0123456789" }],
  stream: false,
  on_overrun: "extend",
  max_completion_tokens: 100,
  request_id: "r1",
  user_id: "ada",
  ...fields
})

export const makeWorld = (
  adapters: ReadonlyArray<Adapter>,
  config: Omit<ProvidersConfig, "adapters"> = {},
  keeper = new FakeKeeper()
) =>
  Effect.gen(function* () {
    const log = new MemoryCompletionLog()
    const progress: Array<CallProgress> = []
    const system = yield* ActorSystem
    const states: Array<string> = []
    system.inspection.listen({
      onFact: ({ fact, actor }) => {
        if (fact === "transition" && actor.kind === "call" && actor.state !== null) states.push(actor.state)
      }
    })
    const providers = yield* makeProviders({
      adapters,
      ...config,
      settings: { random: () => 1, ...config.settings }
    }).pipe(
      Effect.provideService(BudgetKeeper, keeper),
      Effect.provideService(CompletionLog, log),
      Effect.provideService(CallObserver, {
        progress: (told) => {
          progress.push(told)
        }
      })
    )
    return { providers, keeper, log, progress, states, system }
  })

/** What a world stands on. */
export const ground = Layer.mergeAll(actorSystemLayer, CircuitBreaker.layerStoreMemory())
