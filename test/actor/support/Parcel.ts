/**
 * A durable machine for tests: a parcel that is weighed, shipped within an hour, and told to a depot.
 *
 * `weigh` is an Effect of the test's own, which sees its key.
 */
import { Context, type Effect, Schema } from "effect"
import { assign, emit, setup } from "xstate"
import { scopedAddress } from "../../../src/actor/Address.ts"
import { durably, type Invocation, signalTo, tell } from "../../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../../src/actor/DurableMachine.ts"
import { NotFound } from "../../../src/signal/Errors.ts"
import { protocol } from "../../../src/signal/Protocol.ts"
import { command, query } from "../../../src/signal/Signal.ts"

const Standing = Schema.Struct({
  state: Schema.String,
  notes: Schema.Array(Schema.String),
  weight: Schema.Finite
})
const traits = { family: "actors", roles: ["app"], description: "of a test" } as const

export const Note = command("note", { ...traits, payload: { text: Schema.String }, success: Standing })
export const Ship = command("ship", { ...traits, payload: {}, success: Standing })
export const Cancel = command("cancel", { ...traits, payload: {}, success: Standing })
export const GetParcel = query("get_parcel", { ...traits, payload: {}, success: Standing })
export const parcelProtocol = protocol(Note, Ship, Cancel, GetParcel)

export const Arrived = command("arrived", {
  ...traits,
  payload: { parcel: Schema.String },
  success: Schema.Struct({})
})

export type Weigh = (invocation: Invocation<{ readonly name: string }>) => Effect.Effect<number, unknown>

export interface ParcelContext {
  readonly name: string
  readonly notes: ReadonlyArray<string>
  readonly weight: number
  readonly failure: string
}
type ParcelEvent =
  | { readonly type: "note"; readonly text: string }
  | { readonly type: "ship" }
  | { readonly type: "cancel" }

export const depot = (tenant: string) => scopedAddress("depot", tenant, "main")

/** The statechart; `done` is run after each commit that shipped it. */
export const parcelMachine = (weigh: Weigh, done: () => void = () => undefined) =>
  setup({
    types: {
      context: {} as ParcelContext,
      events: {} as ParcelEvent,
      input: {} as { readonly name: string },
      output: {} as { readonly weight: number }
    },
    actors: { weigh: durably(Context.empty(), weigh) },
    actions: {
      done,
      told: tell(({ context }: { readonly context: ParcelContext }) =>
        signalTo(depot("t"), Arrived, { parcel: context.name })
      )
    },
    delays: { shipping: 3_600_000 }
  }).createMachine({
    id: "parcel",
    initial: "weighing",
    context: ({ input }) => ({ name: input.name, notes: [], weight: 0, failure: "" }),
    output: ({ context }) => ({ weight: context.weight }),
    on: {
      note: {
        actions: [
          assign({
            notes: ({ context, event }) => {
              if (event.text === "poison") throw new Error("a note that cannot be taken")
              return [...context.notes, event.text]
            }
          }),
          emit(({ event }) => ({ type: "noted", text: event.text }))
        ]
      },
      cancel: ".cancelled"
    },
    states: {
      weighing: {
        invoke: {
          src: "weigh",
          id: "weigh",
          input: ({ context }) => ({ name: context.name }),
          onDone: { target: "waiting", actions: assign({ weight: ({ event }) => event.output }) },
          onError: {
            target: "waiting",
            actions: assign({ failure: ({ event }) => (event.error as { readonly message: string }).message })
          }
        }
      },
      waiting: { tags: "open", after: { shipping: "shipped" }, on: { ship: "shipped" } },
      shipped: { entry: ["told", "done"], type: "final" },
      cancelled: { type: "final" }
    }
  })

export type ParcelMachine = ReturnType<typeof parcelMachine>

const standingOf = ({
  snapshot
}: {
  readonly snapshot: { readonly value: unknown; readonly context: ParcelContext }
}) => ({
  state: String(snapshot.value),
  notes: snapshot.context.notes,
  weight: snapshot.context.weight
})

export const parcel = (machine: ParcelMachine, version = "1") =>
  durableMachine({
    kind: "parcel",
    machine,
    version,
    protocol: parcelProtocol,
    signals: {
      note: {
        event: ({ text }) =>
          text === ""
            ? new NotFound({ kind: "note", id: "", message: "a note has a text" })
            : ({ type: "note", text } as const),
        answer: standingOf
      },
      ship: { event: () => ({ type: "ship" }) as const, answer: standingOf },
      cancel: { event: () => ({ type: "cancel" }) as const, answer: standingOf },
      get_parcel: { answer: standingOf }
    },
    about: ({ context }) => ({ name: context.name }),
    facts: (after, before) =>
      before?.snapshot.value === after.snapshot.value
        ? []
        : [{ kind: "moved", body: { to: String(after.snapshot.value) } }]
  })

export const addressOf = (id: string) => scopedAddress("parcel", "t", id)
