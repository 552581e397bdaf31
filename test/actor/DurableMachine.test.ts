import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type ActorSystem, layer as actorLayer } from "../../src/actor/ActorSystem.ts"
import { DurableMachines, layer as machinesLayer } from "../../src/actor/DurableMachines.ts"
import { MachineStore, type OutgoingSignal } from "../../src/actor/MachineStore.ts"
import { SignalDelivery } from "../../src/actor/SignalDelivery.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { MemoryMachines, memoryMachineStore } from "../../src/store/MemoryMachineStore.ts"
import { addressOf, parcel, parcelMachine, type Weigh } from "./support/Parcel.ts"

const host = installationPrincipal("t", "host")
const settle = TestClock.adjust("1 millis")

/** A node over rows that outlive it. */
const nodeOn = (rows: MemoryMachines, arrived: Array<OutgoingSignal> = []) =>
  Layer.provideMerge(
    machinesLayer,
    Layer.mergeAll(
      actorLayer,
      Layer.succeed(MachineStore, memoryMachineStore(rows)),
      Layer.succeed(SignalDelivery, {
        deliver: (_principal, outgoing) => Effect.sync(() => void arrived.push(outgoing))
      })
    )
  )

/** One life of a process. */
const process = <A, E>(
  rows: MemoryMachines,
  body: Effect.Effect<A, E, DurableMachines | ActorSystem>,
  arrived?: Array<OutgoingSignal>
) => Effect.scoped(Effect.provide(body, nodeOn(rows, arrived)))

const registered = (weigh: Weigh, version?: string) =>
  Effect.flatMap(DurableMachines, (machines) => machines.register(parcel(parcelMachine(weigh), version)))

describe("a durable machine", () => {
  it.effect("is committed step by step, answers from what is committed, and ends", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const arrived: Array<OutgoingSignal> = []
      yield* process(
        rows,
        Effect.gen(function* () {
          const kind = yield* registered(() => Effect.succeed(7))
          const { ref, isNew } = yield* kind.start(addressOf("1"), { name: "book" })
          assert.isTrue(isNew)
          assert.isFalse((yield* kind.start(addressOf("1"), { name: "other" })).isNew)
          yield* settle
          const noted = yield* ref.ask("note", { text: "fragile" }, host)
          assert.deepStrictEqual(noted, { state: "waiting", notes: ["fragile"], weight: 7 })
          assert.deepStrictEqual(yield* ref.ask("get_parcel", {}, host), noted)
          assert.strictEqual((yield* Effect.flip(ref.ask("note", { text: "" }, host)))._tag, "NotFound")
          yield* ref.ask("ship", {}, host)
          yield* settle
          const view = yield* kind.view(addressOf("1"))
          assert.deepStrictEqual([view?.status, view?.snapshot.output], ["done", { weight: 7 }])
        }),
        arrived
      )
      assert.deepStrictEqual(arrived, [
        {
          seq: 1,
          to: "depot/t/main",
          signal: "arrived",
          params: { parcel: "book", request_id: "parcel/t/1#1" }
        }
      ])
      assert.deepStrictEqual(
        rows.feedOf("t").facts.map(({ kind, body }) => [kind, body]),
        [
          ["moved", { to: "weighing" }],
          ["moved", { to: "waiting" }],
          ["noted", { text: "fragile" }],
          ["moved", { to: "shipped" }]
        ]
      )
      assert.isFalse(rows.owes(addressOf("1").text))
    })
  )

  it.effect("a process that died is gone on from: what was invoked runs again under the same key", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const keys: Array<string> = []
      yield* process(
        rows,
        Effect.gen(function* () {
          const kind = yield* registered(({ key }) =>
            Effect.andThen(
              Effect.sync(() => keys.push(key)),
              Effect.never
            )
          )
          yield* kind.start(addressOf("1"), { name: "book" })
          yield* settle
        })
      )
      yield* process(
        rows,
        Effect.gen(function* () {
          const machines = yield* DurableMachines
          const kind = yield* registered(({ key }) =>
            Effect.as(
              Effect.sync(() => keys.push(key)),
              3
            )
          )
          assert.strictEqual(yield* machines.recover(() => true), 1)
          yield* settle
          const ref = yield* kind.find(addressOf("1"))
          assert.deepStrictEqual(yield* ref?.ask("get_parcel", {}, host) ?? Effect.void, {
            state: "waiting",
            notes: [],
            weight: 3
          })
          assert.strictEqual(yield* machines.recover(() => true), 0)
          assert.isUndefined(yield* kind.find(addressOf("2")))
        })
      )
      assert.deepStrictEqual(keys, ["parcel/t/1:weigh:1", "parcel/t/1:weigh:1"])
    })
  )

  it.effect("lesson 23: a delay is a moment: it fires once, also after a restart in between", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const arrived: Array<OutgoingSignal> = []
      const begun = yield* Deferred.make<void>()
      yield* process(
        rows,
        Effect.gen(function* () {
          const kind = yield* registered(() => Effect.as(Deferred.succeed(begun, undefined), 1))
          yield* kind.start(addressOf("1"), { name: "book" })
          yield* Deferred.await(begun)
          yield* TestClock.adjust("50 minutes")
        }),
        arrived
      )
      assert.strictEqual(rows.rows()[0]?.state, "waiting")
      for (const minutes of [9, 2, 60]) {
        yield* process(
          rows,
          Effect.gen(function* () {
            yield* registered(() => Effect.succeed(1))
            yield* (yield* DurableMachines).recover(() => true)
            yield* TestClock.adjust(`${minutes} minutes`)
            yield* (yield* DurableMachines).recover(() => true)
            yield* settle
          }),
          arrived
        )
      }
      assert.deepStrictEqual([rows.rows()[0]?.status, arrived.length], ["done", 1])
    })
  )
})
