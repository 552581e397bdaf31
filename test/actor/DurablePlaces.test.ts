/** Where durable machines live: on the node of their tenant, not while they stand still, and not for longer than they live. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { afterEach, vi } from "vitest"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { DurableResidents } from "../../src/actor/DurableResidents.ts"
import type { MachineStore } from "../../src/actor/MachineStore.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, parcels, process, settle } from "./support/Node.ts"
import { addressOf } from "./support/Parcel.ts"

const BOOK = addressOf("book")
const INPUT = { name: "book" }

afterEach(() => {
  vi.restoreAllMocks()
})

describe("a node of several", () => {
  it.effect(
    "neither starts, finds nor restarts a machine of a tenant that lives elsewhere, and takes it from nobody",
    () => {
      const rows = new MemoryMachines()
      let runs = 0
      return process(
        { rows },
        Effect.gen(function* () {
          const owner = yield* parcels(() =>
            Effect.andThen(
              Effect.sync(() => runs++),
              Effect.never
            )
          )
          const { ref } = yield* owner.start(BOOK, INPUT)
          yield* settle
          const epoch = rows.heads.get(BOOK.text)?.epoch
          yield* process(
            { rows },
            Effect.gen(function* () {
              const machines = yield* DurableMachines
              const kind = yield* parcels(() => Effect.sync(() => runs++))
              machines.place({ isMine: () => false })
              const refusals = yield* Effect.all([
                Effect.flip(kind.find(BOOK)),
                Effect.flip(kind.start(BOOK, INPUT)),
                Effect.flip(kind.start(addressOf("new"), INPUT)),
                Effect.flip(machines.restart(BOOK))
              ])
              for (const { _tag, message } of refusals) {
                assert.strictEqual(_tag, "Unavailable")
                assert.include(message, "lives on another node")
              }
              assert.strictEqual((yield* kind.view(BOOK))?.status, "active", "whoever wants to may look")
            })
          )
          assert.deepStrictEqual([runs, rows.heads.get(BOOK.text)?.epoch, rows.heads.size], [1, epoch, 1])
          assert.strictEqual((yield* ref.ask("get_parcel", {}, host)).state, "weighing")
        })
      )
    }
  )
})

describe("a machine that stands still", () => {
  /** The store answers reads when it is told to. */
  const slowly =
    (reading: { wait: Effect.Effect<void> }) =>
    (memory: MachineStore): Partial<MachineStore> => ({
      read: (address) =>
        Effect.andThen(
          Effect.suspend(() => reading.wait),
          memory.read(address)
        )
    })

  it.effect.each(["find", "restart"] as const)("is not brought back by a %s that was under way", (way) => {
    const reading = { wait: Effect.void as Effect.Effect<void> }
    return process(
      { rows: new MemoryMachines(), store: slowly(reading) },
      Effect.gen(function* () {
        const machines = yield* DurableMachines
        const system = yield* ActorSystem
        const kind = yield* parcels(() => Effect.never)
        yield* kind.start(BOOK, INPUT)
        if (way === "find") yield* system.stop(BOOK)
        const answers = Deferred.makeUnsafe<void>()
        reading.wait = Deferred.await(answers)
        const coming = way === "find" ? Effect.asVoid(kind.find(BOOK)) : machines.restart(BOOK)
        const came = yield* Effect.forkChild(Effect.flip(coming), { startImmediately: true })
        const isThere = yield* machines.whileStill(
          new Set([BOOK.text]),
          Effect.gen(function* () {
            yield* Deferred.succeed(answers, undefined)
            yield* settle
            return system.entry(BOOK.text) !== undefined
          })
        )
        assert.isFalse(isThere)
        assert.include((yield* Fiber.join(came)).message, "stands still for a moment")
        reading.wait = Effect.void
        assert.isDefined(yield* kind.find(BOOK))
      })
    )
  })

  it.effect("is not begun by who waits for another life of it to end", () => {
    const rows = new MemoryMachines()
    const ending = Deferred.makeUnsafe<void>()
    const weigh = () => Effect.onInterrupt(Effect.never, () => Deferred.await(ending))
    return process(
      { rows },
      Effect.gen(function* () {
        const machines = yield* DurableMachines
        const system = yield* ActorSystem
        const kind = yield* parcels(weigh)
        yield* kind.start(BOOK, INPUT)
        yield* settle
        yield* Effect.forkChild(system.stop(BOOK), { startImmediately: true })
        const started = yield* Effect.forkChild(Effect.result(kind.start(BOOK, INPUT)), {
          startImmediately: true
        })
        yield* settle
        yield* machines
          .whileStill(
            new Set([BOOK.text]),
            Effect.gen(function* () {
              yield* settle
              assert.isUndefined(system.entry(BOOK.text))
            })
          )
          .pipe(Effect.forkChild({ startImmediately: true }))
        yield* Deferred.succeed(ending, undefined)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(started))._tag, "Failure")
      })
    )
  })
})

describe("what is known of machines in memory", () => {
  it.effect("goes with each that ends for good, and stays between two lives", () => {
    const begins = vi.spyOn(DurableResidents.prototype, "begins")
    return process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const kind = yield* parcels()
        const { ref } = yield* kind.start(BOOK, INPUT)
        yield* kind.start(addressOf("other"), INPUT)
        yield* settle
        const residents = begins.mock.contexts[0] as DurableResidents
        assert.strictEqual(residents.count, 2)
        assert.isTrue((yield* ActorSystem).restart(BOOK, "somebody asks for it"))
        yield* settle
        assert.strictEqual(residents.count, 2)
        yield* ref.ask("cancel", {}, host)
        yield* TestClock.adjust("1 minute")
        assert.isUndefined((yield* ActorSystem).entry(BOOK.text))
        assert.strictEqual(residents.count, 1)
        yield* (yield* ActorSystem).stop(addressOf("other"))
        yield* (yield* DurableMachines).rest()
        assert.strictEqual(residents.count, 0)
      })
    )
  })
})
