/** One life of a process over rows that outlive it, for tests of durable machines. */
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type ActorSystem, layer as actorLayer } from "../../../src/actor/ActorSystem.ts"
import type { DurableMachine } from "../../../src/actor/DurableMachine.ts"
import { DurableMachines, layer as machinesLayer } from "../../../src/actor/DurableMachines.ts"
import { MachineStore, type OutgoingSignal } from "../../../src/actor/MachineStore.ts"
import { SignalDelivery } from "../../../src/actor/SignalDelivery.ts"
import type { SignalError } from "../../../src/signal/Errors.ts"
import { installationPrincipal } from "../../../src/signal/Principal.ts"
import { type MemoryMachines, memoryMachineStore } from "../../../src/store/MemoryMachineStore.ts"
import { type ParcelMachine, parcel, parcelMachine, type parcelProtocol, type Weigh } from "./Parcel.ts"

export const host = installationPrincipal("t", "host")
/** Lets everything run that can run without time passing. */
export const settle = TestClock.adjust("1 millis")

export interface Node {
  readonly rows: MemoryMachines
  /** What its store does in another way. */
  readonly store?: (memory: MachineStore) => Partial<MachineStore>
  /** Who takes what its machines send. Without it everything arrives. */
  readonly deliver?: (outgoing: OutgoingSignal) => Effect.Effect<void, SignalError>
}

export const process = <A, E>(
  { rows, store, deliver }: Node,
  body: Effect.Effect<A, E, DurableMachines | ActorSystem>
) => {
  const memory = memoryMachineStore(rows)
  return Effect.scoped(
    Effect.provide(
      body,
      // Each process has its own, also beside another one.
      Layer.fresh(
        machinesLayer.pipe(
          Layer.provideMerge(actorLayer),
          Layer.provide(Layer.succeed(MachineStore, { ...memory, ...store?.(memory) })),
          Layer.provide(
            Layer.succeed(SignalDelivery, { deliver: (_, outgoing) => deliver?.(outgoing) ?? Effect.void })
          )
        )
      )
    )
  )
}

export const parcels = (
  weigh: Weigh = () => Effect.succeed(1),
  fields: Partial<DurableMachine<ParcelMachine, typeof parcelProtocol>> = {},
  done?: () => void
) =>
  Effect.flatMap(DurableMachines, (machines) =>
    machines.register({ ...parcel(parcelMachine(weigh, done)), ...fields })
  )
