/** Steps of machines with child machines, without actors, store and clock: what XState promises holds from row to row. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import {
  type AnyStateMachine,
  assign,
  cancel,
  createMachine,
  type EventObject,
  emit,
  fromTransition,
  log,
  raise,
  sendParent,
  sendTo,
  setup
} from "xstate"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durably, signalTo, tell } from "../../src/actor/DurableLogic.ts"
import type { DurableMachine, OldSnapshot } from "../../src/actor/DurableMachine.ts"
import { readingOf } from "../../src/actor/DurableReading.ts"
import {
  type DurableState,
  machineSnapshot,
  nextTimer,
  type PersistedChild,
  stateFrom,
  textOf
} from "../../src/actor/DurableState.ts"
import {
  begin,
  deliverLate,
  end,
  fire,
  type LateEvent,
  type Stepped,
  step
} from "../../src/actor/DurableStep.ts"
import type { MachineRow } from "../../src/actor/MachineStore.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"

const address = scopedAddress("m", "t", "1")

/** A machine that is read anew before each step, as another process would. */
class Kept {
  readonly #machine: AnyStateMachine
  readonly late: Array<LateEvent> = []
  now = 0
  last: Stepped

  constructor(machine: AnyStateMachine, input?: unknown) {
    this.#machine = machine
    this.last = begin(this.#context, input)
  }

  get #context() {
    const sendLate = (late: LateEvent) => void this.late.push(late)
    return { machine: this.#machine, address, now: this.now, sendLate }
  }

  get state(): DurableState {
    const { state } = this.last
    return stateFrom(textOf(state), state.revision)
  }

  get context(): unknown {
    return this.state.snapshot.context
  }

  send(event: EventObject): this {
    this.last = step(this.#context, this.state, event)
    return this
  }

  end(id: string, output: unknown): this {
    const revision = this.state.invocations[id]?.revision ?? 0
    this.last = end(this.#context, this.state, { id, revision, output })
    return this
  }

  /** Runs the actions of the last step, and takes what they have sent. */
  runActions(): this {
    for (const action of this.last.actions) action()
    for (const late of this.late.splice(0)) {
      const { state } = this
      this.last = deliverLate(this.#context, state, late) ?? this.last
    }
    return this
  }

  passTo(now: number): this {
    this.now = now
    for (;;) {
      const { state } = this
      const timer = nextTimer(state)
      if (timer === undefined || timer.at > now) return this
      this.last = fire(this.#context, state, timer)
    }
  }
}

const Told = command("told", {
  ...{ family: "actors", roles: ["app"], description: "of a test" },
  payload: {},
  success: Schema.Struct({})
})

interface Told {
  readonly told: ReadonlyArray<string>
}

const texts = {
  types: { context: {} as Told },
  actions: {
    /** Keeps what has come. */
    noted: assign(({ context, event }: { readonly context: Told; readonly event: EventObject }) => ({
      told: [...context.told, (event as { readonly text?: string }).text ?? event.type]
    })) as never
  }
}

describe("a step of a machine with child machines", () => {
  it("a child that fails without anybody who handles it fails its parent", () => {
    const child = createMachine({
      on: {
        GO: {
          actions: assign(() => {
            throw new Error("it broke")
          })
        }
      }
    })
    const kept = new Kept(
      createMachine({
        invoke: { src: child, id: "child" },
        on: { GO: { actions: sendTo("child", { type: "GO" }) } }
      })
    )
    kept.send({ type: "GO" })
    const { status, error } = kept.state.snapshot
    assert.strictEqual(status, "error")
    assert.include(JSON.stringify(error), "it broke")
    assert.deepStrictEqual([kept.state.machines, kept.state.timers], [{}, []])
  })

  it("of the event that a child failed on nothing has happened; what it had begun ends with it", () => {
    const grandchild = createMachine({ initial: "on", states: { on: { after: { 5000: "off" } }, off: {} } })
    const child = createMachine({
      invoke: { src: grandchild, id: "grandchild" },
      on: {
        WAIT: { actions: raise({ type: "LATER" }, { delay: 1_000, id: "later" }) },
        GO: {
          actions: [
            emit({ type: "gone" }),
            () => assert.fail("it is run, and nothing of the event has happened"),
            tell(() => signalTo(address, Told, {})),
            cancel("later"),
            assign(() => {
              throw new Error("it broke")
            })
          ]
        }
      }
    })
    const to = (type: string) => ({ actions: sendTo("child", { type }) as never })
    const kept = new Kept(
      setup({ ...texts, actors: { child } }).createMachine({
        context: { told: [] },
        invoke: { src: "child", id: "child", onError: { actions: "noted" } },
        on: { WAIT: to("WAIT"), GO: to("GO") }
      })
    )
    kept.send({ type: "WAIT" })
    assert.deepStrictEqual(
      kept.state.timers.map(({ at, from }) => [at, from]),
      [
        [5_000, "child/grandchild"],
        [1_000, "child"]
      ]
    )
    kept.send({ type: "GO" }).runActions()
    assert.deepStrictEqual(kept.context, { told: ["xstate.error.actor.child"] })
    const { facts, outgoing, state } = kept.last
    assert.deepStrictEqual([facts, outgoing, state.outgoingSeq], [[], [], 0])
    assert.deepStrictEqual([state.timers, state.machines], [[], {}])
    const { children } = machineSnapshot(state.snapshot.children.child as PersistedChild) ?? {}
    assert.strictEqual(children?.grandchild?.snapshot.status, "stopped")
  })

  it("onSnapshot hears each state of a child, and not again when the machine is read again", () => {
    const child = createMachine({
      initial: "one",
      states: { one: { on: { ON: "two" } }, two: { on: { ON: "one" } } }
    })
    const kept = new Kept(
      setup({ ...texts, actors: { child } }).createMachine({
        context: { told: [] },
        invoke: {
          src: "child",
          id: "child",
          onSnapshot: {
            actions: assign({ told: ({ context, event }) => [...context.told, String(event.snapshot.value)] })
          }
        },
        on: { "*": { actions: sendTo("child", { type: "ON" }) } }
      })
    )
    kept.send({ type: "x" }).send({ type: "y" })
    assert.deepStrictEqual(kept.context, { told: ["one", "two", "one"] })
  })

  it("children speak to each other by their system's names, and to the parent after a while", () => {
    const hears = setup(texts).createMachine({
      context: { told: [] },
      on: {
        HELLO: {
          actions: ["noted", sendParent({ type: "ANSWER", text: "late" }, { delay: 500, id: "answer" })]
        }
      }
    })
    const speaks = createMachine({
      on: { SPEAK: { actions: sendTo(({ system }) => system.get("hearer"), { type: "HELLO" }) } }
    })
    const kept = new Kept(
      setup({ ...texts, actors: { hears, speaks } }).createMachine({
        context: { told: [] },
        invoke: [
          { src: "hears", id: "hears", systemId: "hearer" },
          { src: "speaks", id: "speaks" }
        ],
        on: { SPEAK: { actions: sendTo("speaks", { type: "SPEAK" }) }, ANSWER: { actions: "noted" } }
      })
    )
    kept.send({ type: "SPEAK" })
    assert.deepStrictEqual(kept.state.timers, [
      { id: "answer", at: 500, event: { type: "ANSWER", text: "late" }, from: "hears" }
    ])
    kept.passTo(499)
    assert.deepStrictEqual(kept.context, { told: [] })
    kept.passTo(500)
    assert.deepStrictEqual(kept.context, { told: ["late"] })
    assert.deepStrictEqual(kept.state.timers, [])
  })

  it("an action of a child may send to the child itself; who has taken its place gets nothing", () => {
    const child = setup(texts).createMachine({
      context: { told: [] },
      on: {
        ACT: { actions: ({ self }) => self.send({ type: "ACTED" }) },
        ACTED: { actions: ["noted", log("acted")] }
      }
    })
    const kept = new Kept(
      setup({ actors: { child } }).createMachine({
        initial: "on",
        states: {
          on: {
            invoke: { src: "child", id: "child" },
            on: {
              ACT: { actions: sendTo("child", { type: "ACT" }) },
              AGAIN: { target: "on", reenter: true }
            }
          }
        }
      })
    )
    const heard = () => JSON.stringify(kept.state.snapshot.children.child?.snapshot.context)
    kept.send({ type: "ACT" }).runActions()
    assert.strictEqual(heard(), '{"told":["ACTED"]}')
    assert.deepStrictEqual(kept.last.notes, ["acted"])
    kept.send({ type: "ACT" })
    const { actions } = kept.last
    kept.send({ type: "AGAIN" })
    assert.deepStrictEqual(kept.state.timers, [], "what the first one waited for has ended with it")
    kept.last = { ...kept.last, actions }
    kept.runActions()
    assert.strictEqual(heard(), '{"told":[]}')
  })

  it("a function with a state (fromTransition) is a child like a machine", () => {
    const counter = fromTransition((count: number, event: { readonly type: string }) => {
      if (event.type === "BREAK") throw new Error("broken")
      return count + 1
    }, 0)
    const kept = new Kept(
      setup({ ...texts, actors: { counter } }).createMachine({
        context: { told: [] },
        invoke: { src: "counter", id: "counter", onError: { actions: "noted" } },
        on: {
          ON: { actions: sendTo("counter", { type: "ON" }) },
          BREAK: { actions: sendTo("counter", { type: "BREAK" }) }
        }
      })
    )
    kept.send({ type: "ON" }).send({ type: "ON" })
    assert.strictEqual(kept.state.snapshot.children.counter?.snapshot.context, 2)
    kept.send({ type: "BREAK" })
    assert.deepStrictEqual(kept.context, { told: ["xstate.error.actor.counter"] })
  })

  it("machines that send each other events without an end are refused as a whole", () => {
    const child = createMachine({ on: { PING: { actions: sendParent({ type: "PONG" }) } } })
    const ping = { actions: sendTo("child", { type: "PING" }) } as const
    const kept = new Kept(
      createMachine({ invoke: { src: child, id: "child" }, on: { GO: ping, PONG: ping } })
    )
    const { state } = kept
    assert.throws(() => kept.send({ type: "GO" }), /more than 1000 events in one step/u)
    assert.deepStrictEqual(kept.state, state)
  })

  it("what is not plain JSON in a child is named by where it is", () => {
    const child = createMachine({ on: { GO: { actions: assign({ at: () => new Date(0) }) } } })
    const kept = new Kept(
      createMachine({
        invoke: { src: child, id: "kid" },
        on: { GO: { actions: sendTo("kid", { type: "GO" }) } }
      })
    )
    assert.throws(() => kept.send({ type: "GO" }), /snapshot\.children\.kid\.context\.at is a Date/u)
  })

  it("ids that XState makes are no other step's: nobody takes the place of an unnamed child", () => {
    const child = createMachine({})
    const machine = setup({ actors: { child } }).createMachine({
      context: {},
      on: { ADD: { actions: assign(({ spawn }) => ({ last: spawn("child") })) } }
    })
    const kept = new Kept(machine)
    for (let count = 0; count < 5; count++) kept.send({ type: "ADD" })
    assert.strictEqual(Object.keys(kept.state.machines).length, 5)
  })
})

const work = durably(Context.empty(), () => Effect.succeed(1))

/** The first version: a shelf with a job that runs, and a box in `states`. */
const shelf = (states: object, extra: object = {}) => {
  const box = createMachine({ id: "box", ...states } as never)
  return setup({ actors: { box, work } }).createMachine({
    context: {},
    invoke: [{ src: "box", id: "box" }, ...[extra].filter((one) => Object.keys(one).length > 0)] as never,
    on: { GO: { actions: sendTo("box" as never, { type: "GO" } as never) } }
  })
}

const rowOf = ({ state }: Kept): MachineRow => ({
  ...{
    tenant: "t",
    address: address.text,
    kind: "m",
    version: "1",
    revision: state.revision,
    status: "active"
  },
  ...{
    state: "",
    reason: null,
    about: null,
    wakesAt: null,
    createdAt: 0,
    updatedAt: 0,
    snapshot: textOf(state)
  }
})

type Migrate = DurableMachine<AnyStateMachine, Record<string, never>>["migrate"]

const readAs = (machine: AnyStateMachine, version: string, row: MachineRow, migrate?: Migrate) => {
  const fields = migrate === undefined ? {} : { migrate }
  const definition = { kind: "m", machine, version, protocol: protocol(), signals: {}, ...fields }
  return readingOf({ definition: definition as never, machine }, row, 1_000)
}

describe("a machine whose child machine has changed", () => {
  const first = () =>
    new Kept(
      shelf({
        initial: "closed",
        context: { things: 3 },
        states: { closed: { on: { GO: "open" } }, open: { after: { 60000: "closed" } } }
      })
    ).send({ type: "GO" })
  const renamed = shelf({
    initial: "shut",
    states: {
      shut: { on: { GO: "wide" } },
      wide: { after: { 60000: "shut" }, invoke: { src: work, id: "job" } }
    }
  })

  it("does not go on where the child does not fit, and says which", () => {
    const row = rowOf(first())
    const same = readAs(renamed, "1", row)
    assert.match(
      same._tag === "unreadable" ? same.reason : "",
      /^its snapshot does not fit: The snapshot of its child box does not fit the machine\. If its machine was changed/
    )
    const migrated = readAs(renamed, "2", row, ({ value, context }) => ({ value, context }) as never)
    assert.match(
      migrated._tag === "unreadable" ? migrated.reason : "",
      /its migration failed: .* child box does not fit/u
    )
  })

  it("goes on where the migration says in which state the child is now", () => {
    const row = rowOf(first())
    let seen: OldSnapshot["children"] = {}
    const reading = readAs(renamed, "2", row, ({ value, context, children }) => {
      seen = children
      const { box } = children
      return {
        value,
        context,
        children: { box: { src: box?.src, value: "wide", context: box?.context } }
      } as never
    })
    if (reading._tag !== "migrated") throw new Error(JSON.stringify(reading))
    assert.deepStrictEqual(seen.box?.value, "open")
    const { state } = reading.stepped
    assert.deepStrictEqual(state.invocations, { "box/job": { revision: row.revision + 1, hasEnded: false } })
    assert.deepStrictEqual(
      state.timers.map(({ at, from, to }) => [at, from, to]),
      [[61_000, "box", "box"]]
    )
    assert.deepStrictEqual(state.machines, { box: 1 })
  })

  it("a child that fits goes on with its delays; one that the new state adds begins", () => {
    const kept = first()
    const lid = createMachine({ id: "lid", initial: "a", states: { a: { after: { 5: "b" } }, b: {} } })
    const more = shelf(
      {
        initial: "closed",
        states: { closed: {}, open: { after: { 60000: "closed" } } }
      },
      { src: lid, id: "lid" }
    )
    const reading = readAs(more, "2", rowOf(kept), ({ value, context }) => ({ value, context }) as never)
    if (reading._tag !== "migrated") throw new Error(JSON.stringify(reading))
    const { state } = reading.stepped
    assert.deepStrictEqual(state.machines, { box: 1, lid: kept.state.revision + 1 })
    assert.deepStrictEqual(
      state.timers.map(({ at, from }) => [at, from]),
      [
        [60_000, "box"],
        [1_005, "lid"]
      ]
    )
  })
})

describe("a machine that has history states", () => {
  /** Reads, and is interrupted; `pages` are what it reads. */
  const reader = (pages: object, extra: object = {}) =>
    createMachine({
      id: "reader",
      context: {},
      initial: "reading",
      states: {
        reading: {
          initial: "one",
          states: { ...pages, last: { type: "history" }, ...extra },
          on: { STOP: "away" }
        },
        away: { on: { BACK: "reading.last" } }
      }
    })
  const next = { on: { NEXT: "two" } }
  const migrate: Migrate = ({ value, context }) => ({ value, context }) as never
  const left = () =>
    rowOf(
      new Kept(reader({ one: next, two: { id: "second" } })).send({ type: "NEXT" }).send({ type: "STOP" })
    )
  const backIn = (machine: AnyStateMachine) => {
    const reading = readAs(machine, "2", left(), migrate)
    if (reading._tag !== "migrated") throw new Error(JSON.stringify(reading))
    const kept = new Kept(machine)
    kept.last = reading.stepped
    return kept.send({ type: "BACK" }).state.snapshot.value
  }

  it("goes back to where it was in another version, too", () => {
    assert.deepStrictEqual(backIn(reader({ one: next, two: { id: "second" }, three: {} })), {
      reading: "two"
    })
  })

  it("goes where it goes without a history, where there is no such state any more", () => {
    assert.deepStrictEqual(backIn(reader({ one: {}, three: {} })), { reading: "one" })
  })

  it("goes not to a state that is somewhere else by now", () => {
    const moved = createMachine({
      id: "reader",
      context: {},
      initial: "reading",
      states: {
        reading: { initial: "one", states: { one: {}, last: { type: "history" } } },
        away: { on: { BACK: "reading.last" } },
        shelf: { initial: "a", states: { a: { id: "second" } } }
      }
    })
    assert.deepStrictEqual(backIn(moved), { reading: "one" })
  })
})
