/**
 * A durable machine with child machines, for tests: an order whose dishes are machines of their own, each with an oven.
 *
 * `cook` is an Effect of the test's own, which sees its key.
 */
import { Context, type Effect, Schema } from "effect"
import { type ActorRefFrom, assign, emit, sendParent, sendTo, setup, stopChild } from "xstate"
import { scopedAddress } from "../../../src/actor/Address.ts"
import { durably, type Invocation, signalTo, tell } from "../../../src/actor/DurableLogic.ts"
import { type DurableMachine, durableMachine } from "../../../src/actor/DurableMachine.ts"
import { protocol } from "../../../src/signal/Protocol.ts"
import { command, query } from "../../../src/signal/Signal.ts"

const traits = { family: "actors", roles: ["app"], description: "of a test" } as const
const Standing = Schema.Struct({
  served: Schema.Array(Schema.String),
  spoilt: Schema.Array(Schema.String),
  heard: Schema.Array(Schema.String),
  count: Schema.Finite
})
const dish = { dish: Schema.String }
export const Order = command("order", { ...traits, payload: dish, success: Standing })
export const Salt = command("salt", { ...traits, payload: dish, success: Standing })
export const Cancel = command("cancel", { ...traits, payload: dish, success: Standing })
export const GetOrder = query("get_order", { ...traits, payload: {}, success: Standing })
export const Served = command("served", { ...traits, payload: dish, success: Schema.Struct({}) })
export const orderProtocol = protocol(Order, Salt, Cancel, GetOrder)

export const WAITER = scopedAddress("waiter", "t", "1")
export const orderAddress = (id: string) => scopedAddress("order", "t", id)

export type Cook = (invocation: Invocation<{ readonly dish: string }>) => Effect.Effect<number, unknown>

/** Is hot after ten seconds, and says so. */
const ovenMachine = setup({ types: { events: {} as { readonly type: "OFF" } } }).createMachine({
  id: "oven",
  initial: "cold",
  states: {
    cold: { after: { 10000: { target: "hot", actions: sendParent({ type: "HOT" }) } } },
    hot: { tags: "dangerous", on: { OFF: "off" } },
    off: { type: "final" }
  }
})

type DishEvent = { readonly type: "HOT" | "SALT" }

const dishMachine = (cook: Cook) =>
  setup({
    types: {
      context: {} as { readonly dish: string; readonly salt: number; readonly heat: number },
      events: {} as DishEvent,
      input: {} as { readonly dish: string },
      output: {} as string
    },
    actors: { oven: ovenMachine, cook: durably(Context.empty(), cook) },
    actions: {
      toWaiter: tell(({ context }: { readonly context: { readonly dish: string } }) =>
        signalTo(WAITER, Served, { dish: context.dish })
      )
    }
  }).createMachine({
    id: "dish",
    context: ({ input }) => ({ dish: input.dish, salt: 0, heat: 0 }),
    initial: "waiting",
    output: ({ context }) => `${context.dish} ${context.salt} ${context.heat}`,
    on: {
      SALT: {
        actions: [
          assign({
            salt: ({ context }) => {
              if (context.salt === 2) throw new Error("too salty")
              return context.salt + 1
            }
          }),
          sendParent(({ context }) => ({ type: "HEARD", text: `${context.dish} is salted` })),
          emit(({ context }) => ({ type: "salted", dish: context.dish }))
        ]
      }
    },
    invoke: { src: "oven", id: "oven" },
    states: {
      waiting: { on: { HOT: "cooking" } },
      cooking: {
        invoke: {
          src: "cook",
          id: "cook",
          input: ({ context }) => ({ dish: context.dish }),
          onDone: {
            target: "resting",
            actions: [assign({ heat: ({ event }) => event.output }), sendTo("oven", { type: "OFF" })]
          }
        }
      },
      resting: { after: { 60000: "ready" } },
      ready: { entry: "toWaiter", type: "final" }
    }
  })

export interface OrderContext {
  readonly served: ReadonlyArray<string>
  readonly spoilt: ReadonlyArray<string>
  readonly heard: ReadonlyArray<string>
  readonly last: ActorRefFrom<ReturnType<typeof dishMachine>> | null
}

type OrderEvent =
  | { readonly type: "ORDER" | "SALT" | "CANCEL"; readonly dish: string }
  | { readonly type: "HEARD"; readonly text: string }
  | { readonly type: "xstate.done.actor.dish"; readonly output: string }
  | { readonly type: "xstate.error.actor.dish"; readonly error: { readonly message: string } }

export const orderMachine = (cook: Cook, said: (text: string) => void = () => undefined) =>
  setup({
    types: {
      context: {} as OrderContext,
      events: {} as OrderEvent,
      input: {} as Record<string, never>
    },
    actors: { dish: dishMachine(cook) },
    actions: {
      say: ({ self }) => {
        said("ordered")
        self.send({ type: "HEARD", text: "said" })
      }
    }
  }).createMachine({
    id: "order",
    context: { served: [], spoilt: [], heard: [], last: null },
    on: {
      ORDER: {
        actions: [
          assign({
            last: ({ spawn, event }) => spawn("dish", { id: event.dish, input: { dish: event.dish } })
          }),
          "say"
        ]
      },
      SALT: { actions: sendTo(({ event }) => event.dish, { type: "SALT" }) },
      CANCEL: { actions: stopChild(({ event }) => event.dish) },
      HEARD: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.text] }) },
      "xstate.done.actor.*": {
        actions: assign({
          served: ({ context, event }) => [...context.served, event.output]
        })
      },
      "xstate.error.actor.*": {
        actions: assign({
          spoilt: ({ context, event }) => [...context.spoilt, event.error.message]
        })
      }
    }
  })

export type OrderMachine = ReturnType<typeof orderMachine>

interface Seen {
  readonly snapshot: { readonly context: OrderContext; readonly children: object }
}

const standingOf = ({ snapshot: { context, children } }: Seen) => ({
  served: context.served,
  spoilt: context.spoilt,
  heard: context.heard,
  count: Object.keys(children).length
})

export const orderOf = (
  machine: OrderMachine,
  fields: Partial<DurableMachine<OrderMachine, typeof orderProtocol>> = {}
) =>
  durableMachine({
    kind: "order",
    machine,
    version: "1",
    protocol: orderProtocol,
    signals: {
      order: { event: ({ dish }) => ({ type: "ORDER", dish }) as const, answer: standingOf },
      salt: { event: ({ dish }) => ({ type: "SALT", dish }) as const, answer: standingOf },
      cancel: { event: ({ dish }) => ({ type: "CANCEL", dish }) as const, answer: standingOf },
      get_order: { answer: standingOf }
    },
    ...fields
  })
