/** An XState machine as an actor that lives in memory, and its child. `node examples/09-machine-actor.ts` */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Schema } from "effect"
import { sendTo, setup } from "xstate"
import {
  ActorSystem,
  command,
  installationPrincipal,
  invoked,
  layer,
  machineActor,
  protocol,
  scopedAddress
} from "../src/effect.ts"

const Push = command("push", {
  family: "host",
  roles: ["app"],
  description: "Somebody pushes the button.",
  payload: {},
  success: Schema.Struct({ light: Schema.String })
})

/** Every Effect can be invoked; leaving the state interrupts it. */
const lookAround = invoked(Context.empty(), () => Effect.as(Effect.sleep("20 millis"), "nobody in the way"))

const signal = setup({ types: { events: {} as { readonly type: "walk" } } }).createMachine({
  id: "signal",
  initial: "stop",
  states: { stop: { on: { walk: "go" } }, go: { type: "final" } }
})

const crossing = setup({
  types: { events: {} as { readonly type: "push" } },
  actors: { lookAround, signal }
}).createMachine({
  id: "crossing",
  initial: "green",
  invoke: { src: "signal", id: "pedestrians" },
  states: {
    green: { tags: ["cars"], on: { push: "yellow" } },
    yellow: { tags: ["cars"], invoke: { src: "lookAround", onDone: "red" } },
    // Delays are on the runtime's clock.
    red: { after: { 20: "over" }, exit: sendTo("pedestrians", { type: "walk" }) },
    over: { type: "final" }
  }
})

const program = Effect.gen(function* () {
  const system = yield* ActorSystem
  const address = scopedAddress("crossing", "default", "main-street")
  const ref = yield* system.spawn(
    machineActor({
      address,
      machine: crossing,
      protocol: protocol(Push),
      signals: {
        push: {
          event: () => ({ type: "push" }) as const,
          answer: ({ snapshot }) => ({ light: String(snapshot.value) })
        }
      }
    })
  )
  for (const { info } of system.entries().filter(({ address: { kind } }) => kind === "crossing"))
    yield* Effect.sync(() => console.log(`${info.address}: ${info.state}`))
  const { light } = yield* ref.ask("push", {}, installationPrincipal())
  yield* Effect.sync(() => console.log(`pushed: ${light}`))
  const why = yield* Effect.callback<string | null>((resume) => {
    system.watch(address, ({ detail }) => resume(Effect.succeed(detail)))
  })
  yield* Effect.sync(() => console.log(`ended: ${why}`))
})

const dataDirectory = mkdtempSync(join(tmpdir(), "bursar-"))
await Effect.runPromise(Effect.provide(program, layer({ dataDirectory })))
