/** A durable machine that has ended stays as it ended, whatever its code has become since. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { createMachine } from "xstate"
import type { DurableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, parcels, process, settle } from "./support/Node.ts"
import {
  addressOf,
  type ParcelContext,
  type ParcelMachine,
  type parcelProtocol,
  type Weigh
} from "./support/Parcel.ts"

const BOOK = addressOf("book")
type Fields = Partial<DurableMachine<ParcelMachine, typeof parcelProtocol>>

/** What a parcel leaves that was shipped, or that failed while it was weighed. */
const left = (rows: MemoryMachines, how: "done" | "failed") =>
  process(
    { rows },
    Effect.gen(function* () {
      const kind = yield* parcels(() => Effect.succeed(3))
      const { ref } = yield* kind.start(BOOK, { name: "book" })
      yield* settle
      if (how === "done") yield* ref.ask("ship", {}, host)
      yield* settle
      const row = rows.heads.get(BOOK.text)?.row
      if (row !== undefined && how === "failed") {
        const { snapshot, ...kept } = JSON.parse(row.snapshot)
        const failed = { ...snapshot, status: "error", value: "weighing", error: "the scale broke" }
        const head = rows.heads.get(BOOK.text)
        if (head !== undefined)
          head.row = {
            ...row,
            status: "failed",
            reason: "the scale broke",
            wakesAt: null,
            snapshot: JSON.stringify({ ...kept, snapshot: failed })
          }
      }
    })
  )

/** Every way in which somebody may come to it, and whether any of them has changed the row. */
const lookedAt = (rows: MemoryMachines, fields: Fields, weigh?: Weigh) => {
  const before = rows.rows()[0]
  return process(
    { rows },
    Effect.gen(function* () {
      const machines = yield* DurableMachines
      const kind = yield* parcels(weigh, fields)
      yield* machines.recover(() => true)
      const view = yield* kind.view(BOOK)
      const ref = yield* kind.find(BOOK)
      if (ref === undefined) return yield* Effect.die("it is not found")
      const read = yield* ref.ask("get_parcel", {}, host)
      const told = yield* Effect.flip(ref.ask("note", { text: "a" }, host))
      const { isNew } = yield* kind.start(BOOK, { name: "another" })
      yield* machines.restart(BOOK)
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(rows.rows()[0], before, "its row stays")
      return { view, read, told, isNew }
    })
  )
}

const identity: Fields["migrate"] = ({ value, context }) => ({
  value: value as never,
  context: context as never
})

describe("a durable machine of an older version that has ended", () => {
  it.effect("failed: it does not run again what it had invoked, whatever the migration says", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* left(rows, "failed")
      let runs = 0
      const weigh = () => Effect.sync(() => ++runs)
      const { view, told, isNew } = yield* lookedAt(rows, { version: "2", migrate: identity }, weigh)
      assert.deepStrictEqual([view?.status, view?.reason], ["failed", "the scale broke"])
      assert.strictEqual(view?.snapshot.status, "error")
      assert.deepStrictEqual([told._tag, isNew, runs], ["NotFound", false, 0])
      assert.include(told.message, "has ended (failed, because the scale broke)")
    })
  )

  it.effect("done: its output and its state are there, without a migration, too", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* left(rows, "done")
      const { view, read, told } = yield* lookedAt(rows, { version: "2" })
      assert.deepStrictEqual([view?.status, view?.snapshot.output], ["done", { weight: 3 }])
      assert.deepStrictEqual(read, { state: "shipped", notes: [], weight: 3 })
      assert.include(told.message, "has ended (done)")
    })
  )

  it.effect(
    "its context is read as the new version's rules know it; a migration that throws changes nothing",
    () =>
      Effect.gen(function* () {
        const rows = new MemoryMachines()
        yield* left(rows, "done")
        const migrate: Fields["migrate"] = ({ context }) => ({
          value: "waiting",
          context: { ...(context as unknown as ParcelContext), notes: ["migrated"] }
        })
        const { view, read } = yield* lookedAt(rows, { version: "2", migrate })
        assert.deepStrictEqual([view?.status, view?.snapshot.output], ["done", { weight: 3 }])
        assert.deepStrictEqual([read.state, read.notes], ["shipped", ["migrated"]])
        const throws = () => {
          throw new Error("it knows no such state")
        }
        assert.strictEqual((yield* lookedAt(rows, { version: "3", migrate: throws })).read.weight, 3)
      })
  )

  it.effect.each([
    ["in another version", "2"],
    ["without another version", "1"]
  ])("in a state that the machine has no more, %s", ([, version]) =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* left(rows, "done")
      const machine = createMachine({ initial: "new", states: { new: {} } }) as unknown as ParcelMachine
      const { view, read } = yield* lookedAt(rows, { version: version ?? "", machine })
      assert.deepStrictEqual([view?.status, read.state, read.weight], ["done", "shipped", 3])
      assert.isFalse(view?.snapshot.hasTag("open"))
    })
  )

  it.effect("that cannot be read at all: its row stays, and who asks is told", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* left(rows, "done")
      const head = rows.heads.get(BOOK.text)
      if (head?.row !== undefined) head.row = { ...head.row, snapshot: "{" }
      const before = rows.rows()[0]
      yield* process(
        { rows },
        Effect.gen(function* () {
          const kind = yield* parcels()
          const ref = yield* kind.find(BOOK)
          const asked = yield* Effect.flip(ref?.ask("get_parcel", {}, host) ?? Effect.die("it is not found"))
          assert.include(asked.message, "it has ended, and cannot be read")
          assert.deepStrictEqual(rows.rows()[0], before)
        })
      )
    })
  )
})
