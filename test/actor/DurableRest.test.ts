/** Durable machines that only wait leave memory, and nobody who has to do with them notices. */
import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect } from "effect"
import { TestClock } from "effect/testing"
import { assign, setup } from "xstate"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durably } from "../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import type { MachineStore } from "../../src/actor/MachineStore.ts"
import type { Ended } from "../../src/actor/Watching.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, parcels, process, settle } from "./support/Node.ts"
import { addressOf, Note } from "./support/Parcel.ts"

const BOOK = addressOf("book")
const INPUT = { name: "book" }
const MINUTE = 60_000
const everywhere = () => true

const isHere = (text = BOOK.text) =>
  Effect.map(ActorSystem, (system) => system.entry(text)?.info.status === "running")

/** What a runtime does every few seconds. */
const look = Effect.gen(function* () {
  const machines = yield* DurableMachines
  yield* machines.recover(everywhere, { aheadMs: 6_000 })
  yield* machines.rest()
  yield* settle
})

/** Lets time pass as a runtime does. */
const pass = (ms: number) =>
  Effect.gen(function* () {
    for (let passed = 0; passed < ms; passed += 5_000) {
      yield* TestClock.adjust(5_000)
      yield* look
    }
  })

/** Minutes since the start of the test. */
const minutes = Effect.map(
  Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis),
  (ms) => ms / MINUTE
)

describe("a durable machine that waits", () => {
  it.effect(
    "leaves memory when it was idle for ten minutes, and comes back when somebody has something for it",
    () => {
      const claims = { count: 0 }
      const store = (memory: MachineStore): Partial<MachineStore> => ({
        claim: (machine, owner) => {
          claims.count += 1
          return memory.claim(machine, owner)
        }
      })
      return process(
        { rows: new MemoryMachines(), store },
        Effect.gen(function* () {
          const kind = yield* parcels()
          const { ref } = yield* kind.start(BOOK, INPUT)
          yield* pass(9 * MINUTE)
          assert.isTrue(yield* isHere())
          yield* pass(2 * MINUTE)
          assert.isFalse(yield* isHere())
          assert.strictEqual((yield* kind.view(BOOK))?.snapshot.value, "waiting", "its row says what it is")
          assert.strictEqual(claims.count, 1)
          const noted = yield* ref.ask("note", { text: "by an old handle" }, host)
          assert.deepStrictEqual(noted, { state: "waiting", notes: ["by an old handle"], weight: 1 })
          assert.strictEqual(claims.count, 2)
          yield* pass(9 * MINUTE)
          assert.isTrue(yield* isHere(), "who was asked something stays for as long again")
          yield* pass(2 * MINUTE)
          assert.isFalse(yield* isHere())
          const found = yield* kind.find(BOOK)
          assert.strictEqual(
            (yield* found?.ask("get_parcel", {}, host) ?? Effect.die("none")).notes.length,
            1
          )
          assert.isFalse((yield* kind.start(BOOK, INPUT)).isNew)
        })
      )
    }
  )

  it.effect(
    "is back before its moment, so that a delay is not late; and a start of the process leaves it where it is",
    () => {
      const rows = new MemoryMachines()
      return Effect.gen(function* () {
        yield* process(
          { rows },
          Effect.gen(function* () {
            yield* (yield* parcels()).start(BOOK, INPUT)
            yield* pass(20 * MINUTE)
            assert.isFalse(yield* isHere())
          })
        )
        assert.strictEqual(rows.rows()[0]?.wakesAt, 60 * MINUTE)
        yield* process(
          { rows },
          Effect.gen(function* () {
            yield* parcels()
            yield* look
            assert.isFalse(yield* isHere(), "nothing of it is under way")
            while ((yield* minutes) < 59.8) yield* pass(5_000)
            assert.isFalse(yield* isHere())
            yield* pass(5_000)
            assert.isTrue(yield* isHere())
            yield* TestClock.adjust(60 * MINUTE - (yield* minutes) * MINUTE)
            assert.strictEqual(rows.rows()[0]?.updatedAt, 60 * MINUTE)
            assert.strictEqual(rows.rows()[0]?.state, "shipped")
          })
        )
      })
    }
  )

  it.effect("stays while its moment is near, and while it works", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const kind = yield* parcels(({ input }) => (input.name === "slow" ? Effect.never : Effect.succeed(1)))
        yield* kind.start(BOOK, INPUT)
        yield* kind.start(addressOf("slow"), { name: "slow" })
        yield* TestClock.adjust(55 * MINUTE)
        yield* look
        assert.isTrue(yield* isHere())
        yield* pass(6 * MINUTE)
        assert.isTrue(yield* isHere(addressOf("slow").text))
      })
    )
  )

  it.effect("takes what comes while it leaves, once", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const kind = yield* parcels()
        const { ref } = yield* kind.start(BOOK, INPUT)
        yield* settle
        const machines = yield* DurableMachines
        assert.strictEqual(yield* machines.rest(0), 1)
        const noted = yield* Effect.forEach(
          ["a", "b"],
          (text) => ref.ask("note", { text, request_id: text } as never, host),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(noted.at(-1)?.notes, ["a", "b"])
        yield* settle
        assert.strictEqual(yield* machines.rest(0), 1)
        yield* settle
        assert.isFalse(yield* isHere())
        const again = yield* ref.ask("note", { text: "b", request_id: "b" } as never, host)
        assert.deepStrictEqual(again.notes, ["a", "b"])
      })
    )
  )

  it.effect("has not ended for who watches it; its end is told, also to who begins to watch later", () => {
    const told: Array<string> = []
    const watcher = (name: string) => (ended: Ended) => told.push(`${name}: ${ended.reason}`)
    return process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const kind = yield* parcels()
        const { ref } = yield* kind.start(BOOK, INPUT)
        system.watch(BOOK, watcher("before"))
        yield* pass(11 * MINUTE)
        assert.isFalse(yield* isHere())
        system.watch(BOOK, watcher("at rest"))
        yield* pass(11 * MINUTE)
        assert.deepStrictEqual([told, yield* isHere()], [[], false])
        yield* ref.ask("ship", {}, host)
        yield* pass(MINUTE)
        assert.deepStrictEqual(told.splice(0), ["before: stopped", "at rest: stopped"])
        system.watch(BOOK, watcher("afterwards"))
        system.watch(addressOf("never"), watcher("nobody"))
        yield* pass(MINUTE)
        assert.deepStrictEqual(told.toSorted(), ["afterwards: stopped", "nobody: stopped"])
        assert.isUndefined(yield* kind.find(addressOf("never")), "to look for somebody leaves nothing behind")
      })
    )
  })

  it.effect("stays for as long as its kind says", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        yield* (yield* parcels(undefined, { idleMs: Number.POSITIVE_INFINITY })).start(BOOK, INPUT)
        yield* pass(30 * MINUTE)
        assert.isTrue(yield* isHere())
      })
    )
  )
})

/** Asks a friend, who is away until noon; then it works. `leave`: what it does before it is away. */
const patient = (
  services: Context.Context<never>,
  until: number | null,
  runs: Array<string>,
  leave: Effect.Effect<void>
) => {
  const ask = durably(
    services,
    ({ key, input }: { readonly key: string; readonly input: { readonly until: number | null } }) =>
      Effect.gen(function* () {
        runs.push(key)
        const now = yield* Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)
        const waits = input.until === null ? Effect.never : Effect.sleep(Math.max(0, input.until - now))
        yield* Effect.onInterrupt(waits, () => leave)
        return runs.length
      }),
    { waitsUntil: ({ until }) => until ?? Number.POSITIVE_INFINITY }
  )
  const machine = setup({
    types: {
      context: {} as { readonly notes: ReadonlyArray<string>; readonly runs: number },
      events: {} as { readonly type: "note"; readonly text: string },
      input: {} as Record<string, never>
    },
    actors: { ask }
  }).createMachine({
    id: "patient",
    context: { notes: [], runs: 0 },
    initial: "asking",
    on: { note: { actions: assign({ notes: ({ context, event }) => [...context.notes, event.text] }) } },
    states: {
      asking: {
        invoke: {
          src: "ask",
          id: "ask",
          input: { until },
          onDone: { target: "told", actions: assign({ runs: ({ event }) => event.output }) }
        }
      },
      told: {}
    }
  })
  return durableMachine({
    kind: "patient",
    machine,
    version: "1",
    protocol: protocol(Note),
    signals: {
      note: {
        event: ({ text }) => ({ type: "note", text }) as const,
        answer: ({ snapshot }) => ({
          state: String(snapshot.value),
          notes: snapshot.context.notes,
          weight: 0
        })
      }
    }
  })
}

const patients = (until: number | null, runs: Array<string> = [], leave: Effect.Effect<void> = Effect.void) =>
  Effect.flatMap(DurableMachines, (machines) =>
    Effect.flatMap(Effect.context<never>(), (services) =>
      machines.register(patient(services, until, runs, leave))
    )
  )

describe("an Effect that says until when it only waits", () => {
  const address = scopedAddress("patient", "t", "1")

  it.effect("lets its machine leave memory; it is run again under its key, when the machine is back", () => {
    const rows = new MemoryMachines()
    const runs: Array<string> = []
    return Effect.gen(function* () {
      yield* process(
        { rows },
        Effect.gen(function* () {
          const kind = yield* patients(60 * MINUTE, runs)
          const { ref } = yield* kind.start(address, {})
          yield* pass(11 * MINUTE)
          assert.isFalse(yield* isHere(address.text))
          assert.strictEqual(rows.rows()[0]?.wakesAt, 60 * MINUTE)
          yield* ref.ask("note", { text: "a" }, host)
          assert.deepStrictEqual(runs, ["patient/t/1:ask:1", "patient/t/1:ask:1"])
          yield* pass(11 * MINUTE)
          assert.isFalse(yield* isHere(address.text))
        })
      )
      yield* process(
        { rows },
        Effect.gen(function* () {
          yield* patients(60 * MINUTE, runs)
          yield* look
          assert.isFalse(yield* isHere(address.text), "it waits, and need not be there")
          while ((yield* minutes) < 60) yield* pass(5_000)
          assert.strictEqual(runs.length, 3)
          assert.strictEqual(rows.rows()[0]?.state, "told")
          assert.isNull(rows.rows()[0]?.wakesAt)
        })
      )
    })
  })

  it.effect("for good: only a signal brings it back", () => {
    const rows = new MemoryMachines()
    return process(
      { rows },
      Effect.gen(function* () {
        const kind = yield* patients(null)
        yield* kind.start(address, {})
        assert.isNull(rows.rows()[0]?.wakesAt)
        yield* pass(11 * MINUTE)
        assert.isFalse(yield* isHere(address.text))
      })
    )
  })
})

describe("a durable machine that is leaving memory", () => {
  const address = scopedAddress("patient", "t", "1")
  const LEAVE_MS = 500

  /** It takes half a second to leave, once, and does so now. */
  const leaving = Effect.gen(function* () {
    const runs: Array<string> = []
    let isFirst = true
    const leave = Effect.suspend(() => {
      const takes = isFirst ? Effect.sleep(LEAVE_MS) : Effect.void
      isFirst = false
      return takes
    })
    const kind = yield* patients(null, runs, leave)
    yield* kind.start(address, {})
    yield* settle
    const machines = yield* DurableMachines
    assert.strictEqual(yield* machines.rest(0), 1)
    yield* settle
    const woken = yield* Effect.forkChild(kind.wake(address), { startImmediately: true })
    yield* settle
    assert.isUndefined(woken.pollUnsafe(), "who brings it back waits until it has left")
    return { woken, machines, runs }
  })

  it.effect("is brought back when it has left, although nobody has a signal for it", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const { woken, runs } = yield* leaving
        yield* TestClock.adjust(LEAVE_MS)
        yield* settle
        assert.isDefined(woken.pollUnsafe())
        assert.isTrue(yield* isHere(address.text))
        assert.lengthOf(runs, 2)
      })
    )
  )

  it.effect("is not brought back where it lives elsewhere when it has left", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const { woken, machines, runs } = yield* leaving
        machines.place({ isMine: () => false })
        yield* TestClock.adjust(LEAVE_MS)
        yield* settle
        assert.isDefined(woken.pollUnsafe())
        assert.isFalse(yield* isHere(address.text))
        assert.lengthOf(runs, 1)
      })
    )
  )
})
