/** An XState machine that survives its process. `node examples/06-durable-machine.ts` */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Schema } from "effect"
import { assign, setup } from "xstate"
import {
  command,
  DurableMachines,
  durableMachine,
  durably,
  type Invocation,
  installationPrincipal,
  layer,
  protocol,
  scopedAddress
} from "../src/effect.ts"

const Progress = Schema.Struct({ state: Schema.String, receipt: Schema.String })
const Approve = command("approve", {
  family: "actors",
  roles: ["app"],
  description: "Approves an order.",
  payload: { by: Schema.String },
  success: Progress
})

/** Run again after a crash, it is asked under the same key: whoever takes the money takes it once. */
const charge = ({ key }: Invocation<unknown>) => Effect.succeed(`receipt for ${key}`)

const machine = setup({
  types: {
    context: {} as { readonly receipt: string },
    events: {} as { readonly type: "approve" },
    input: {} as { readonly article: string }
  },
  actors: { charge: durably(Context.empty(), charge) }
}).createMachine({
  id: "order",
  initial: "waiting",
  context: { receipt: "" },
  states: {
    // The moment is in the store: it comes once, also where the process was away when it came.
    waiting: { on: { approve: "charging" }, after: { 86400000: "forgotten" } },
    charging: {
      invoke: {
        src: "charge",
        id: "charge",
        onDone: { target: "charged", actions: assign({ receipt: ({ event }) => event.output }) }
      }
    },
    charged: { type: "final" },
    forgotten: { type: "final" }
  }
})

const order = durableMachine({
  kind: "order",
  machine,
  version: "1",
  protocol: protocol(Approve),
  signals: {
    approve: {
      event: () => ({ type: "approve" }) as const,
      answer: ({ snapshot }) => ({ state: String(snapshot.value), receipt: snapshot.context.receipt })
    }
  }
})

const address = scopedAddress("order", "default", "book")
const dataDirectory = mkdtempSync(join(tmpdir(), "bursar-"))

/** One life of a process. */
const process = <A, E>(body: Effect.Effect<A, E, DurableMachines>) =>
  Effect.runPromise(Effect.scoped(Effect.provide(body, layer({ dataDirectory }))))

await process(
  Effect.gen(function* () {
    const orders = yield* (yield* DurableMachines).register(order)
    const { isNew } = yield* orders.start(address, { article: "book" })
    console.log(isNew ? "ordered" : "ordered before")
  })
)

await process(
  Effect.gen(function* () {
    const orders = yield* (yield* DurableMachines).register(order)
    const found = yield* orders.find(address)
    if (found === undefined) return console.log("lost")
    yield* found.ask("approve", { by: "Ada", request_id: "approval-1" }, installationPrincipal())
    // Sent again under its id, it is taken once.
    yield* found.ask("approve", { by: "Ada", request_id: "approval-1" }, installationPrincipal())
    while ((yield* orders.view(address))?.status === "active") yield* Effect.sleep("10 millis")
    const ended = yield* orders.view(address)
    console.log(`${ended?.snapshot.value}: ${ended?.snapshot.context.receipt}`)
  })
)
