/** An operator who ends an actor is told whether that lasts. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { stopActor } from "../../src/runtime/ActorControl.ts"
import { pass, settle, testLayer } from "../../src/testing.ts"
import { addressOf, parcel, parcelMachine } from "../actor/support/Parcel.ts"
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
    assert.include(yield* message("provider"), "the next complete that names it begins it again")
    assert.include(yield* message("till"), "does not come back")
  }).pipe(told)
)

it.effect("a host's own durable machine goes on by itself, and that is what is said", () =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const machines = yield* DurableMachines
    const weigh = ({ input }: { readonly input: { readonly name: string } }) =>
      input.name === "heavy" ? Effect.never : Effect.succeed(3)
    const kind = yield* machines.register(parcel(parcelMachine(weigh)))
    const [heavy, light] = [addressOf("heavy"), addressOf("light")]
    for (const address of [heavy, light]) {
      yield* kind.start(address, { name: address.text.slice("parcel/t/".length) })
      yield* settle
      const who = { ...WHO, tenant: "t" }
      const { message } = yield* stopActor(system, { address: address.text }, who)
      assert.include(message, "goes on: within seconds where something of it runs, at its moment")
      assert.notInclude(message, "does not come back")
      assert.notStrictEqual(system.entry(address.text)?.info.status, "running")
    }
    yield* pass(5_000)
    assert.strictEqual(system.entry(heavy.text)?.info.state, "weighing")
    yield* pass(3_600_000)
    assert.strictEqual((yield* kind.view(light))?.snapshot.value, "shipped")
  }).pipe(Effect.provide(testLayer()))
)
