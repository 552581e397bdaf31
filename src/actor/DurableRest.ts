/**
 * When a durable machine has to be in memory.
 *
 * Owns: the moment, which is committed with each step: so leaving memory is nothing but forgetting what a restart would read.
 * Does not decide: who leaves (DurableLife says who may), or who looks for those whose moment has come (DurableLook).
 */
import type { AnyMachineSnapshot } from "xstate"
import type { Millis } from "../signal/Text.ts"
import { childAt } from "./ChildPath.ts"
import { waitsUntil } from "./DurableLogic.ts"
import { type DurableState, nextTimer, persistedAt, runningOf } from "./DurableState.ts"

/** Until when an Effect only waits; what cannot be said is now. */
const untilOf = ({ snapshot: kept }: DurableState, snapshot: AnyMachineSnapshot, id: string): Millis => {
  const { logic } = (childAt(snapshot, id) ?? {}) as { readonly logic?: object }
  try {
    return logic === undefined ? 0 : Math.max(0, waitsUntil(logic, persistedAt(kept, id)?.snapshot.input))
  } catch {
    return 0
  }
}

/** Now (0) where something works, where all of it waits at the first moment of any, or never by itself (`null`). */
export const wakesAtOf = (state: DurableState, snapshot: AnyMachineSnapshot): Millis | null => {
  const first = runningOf(state).reduce(
    (earliest, { id }) => Math.min(earliest, untilOf(state, snapshot, id)),
    nextTimer(state)?.at ?? Number.POSITIVE_INFINITY
  )
  return Number.isFinite(first) ? first : null
}
