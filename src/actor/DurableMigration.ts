/**
 * Brings what an earlier version of a machine left into a state of this one.
 *
 * Owns: what goes on (invocations and delays that the new state has under the same id) and what begins anew.
 * Does not decide: which state that is (the definition's `migrate`).
 */
import type { Schema } from "effect"
import type { AnyMachineSnapshot, AnyStateMachine, StateNode } from "xstate"
import type { Millis } from "../signal/Text.ts"
import type { MigratedSnapshot } from "./DurableMachine.ts"
import type { DurableState, InvocationState, PersistedSnapshot, TimerState } from "./DurableState.ts"
import { jsonProblem } from "./PlainJson.ts"

const MIGRATED = { type: "bursar.migrated" } as const

type Child = PersistedSnapshot["children"][string]
interface Invoked {
  readonly id: string
  readonly src: string
  readonly input?: unknown
}

const resolved = (value: unknown, snapshot: AnyMachineSnapshot): unknown =>
  typeof value === "function" ? value({ context: snapshot.context, event: MIGRATED }) : value

const nodesOf = (snapshot: AnyMachineSnapshot) =>
  (snapshot as unknown as { readonly _nodes: ReadonlyArray<StateNode> })._nodes

const childrenOf = (old: DurableState, snapshot: AnyMachineSnapshot, revision: number) => {
  const children: Record<string, Child> = {}
  const invocations: Record<string, InvocationState> = {}
  for (const node of nodesOf(snapshot)) {
    for (const { id, src, input } of node.invoke as unknown as ReadonlyArray<Invoked>) {
      const before = old.snapshot.children[id]
      const invocation = old.invocations[id]
      if (before !== undefined && invocation !== undefined) {
        children[id] = { ...before, src }
        invocations[id] = invocation
        continue
      }
      const given = resolved(input, snapshot)
      const begun =
        given === undefined ? { status: "active" } : { status: "active", input: given as Schema.Json }
      children[id] = { src, snapshot: begun }
      invocations[id] = { revision, hasEnded: false }
    }
  }
  return { children, invocations }
}

const delayOf = (machine: AnyStateMachine, delay: unknown, snapshot: AnyMachineSnapshot): number => {
  if (typeof delay === "number") return delay
  const named = (machine.implementations.delays as { readonly [name: string]: unknown })[String(delay)]
  return Number(resolved(named, snapshot) ?? 0)
}

const timersOf = (
  machine: AnyStateMachine,
  old: DurableState,
  snapshot: AnyMachineSnapshot,
  now: Millis
): ReadonlyArray<TimerState> => {
  const own = old.timers.filter(({ id }) => !id.startsWith("xstate.after."))
  const delays = nodesOf(snapshot).flatMap((node) =>
    node.after.map(({ delay, eventType }) => ({ id: eventType, delay }))
  )
  const after = new Map<string, TimerState>()
  for (const { id, delay } of delays) {
    const before = old.timers.find((timer) => timer.id === id)
    after.set(id, before ?? { id, at: now + delayOf(machine, delay, snapshot), event: { type: id } })
  }
  return [...own, ...after.values()]
}

/** The state that a migration answers, one revision later. Throws where the machine has no such state. */
export const migrated = (
  machine: AnyStateMachine,
  old: DurableState,
  { value, context }: MigratedSnapshot<AnyStateMachine>,
  now: Millis
): DurableState => {
  const problem = jsonProblem(context, "the migrated context")
  if (problem !== undefined) throw new Error(problem)
  const snapshot = machine.resolveState({ value, context } as never) as AnyMachineSnapshot
  const revision = old.revision + 1
  const isActive = snapshot.status === "active"
  const { children, invocations } = childrenOf(old, snapshot, revision)
  const kept = {
    status: snapshot.status,
    value: snapshot.value,
    context: snapshot.context,
    historyValue: {},
    children: isActive ? children : {}
  }
  return {
    revision,
    snapshot: JSON.parse(JSON.stringify(kept)) as PersistedSnapshot,
    invocations: isActive ? invocations : {},
    timers: isActive ? timersOf(machine, old, snapshot, now) : [],
    outgoingSeq: old.outgoingSeq
  }
}
