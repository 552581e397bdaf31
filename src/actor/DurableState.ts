/**
 * All that is kept of a durable machine and its child machines, as one plain value.
 *
 * Owns: its shape, and its text. What is in memory is what a restart would read.
 *
 * What belongs to a child is kept by where the child is (ChildPath).
 */
import type { Schema } from "effect"
import type { Millis } from "../signal/Text.ts"
import { idsOf } from "./ChildPath.ts"

/** An Effect that a state invokes. */
export interface InvocationState {
  /** The step that entered the state: together with the address and the id it is the key. */
  readonly revision: number
  /** It has ended and the machine knows, but is still in the state. */
  readonly hasEnded: boolean
}

/** An event that comes by itself at its moment. */
export interface TimerState {
  readonly id: string
  readonly at: Millis
  readonly event: Schema.JsonObject
  /** Who has set it, and whom it is for. Left out: the machine itself. */
  readonly from?: string
  readonly to?: string
}

export interface DurableState {
  readonly revision: number
  /** As XState persists it, its children's snapshots in it. */
  readonly snapshot: PersistedSnapshot
  readonly invocations: { readonly [path: string]: InvocationState }
  /** The child machines that live, and the step at which each began: another one in its place has another. */
  readonly machines: { readonly [path: string]: number }
  readonly timers: ReadonlyArray<TimerState>
  /** The number of the last signal that went out. */
  readonly outgoingSeq: number
}

/** What of XState's persisted snapshot is looked at here. */
export interface PersistedSnapshot {
  readonly status: "active" | "done" | "error" | "stopped"
  readonly value: Schema.Json
  readonly context: Schema.Json
  readonly error?: Schema.Json
  readonly output?: Schema.Json
  /** By history state: the states that it leads back to. */
  readonly historyValue?: { readonly [id: string]: ReadonlyArray<{ readonly id: string }> }
  readonly children: { readonly [id: string]: PersistedChild }
}

/** An Effect, or a machine: then its snapshot is a `PersistedSnapshot`. */
export interface PersistedChild {
  readonly src: string
  readonly snapshot: Schema.JsonObject
}

/** The snapshot of a child that is a machine; `undefined`: it is no machine. */
export const machineSnapshot = ({ snapshot }: PersistedChild): PersistedSnapshot | undefined =>
  "children" in snapshot && "value" in snapshot ? (snapshot as unknown as PersistedSnapshot) : undefined

/** What is kept of the child at a path. */
export const persistedAt = (snapshot: PersistedSnapshot, path: string): PersistedChild | undefined => {
  let found: PersistedChild | undefined
  let children: PersistedSnapshot["children"] | undefined = snapshot.children
  for (const id of idsOf(path)) {
    found = children !== undefined && Object.hasOwn(children, id) ? children[id] : undefined
    children = found === undefined ? undefined : machineSnapshot(found)?.children
  }
  return found
}

/** The revision is a column of its own. */
export const textOf = ({ revision: _, ...kept }: DurableState): string => JSON.stringify(kept)

export const stateFrom = (text: string, revision: number): DurableState => ({
  ...(JSON.parse(text) as Omit<DurableState, "revision">),
  revision
})

/** What runs now, or has to be started again: invocations that have not ended. */
export const runningOf = (
  state: DurableState
): ReadonlyArray<{ readonly id: string; readonly revision: number }> =>
  state.snapshot.status === "active"
    ? Object.entries(state.invocations).flatMap(([id, { revision, hasEnded }]) =>
        hasEnded ? [] : [{ id, revision }]
      )
    : []

/** The timer that comes first; of two at the same moment the one that was set first. */
export const nextTimer = ({ timers, snapshot }: DurableState): TimerState | undefined =>
  snapshot.status === "active"
    ? timers.reduce<TimerState | undefined>(
        (first, timer) => (first === undefined || timer.at < first.at ? timer : first),
        undefined
      )
    : undefined
