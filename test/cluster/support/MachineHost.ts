/**
 * A host's own program with durable machines of its own, as one node of several.
 *
 * Owns: an account that adds up what it is given and books each of it in a ledger, and a JSON-RPC port by which a test asks
 * this node's own handles. What is asked goes to whichever node has the tenant.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Context, Effect, ManagedRuntime, Redacted, Schema } from "effect"
import { assign, setup } from "xstate"
import {
  command,
  DurableMachines,
  durableMachine,
  durably,
  installationPrincipal,
  layer,
  protocol,
  SignalRouter,
  scopedAddress,
  signalTo,
  tell
} from "../../../src/effect.ts"

const traits = { family: "host", roles: ["app"], description: "of a test" } as const
const Sum = Schema.Struct({ sum: Schema.Int, count: Schema.Int })
const Amount = { amount: Schema.Int }
const Add = command("add", { ...traits, payload: Amount, success: Sum })
const Book = command("book", { ...traits, payload: Amount, success: Sum })

interface Sums {
  readonly sum: number
  readonly count: number
}
interface Adds {
  readonly type: "add"
  readonly amount: number
}
const rule = {
  event: ({ amount }: { readonly amount: number }): Adds => ({ type: "add", amount }),
  answer: ({ snapshot: { context } }: { readonly snapshot: { readonly context: Sums } }) => ({
    sum: context.sum,
    count: context.count
  })
}
const ledgerOf = (tenant: string) => scopedAddress("ledger", tenant, "1")
const accountOf = (tenant: string) => scopedAddress("account", tenant, "1")

const ledger = durableMachine({
  ...{ kind: "ledger", version: "1", protocol: protocol(Book), signals: { book: rule } },
  machine: setup({ types: { context: {} as Sums, events: {} as Adds } }).createMachine({
    context: { sum: 0, count: 0 },
    on: {
      add: {
        actions: assign({
          sum: ({ context, event }) => context.sum + event.amount,
          count: ({ context }) => context.count + 1
        })
      }
    }
  })
})

type Opened = Sums & { readonly tenant: string; readonly opened: number }
const account = durableMachine({
  ...{ kind: "account", version: "1", protocol: protocol(Add), signals: { add: rule } },
  machine: setup({
    types: { context: {} as Opened, events: {} as Adds, input: {} as { readonly tenant: string } },
    actors: { open: durably(Context.empty(), () => Effect.succeed(1)) },
    actions: {
      book: tell(({ context, event }: { readonly context: Opened; readonly event: Adds }) =>
        signalTo(ledgerOf(context.tenant), Book, { amount: event.amount })
      )
    }
  }).createMachine({
    context: ({ input: { tenant } }) => ({ tenant, sum: 0, count: 0, opened: 0 }),
    invoke: {
      src: "open",
      onDone: { actions: assign({ opened: ({ context, event }) => context.opened + event.output }) }
    },
    on: {
      add: {
        actions: [
          assign({
            sum: ({ context, event }) => context.sum + event.amount,
            count: ({ context }) => context.count + 1
          }),
          "book"
        ]
      }
    }
  })
})

const runtime = ManagedRuntime.make(
  layer({
    dataDirectory: process.env.BURSAR_DATA ?? "",
    databaseUrl: Redacted.make(process.env.DATABASE_URL ?? ""),
    cluster: { port: 0 }
  })
)
const machines = await runtime.runPromise(DurableMachines)
const router = await runtime.runPromise(SignalRouter)
const ledgers = await runtime.runPromise(machines.register(ledger))
const accounts = await runtime.runPromise(machines.register(account))

interface Params {
  readonly tenant: string
  readonly amount: number
  readonly request_id: string
}

const methods: { readonly [name: string]: (params: Params) => Effect.Effect<unknown, unknown> } = {
  get_status: ({ tenant = "default" }) =>
    Effect.map(router.ask("get_status", {}, installationPrincipal(tenant)), ({ cluster }) => ({ cluster })),
  open: ({ tenant }) =>
    Effect.gen(function* () {
      yield* ledgers.start(ledgerOf(tenant))
      const { isNew } = yield* accounts.start(accountOf(tenant), { tenant })
      return { isNew }
    }),
  add: ({ tenant, amount, request_id }) =>
    Effect.gen(function* () {
      const ref = yield* accounts.find(accountOf(tenant))
      if (ref === undefined) return yield* Effect.die("it was never opened")
      return yield* ref.ask("add", { amount, request_id }, installationPrincipal(tenant))
    }),
  sums: ({ tenant }) =>
    Effect.gen(function* () {
      const account = (yield* accounts.view(accountOf(tenant)))?.snapshot.context
      const booked = (yield* ledgers.view(ledgerOf(tenant)))?.snapshot.context
      return { account, booked }
    })
}

const answer = async (text: string): Promise<unknown> => {
  const { id, method, params } = JSON.parse(text) as { id: number; method: string; params: Params }
  const known = methods[method] ?? (() => Effect.die(`no such method: ${method}`))
  const told = Effect.catchDefect(known(params), (defect) =>
    Effect.fail({ _tag: "Defect", message: String(defect) })
  )
  const exit = await runtime.runPromise(Effect.result(told))
  if (exit._tag === "Success") return { jsonrpc: "2.0", id, result: exit.success }
  const { message, _tag } = exit.failure as { readonly message: string; readonly _tag: string }
  return { jsonrpc: "2.0", id, error: { code: 0, message, data: { _tag } } }
}

const server = createServer((request, response) => {
  let text = ""
  request.on("data", (part) => (text += String(part)))
  request.on("end", async () => response.end(JSON.stringify(await answer(text))))
})
server.listen(0, "127.0.0.1", () => {
  console.log(`bursar ready http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once("SIGTERM", async () => {
  await runtime.dispose()
  process.exit(0)
})
