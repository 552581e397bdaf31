/** What of XState is used and not promised by its types is there, and does what is relied on: another version that changes it fails here. */
import { assert, describe, it } from "@effect/vitest"
import { type AnyMachineSnapshot, assign, createActor, fromPromise, setup } from "xstate"
import {
  BUILT_IN,
  childrenOf,
  type Executable,
  innerOf,
  invokesOf,
  isMachine,
  type Logic,
  nodesOf,
  RUNNING,
  STOPPED,
  stopChildrenOf,
  type TreeActor
} from "../../src/actor/XStateInternals.ts"

const child = setup({}).createMachine({ id: "child", initial: "on", states: { on: {} } })

const machine = setup({
  types: { context: {} as { readonly count: number } },
  actors: { child, never: fromPromise<number, { readonly n: number }>(() => new Promise(() => undefined)) },
  actions: { own: () => undefined }
}).createMachine({
  id: "parent",
  context: { count: 0 },
  initial: "off",
  entry: { type: "own" },
  states: {
    off: { on: { GO: "on" } },
    on: {
      initial: "inner",
      invoke: { id: "first", src: "child", systemId: "named", onSnapshot: {} },
      states: {
        inner: {
          invoke: { id: "second", src: "never", input: ({ context }) => ({ n: context.count }) },
          on: { COUNT: { actions: assign({ count: ({ context }) => context.count + 1 }) } }
        }
      }
    }
  }
})

/** An actor of it, and all that XState told of while it was made and moved. */
const told = () => {
  const joined: Array<TreeActor> = []
  const actor = createActor(machine, {
    inspect: (event) => {
      if (event.type === "@xstate.actor") joined.push(innerOf(event.actorRef))
    }
  })
  return { actor, inner: innerOf(actor), joined }
}

const stateOf = (actor: TreeActor) => actor._snapshot as AnyMachineSnapshot

const FUNCTIONS = ["start", "send", "_send", "_stop", "subscribe", "getPersistedSnapshot"] as const

describe("logic of XState", () => {
  it("is a machine where it has a machine's shape", () => {
    assert.isTrue([machine, child, Object.create(machine)].every(isMachine))
    const { transition, getInitialSnapshot } = machine
    const others = [
      fromPromise(async () => 1),
      { transition, getInitialSnapshot },
      {},
      null,
      undefined,
      "machine"
    ]
    assert.isFalse(others.some(isMachine))
  })
})

describe("an actor of XState", () => {
  it("has all that is read of it and replaced in it", () => {
    const { actor, inner } = told()
    for (const name of FUNCTIONS) assert.isFunction(inner[name], name)
    assert.isFunction(inner._actorScope.actionExecutor)
    assert.isFunction(inner.mailbox.start)
    assert.isArray(inner._deferred)
    for (const name of ["_bookId", "_register", "_relay"] as const)
      assert.isFunction(inner.system[name], name)
    assert.isObject(inner.system.scheduler)
    assert.containsAllKeys(inner.system.scheduler, ["schedule", "cancel", "cancelAll"])
    const logic = inner.logic as Logic
    assert.isFunction(logic.transition)
    assert.isFunction(logic.getInitialSnapshot)
    assert.isNumber(logic.options?.maxIterations)
    assert.notInclude([RUNNING, STOPPED], inner._processingStatus)
    actor.start()
    assert.strictEqual(inner._processingStatus, RUNNING)
    actor.stop()
    assert.strictEqual(inner._processingStatus, STOPPED)
  })

  it("is told of before its first state is computed, with its name, its logic and its parent", () => {
    const { actor, inner, joined } = told()
    assert.deepStrictEqual(joined, [inner])
    actor.start()
    actor.send({ type: "GO" } as never)
    const [, first, second] = joined
    assert.deepStrictEqual(
      [first?.id, first?.src, first?._parent, first?._syncSnapshot, first?.logic],
      ["first", "child", inner, true, child]
    )
    assert.deepStrictEqual([second?.id, second?.src, second?.options.input], ["second", "never", { n: 0 }])
    assert.deepStrictEqual(
      childrenOf(stateOf(inner)).map(([id, actor]) => [id, actor]),
      [
        ["first", first],
        ["second", second]
      ]
    )
    stopChildrenOf(stateOf(inner))
    assert.deepStrictEqual([first?._processingStatus, second?._processingStatus], [STOPPED, STOPPED])
  })

  it("hands each of its actions over, its own and those that only XState does", () => {
    const carried: Array<string> = []
    const actor = createActor(machine, {
      inspect: (event) => {
        if (event.type !== "@xstate.actor") return
        const scope = innerOf(event.actorRef)._actorScope
        const { actionExecutor } = scope
        scope.actionExecutor = (action: Executable) => {
          carried.push(action.type)
          actionExecutor(action)
        }
      }
    })
    actor.start()
    actor.send({ type: "GO" } as never)
    assert.deepStrictEqual(carried, ["own", "xstate.spawnChild", "xstate.spawnChild"])
    assert.isTrue(BUILT_IN.has("xstate.spawnChild"))
    actor.stop()
  })

  it("takes what is relayed to it, with the rules of its logic", () => {
    const { actor, inner } = told()
    actor.start()
    inner.system._relay(undefined, inner, { type: "GO" })
    inner.system._relay(undefined, inner, { type: "COUNT" })
    assert.deepStrictEqual(actor.getSnapshot().context, { count: 1 })
    actor.stop()
  })
})

describe("a snapshot of XState", () => {
  it("says in which states it is, and what they invoke", () => {
    const { actor, inner } = told()
    actor.start()
    actor.send({ type: "GO" } as never)
    assert.deepStrictEqual(
      nodesOf(stateOf(inner)).map(({ id }) => id),
      ["parent", "parent.on", "parent.on.inner"]
    )
    assert.deepStrictEqual(
      invokesOf(stateOf(inner)).map(({ id, src, systemId }) => [id, src, systemId]),
      [
        ["first", "child", "named"],
        ["second", "never", undefined]
      ]
    )
    const [first, second] = invokesOf(stateOf(inner))
    assert.isDefined(first?.onSnapshot)
    assert.isFunction(second?.input)
    actor.stop()
  })
})
