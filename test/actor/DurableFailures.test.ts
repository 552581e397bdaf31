import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { standsStill } from "../../src/actor/DurableEnvironment.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { MachineNotWritten, MachineRefused, type MachineStore } from "../../src/actor/MachineStore.ts"
import { NotFound, type SignalError, Unavailable } from "../../src/signal/Errors.ts"
import { MemoryMachines, memoryMachineStore } from "../../src/store/MemoryMachineStore.ts"
import { host, parcels, process, settle } from "./support/Node.ts"
import { addressOf, type ParcelContext } from "./support/Parcel.ts"

const BOOK = addressOf("book")

/** A parcel that has been weighed. */
const opened = Effect.fnUntraced(function* (...given: Parameters<typeof parcels>) {
  const kind = yield* parcels(...given)
  const { ref } = yield* kind.start(BOOK, { name: "book" })
  yield* settle
  return { kind, ref }
})

describe("a durable machine whose store is in trouble", () => {
  it.effect("away: those who wait are told in bounded time, and sent again it is taken once", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const memory = memoryMachineStore(rows)
      let isAway = false
      const commit: MachineStore["commit"] = (claim, written) =>
        isAway
          ? Effect.fail(new MachineNotWritten({ address: BOOK.text, message: "away" }))
          : memory.commit(claim, written)
      yield* process(
        { rows, store: () => ({ commit }) },
        Effect.gen(function* () {
          const { ref } = yield* opened()
          isAway = true
          const note = { text: "fragile", request_id: "r1" }
          const asked = yield* Effect.forkChild(Effect.flip(ref.ask("note", note, host)), {
            startImmediately: true
          })
          yield* TestClock.adjust("6 seconds")
          assert.strictEqual((yield* Fiber.join(asked))._tag, "Unavailable")
          isAway = false
          yield* TestClock.adjust("6 seconds")
          yield* ref.ask("note", note, host)
          const { notes } = yield* ref.ask("note", note, host)
          assert.deepStrictEqual(notes, ["fragile"])
        })
      )
    })
  )

  it.effect("fenced: it stops and says so, having done nothing", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      let isDone = false
      yield* process(
        { rows },
        Effect.gen(function* () {
          const { ref } = yield* opened(undefined, {}, () => (isDone = true))
          yield* memoryMachineStore(rows).claim({ tenant: "t", kind: "parcel", address: BOOK.text }, "other")
          const revision = rows.rows()[0]?.revision
          const read = yield* Effect.flip(ref.ask("get_parcel", {}, host))
          assert.include(read.message, "has gone on elsewhere")
          yield* settle
          assert.isUndefined((yield* ActorSystem).find(BOOK, ref.protocol))
          assert.deepStrictEqual([rows.rows()[0]?.revision, isDone], [revision, false])
        })
      )
    })
  )

  it.effect("what the store never takes is refused to the one who sent it, alone", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const memory = memoryMachineStore(rows)
      const commit: MachineStore["commit"] = (claim, written) =>
        written.snapshot.includes("too large")
          ? Effect.fail(new MachineRefused({ address: BOOK.text, message: "a value is too large" }))
          : memory.commit(claim, written)
      yield* process(
        { rows, store: () => ({ commit }) },
        Effect.gen(function* () {
          const { ref } = yield* opened()
          const results = yield* Effect.forEach(
            ["a", "too large", "b"],
            (text) => Effect.exit(ref.ask("note", { text }, host)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(
            results.map(({ _tag }) => _tag),
            ["Success", "Failure", "Success"]
          )
          assert.deepStrictEqual((yield* ref.ask("get_parcel", {}, host)).notes, ["a", "b"])
        })
      )
    })
  )
})

describe("a durable machine whose rules throw", () => {
  it.effect("on a signal: its sender is told the incident, and the machine goes on", () =>
    Effect.gen(function* () {
      yield* process(
        { rows: new MemoryMachines() },
        Effect.gen(function* () {
          const { ref } = yield* opened()
          assert.strictEqual(
            (yield* Effect.flip(ref.ask("note", { text: "poison" }, host)))._tag,
            "InternalError"
          )
          assert.deepStrictEqual((yield* ref.ask("note", { text: "b" }, host)).notes, ["b"])
        })
      )
    })
  )

  it.effect("on what it invoked itself: it parks and says why, until the right code starts it again", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      let runs = 0
      const strange = () => Effect.sync(() => new Map([[++runs, 1]]) as unknown as number)
      yield* process(
        { rows },
        Effect.gen(function* () {
          const { kind, ref } = yield* opened(strange)
          const reason = "the end of weigh could not be taken: the output of weigh is a Map"
          const [row] = rows.rows()
          assert.strictEqual(row?.status, "parked")
          assert.include(row?.reason ?? "", reason)
          const refusal = yield* Effect.flip(ref.ask("note", { text: "a" }, host))
          assert.deepInclude(refusal, { _tag: "Conflict", reason: "machine_parked" })
          assert.match(refusal.message, /is parked: .*Waiting does not help.*restart_actor/u)
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(runs, 1)
          const entry = (yield* ActorSystem).entry(BOOK.text)
          assert.strictEqual(entry?.info.state, "parked")
          assert.strictEqual(entry?.insight().context.status, "parked")
          assert.strictEqual((yield* kind.view(BOOK))?.status, "parked")
        })
      )
      yield* process(
        { rows },
        Effect.gen(function* () {
          const kind = yield* parcels(() => Effect.succeed(2))
          yield* (yield* DurableMachines).recover(() => true)
          yield* settle
          const view = yield* kind.view(BOOK)
          assert.deepStrictEqual([view?.status, view?.snapshot.context.weight], ["active", 2])
        })
      )
    })
  )

  it.effect("what an Effect fails with comes to the machine as plain JSON", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* process(
        { rows },
        Effect.gen(function* () {
          const { kind } = yield* opened(() =>
            Effect.fail(new Unavailable({ message: "no scales", retry_after_ms: 1 }))
          )
          assert.strictEqual((yield* kind.view(BOOK))?.snapshot.context.failure, "no scales")
        })
      )
    })
  )

  it.effect("leaving a state interrupts what it invoked, and its end is not waited for", () =>
    Effect.gen(function* () {
      let interrupted = 0
      yield* process(
        { rows: new MemoryMachines() },
        Effect.gen(function* () {
          const { kind, ref } = yield* opened(() =>
            Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted += 1)))
          )
          yield* ref.ask("cancel", {}, host)
          yield* settle
          assert.deepStrictEqual([interrupted, (yield* kind.view(BOOK))?.status], [1, "done"])
          yield* TestClock.adjust("11 seconds")
          assert.isUndefined((yield* ActorSystem).find(BOOK, ref.protocol))
          const again = yield* kind.find(BOOK)
          const late = yield* Effect.flip(again?.ask("note", { text: "late" }, host) ?? Effect.void)
          assert.strictEqual((late as NotFound)._tag, "NotFound")
        })
      )
    })
  )
})

describe("a snapshot of another version", () => {
  const left = Effect.fnUntraced(function* (rows: MemoryMachines) {
    yield* process(
      { rows },
      Effect.gen(function* () {
        yield* opened()
        yield* TestClock.adjust("10 minutes")
      })
    )
  })

  it.effect("without a migration parks the actor, which says so, and loses nothing", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* left(rows)
      const { snapshot } = rows.rows()[0] ?? {}
      yield* process(
        { rows },
        Effect.gen(function* () {
          const kind = yield* parcels(undefined, { version: "2" })
          const ref = yield* kind.find(BOOK)
          const refused = yield* Effect.flip(ref?.ask("get_parcel", {}, host) ?? Effect.void)
          const why = "it was left by version 1, and this is version 2, which has no migration from it"
          assert.include((refused as SignalError).message, why)
          assert.include((refused as SignalError).message, "give durableMachine a `migrate`")
          assert.deepStrictEqual(yield* Effect.flip(kind.view(BOOK)), refused)
          assert.strictEqual((yield* ActorSystem).entry(BOOK.text)?.info.state, "parked")
          assert.deepStrictEqual([rows.rows()[0]?.status, rows.rows()[0]?.snapshot], ["parked", snapshot])
        })
      )
      yield* process(
        { rows },
        Effect.gen(function* () {
          const kind = yield* parcels()
          yield* (yield* DurableMachines).recover(() => true)
          assert.strictEqual((yield* kind.view(BOOK))?.status, "active")
        })
      )
    })
  )

  it.effect("is migrated by the declared function: what the state waits for goes on", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* left(rows)
      yield* process(
        { rows },
        Effect.gen(function* () {
          const kind = yield* parcels(undefined, {
            version: "2",
            migrate: ({ version, value, context }) => {
              assert.deepStrictEqual([version, value], ["1", "waiting"])
              return {
                value: "waiting",
                context: { ...(context as unknown as ParcelContext), name: "renamed" }
              }
            }
          })
          yield* (yield* DurableMachines).recover(() => true)
          yield* kind.find(BOOK)
          yield* settle
          const view = yield* kind.view(BOOK)
          assert.deepStrictEqual([view?.snapshot.context.name, rows.rows()[0]?.version], ["renamed", "2"])
          yield* TestClock.adjust("49 minutes")
          assert.strictEqual((yield* kind.view(BOOK))?.status, "active")
          yield* TestClock.adjust("2 minutes")
          assert.strictEqual((yield* kind.view(BOOK))?.status, "done")
        })
      )
    })
  )

  it.effect("put into another state begins there: what that state invokes is started under a new key", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* left(rows)
      const keys: Array<string> = []
      yield* process(
        { rows },
        Effect.gen(function* () {
          const kind = yield* parcels(
            ({ key }) =>
              Effect.as(
                Effect.sync(() => keys.push(key)),
                9
              ),
            {
              version: "2",
              migrate: ({ context }) => ({ value: "weighing", context: context as never })
            }
          )
          yield* kind.find(BOOK)
          yield* settle
          assert.strictEqual((yield* kind.view(BOOK))?.snapshot.context.weight, 9)
        })
      )
      assert.deepStrictEqual(keys, ["parcel/t/book:weigh:3"])
    })
  )
})

describe("what a durable machine sends", () => {
  it.effect(
    "is sent again until it is answered, and becomes a dead letter where it is refused for good",
    () =>
      Effect.gen(function* () {
        const rows = new MemoryMachines()
        const tried: Array<number> = []
        const answers: Array<Effect.Effect<void, SignalError>> = [
          Effect.fail(new Unavailable({ message: "later", retry_after_ms: 1 })),
          Effect.fail(standsStill("depot/t/main", "its code has changed")),
          Effect.never,
          Effect.fail(new NotFound({ kind: "depot", id: "main", message: "there is no depot" }))
        ]
        yield* process(
          { rows, deliver: ({ seq }) => Effect.suspend(() => answers[tried.push(seq) - 1] ?? Effect.void) },
          Effect.gen(function* () {
            const { ref } = yield* opened()
            yield* ref.ask("ship", {}, host)
            yield* TestClock.adjust("20 seconds")
            assert.isTrue(rows.owes(BOOK.text))
            yield* TestClock.adjust("20 seconds")
            assert.deepStrictEqual(tried, [1, 1, 1, 1])
            assert.isFalse(rows.owes(BOOK.text))
            const [letter] = (yield* ActorSystem).deadLetters.newest(1)
            assert.deepStrictEqual([letter?.address, letter?.signal], ["depot/t/main", "arrived"])
            assert.include(letter?.why ?? "", "there is no depot")
          })
        )
      })
  )
})
