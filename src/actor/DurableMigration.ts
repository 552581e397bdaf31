/**
 * Brings what an earlier version of a machine left into a state of this one, its child machines too.
 *
 * Owns: what goes on (invocations, delays and child machines that the new state has under the same id) and what begins anew.
 * Does not decide: which state that is (the definition's `migrate`).
 */
import type { Schema } from "effect"
import type { AnyMachineSnapshot, AnyStateMachine, StateNode } from "xstate"
import { childPath } from "./ChildPath.ts"
import { kindOf, logicOf } from "./DurableDeclaration.ts"
import type { MigratedChild, MigratedSnapshot, OldChild } from "./DurableMachine.ts"
import {
  type DurableState,
  type InvocationState,
  machineSnapshot,
  type PersistedChild,
  type PersistedSnapshot,
  type TimerState
} from "./DurableState.ts"
import { put, type StepContext, type Stepped } from "./DurableStep.ts"
import type { Spawned } from "./DurableTree.ts"
import { jsonProblem } from "./PlainJson.ts"
import { type Invoked, invokesOf, nodesOf } from "./XStateInternals.ts"

const MIGRATED = { type: "bursar.migrated" } as const

type Made = Pick<MigratedChild, "value" | "context" | "children">

const resolved = (value: unknown, snapshot: AnyMachineSnapshot): unknown =>
  typeof value === "function" ? value({ context: snapshot.context, event: MIGRATED }) : value

/** The child machines of a snapshot, as `migrate` is given them. */
export const childrenOf = ({ children }: PersistedSnapshot): { readonly [id: string]: OldChild } =>
  Object.fromEntries(
    Object.entries(children).flatMap(([id, child]) => {
      const inside = machineSnapshot(child)
      if (inside === undefined) return []
      const { value, context } = inside
      return [[id, { src: child.src, value, context, children: childrenOf(inside) }]]
    })
  )

const delayOf = (machine: AnyStateMachine, delay: unknown, snapshot: AnyMachineSnapshot): number => {
  if (typeof delay === "number") return delay
  const named = (machine.implementations.delays as { readonly [name: string]: unknown })[String(delay)]
  return Number(resolved(named, snapshot) ?? 0)
}

const nodeOf = (machine: AnyStateMachine, id: string): StateNode | undefined => {
  try {
    return machine.getStateNodeById(id) as unknown as StateNode
  } catch {
    return undefined
  }
}

const isInside = (node: StateNode, parent: StateNode | undefined): boolean => {
  for (let at = node.parent; at !== undefined; at = at.parent) if (at === parent) return true
  return false
}

/** What history states remember, as far as the machine still has them and what they lead back to. */
const historyOf = (
  machine: AnyStateMachine,
  old: PersistedSnapshot | undefined
): PersistedSnapshot["historyValue"] =>
  Object.fromEntries(
    Object.entries(old?.historyValue ?? {}).flatMap(([id, states]) => {
      const history = nodeOf(machine, id)
      if (history?.type !== "history") return []
      const all = states.every((state) => {
        const node = nodeOf(machine, state.id)
        return node !== undefined && isInside(node, history.parent)
      })
      return all ? [[id, states.map((state) => ({ id: state.id }))]] : []
    })
  )

const isWithin = (path: string, inside: string): boolean => path === inside || path.startsWith(`${inside}/`)

class Migration {
  readonly #old: DurableState
  readonly #revision: number
  readonly #now: number
  readonly #invocations: Record<string, InvocationState> = {}
  readonly #machines: Record<string, number> = {}
  readonly #timers: Array<TimerState> = []
  /** Child machines that begin anew. */
  readonly begun: Array<Spawned & { readonly parent: string }> = []

  constructor(old: DurableState, now: number) {
    this.#old = old
    this.#revision = old.revision + 1
    this.#now = now
  }

  stateOf(machine: AnyStateMachine, made: Made): DurableState {
    const snapshot = this.#placed(machine, made, this.#old.snapshot, "")
    return {
      revision: this.#revision,
      snapshot,
      invocations: this.#invocations,
      machines: this.#machines,
      timers: this.#timers,
      outgoingSeq: this.#old.outgoingSeq
    }
  }

  /** One machine of the tree in the state that is wanted of it. */
  #placed(
    machine: AnyStateMachine,
    { value, context, children = {} }: Made,
    old: PersistedSnapshot | undefined,
    path: string
  ): PersistedSnapshot {
    const problem = jsonProblem(context, `the migrated context${path === "" ? "" : ` of ${path}`}`)
    if (problem !== undefined) throw new Error(problem)
    const snapshot = machine.resolveState({ value, context } as never) as AnyMachineSnapshot
    const kept: Record<string, PersistedChild> = {}
    if (snapshot.status === "active") {
      for (const invoke of invokesOf(snapshot))
        if (!Object.hasOwn(children, invoke.id)) this.#invoked(machine, invoke, snapshot, old, path, kept)
      for (const [id, child] of Object.entries(children))
        kept[id] = this.#child(machine, id, child, snapshot, old, path)
      this.#keepTimers(machine, snapshot, path)
    }
    const { status } = snapshot
    return JSON.parse(
      JSON.stringify({
        status,
        value: snapshot.value,
        context,
        historyValue: historyOf(machine, old),
        children: kept
      })
    ) as PersistedSnapshot
  }

  #invoked(
    machine: AnyStateMachine,
    { id, src, input, systemId, onSnapshot }: Invoked,
    snapshot: AnyMachineSnapshot,
    old: PersistedSnapshot | undefined,
    parent: string,
    kept: Record<string, PersistedChild>
  ): void {
    const path = childPath(parent, id)
    const logic = logicOf(machine, src)
    const isRun = logic !== undefined && kindOf(logic) === "run"
    const before = old?.children[id]
    const goesOn = isRun ? this.#old.invocations[path] !== undefined : this.#old.machines[path] !== undefined
    if (before !== undefined && goesOn) {
      kept[id] = { ...before, src }
      this.#goOn(path)
      return
    }
    const given = resolved(input, snapshot)
    if (isRun) {
      const begun =
        given === undefined ? { status: "active" } : { status: "active", input: given as Schema.Json }
      kept[id] = { src, snapshot: begun }
      this.#invocations[path] = { revision: this.#revision, hasEnded: false }
    } else if (logic !== undefined) {
      const syncSnapshot = onSnapshot !== undefined
      const named = systemId === undefined ? {} : { systemId }
      this.begun.push({ parent, id, src, logic, input: given, syncSnapshot, ...named })
    }
  }

  #child(
    machine: AnyStateMachine,
    id: string,
    made: MigratedChild,
    snapshot: AnyMachineSnapshot,
    old: PersistedSnapshot | undefined,
    parent: string
  ): PersistedChild {
    const logic = logicOf(machine, made.src)
    if (logic === undefined || kindOf(logic) !== "machine")
      throw new Error(`the child ${id} is to go on as ${made.src}, which is no machine of ${machine.id}`)
    const path = childPath(parent, id)
    const before = old?.children[id]
    this.#machines[path] = this.#old.machines[path] ?? this.#revision
    const placed = this.#placed(logic as AnyStateMachine, made, before && machineSnapshot(before), path)
    const invoke = invokesOf(snapshot).find((one) => one.id === id)
    return {
      ...before,
      src: made.src,
      ...(invoke?.onSnapshot === undefined ? {} : { syncSnapshot: true }),
      snapshot: placed as unknown as Schema.JsonObject
    }
  }

  /** Whatever there is at a path and inside of it. */
  #goOn(path: string): void {
    const { invocations, machines, timers } = this.#old
    for (const [at, invocation] of Object.entries(invocations))
      if (isWithin(at, path)) this.#invocations[at] = invocation
    for (const [at, born] of Object.entries(machines)) if (isWithin(at, path)) this.#machines[at] = born
    this.#timers.push(...timers.filter(({ from = "" }) => isWithin(from, path)))
  }

  #keepTimers(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, path: string): void {
    const old = this.#old.timers.filter(({ from = "" }) => from === path)
    this.#timers.push(...old.filter(({ id }) => !id.startsWith("xstate.after.")))
    const where = path === "" ? {} : { from: path, to: path }
    const delays = nodesOf(snapshot).flatMap((node) => node.after)
    for (const { delay, eventType: id } of delays) {
      const before = old.find((timer) => timer.id === id)
      const at = this.#now + delayOf(machine, delay, snapshot)
      this.#timers.push(before ?? { id, at, event: { type: id }, ...where })
    }
  }
}

/**
 * The state that a migration answers, one revision later, and what follows from the children that begin in it. Throws where
 * the machine has no such state, or a child that is to go on does not fit.
 */
export const migrated = (
  context: StepContext,
  old: DurableState,
  made: MigratedSnapshot<AnyStateMachine>
): Stepped => {
  const migration = new Migration(old, context.now)
  const state = migration.stateOf(context.machine, made)
  return put(context, state, migration.begun)
}
