/** Child machines of durable machines: what they keep, send, run and wait for, and what is shown of them. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type AnyStateMachine, createMachine, fromCallback, sendTo, setup, spawnChild } from "xstate"
import { ActorSystem, layer as actorLayer } from "../../src/actor/ActorSystem.ts"
import { durably } from "../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines, layer as machinesLayer } from "../../src/actor/DurableMachines.ts"
import { stateFrom } from "../../src/actor/DurableState.ts"
import { MachineStore, type OutgoingSignal } from "../../src/actor/MachineStore.ts"
import { SignalDelivery } from "../../src/actor/SignalDelivery.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { MemoryMachines, memoryMachineStore } from "../../src/store/MemoryMachineStore.ts"
import { type Cook, orderAddress, orderMachine, orderOf } from "./support/Kitchen.ts"

const host = installationPrincipal("t", "host")
const settle = TestClock.adjust("1 millis")
const ORDER = orderAddress("1")

/** One life of a process over rows that outlive it. */
const process = <A, E>(
  rows: MemoryMachines,
  body: Effect.Effect<A, E, DurableMachines | ActorSystem>,
  arrived: Array<OutgoingSignal> = []
) =>
  Effect.scoped(
    Effect.provide(
      body,
      machinesLayer.pipe(
        Layer.provideMerge(actorLayer),
        Layer.provide(Layer.succeed(MachineStore, memoryMachineStore(rows))),
        Layer.provide(
          Layer.succeed(SignalDelivery, {
            deliver: (_principal, outgoing) => Effect.sync(() => void arrived.push(outgoing))
          })
        )
      )
    )
  )

const kindOf = (cook: Cook = () => Effect.succeed(200), fields: Parameters<typeof orderOf>[1] = {}) =>
  Effect.flatMap(DurableMachines, (machines) => machines.register(orderOf(orderMachine(cook), fields)))

const started = (cook?: Cook) =>
  Effect.gen(function* () {
    const kind = yield* kindOf(cook)
    return (yield* kind.start(ORDER, {})).ref
  })

const found = (cook?: Cook) =>
  Effect.gen(function* () {
    const kind = yield* kindOf(cook)
    yield* (yield* DurableMachines).recover(() => true)
    const ref = yield* kind.find(ORDER)
    if (ref === undefined) throw new Error("the order is gone")
    return ref
  })

const shown = Effect.map(ActorSystem, (system) =>
  system
    .entries()
    .map(({ info, insight }) => ({
      at: info.address,
      parent: info.parent,
      state: info.state,
      tags: insight().tags ?? []
    }))
    .sort((one, other) => one.at.localeCompare(other.at))
)

const stateOf = (rows: MemoryMachines) => {
  const [row] = rows.rows()
  if (row === undefined) throw new Error("nothing is kept")
  return stateFrom(row.snapshot, row.revision)
}

describe("the child machines of a durable machine", () => {
  it.effect("live in its snapshot: one process after the other goes on from where they are", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const arrived: Array<OutgoingSignal> = []
      const keys: Array<string> = []
      const cook =
        (heat: number | undefined): Cook =>
        ({ key, id, address }) =>
          Effect.suspend(() => {
            keys.push(key)
            assert.deepStrictEqual([id, address.text], ["cook", ORDER.text])
            return heat === undefined ? Effect.never : Effect.succeed(heat)
          })
      const first = Effect.gen(function* () {
        const ref = yield* started(cook(undefined))
        yield* ref.ask("order", { dish: "soup" }, host)
        yield* ref.ask("salt", { dish: "soup" }, host)
        yield* ref.ask("order", { dish: "fish/2" }, host)
        yield* TestClock.adjust("9 seconds")
        assert.deepStrictEqual(keys, [])
      })
      yield* process(rows, first, arrived)
      // The ovens' ten seconds are moments in the store.
      const second = Effect.gen(function* () {
        yield* found(cook(undefined))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(keys.length, 2)
      })
      yield* process(rows, second, arrived)
      const third = Effect.gen(function* () {
        const ref = yield* found(cook(180))
        yield* TestClock.adjust("59 seconds")
        assert.deepStrictEqual((yield* ref.ask("get_order", {}, host)).served, [])
        yield* TestClock.adjust("2 seconds")
        const { served, heard } = yield* ref.ask("get_order", {}, host)
        assert.deepStrictEqual(served, ["soup 1 180", "fish/2 0 180"])
        assert.deepStrictEqual(heard, ["said", "soup is salted", "said"])
      })
      yield* process(rows, third, arrived)
      // Each was run by two processes, under one key that says where it is.
      assert.deepStrictEqual(keys.slice(2).toSorted(), keys.slice(0, 2).toSorted())
      assert.match(keys.join(" "), /order\/t\/1:soup\/cook:\d+ .*order\/t\/1:fish%2f2\/cook:\d+/u)
      assert.deepStrictEqual(arrived, [
        {
          ...{ seq: 1, to: "waiter/t/1", signal: "served" },
          params: { dish: "soup", request_id: "order/t/1#1/soup" }
        },
        {
          ...{ seq: 2, to: "waiter/t/1", signal: "served" },
          params: { dish: "fish/2", request_id: "order/t/1#2/fish%2f2" }
        }
      ])
      assert.deepStrictEqual(
        rows.feedOf("t").facts.map(({ kind, body }) => [kind, body]),
        [["salted", { dish: "soup" }]]
      )
      assert.deepStrictEqual(stateOf(rows).machines, {})
      assert.deepStrictEqual(stateOf(rows).timers, [])
    })
  )

  it.effect("are child actors, as they were committed", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const dish = (at: string, state: string) => ({ at, parent: ORDER.text, state, tags: [] })
      const oven = (of: string, state: string, tags: ReadonlyArray<string> = []) => ({
        ...{ at: `${of}/oven`, parent: of, state, tags }
      })
      const soup = `${ORDER.text}/soup`
      const fish = `${ORDER.text}/fish_2`
      yield* process(
        rows,
        Effect.gen(function* () {
          const ref = yield* started(() => Effect.never)
          yield* ref.ask("order", { dish: "soup" }, host)
          yield* ref.ask("order", { dish: "fish/2" }, host)
          yield* TestClock.adjust("5 seconds")
          const [, ...children] = yield* shown
          assert.deepStrictEqual(children, [
            ...[dish(fish, "waiting"), oven(fish, "cold")],
            ...[dish(soup, "waiting"), oven(soup, "cold")]
          ])
          yield* ref.ask("cancel", { dish: "fish/2" }, host)
          yield* TestClock.adjust("6 seconds")
          assert.deepStrictEqual((yield* shown).slice(1), [
            dish(soup, "cooking"),
            oven(soup, "hot", ["dangerous"])
          ])
        })
      )
      yield* process(
        rows,
        Effect.gen(function* () {
          yield* found(() => Effect.succeed(1))
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual((yield* shown).slice(1), [dish(soup, "resting")], "the oven is off")
          yield* TestClock.adjust("60 seconds")
          assert.deepStrictEqual((yield* shown).slice(1), [])
        })
      )
    })
  )

  it.effect("whoever stops such an actor has ended the child, and its parent's onError says so", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      yield* process(
        rows,
        Effect.gen(function* () {
          const ref = yield* started()
          yield* ref.ask("order", { dish: "soup" }, host)
          yield* settle
          const system = yield* ActorSystem
          const soup = system.entry(`${ORDER.text}/soup`)
          yield* system.stop(soup?.address ?? ORDER)
          yield* settle
          const { spoilt } = yield* ref.ask("get_order", {}, host)
          assert.deepStrictEqual(spoilt, ["order/t/1: its child soup was stopped"])
          yield* TestClock.adjust("2 minutes")
          assert.strictEqual((yield* shown).length, 1)
          assert.deepStrictEqual(stateOf(rows).timers, [])
        })
      )
      // Who stops the machine itself has ended nothing.
      yield* process(
        rows,
        Effect.gen(function* () {
          const ref = yield* found(() => Effect.never)
          yield* ref.ask("order", { dish: "fish" }, host)
          yield* settle
          yield* (yield* ActorSystem).stop(ORDER)
          yield* settle
        })
      )
      assert.deepStrictEqual(Object.keys(stateOf(rows).machines), ["fish", "fish/oven"])
    })
  )

  it.effect(
    "that fail are their parent's to handle; nothing of the event that they failed on has happened",
    () =>
      Effect.gen(function* () {
        const rows = new MemoryMachines()
        yield* process(
          rows,
          Effect.gen(function* () {
            const ref = yield* started()
            yield* ref.ask("order", { dish: "soup" }, host)
            for (const _ of [1, 2, 3]) yield* ref.ask("salt", { dish: "soup" }, host)
            const { spoilt, heard, count } = yield* ref.ask("get_order", {}, host)
            assert.deepStrictEqual(spoilt, ["too salty"])
            assert.deepStrictEqual(heard, ["said", "soup is salted", "soup is salted"])
            assert.strictEqual(count, 1, "it stays among the children until it is stopped")
            yield* settle
            assert.strictEqual((yield* shown).length, 1, "its oven has ended with it")
            // What is sent to who has ended is dropped, as XState has it.
            yield* ref.ask("salt", { dish: "soup" }, host)
            // Who is not there at all is a rule that throws.
            const failure = yield* Effect.flip(ref.ask("salt", { dish: "cake" }, host))
            assert.strictEqual(failure._tag, "InternalError")
            yield* ref.ask("cancel", { dish: "soup" }, host)
            assert.strictEqual((yield* ref.ask("order", { dish: "soup" }, host)).count, 1)
          })
        )
        assert.strictEqual(rows.feedOf("t").facts.length, 2)
      })
  )

  it.effect("another one in the place of one that has ended is another one, and gets nothing of it", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const keys: Array<string> = []
      const cook: Cook = ({ key }) => {
        keys.push(key)
        return Effect.never
      }
      yield* process(
        rows,
        Effect.gen(function* () {
          const ref = yield* started(cook)
          yield* ref.ask("order", { dish: "soup" }, host)
          yield* TestClock.adjust("6 seconds")
          yield* ref.ask("cancel", { dish: "soup" }, host)
          yield* ref.ask("order", { dish: "soup" }, host)
          yield* TestClock.adjust("6 seconds")
          assert.deepStrictEqual(keys, [], "the first oven's ten seconds are not the second's")
          yield* TestClock.adjust("6 seconds")
          yield* ref.ask("cancel", { dish: "soup" }, host)
          yield* ref.ask("order", { dish: "soup" }, host)
          yield* TestClock.adjust("12 seconds")
          assert.strictEqual(new Set(keys).size, 2)
        })
      )
    })
  )
})

const nothing = protocol()
const durable = (machine: AnyStateMachine) =>
  durableMachine({ kind: "strange", machine, version: "1", protocol: nothing, signals: {} })

describe("what cannot be a part of a durable machine is refused when it is declared", () => {
  const listens = setup({ actors: { listen: fromCallback(() => undefined) } }).createMachine({
    id: "listens",
    invoke: { src: "listen" }
  })
  const plainChild = setup({}).createMachine({ id: "plain" })

  it("a callback, also in a child of a child", () => {
    assert.throws(() => durable(listens), /strange has the actor "listen", which is no machine, no Effect/u)
    const parent = setup({ actors: { listens } }).createMachine({ id: "p", invoke: { src: "listens" } })
    const above = createMachine({ id: "above", invoke: { src: parent } })
    assert.throws(() => durable(above), /strange › p › listens has the actor "listen"/u)
  })

  it("logic that is spawned without a name, and a name that nobody provides", () => {
    const spawns = setup({}).createMachine({ entry: spawnChild(plainChild as never) as never })
    assert.throws(() => durable(spawns), /spawns logic that has no name/u)
    const names = setup({ actors: {} as { gone: typeof plainChild } }).createMachine({
      invoke: { src: "gone" }
    })
    assert.throws(() => durable(names), /names the actor "gone"/u)
  })

  it("more machines in each other than there may be", () => {
    let machine: AnyStateMachine = plainChild
    for (let depth = 0; depth < 8; depth++)
      machine = createMachine({ id: `m${depth}`, invoke: { src: machine } })
    durable(machine)
    const deeper = createMachine({ invoke: { src: machine } })
    assert.throws(() => durable(deeper), /more than 8 machines deep/u)
  })
})

describe("what only shows when it is done", () => {
  it.effect(
    "200 child machines are the bound: one more is refused, and nothing of that signal has happened",
    () =>
      Effect.gen(function* () {
        const rows = new MemoryMachines()
        yield* process(
          rows,
          Effect.gen(function* () {
            const ref = yield* started(() => Effect.never)
            // Each has an oven.
            for (let count = 1; count <= 100; count++) yield* ref.ask("order", { dish: `d${count}` }, host)
            const failure = yield* Effect.flip(ref.ask("order", { dish: "more" }, host))
            assert.strictEqual(failure._tag, "InternalError")
            assert.strictEqual((yield* ref.ask("get_order", {}, host)).count, 100)
          })
        )
      })
  )

  it.effect("an Effect takes no events, and what sends it one is refused", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const machine = setup({
        actors: { wait: durably(Context.empty(), () => Effect.never) }
      }).createMachine({ invoke: { src: "wait", id: "wait" }, entry: sendTo("wait", { type: "HURRY" }) })
      yield* process(
        rows,
        Effect.gen(function* () {
          const machines = yield* DurableMachines
          const kind = yield* machines.register(durable(machine))
          const address = { kind: "strange", tenant: "t", text: "strange/t/1" }
          assert.strictEqual(
            (yield* Effect.flip(kind.start(address, undefined as never)))._tag,
            "InternalError"
          )
          assert.deepStrictEqual(rows.rows(), [])
        })
      )
    })
  )
})
