/** Commits of durable machines whose end nobody knows, or that fail in a way that nobody foresaw. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { assign, setup } from "xstate"
import { type Address, scopedAddress } from "../../src/actor/Address.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import {
  MachineOutcomeUnknown,
  type MachineStore,
  MachineStoreUnreachable
} from "../../src/actor/MachineStore.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { MemoryMachines, memoryMachineStore } from "../../src/store/MemoryMachineStore.ts"
import { host, parcels, process, settle } from "./support/Node.ts"
import { addressOf } from "./support/Parcel.ts"

const BOOK = addressOf("book")
const Go = command("go", {
  family: "actors",
  roles: ["app"],
  description: "of a test",
  payload: { how: Schema.String },
  success: Schema.Struct({ charges: Schema.Int })
})
const goProtocol = protocol(Go)
const TILL = scopedAddress("till", "t", "1")

/** `later` has it charged by an event that an action sends. The other ways keep what is no plain JSON. */
const machine = setup({
  types: {
    context: {} as { charges: number; at: unknown },
    events: {} as { type: "go"; how: string } | { type: "charge" },
    input: {} as { at: unknown }
  },
  actions: { later: ({ self }) => self.send({ type: "charge" }) }
}).createMachine({
  context: ({ input }) => ({ charges: 0, at: input.at }),
  on: {
    go: [
      { guard: ({ event }) => event.how === "later", actions: "later" },
      { guard: ({ event }) => event.how === "date", actions: assign({ at: () => ({ day: [new Date(0)] }) }) }
    ],
    charge: { actions: assign({ charges: ({ context }) => context.charges + 1 }) }
  }
})

const tills = Effect.flatMap(DurableMachines, (machines) =>
  machines.register(
    durableMachine({
      ...{ kind: "till", machine, version: "1", protocol: goProtocol },
      signals: {
        go: {
          event: ({ how }) => ({ type: "go", how }) as const,
          answer: ({ snapshot }) => ({ charges: snapshot.context.charges })
        }
      }
    })
  )
)

const ANSWERED_AFTER = 6_000

/** The commit of this number ends in no answer; for longer than a commit is waited for, the store says nothing of it. */
const unsureAt = (number: number, isWritten: boolean, meanwhile: Effect.Effect<void> = Effect.void) => {
  let commits = 0
  let isAway = false
  return (memory: MachineStore): Partial<MachineStore> => {
    const away = new MachineStoreUnreachable({ message: "away" })
    return {
      commit: (claim, commit) => {
        commits += 1
        if (commits !== number) return memory.commit(claim, commit)
        isAway = true
        const back = Effect.andThen(Effect.sleep(ANSWERED_AFTER), meanwhile)
        const comesBack = Effect.andThen(
          back,
          Effect.sync(() => {
            isAway = false
          })
        )
        return Effect.forkDetach(comesBack).pipe(
          Effect.andThen(isWritten ? memory.commit(claim, commit) : Effect.void),
          Effect.andThen(
            Effect.fail(
              new MachineOutcomeUnknown({ address: claim.address, message: "the connection is cut" })
            )
          )
        )
      },
      resolve: (claim, id) => (isAway ? Effect.fail(away) : memory.resolve(claim, id)),
      claim: (machine, owner) => (isAway ? Effect.fail(away) : memory.claim(machine, owner))
    }
  }
}

/** Another owner takes a machine, does something that changes no state, and goes. */
const another = (rows: MemoryMachines, { kind, text: address }: Address) => {
  const memory = memoryMachineStore(rows)
  return Effect.gen(function* () {
    const { claim, row } = yield* memory.claim({ tenant: "t", kind, address }, "other")
    if (row === undefined) return
    const moved = { id: "theirs", nextRevision: row.revision + 1, at: row.updatedAt }
    yield* memory.commit(claim, { ...row, ...moved, outgoing: [], seen: [], forgotten: [], facts: [] })
  }).pipe(Effect.orDie)
}

describe("an event that an action has sent, whose commit nobody knows anything of for some seconds", () => {
  it.effect.each([
    ["and that was written, is not taken again", true],
    ["and that was not written, is still to be taken", false]
  ] as const)("%s", ([, isWritten]) =>
    process(
      // The start, the signal, and then the event.
      { rows: new MemoryMachines(), store: unsureAt(3, isWritten) },
      Effect.gen(function* () {
        const kind = yield* tills
        const { ref } = yield* kind.start(TILL, { at: null })
        yield* ref.ask("go", { how: "later" }, host)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* kind.view(TILL))?.snapshot.context.charges, 1)
      })
    )
  )

  it.effect("and that another owner may have taken, is dropped: it goes on from what that one left", () => {
    const rows = new MemoryMachines()
    return process(
      { rows, store: unsureAt(3, true, another(rows, TILL)) },
      Effect.gen(function* () {
        const kind = yield* tills
        const { ref } = yield* kind.start(TILL, { at: null })
        yield* ref.ask("go", { how: "later" }, host)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* kind.view(TILL))?.snapshot.context.charges, 1)
        assert.strictEqual((yield* ref.ask("go", { how: "read" }, host)).charges, 1)
      })
    )
  })
})

describe("the end of an invoked Effect, whose commit nobody knows anything of", () => {
  it.effect("is taken where another owner has gone on without it", () => {
    const rows = new MemoryMachines()
    let runs = 0
    return process(
      { rows, store: unsureAt(2, false, another(rows, BOOK)) },
      Effect.gen(function* () {
        const kind = yield* parcels(() => Effect.sync(() => ++runs))
        yield* kind.start(BOOK, { name: "book" })
        yield* TestClock.adjust("1 minute")
        const view = yield* kind.view(BOOK)
        assert.deepStrictEqual([view?.snapshot.value, view?.snapshot.context.weight, runs], ["waiting", 1, 1])
      })
    )
  })
})

describe("a defect on the way to the store", () => {
  it.effect("is told to whoever waits for what was under way, and the machine goes on", () => {
    let commits = 0
    const store = (memory: MachineStore): Partial<MachineStore> => ({
      commit: (claim, commit) => {
        commits += 1
        return commits === 3 ? Effect.die(new Error("a defect in a client")) : memory.commit(claim, commit)
      }
    })
    return process(
      { rows: new MemoryMachines(), store },
      Effect.gen(function* () {
        const kind = yield* parcels()
        const { ref } = yield* kind.start(BOOK, { name: "book" })
        yield* settle
        const asked = yield* Effect.forkChild(Effect.flip(ref.ask("note", { text: "a" }, host)))
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(asked)
        assert.strictEqual(error._tag, "Unavailable")
        assert.include(error.message, "send it again, under the same request_id")
        assert.strictEqual(ref.unanswered, 0)
        assert.deepStrictEqual((yield* ref.ask("note", { text: "b" }, host)).notes, ["b"])
      })
    )
  })
})

describe("a context that is no plain JSON", () => {
  it.effect("is refused to who sent the signal, with where it is; so is a start", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const kind = yield* tills
        const started = yield* Effect.flip(kind.start(scopedAddress("till", "t", "2"), { at: new Map() }))
        assert.include(started.message, "The start of till/t/2 failed: snapshot.context.at is a Map")
        const { ref } = yield* kind.start(TILL, { at: null })
        const error = yield* Effect.flip(ref.ask("go", { how: "date" }, host))
        assert.strictEqual(error._tag, "InternalError")
        assert.include(error.message, "snapshot.context.at.day[0] is a Date")
        assert.match(error.message, /\(incident [0-9a-f-]{36}\)$/u)
        assert.strictEqual((yield* ref.ask("go", { how: "later" }, host)).charges, 0)
      })
    )
  )
})
