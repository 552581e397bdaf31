/** An operator who ends an actor is told whether that lasts. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import { stopActor } from "../../src/runtime/ActorControl.ts"
import { tillAt, told, WHO } from "../actor/support/Till.ts"

it.effect("a workflow goes on, and says what ends it", () =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const message = (kind: string) =>
      Effect.gen(function* () {
        const address = tenantAddress(kind, "default")
        yield* system.spawn(tillAt({ address }))
        return (yield* stopActor(system, { address: address.text }, WHO)).message
      })
    assert.include(yield* message("workflow"), "cancel_workflow ends it")
    assert.include(yield* message("till"), "does not come back")
  }).pipe(told)
)
