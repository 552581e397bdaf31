/** XState machines as actors: signals, virtual time, child machines, failures, and what is shown of them. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { assign, sendTo, setup, spawnChild, stopChild } from "xstate"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durably, type Invocation } from "../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { invoked } from "../../src/actor/Machine.ts"
import { machineActor } from "../../src/actor/MachineActor.ts"
import { DEFAULT_SUPERVISION } from "../../src/actor/Supervision.ts"
import type { Ended } from "../../src/actor/Watching.ts"
import { invalidParam } from "../../src/signal/Errors.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command, query } from "../../src/signal/Signal.ts"
import { settle } from "../../src/testing.ts"
import { told, WHO } from "./support/Till.ts"

const about = { family: "host", roles: ["app"], description: "A signal of a test's own." } as const
const State = Schema.Struct({ state: Schema.String, paid: Schema.Int })
const Pay = command("pay", { ...about, payload: { coins: Schema.Int }, success: State })
const Show = query("show", { ...about, payload: {}, success: State })
const DOOR = protocol(Pay, Show)

type DoorEvent =
  | { readonly type: "pay"; readonly coins: number }
  | { readonly type: "break" | "again" | "calm" }

/** Lets in who has paid, and shuts by itself. */
const lockOf = (check: (coins: number) => Effect.Effect<string, unknown>) =>
  setup({
    types: {
      context: {} as { readonly price: number; readonly paid: number; readonly stamp: string },
      events: {} as DoorEvent,
      input: {} as { readonly price: number },
      output: {} as { readonly paid: number },
      tags: {} as "shut" | "open",
      meta: {} as { readonly label: string }
    },
    actors: { check: invoked(Context.empty(), check) },
    actions: {
      breakDown: () => {
        throw new Error("the lock broke")
      }
    }
  }).createMachine({
    id: "lock",
    context: ({ input }) => ({ price: input.price, paid: 0, stamp: "" }),
    initial: "locked",
    output: ({ context }) => ({ paid: context.paid }),
    on: { break: { actions: "breakDown" } },
    states: {
      locked: {
        tags: ["shut"],
        meta: { label: "Pay first" },
        on: { pay: { target: "checking", actions: assign({ paid: ({ event }) => event.coins }) } }
      },
      checking: {
        tags: ["shut"],
        invoke: {
          src: "check",
          input: ({ context }) => context.paid,
          onDone: { target: "open", actions: assign({ stamp: ({ event }) => event.output }) },
          onError: "locked"
        }
      },
      open: { tags: ["open"], after: { 5000: "gone" } },
      gone: { type: "final" }
    }
  })

const HOME = scopedAddress("door", "default", "front")

const doorOf = (check: (coins: number) => Effect.Effect<string, unknown>, address = HOME) =>
  machineActor({
    address,
    machine: lockOf(check),
    input: { price: 2 },
    protocol: DOOR,
    signals: {
      pay: {
        event: ({ coins }, { snapshot }) => {
          if (coins === 0) throw new Error("a rule threw")
          if (coins < snapshot.context.price) return invalidParam(["coins"], "It costs more")
          return coins === 13 ? { type: "break" as const } : { type: "pay" as const, coins }
        },
        answer: ({ snapshot }) => ({ state: String(snapshot.value), paid: snapshot.context.paid })
      },
      show: {
        answer: ({ snapshot }) => ({ state: String(snapshot.value), paid: snapshot.context.paid })
      }
    },
    about: ({ context }) => ({ stamp: context.stamp })
  })

const tagOf = (asked: Effect.Effect<unknown, { readonly _tag: string }>) =>
  Effect.match(asked, { onSuccess: () => "ok", onFailure: ({ _tag }) => _tag })

const watched = (system: ActorSystem, address = HOME) => {
  const ends: Array<Ended> = []
  system.watch(address, (ended) => ends.push(ended))
  return ends
}

describe("a machine as an actor", () => {
  it.effect("answers at once what it is asked in vain, and what it does answer", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(doorOf(() => Effect.succeed("")))
      const refused = yield* Effect.flip(ref.ask("shw" as "show", {}, WHO))
      assert.deepInclude(refused, { _tag: "UnknownSignal", signal: "shw" })
      assert.include(refused.message, "does not answer shw: it answers show, pay")
      assert.strictEqual(yield* tagOf(ref.ask("toString" as "show", {}, WHO)), "UnknownSignal")
      assert.strictEqual((yield* ref.ask("show", {}, WHO)).state, "locked")
    }).pipe(told)
  )

  it.effect("takes events from signals, answers from its state, and ends with its output", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const asked: Array<number> = []
      const check = (coins: number) =>
        Effect.as(
          Effect.andThen(
            Effect.sync(() => asked.push(coins)),
            Effect.sleep(1_000)
          ),
          "stamped"
        )
      const ref = yield* system.spawn(doorOf(check))
      const ends = watched(system)
      assert.deepStrictEqual(yield* ref.ask("show", {}, WHO), { state: "locked", paid: 0 })
      assert.strictEqual(yield* tagOf(ref.ask("pay", { coins: 1 }, WHO)), "InvalidParams")
      assert.deepStrictEqual(yield* ref.ask("pay", { coins: 2 }, WHO), { state: "checking", paid: 2 })
      yield* TestClock.adjust(999)
      assert.strictEqual((yield* ref.ask("show", {}, WHO)).state, "checking")
      yield* TestClock.adjust(1)
      yield* settle
      assert.deepStrictEqual(asked, [2])
      assert.strictEqual((yield* ref.ask("show", {}, WHO)).state, "open")
      assert.strictEqual(system.entry(HOME.text)?.info.state, "open")
      yield* TestClock.adjust(5_000)
      yield* settle
      assert.isUndefined(system.entry(HOME.text))
      assert.deepStrictEqual(ends, [
        { address: HOME.text, reason: "stopped", detail: "done in gone", output: { paid: 2 } }
      ])
      assert.strictEqual(yield* tagOf(ref.ask("show", {}, WHO)), "NotFound")
    }).pipe(told)
  )

  it.effect("shows its graph, state, tags and meta", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(doorOf(() => Effect.succeed("stamped")))
      const locked = system.entry(HOME.text)?.insight()
      assert.deepStrictEqual(locked?.tags, ["shut"])
      assert.deepStrictEqual(locked?.meta, { locked: { label: "Pay first" } })
      assert.deepStrictEqual(
        locked?.machine?.states.map(({ id }) => id),
        ["locked", "checking", "open", "gone"]
      )
      yield* ref.ask("pay", { coins: 2 }, WHO)
      yield* settle
      const open = system.entry(HOME.text)?.insight()
      assert.deepStrictEqual([open?.tags, open?.meta], [["open"], {}])
      assert.deepInclude(open?.context, { status: "active", reason: null, about: { stamp: "stamped" } })
    }).pipe(told)
  )

  it.effect("a rule that throws is an incident for who asked, and the machine goes on", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(doorOf(() => Effect.succeed("")))
      assert.strictEqual(yield* tagOf(ref.ask("pay", { coins: 0 }, WHO)), "InternalError")
      assert.strictEqual((yield* ref.ask("show", {}, WHO)).state, "locked")
      assert.strictEqual(system.entry(HOME.text)?.info.restarts, 0)
    }).pipe(told)
  )

  for (const how of ["stopped", "failed"] as const)
    it.effect(`${how}, it interrupts what its state has invoked`, () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        let isInterrupted = false
        const never = Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            isInterrupted = true
          })
        )
        const ref = yield* system.spawn(doorOf(() => never))
        yield* ref.ask("pay", { coins: 2 }, WHO)
        if (how === "stopped") yield* system.stop(HOME)
        else assert.strictEqual(yield* tagOf(ref.ask("pay", { coins: 13 }, WHO)), "InternalError")
        yield* settle
        assert.isTrue(isInterrupted)
      }).pipe(told)
    )

  it.effect("that fails ends its actor: who asked gets an incident, who watches is told why", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const other = scopedAddress("door", "default", "back")
      const ref = yield* system.spawn(doorOf(() => Effect.succeed("")))
      const unrelated = yield* system.spawn(doorOf(() => Effect.succeed(""), other))
      const ends = watched(system)
      assert.strictEqual(yield* tagOf(ref.ask("pay", { coins: 13 }, WHO)), "InternalError")
      yield* settle
      assert.deepStrictEqual(ends, [
        { address: HOME.text, reason: "failed", detail: "Error: the lock broke" }
      ])
      assert.strictEqual((yield* unrelated.ask("show", {}, WHO)).state, "locked")
    }).pipe(told)
  )

  it.effect("begins again where its supervision says so", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn({
        ...doorOf(() => Effect.succeed("")),
        supervision: DEFAULT_SUPERVISION
      })
      yield* ref.ask("pay", { coins: 2 }, WHO)
      assert.strictEqual(yield* tagOf(ref.ask("pay", { coins: 13 }, WHO)), "InternalError")
      yield* TestClock.adjust(DEFAULT_SUPERVISION.backoffMs)
      yield* settle
      assert.deepStrictEqual(yield* ref.ask("show", {}, WHO), { state: "locked", paid: 0 })
      assert.strictEqual(system.entry(HOME.text)?.info.restarts, 1)
    }).pipe(told)
  )

  it.effect("that cannot begin fails as an actor does", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const machine = setup({}).createMachine({
        context: () => {
          throw new Error("no context")
        }
      })
      const ends: Array<Ended> = []
      yield* system.spawn(machineActor({ address: HOME, machine, protocol: protocol(), signals: {} }))
      system.watch(HOME, (ended) => ends.push(ended))
      yield* settle
      assert.include(["failed", "gone"], ends[0]?.reason)
      assert.isUndefined(system.entry(HOME.text))
    }).pipe(told)
  )

  it.effect("takes the definition of a durable one, and runs its Effects under keys of its own", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const keys: Array<string> = []
      const note = ({ key, input }: Invocation<number>) =>
        Effect.sync(() => {
          keys.push(key)
          return input
        })
      const machine = setup({
        types: { events: {} as { readonly type: "pay" } },
        actors: { note: durably(Context.empty(), note) }
      }).createMachine({
        initial: "noting",
        states: {
          noting: { invoke: { src: "note", id: "note", input: 1, onDone: "waiting" } },
          waiting: { on: { pay: "noting" } }
        }
      })
      const definition = durableMachine({
        kind: "door",
        version: "1",
        machine,
        protocol: DOOR,
        signals: {
          pay: {
            event: () => ({ type: "pay" }) as const,
            answer: ({ snapshot }) => ({ state: String(snapshot.value), paid: 0 })
          },
          show: { answer: ({ snapshot }) => ({ state: String(snapshot.value), paid: 0 }) }
        }
      })
      const ref = yield* system.spawn(machineActor({ ...definition, address: HOME }))
      yield* settle
      assert.strictEqual((yield* ref.ask("pay", { coins: 1 }, WHO)).state, "noting")
      yield* settle
      assert.strictEqual((yield* ref.ask("show", {}, WHO)).state, "waiting")
      assert.strictEqual(keys.length, 2)
      assert.strictEqual(new Set(keys).size, 2)
      for (const key of keys) assert.isTrue(key.startsWith(`${HOME.text}:note:`), key)
    }).pipe(told)
  )
})

const Do = command("do", {
  ...about,
  payload: { what: Schema.String },
  success: Schema.Struct({ state: Schema.String, heard: Schema.String })
})
const HOUSE = protocol(Do)
const PARENT = scopedAddress("house", "default", "a")
const CHILD = `${PARENT.text}/lamp`

const toy = setup({ types: { events: {} as { readonly type: "wind" } } }).createMachine({
  id: "toy",
  initial: "still",
  states: { still: { on: { wind: "moving" } }, moving: {} }
})

const lamp = setup({
  types: { events: {} as { readonly type: "on" | "burn" | "finish" }, output: {} as string },
  actors: { toy },
  actions: {
    burn: () => {
      throw new Error("it burns")
    }
  }
}).createMachine({
  id: "lamp",
  initial: "dark",
  output: "light",
  invoke: { src: "toy", id: "toy" },
  on: { burn: { actions: "burn" }, finish: ".finished" },
  states: {
    dark: { tags: ["quiet"], on: { on: "bright" } },
    bright: { after: { 1000: "finished" } },
    finished: { type: "final" }
  }
})

const houseOf = (handles: boolean) =>
  setup({
    types: {
      context: {} as { readonly heard: string },
      events: {} as { readonly type: "on" | "burn" | "finish" | "leave" | "enter" | "spawn" | "unspawn" }
    },
    actors: { lamp }
  }).createMachine({
    id: "house",
    context: { heard: "" },
    initial: "lit",
    states: {
      lit: {
        invoke: {
          src: "lamp",
          id: "lamp",
          onDone: { target: "over", actions: assign({ heard: ({ event }) => `done: ${event.output}` }) },
          ...(handles
            ? { onError: { target: "over", actions: assign({ heard: ({ event }) => String(event.error) }) } }
            : {})
        },
        on: {
          on: { actions: sendTo("lamp", { type: "on" }) },
          burn: { actions: sendTo("lamp", { type: "burn" }) },
          finish: { actions: sendTo("lamp", { type: "finish" }) },
          leave: "over",
          enter: { target: "lit", reenter: true }
        }
      },
      over: {
        on: {
          enter: "lit",
          spawn: { actions: spawnChild("lamp", { id: "more/one" }) },
          unspawn: { actions: stopChild("more/one") }
        }
      }
    }
  })

const house = (handles = true) =>
  machineActor({
    address: PARENT,
    machine: houseOf(handles),
    protocol: HOUSE,
    signals: {
      do: {
        event: ({ what }) => ({ type: what as "on" }),
        answer: ({ snapshot }) => ({ state: String(snapshot.value), heard: snapshot.context.heard })
      }
    }
  })

const addresses = (system: ActorSystem) =>
  system
    .entries()
    .map(({ address }) => address.text)
    .sort()

describe("a child machine", () => {
  it.effect("is an actor under its parent, with its own state, graph, tags and children", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(house())
      yield* settle
      assert.deepStrictEqual(addresses(system), [PARENT.text, CHILD, `${CHILD}/toy`])
      const entry = system.entry(CHILD)
      assert.deepInclude(entry?.info, { parent: PARENT.text, kind: "house", state: "dark" })
      assert.strictEqual(entry?.address.tenant, "default")
      assert.strictEqual(entry?.insight().machine?.id, "lamp")
      assert.deepStrictEqual(entry?.insight().tags, ["quiet"])
      assert.strictEqual(system.entry(`${CHILD}/toy`)?.info.parent, CHILD)
      assert.deepStrictEqual(system.entry(PARENT.text)?.details().children, [CHILD])
      yield* ref.ask("do", { what: "on" }, WHO)
      assert.strictEqual(system.entry(CHILD)?.info.state, "bright")
    }).pipe(told)
  )

  it.effect("ends with its output, on the runtime's clock, and its parent goes on", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(house())
      const ends: Array<Ended> = []
      yield* settle
      system.watch({ kind: "house", tenant: "default", text: CHILD }, (ended) => ends.push(ended))
      yield* ref.ask("do", { what: "on" }, WHO)
      yield* TestClock.adjust(1_000)
      yield* settle
      assert.deepStrictEqual(addresses(system), [PARENT.text])
      assert.deepStrictEqual(ends, [
        { address: CHILD, reason: "stopped", detail: "done in finished", output: "light" }
      ])
      assert.deepStrictEqual(yield* ref.ask("do", { what: "spawn" }, WHO), {
        state: "over",
        heard: "done: light"
      })
      yield* settle
      assert.include(addresses(system), `${PARENT.text}/more_one`)
      yield* ref.ask("do", { what: "unspawn" }, WHO)
      yield* settle
      assert.deepStrictEqual(addresses(system), [PARENT.text])
    }).pipe(told)
  )

  it.effect("under an id that another one has is shown beside it, and both end with their parent", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(house())
      yield* settle
      for (const what of ["leave", "spawn", "spawn"]) yield* ref.ask("do", { what }, WHO)
      yield* settle
      const first = `${PARENT.text}/more_one`
      assert.deepStrictEqual(addresses(system), [
        PARENT.text,
        first,
        `${first}.2`,
        `${first}.2/toy`,
        `${first}/toy`
      ])
      yield* system.stop(PARENT)
      assert.deepStrictEqual(addresses(system), [])
    }).pipe(told)
  )

  const exits: ReadonlyArray<readonly [string, string]> = [
    ["leaves the state", "leave"],
    ["finishes at once", "finish"]
  ]
  for (const [name, what] of exits)
    it.effect(`goes when its parent ${name}, and comes again under the same address`, () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const ref = yield* system.spawn(house())
        yield* settle
        yield* ref.ask("do", { what }, WHO)
        // Before the child's actor has gone.
        yield* ref.ask("do", { what: "enter" }, WHO)
        yield* settle
        assert.deepStrictEqual(addresses(system), [PARENT.text, CHILD, `${CHILD}/toy`])
        yield* ref.ask("do", { what: "enter" }, WHO)
        yield* settle
        assert.deepStrictEqual(addresses(system), [PARENT.text, CHILD, `${CHILD}/toy`])
        yield* system.stop(PARENT)
        assert.deepStrictEqual(addresses(system), [])
      }).pipe(told)
    )

  it.effect("that fails comes to its parent's onError, and takes nobody with it", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(house())
      yield* settle
      const ends: Array<Ended> = []
      system.watch({ kind: "house", tenant: "default", text: CHILD }, (ended) => ends.push(ended))
      yield* ref.ask("do", { what: "burn" }, WHO)
      yield* settle
      assert.deepStrictEqual(yield* ref.ask("do", { what: "stay" }, WHO), {
        state: "over",
        heard: "Error: it burns"
      })
      assert.deepStrictEqual(addresses(system), [PARENT.text])
      assert.deepStrictEqual(ends, [{ address: CHILD, reason: "failed", detail: "Error: it burns" }])
    }).pipe(told)
  )

  it.effect("that fails where nobody handles it fails its parent, and nobody else", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(house(false))
      const other = yield* system.spawn(doorOf(() => Effect.succeed("")))
      yield* settle
      const ends = watched(system, PARENT)
      assert.strictEqual(yield* tagOf(ref.ask("do", { what: "burn" }, WHO)), "InternalError")
      yield* settle
      assert.deepStrictEqual(addresses(system), [HOME.text])
      assert.deepStrictEqual(ends, [{ address: PARENT.text, reason: "failed", detail: "Error: it burns" }])
      assert.strictEqual((yield* other.ask("show", {}, WHO)).state, "locked")
    }).pipe(told)
  )

  it.effect("whose actor is stopped by somebody else has failed for its parent", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(house())
      yield* settle
      yield* system.stop({ kind: "house", tenant: "default", text: CHILD })
      yield* settle
      assert.deepStrictEqual(addresses(system), [PARENT.text])
      assert.deepStrictEqual(yield* ref.ask("do", { what: "stay" }, WHO), {
        state: "over",
        heard: `Error: ${CHILD} was stopped`
      })
    }).pipe(told)
  )
})
