/** An XState machine that survives its process. `node examples/06-durable-machine.ts` */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Deferred, Effect, Schema } from "effect"
import { assign, setup } from "xstate"
import {
  ActorSystem,
  behave,
  command,
  DurableMachines,
  durableMachine,
  durably,
  type Invocation,
  installationPrincipal,
  layer,
  protocol,
  scopedAddress,
  signalTo,
  tell
} from "../src/effect.ts"

const Progress = Schema.Struct({ state: Schema.String, receipt: Schema.String })
const Approve = command("approve", {
  family: "actors",
  roles: ["app"],
  description: "Approves an order.",
  payload: { by: Schema.String },
  success: Progress
})

const Receipt = command("receipt", {
  family: "host",
  roles: ["app"],
  description: "Takes a receipt.",
  payload: { text: Schema.String },
  success: Schema.Struct({})
})

/** An actor in memory. It is told at least once, until it has a place for it in its mailbox; what has to last is durable. */
const desk = scopedAddress("desk", "default", "front")
const deskInto = (taken: Deferred.Deferred<string>) => ({
  address: desk,
  ...behave({
    protocol: protocol(Receipt),
    initial: () => undefined,
    handlers: { receipt: (_, { text }) => Effect.as(Deferred.succeed(taken, text), { reply: {} }) }
  })
})

/** Run again after a crash, it is asked under the same key: whoever takes the money takes it once. */
const charge = ({ key }: Invocation<unknown>) => Effect.succeed(`receipt for ${key}`)

const machine = setup({
  types: {
    context: {} as { readonly receipt: string },
    events: {} as { readonly type: "approve" },
    input: {} as { readonly article: string }
  },
  actors: { charge: durably(Context.empty(), charge) },
  actions: {
    // It is committed with the step, and leaves after it.
    hand: tell(({ context }: { readonly context: { readonly receipt: string } }) =>
      signalTo(desk, Receipt, { text: context.receipt })
    )
  }
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
    charged: { entry: "hand", type: "final" },
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
const process = <A, E>(body: Effect.Effect<A, E, DurableMachines | ActorSystem>) =>
  Effect.runPromise(Effect.scoped(Effect.provide(body, layer({ dataDirectory }))))

await process(
  Effect.gen(function* () {
    // With `cluster` and a `databaseUrl` these lines work on each node: the order runs where its tenant is.
    const orders = yield* (yield* DurableMachines).register(order)
    const { isNew } = yield* orders.start(address, { article: "book" })
    console.log(isNew ? "ordered" : "ordered before")
  })
)

await process(
  Effect.gen(function* () {
    const taken = yield* Deferred.make<string>()
    yield* (yield* ActorSystem).spawn(deskInto(taken))
    const orders = yield* (yield* DurableMachines).register(order)
    const found = yield* orders.find(address)
    if (found === undefined) return console.log("lost")
    yield* found.ask("approve", { by: "Ada", request_id: "approval-1" }, installationPrincipal())
    // Sent again under its id, it is taken once.
    yield* found.ask("approve", { by: "Ada", request_id: "approval-1" }, installationPrincipal())
    while ((yield* orders.view(address))?.status === "active") yield* Effect.sleep("10 millis")
    const ended = yield* orders.view(address)
    console.log(`${ended?.snapshot.value}: ${yield* Deferred.await(taken)}`)
  })
)
