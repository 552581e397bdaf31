/** Lives of durable machines: one that crashes is neither forgotten nor looped, and how many there may be is bounded. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { MachineRefused, type MachineStore } from "../../src/actor/MachineStore.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, parcels, process, settle } from "./support/Node.ts"
import { addressOf } from "./support/Parcel.ts"

const BOOK = addressOf("book")
const INPUT = { name: "book" }

/** The first commits die, as a defect does. */
const dying =
  (deaths: { left: number; claims?: number }) =>
  (memory: MachineStore): Partial<MachineStore> => ({
    claim: (machine, owner) => {
      deaths.claims = (deaths.claims ?? 0) + 1
      return memory.claim(machine, owner)
    },
    commit: (claim, written) => {
      if (deaths.left === 0) return memory.commit(claim, written)
      deaths.left -= 1
      return Effect.die(new Error("a defect on the way to the store"))
    }
  })

describe("a durable machine", () => {
  it.effect("that is asked what it does not answer says so at once, and what it does answer", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const kind = yield* parcels()
        const { ref } = yield* kind.start(BOOK, INPUT)
        const refused = yield* Effect.flip(ref.ask("get_parcl" as "get_parcel", {}, host))
        assert.deepInclude(refused, { _tag: "UnknownSignal", signal: "get_parcl" })
        assert.include(refused.message, "does not answer get_parcl: it answers get_parcel")
        yield* settle
        assert.strictEqual((yield* ref.ask("get_parcel", {}, host)).weight, 1)
      })
    )
  )
})

describe("a durable machine whose life crashed", () => {
  it.effect("before it was in the store: who starts it again waits for the next life", () =>
    process(
      { rows: new MemoryMachines(), store: dying({ left: 1 }) },
      Effect.gen(function* () {
        const kind = yield* parcels()
        const first = yield* Effect.flip(kind.start(BOOK, INPUT))
        assert.strictEqual(first._tag, "Unavailable")
        yield* TestClock.adjust("1 second")
        const { ref } = yield* kind.start(BOOK, INPUT)
        assert.strictEqual((yield* ref.ask("get_parcel", {}, host)).weight, 1)
      })
    )
  )

  it.effect("is released between two lives, too", () => {
    const deaths = { left: 0, claims: 0 }
    return process(
      { rows: new MemoryMachines(), store: dying(deaths) },
      Effect.gen(function* () {
        const machines = yield* DurableMachines
        const kind = yield* parcels(() => Effect.never)
        const { ref } = yield* kind.start(BOOK, INPUT)
        deaths.left = 1
        yield* Effect.flip(ref.ask("note", { text: "a" }, host)).pipe(
          Effect.forkChild({ startImmediately: true })
        )
        yield* settle
        const system = yield* ActorSystem
        assert.strictEqual(system.entry(BOOK.text)?.info.status, "restarting")
        yield* machines.release(() => true)
        const { claims } = deaths
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(system.entry(BOOK.text))
        assert.strictEqual(deaths.claims, claims, "nobody claims what lives elsewhere now")
      })
    )
  })

  it.effect("is not waited for by who looks for machines that are due", () => {
    const deaths = { left: 0 }
    return process(
      { rows: new MemoryMachines(), store: dying(deaths) },
      Effect.gen(function* () {
        const machines = yield* DurableMachines
        const kind = yield* parcels(() => Effect.never)
        const { ref } = yield* kind.start(BOOK, INPUT)
        deaths.left = 1
        yield* Effect.flip(ref.ask("note", { text: "a" }, host)).pipe(
          Effect.forkChild({ startImmediately: true })
        )
        yield* settle
        assert.strictEqual(yield* machines.recover(() => true), 0)
      })
    )
  })
})

describe("a durable machine whose commits the store refuses, whatever is in them", () => {
  const refusing =
    (refused: { from: number; commits: number }) =>
    (memory: MachineStore): Partial<MachineStore> => ({
      commit: (claim, written) => {
        refused.commits += 1
        return refused.commits < refused.from
          ? memory.commit(claim, written)
          : Effect.fail(new MachineRefused({ address: claim.address, message: "never" }))
      }
    })

  it.effect("stands still and says why; it tries no more until somebody starts it again", () => {
    const refused = { from: 2, commits: 0 }
    const rows = new MemoryMachines()
    return process(
      { rows, store: refusing(refused) },
      Effect.gen(function* () {
        const weighed = Deferred.makeUnsafe<number>()
        const kind = yield* parcels(() => Deferred.await(weighed))
        const { ref } = yield* kind.start(BOOK, INPUT)
        yield* Deferred.succeed(weighed, 1)
        yield* TestClock.adjust("1 hour")
        assert.isBelow(refused.commits, 6)
        const asked = yield* Effect.flip(ref.ask("note", { text: "a" }, host))
        assert.deepInclude(asked, { _tag: "Conflict", reason: "machine_parked" })
        assert.include(asked.message, "never")
        refused.from = Number.POSITIVE_INFINITY
        yield* (yield* DurableMachines).restart(BOOK)
        yield* settle
        assert.strictEqual((yield* kind.view(BOOK))?.snapshot.context.weight, 1)
      })
    )
  })

  it.effect("at its start: who starts it is told, and nothing is left", () => {
    const refused = { from: 0, commits: 0 }
    return process(
      { rows: new MemoryMachines(), store: refusing(refused) },
      Effect.gen(function* () {
        const kind = yield* parcels()
        const error = yield* Effect.flip(kind.start(BOOK, INPUT))
        assert.strictEqual(error._tag, "InternalError")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(refused.commits, 1)
        assert.isUndefined((yield* ActorSystem).entry(BOOK.text))
      })
    )
  })

  it.effect("of another version: it is kept as it was, and its migration is not taken for done", () => {
    const refused = { from: Number.POSITIVE_INFINITY, commits: 0 }
    const rows = new MemoryMachines()
    const node = { rows, store: refusing(refused) }
    return Effect.gen(function* () {
      yield* process(
        node,
        Effect.gen(function* () {
          yield* (yield* parcels()).start(BOOK, INPUT)
          yield* settle
        })
      )
      const left = rows.rows()[0]
      refused.from = 0
      refused.commits = 0
      yield* process(
        node,
        Effect.gen(function* () {
          const kind = yield* parcels(undefined, {
            version: "2",
            migrate: ({ context }) => ({ value: "waiting", context: context as never })
          })
          const ref = yield* kind.find(BOOK)
          const asked = yield* Effect.flip(ref?.ask("get_parcel", {}, host) ?? Effect.die("there is none"))
          assert.include(asked.message, "never")
          yield* TestClock.adjust("1 minute")
          assert.isBelow(refused.commits, 4)
          assert.deepStrictEqual(rows.rows()[0], left)
        })
      )
    })
  })
})

describe("how many machines of a tenant are open", () => {
  const parcelNamed = (name: string) => [addressOf(name), { name }] as const

  it.effect(
    "is bounded: N starts at once with room for k begin exactly k, and the rest is told what to do",
    () => {
      const rows = new MemoryMachines()
      return Effect.gen(function* () {
        yield* process(
          { rows },
          Effect.gen(function* () {
            const kind = yield* parcels(undefined, { openMax: 5 })
            const outcomes = yield* Effect.forEach(
              Array.from({ length: 12 }, (_, index) => `p${index}`),
              (name) => Effect.result(kind.start(...parcelNamed(name))),
              { concurrency: "unbounded" }
            )
            assert.strictEqual(outcomes.filter(({ _tag }) => _tag === "Success").length, 5)
            const refusals = outcomes.flatMap((outcome) =>
              outcome._tag === "Failure" ? [outcome.failure] : []
            )
            assert.isTrue(refusals.every(({ _tag }) => _tag === "Overloaded"))
            assert.include(refusals[0]?.message, "cancel some")
            assert.isFalse((yield* kind.start(...parcelNamed("p0"))).isNew, "what is there is no new one")
            const { ref } = yield* kind.start(...parcelNamed("p0"))
            yield* ref.ask("cancel", {}, host)
            yield* kind.start(...parcelNamed("next"))
            assert.strictEqual((yield* Effect.flip(kind.start(...parcelNamed("last"))))._tag, "Overloaded")
          })
        )
        yield* process(
          { rows },
          Effect.gen(function* () {
            const kind = yield* parcels(undefined, { openMax: 6 })
            yield* kind.start(...parcelNamed("after a restart"))
            assert.strictEqual((yield* Effect.flip(kind.start(...parcelNamed("last"))))._tag, "Overloaded")
            assert.strictEqual(rows.rows().filter(({ status }) => status === "active").length, 6)
          })
        )
      })
    }
  )

  it.effect("is counted again where others may have begun some", () => {
    const rows = new MemoryMachines()
    return process(
      { rows },
      Effect.gen(function* () {
        const kind = yield* parcels(undefined, { openMax: 3 })
        yield* kind.start(...parcelNamed("here"))
        yield* (yield* DurableMachines).release(() => true)
        for (const row of [...rows.rows()])
          for (const name of ["there", "there too"]) {
            const head = { tenant: "t", kind: "parcel", address: addressOf(name).text }
            const { claim } = rows.claim(head, "another node")
            const made = {
              id: name,
              revision: 0,
              nextRevision: 1,
              outgoing: [],
              seen: [],
              forgotten: [],
              facts: []
            }
            rows.commit(claim, { ...row, ...made, at: row.createdAt })
          }
        assert.strictEqual((yield* Effect.flip(kind.start(...parcelNamed("last"))))._tag, "Overloaded")
      })
    )
  })

  it.effect(
    "is counted while nothing is on its way to the store, which would be counted twice or not at all",
    () => {
      const rows = new MemoryMachines()
      const committing = Deferred.makeUnsafe<void>()
      const counted: Array<number> = []
      const store = (memory: MachineStore): Partial<MachineStore> => ({
        commit: (claim, commit) =>
          claim.address === addressOf("slow").text
            ? Effect.andThen(Deferred.await(committing), memory.commit(claim, commit))
            : memory.commit(claim, commit),
        openCount: (tenant, kind) =>
          Effect.tap(memory.openCount(tenant, kind), (open) => Effect.sync(() => counted.push(open)))
      })
      return process(
        { rows, store },
        Effect.gen(function* () {
          const kind = yield* parcels(undefined, { openMax: 2 })
          yield* kind.start(...parcelNamed("first"))
          const slow = yield* Effect.forkChild(kind.start(...parcelNamed("slow")), { startImmediately: true })
          const third = yield* Effect.forkChild(Effect.flip(kind.start(...parcelNamed("third"))), {
            startImmediately: true
          })
          yield* settle
          assert.deepStrictEqual(counted, [0], "the room is full, and one may still fail on its way")
          yield* Deferred.succeed(committing, undefined)
          yield* Fiber.join(slow)
          assert.strictEqual((yield* Fiber.join(third))._tag, "Overloaded")
          assert.deepStrictEqual(counted, [0, 2])
          assert.strictEqual(rows.rows().length, 2)
        })
      )
    }
  )

  it.effect("a start that is given up while it is counted takes no room", () => {
    const rows = new MemoryMachines()
    const counting = Deferred.makeUnsafe<void>()
    let isSlow = true
    const store = (memory: MachineStore): Partial<MachineStore> => ({
      openCount: (tenant, kind) =>
        isSlow
          ? Effect.andThen(Deferred.await(counting), memory.openCount(tenant, kind))
          : memory.openCount(tenant, kind)
    })
    return process(
      { rows, store },
      Effect.gen(function* () {
        const kind = yield* parcels(undefined, { openMax: 1 })
        yield* Effect.forkChild(kind.start(...parcelNamed("given up")), { startImmediately: true })
        yield* settle
        yield* (yield* DurableMachines).release(() => true)
        isSlow = false
        yield* kind.start(...parcelNamed("other"))
      })
    )
  })
})
