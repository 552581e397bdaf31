/**
 * All that is kept of a durable machine, as one plain value.
 *
 * Owns: its shape, and its text. What is in memory is what a restart would read.
 */
import type { Schema } from "effect"
import type { Millis } from "../signal/Text.ts"

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
}

export interface DurableState {
  readonly revision: number
  /** As XState persists it. */
  readonly snapshot: PersistedSnapshot
  readonly invocations: { readonly [id: string]: InvocationState }
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
  readonly children: {
    readonly [id: string]: { readonly src: string; readonly snapshot: Schema.JsonObject }
  }
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

/** When the machine has to be in memory: now (0) where something runs, at its next timer, or never by itself. */
export const wakesAtOf = (state: DurableState): Millis | null =>
  runningOf(state).length > 0 ? 0 : (nextTimer(state)?.at ?? null)
