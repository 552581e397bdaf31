/** Of an actor that tenants share, one of them sees that it is there: not how busy the others keep it. */
import { assert, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { sharedAddress } from "../../src/actor/Address.ts"
import { Hub } from "../../src/runtime/Hub.ts"
import { openTopic } from "../../src/runtime/Topics.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { makeMemoryLedgerStore } from "../../src/store/MemoryLedgerStore.ts"

const WHO = installationPrincipal()
const TENANT: Principal = { ...installationPrincipal("acme", "key"), isInstallation: false }

const firstFact = (principal: Principal) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const { events } = yield* openTopic(
      { store: makeMemoryLedgerStore(), hub: new Hub(), system, feed: undefined as never },
      "actors",
      {},
      undefined,
      principal
    )
    const ref = yield* system.spawn({
      address: sharedAddress("provider", "busy"),
      behaviour: ({ ref, transition }) =>
        Effect.suspend(() => {
          ref.signalsHandled = 7
          transition("open", "SECRET")
          return Effect.never
        })
    })
    assert.strictEqual(ref.signalsHandled, 7)
    const facts = yield* Stream.runCollect(Stream.take(events, 2))
    return JSON.stringify(facts.at(-1)?.event)
  })

it.effect("a tenant sees its health, the installation all of it", () =>
  Effect.gen(function* () {
    const seen = yield* firstFact(TENANT)
    assert.include(seen, "provider/busy")
    assert.include(seen, '"signals_handled":0')
    assert.notInclude(seen, "SECRET")
  }).pipe(Effect.provide(layer))
)

it.effect("the installation sees all of it", () =>
  Effect.gen(function* () {
    const seen = yield* firstFact(WHO)
    assert.include(seen, '"signals_handled":7')
    assert.include(seen, "SECRET")
  }).pipe(Effect.provide(layer))
)
