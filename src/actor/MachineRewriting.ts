/**
 * The port's part in which texts of durable machines are written anew, from outside of them.
 *
 * Owns: what of a machine is text that may be about somebody; that whoever had the machine writes nothing afterwards.
 * Does not decide: what is written in its place (runtime/UserTraces).
 */
import type { Effect, Schema } from "effect"
import { type DurableState, machineSnapshot, type PersistedSnapshot } from "./DurableState.ts"

/** JSON as text where nothing else is said. */
export interface MachineTexts {
  readonly address: string
  /** It takes nothing any more. */
  readonly hasEnded: boolean
  readonly revision: number
  /** Words. */
  readonly reason: string | null
  readonly about: string
  readonly snapshot: string
  readonly outgoing: ReadonlyArray<{ readonly seq: number; readonly params: string }>
}

export interface FactText {
  readonly seq: number
  readonly body: string
}

export interface Mentioning<Place> {
  readonly tenant: string
  /** Whoever has it in no text is left out. */
  readonly text: string
  readonly after: Place
  /** Rows that are looked at. */
  readonly limit: number
}

export interface MachineRewriting<Unreachable> {
  /** Machines of a tenant, by address; `next` is `null` where all have been looked at. */
  readonly mentioning: (
    query: Mentioning<string>
  ) => Effect.Effect<
    { readonly machines: ReadonlyArray<MachineTexts>; readonly next: string | null },
    Unreachable
  >
  /**
   * Writes texts in the place of others, and takes the machine from whoever has it. `false`, and nothing is written, where
   * it has gone on since it was read.
   */
  readonly rewrite: (machine: MachineTexts) => Effect.Effect<boolean, Unreachable>
  readonly factsMentioning: (
    query: Mentioning<number>
  ) => Effect.Effect<{ readonly facts: ReadonlyArray<FactText>; readonly next: number | null }, Unreachable>
  readonly rewriteFacts: (tenant: string, facts: ReadonlyArray<FactText>) => Effect.Effect<void, Unreachable>
}

type Kept = Omit<DurableState, "revision">
type Rename = (json: Schema.Json) => Schema.Json

/** All that a machine knows, as far as its author decides what it is: names of states and children are code. */
export const knownOf = ({ snapshot, timers }: Kept): ReadonlyArray<Schema.Json> => [
  ...knownIn(snapshot),
  ...timers.map(({ event }) => event)
]

const knownIn = ({ context, output, error, children }: PersistedSnapshot): ReadonlyArray<Schema.Json> => [
  context,
  output ?? null,
  error ?? null,
  ...Object.values(children).flatMap((child) => {
    const inside = machineSnapshot(child)
    return inside === undefined ? [child.snapshot] : knownIn(inside)
  })
]

const renamedIn = (fields: Schema.JsonObject, rename: Rename): Schema.JsonObject =>
  Object.fromEntries(Object.entries(fields).map(([field, value]) => [field, rename(value as Schema.Json)]))

const renamedSnapshot = (snapshot: PersistedSnapshot, rename: Rename): PersistedSnapshot => {
  const { context, output, error, children } = snapshot
  return {
    ...snapshot,
    context: rename(context),
    ...(output === undefined ? {} : { output: rename(output) }),
    ...(error === undefined ? {} : { error: rename(error) }),
    children: Object.fromEntries(
      Object.entries(children).map(([id, child]) => {
        const inside = machineSnapshot(child)
        const renamed =
          inside === undefined
            ? renamedIn(child.snapshot, rename)
            : (renamedSnapshot(inside, rename) as unknown as Schema.JsonObject)
        return [id, { ...child, snapshot: renamed }]
      })
    )
  }
}

/** The same machine, with what it knows under another name. */
export const renamedMachine = (machine: MachineTexts, rename: Rename): MachineTexts => {
  const state = JSON.parse(machine.snapshot) as Kept
  const renamed: Kept = {
    ...state,
    snapshot: renamedSnapshot(state.snapshot, rename),
    timers: state.timers.map((timer) => ({ ...timer, event: renamedIn(timer.event, rename) }))
  }
  const text = (json: string): string => JSON.stringify(rename(JSON.parse(json) as Schema.Json))
  return {
    ...machine,
    about: text(machine.about),
    snapshot: JSON.stringify(renamed),
    outgoing: machine.outgoing.map(({ seq, params }) => ({ seq, params: text(params) }))
  }
}
