/** What kinds with a line ask for each tenant: beside everything else, and until it is answered. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { type Address, scopedAddress } from "../../src/actor/Address.ts"
import type { Resting } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { type MachineStore, MachineStoreUnreachable } from "../../src/actor/MachineStore.ts"
import { Unavailable } from "../../src/signal/Errors.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { parcels, process, settle } from "./support/Node.ts"

const away = Effect.fail(new Unavailable({ message: "cannot be loaded", retry_after_ms: 1_000 }))
const everywhere = () => true

/** Rows of these tenants: one machine each, which waits. */
const rowsOf = (tenants: ReadonlyArray<string>) => {
  const rows = new MemoryMachines()
  return Effect.as(
    process(
      { rows },
      Effect.gen(function* () {
        const kind = yield* parcels()
        for (const tenant of tenants) yield* kind.start(scopedAddress("parcel", tenant, "1"), { name: "x" })
        yield* settle
      })
    ),
    rows
  )
}

/** A kind with a line, that notes what it is told. */
const line = (complete: NonNullable<Resting["complete"]>) => {
  const found: Array<string> = []
  const asked: Array<string> = []
  const resting: Resting = {
    found: ({ tenant }) => found.push(tenant),
    complete: (tenant) =>
      Effect.andThen(
        Effect.sync(() => asked.push(tenant)),
        complete(tenant)
      ),
    gone: () => undefined
  }
  return { resting, found, asked }
}

describe("what is asked for a tenant whose machines are at rest", () => {
  it.effect(
    "holds up nobody where it fails or is not answered, and is asked again at the next look until it is",
    () =>
      Effect.gen(function* () {
        const rows = yield* rowsOf(["bad", "good", "mute"])
        let isAway = true
        const { resting, found, asked } = line((tenant) =>
          tenant === "mute" ? Effect.never : tenant === "bad" && isAway ? away : Effect.void
        )
        yield* process(
          { rows },
          Effect.gen(function* () {
            const machines = yield* DurableMachines
            yield* parcels(undefined, { resting })
            const started = yield* machines.recover(everywhere, { aheadMs: 3_600_000, finds: true })
            assert.strictEqual(started, 3, "who is due is there")
            yield* settle
            assert.deepStrictEqual(found.toSorted(), ["bad", "good", "mute"])
            assert.deepStrictEqual(asked.splice(0).toSorted(), ["bad", "good", "mute"])
            yield* machines.recover(everywhere)
            yield* settle
            assert.deepStrictEqual(asked.splice(0), ["bad"])
            isAway = false
            yield* machines.recover(everywhere, { finds: true })
            yield* settle
            assert.deepStrictEqual(asked.splice(0), ["bad"])
            yield* machines.recover(everywhere, { finds: true })
            yield* settle
            assert.deepStrictEqual([asked, found.length], [[], 3], "its rows are in line")
          })
        )
      })
  )

  it.effect("is asked of sixteen side by side, and of none that has moved away meanwhile", () =>
    Effect.gen(function* () {
      const tenants = Array.from({ length: 20 }, (_, index) => `t${String(index).padStart(2, "0")}`)
      const rows = yield* rowsOf(tenants)
      const answers = Deferred.makeUnsafe<void>()
      const { resting, asked } = line(() => Deferred.await(answers))
      yield* process(
        { rows },
        Effect.gen(function* () {
          const machines = yield* DurableMachines
          yield* parcels(undefined, { resting })
          yield* machines.recover(everywhere, { finds: true })
          yield* settle
          assert.lengthOf(asked, 16)
          yield* machines.release(({ tenant }: Address) => tenant === "t19")
          yield* Deferred.succeed(answers, undefined)
          yield* settle
          assert.deepStrictEqual(asked.toSorted(), tenants.slice(0, 19))
        })
      )
    })
  )

  it.effect(
    "is given up after a minute where nothing answers: another tenant takes its place, and it is asked again",
    () =>
      Effect.gen(function* () {
        const tenants = Array.from({ length: 17 }, (_, index) => `t${String(index).padStart(2, "0")}`)
        const rows = yield* rowsOf(tenants)
        const { resting, asked } = line((tenant) => (tenant === "t16" ? Effect.void : Effect.never))
        yield* process(
          { rows },
          Effect.gen(function* () {
            const machines = yield* DurableMachines
            yield* parcels(undefined, { resting })
            yield* machines.recover(everywhere, { finds: true })
            yield* TestClock.adjust("59 seconds")
            yield* machines.recover(everywhere)
            yield* settle
            assert.lengthOf(asked.splice(0), 16)
            yield* TestClock.adjust("1 second")
            assert.deepStrictEqual(asked.splice(0), ["t16"])
            yield* machines.recover(everywhere)
            yield* settle
            assert.deepStrictEqual(asked.toSorted(), tenants.slice(0, 16))
          })
        )
      })
  )

  it.effect(
    "has the rows of a tenant that leaves while they are read found when it has come back, and not before",
    () =>
      Effect.gen(function* () {
        const rows = yield* rowsOf(["t"])
        const answers = Deferred.makeUnsafe<void>()
        const { resting, found, asked } = line(() => Effect.void)
        const store = (memory: MachineStore): Partial<MachineStore> => ({
          open: (query) => Effect.andThen(Deferred.await(answers), memory.open(query))
        })
        yield* process(
          { rows, store },
          Effect.gen(function* () {
            const machines = yield* DurableMachines
            yield* parcels(undefined, { resting })
            yield* Effect.forkChild(machines.recover(everywhere, { finds: true }))
            yield* settle
            yield* machines.release(everywhere)
            yield* Deferred.succeed(answers, undefined)
            yield* settle
            assert.deepStrictEqual([found, asked], [[], []])
            yield* machines.recover(everywhere, { finds: true })
            yield* settle
            assert.deepStrictEqual([found, asked], [["t"], ["t"]])
          })
        )
      })
  )

  it.effect(
    "does not keep who is due out of memory where the rows in line cannot be read; the look says so",
    () =>
      Effect.gen(function* () {
        const rows = yield* rowsOf(["t"])
        const { resting } = line(() => Effect.void)
        yield* process(
          {
            rows,
            store: () => ({
              openTenants: () => Effect.fail(new MachineStoreUnreachable({ message: "away" }))
            })
          },
          Effect.gen(function* () {
            const machines = yield* DurableMachines
            yield* parcels(undefined, { resting })
            const look = machines.recover(everywhere, { aheadMs: 3_600_000, finds: true })
            assert.include((yield* Effect.flip(look)).message, "away")
            const system = yield* ActorSystem
            assert.isDefined(system.entry(scopedAddress("parcel", "t", "1").text))
          })
        )
      })
  )
})

describe("a machine at rest that stood still while somebody rewrote it", () => {
  it.effect("is told to its line although the store did not answer at once, and once only", () =>
    Effect.gen(function* () {
      const rows = yield* rowsOf(["a", "b"])
      const told: Array<string> = []
      const resting: Resting = {
        found: ({ address }, hasChanged) => {
          if (hasChanged) told.push(address)
        },
        gone: () => undefined
      }
      const addresses = ["a", "b"].map((tenant) => scopedAddress("parcel", tenant, "1").text)
      let isAway = true
      const store = (memory: MachineStore): Partial<MachineStore> => ({
        read: (address) =>
          isAway
            ? Effect.fail(new MachineStoreUnreachable({ message: "away for a moment" }))
            : memory.read(address)
      })
      yield* process(
        { rows, store },
        Effect.gen(function* () {
          const machines = yield* DurableMachines
          yield* parcels(undefined, { resting })
          yield* machines.whileStill(new Set(addresses), Effect.void)
          yield* machines.recover(everywhere)
          assert.deepStrictEqual(told, [])
          yield* machines.release(({ tenant }) => tenant === "b")
          isAway = false
          yield* machines.recover(everywhere)
          assert.deepStrictEqual(told, addresses.slice(0, 1), "who has moved away is another node's")
          yield* machines.recover(everywhere)
          assert.lengthOf(told, 1)
        })
      )
    })
  )
})
