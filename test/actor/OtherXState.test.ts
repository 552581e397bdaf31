/**
 * A host's package.json may name another XState 5 than ours: npm then installs a second copy, and its machines are of classes that
 * ours does not know. They are machines all the same.
 */
import { createRequire } from "node:module"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { StateMachine } from "xstate"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { machineActor } from "../../src/actor/MachineActor.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, process, settle } from "./support/Node.ts"

/** Its modules run once more, as those of a second copy do. */
const secondCopy = (): typeof import("xstate") => {
  const require = createRequire(import.meta.url)
  const kept = { ...require.cache }
  for (const name of Object.keys(kept)) if (name.includes("/xstate/")) delete require.cache[name]
  const copy = require("xstate")
  Object.assign(require.cache, kept)
  return copy
}

const other = secondCopy()

const lamp = other.setup({}).createMachine({
  id: "lamp",
  initial: "dark",
  states: { dark: { on: { SHINE: "bright" } }, bright: {} }
})
const machine = other
  .setup({ actors: { lamp, later: other.fromPromise(async () => "done") } })
  .createMachine({
    id: "crossing",
    initial: "red",
    invoke: { src: "lamp", id: "lamp" },
    states: {
      red: { on: { PUSH: "green" } },
      green: { entry: other.sendTo("lamp", { type: "SHINE" }), after: { 60000: "red" } }
    }
  })

const Push = command("push", {
  ...{ family: "host", roles: ["app"], description: "A push." },
  payload: {},
  success: Schema.Struct({ light: Schema.String })
})
const definition = {
  kind: "crossing",
  machine,
  version: "1",
  protocol: protocol(Push),
  signals: {
    push: {
      event: () => ({ type: "PUSH" }),
      answer: ({ snapshot }: { readonly snapshot: { readonly value: unknown } }) => ({
        light: String(snapshot.value)
      })
    }
  }
}

const NORTH = scopedAddress("crossing", "t", "north")

describe("a machine of another copy of XState", () => {
  it("is of another class", () => {
    assert.notInstanceOf(machine, StateMachine)
    assert.instanceOf(machine, other.StateMachine)
  })

  it.effect("is durable, with its child machine, and goes on in the next process", () =>
    Effect.gen(function* () {
      const rows = new MemoryMachines()
      const inProcess = (light: string) =>
        process(
          { rows },
          Effect.gen(function* () {
            const kind = yield* (yield* DurableMachines).register(durableMachine(definition as never))
            const { ref } = yield* kind.start(NORTH)
            yield* settle
            assert.deepStrictEqual(yield* ref.ask("push", {} as never, host), { light } as never)
            const { snapshot } = (yield* kind.view(NORTH)) ?? assert.fail("it is there")
            const children = snapshot.children as unknown as {
              readonly lamp?: { getSnapshot(): { readonly value: unknown } }
            }
            assert.strictEqual(children.lamp?.getSnapshot().value, "bright")
          })
        )
      yield* inProcess("green")
      yield* inProcess("green")
    })
  )

  it.effect("is an actor in memory whose child machine is a child actor", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const system = yield* ActorSystem
        yield* system.spawn(machineActor({ address: NORTH, ...definition } as never))
        yield* settle
        assert.lengthOf(system.entry(NORTH.text)?.details().children ?? [], 1)
      })
    )
  )
})
