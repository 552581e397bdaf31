/** Runtimes one after the other, over one store in memory that outlives them. */
import { assert } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { ActorSystem } from "../../../src/actor/ActorSystem.ts"
import type { SignalSuccess } from "../../../src/signal/Catalogue.ts"
import { decodePayload } from "../../../src/signal/Decode.ts"
import { installationPrincipal } from "../../../src/signal/Principal.ts"
import { type RoutedSignal, SignalRouter } from "../../../src/signal/SignalRouter.ts"
import { memoryStore } from "../../../src/testing/MemoryStore.ts"
import { testLayer } from "../../../src/testing.ts"
import { LedgerStore } from "../../../src/tokens/LedgerStore.ts"

/** Asks for the tenant `default`, where no other is named. */
export type Ask = <Name extends RoutedSignal>(
  name: Name,
  params: unknown,
  tenant?: string
) => Effect.Effect<SignalSuccess<Name>, unknown>

/** `ledgers` is the one store of all lives: a test may change what its functions do. */
export const livesOf = Effect.gen(function* () {
  const memo = yield* Layer.makeMemoMap
  const systems = new Set<unknown>()
  const stores = yield* Layer.buildWithMemoMap(memoryStore, memo, yield* Scope.Scope)
  const live = <A>(
    life: (ask: Ask) => Effect.Effect<A, unknown>,
    options: Parameters<typeof testLayer>[0] = {}
  ): Effect.Effect<A, unknown> =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithMemoMap(testLayer(options), memo, scope)
      const system = Context.get(services, ActorSystem)
      assert.isFalse(systems.has(system), "nothing is left of the life before")
      systems.add(system)
      const ask: Ask = (name, params, tenant) =>
        Effect.flatMap(SignalRouter, (router) =>
          Effect.flatMap(Effect.fromResult(decodePayload(name, params)), (payload) =>
            router.ask(name, payload, installationPrincipal(tenant))
          )
        ).pipe(Effect.provide(services))
      const result = yield* life(ask)
      yield* Scope.close(scope, Exit.void)
      return result
    })
  return {
    live,
    ledgers: Context.get(stores, LedgerStore) as { -readonly [K in keyof LedgerStore]: LedgerStore[K] }
  }
})
