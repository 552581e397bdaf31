/**
 * One step of a durable machine, pure: `(state, event, now) → state, what goes out, what is told, what is to be done`.
 *
 * Owns: how what the machine and its child machines ask for becomes rows (invocations, timers, outgoing signals, facts), and
 * that all of a state is plain JSON.
 * Does not decide: what the machines do (DurableTree), or when any of it is carried out (DurableKeeping).
 *
 * Each step begins with actors that are restored from what is kept, and ends by writing them down.
 */
import type { Schema } from "effect"
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate"
import type { Millis } from "../signal/Text.ts"
import type { Address } from "./Address.ts"
import { tellOf } from "./DurableLogic.ts"
import {
  type DurableState,
  type InvocationState,
  type PersistedSnapshot,
  persistedAt,
  type TimerState
} from "./DurableState.ts"
import { DurableTree, type Spawned, type TreeListener } from "./DurableTree.ts"
import type { MachineFact, OutgoingSignal } from "./MachineStore.ts"
import { listOf, namedBy, type Outgoing, strangerProblem } from "./Outgoing.ts"
import { jsonProblem, NotDurable } from "./PlainJson.ts"
import { type Executable, STOPPED, type TreeActor } from "./XStateInternals.ts"

/** What a step was: its result, and what follows from it once it is committed. */
export interface Stepped {
  readonly state: DurableState
  readonly snapshot: AnyMachineSnapshot
  readonly outgoing: ReadonlyArray<OutgoingSignal>
  readonly facts: ReadonlyArray<MachineFact>
  /** Actions of the machine's own, in their order. */
  readonly actions: ReadonlyArray<() => void>
  /** What is logged. */
  readonly notes: ReadonlyArray<string>
}

/** What comes from outside of a step to one of the machine's tree: an event that an action has sent, or its end. */
export interface LateEvent {
  /** Where in the tree: the empty path is the machine itself. */
  readonly to: string
  /** Which one that was there: when it began (`DurableState.machines`). */
  readonly born: number | undefined
  /** `undefined`: somebody has ended it. */
  readonly event: EventObject | undefined
}

export interface StepContext {
  readonly machine: AnyStateMachine
  readonly address: Address
  readonly now: Millis
  /** Takes what an action sends by itself (`self.send`) when it is run. */
  readonly sendLate: (late: LateEvent) => void
}

interface Timer {
  readonly id: string
  readonly at: Millis
  readonly event: Schema.JsonObject
  readonly source: TreeActor
  readonly target: TreeActor
}

const checkedPlain = (value: unknown, path: string): string | undefined => {
  const problem = jsonProblem(value, path)
  return problem === undefined
    ? undefined
    : `${problem}. What a durable machine keeps is plain JSON: it has to be the same after a restart`
}

const plain = (value: unknown, path: string): Schema.JsonObject => {
  const problem = checkedPlain(value, path)
  if (problem !== undefined) throw new NotDurable(problem)
  return value as Schema.JsonObject
}

/** A step that is being taken: the tree, and what its members have asked for so far. */
class Step implements TreeListener {
  readonly #context: StepContext
  readonly #outgoing: Array<OutgoingSignal> = []
  readonly #facts: Array<MachineFact> = []
  readonly #actions: Array<() => void> = []
  readonly #notes: Array<string> = []
  readonly #invocations = new Map<TreeActor, InvocationState>()
  #timers: ReadonlyArray<Timer> = []
  #timersSet = 0
  #outgoingSeq: number
  readonly tree: DurableTree

  constructor(context: StepContext, from: DurableState | { readonly input: unknown }) {
    this.#context = context
    const { machine } = context
    if ("input" in from) {
      this.#outgoingSeq = 0
      this.tree = DurableTree.begun(machine, from.input, this)
      this.tree.start()
    } else {
      this.#outgoingSeq = from.outgoingSeq
      this.tree = DurableTree.restored(machine, from.snapshot, from.revision, this)
      this.#goOn(from)
    }
  }

  /** What is known of those that were restored. */
  #goOn({ invocations, timers, machines }: DurableState): void {
    const byPath = new Map<string, TreeActor>()
    for (const [actor, path] of this.tree.members()) {
      byPath.set(path, actor)
      const invocation = invocations[path]
      if (invocation !== undefined) this.#invocations.set(actor, invocation)
      const born = machines[path]
      if (born !== undefined) this.tree.born.set(actor, born)
    }
    this.#timers = timers.flatMap(({ id, at, event, from = "", to = "" }) => {
      const source = byPath.get(from)
      const target = byPath.get(to)
      return source === undefined || target === undefined ? [] : [{ id, at, event, source, target }]
    })
  }

  at(path: string): TreeActor | undefined {
    for (const [actor, where] of this.tree.members()) if (where === path) return actor
    return undefined
  }

  // --- what the tree asks for

  act({ type, params, info, exec }: Executable, path: string): void {
    if (type === "xstate.emit") this.#emit((params as { readonly event: EventObject }).event)
    else if (type === "xstate.log") this.#log(params as { readonly value: unknown; readonly label?: string })
    else if (exec !== undefined) this.#own(exec, info, params, path)
  }

  #emit({ type, ...body }: EventObject): void {
    this.#facts.push({ kind: type, body: this.#plain(body, `emitted ${type}`) })
  }

  #log({ value, label }: { readonly value: unknown; readonly label?: string }): void {
    const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
    this.#notes.push(label === undefined ? text : `${label}: ${text}`)
  }

  #own(exec: NonNullable<Executable["exec"]>, info: unknown, params: unknown, path: string): void {
    const tells = tellOf(exec)
    if (tells === undefined) {
      this.#actions.push(() => exec(info, params))
      return
    }
    for (const outgoing of listOf(tells(info, params))) this.#tell(outgoing, path)
  }

  /** The number is the machine's own; a child's key names the child as well. */
  #tell(outgoing: Outgoing, path: string): void {
    const { address } = this.#context
    const { to, signal } = outgoing
    const problem = strangerProblem(address, outgoing)
    if (problem !== undefined) this.tree.refuse(problem)
    this.#outgoingSeq += 1
    const seq = this.#outgoingSeq
    const params = namedBy(`${address.text}#${seq}${path === "" ? "" : `/${path}`}`, outgoing)
    this.#outgoing.push({ seq, to: to.text, signal, params: this.#plain(params, signal) })
  }

  readonly schedule: TreeListener["schedule"] = (source, target, event, delayMs, id) => {
    if (this.tree.kindOf(target) === "run") {
      target._send(event)
      return
    }
    this.#timersSet += 1
    const timerId = id ?? `${event.type}.${this.tree.revision}.${this.#timersSet}`
    this.cancel(source, timerId)
    const at = this.#context.now + Math.max(0, delayMs)
    const kept = this.#plain(event, `delayed ${event.type}`)
    this.#timers = [...this.#timers, { id: timerId, at, event: kept, source, target }]
  }

  readonly cancel: TreeListener["cancel"] = (source, id) => {
    this.#timers = this.#timers.filter((timer) => timer.source !== source || timer.id !== id)
  }

  invoke(actor: TreeActor): void {
    if (!this.#invocations.has(actor))
      this.#invocations.set(actor, { revision: this.tree.revision, hasEnded: false })
  }

  note(text: string): void {
    this.#notes.push(text)
  }

  sendLate(actor: TreeActor, event: EventObject): void {
    this.#context.sendLate({ to: this.tree.pathOf(actor), born: this.tree.born.get(actor), event })
  }

  mark(): () => void {
    const lists = [this.#outgoing, this.#facts, this.#actions, this.#notes] as const
    const lengths = lists.map((list) => list.length)
    const seq = this.#outgoingSeq
    return () => {
      for (const [index, list] of lists.entries()) list.length = lengths[index] as number
      this.#outgoingSeq = seq
    }
  }

  /** What is not plain cannot be kept, whoever would catch it: then the step is not taken at all. */
  #plain(value: unknown, path: string): Schema.JsonObject {
    const problem = checkedPlain(value, path)
    return problem === undefined ? (value as Schema.JsonObject) : this.tree.refuse(new NotDurable(problem))
  }

  // --- what happens

  /** An Effect has ended: its end is an event for the machine that invoked it. */
  endInvocation(actor: TreeActor, ended: Ended): void {
    const { id, _parent: parent } = actor
    const invocation = this.#invocations.get(actor)
    if (parent === undefined || invocation === undefined) throw new Error(`${ended.id} is not invoked`)
    if ("output" in ended && ended.output !== undefined) plain(ended.output, `the output of ${ended.id}`)
    const result =
      "failure" in ended
        ? { status: "error", error: ended.failure }
        : { status: "done", output: ended.output ?? null }
    actor._snapshot = { ...actor._snapshot, ...result } as AnyMachineSnapshot
    this.#invocations.set(actor, { ...invocation, hasEnded: true })
    const event =
      "failure" in ended
        ? { type: `xstate.error.actor.${id}`, error: ended.failure, actorId: id }
        : { type: `xstate.done.actor.${id}`, output: ended.output, actorId: id }
    this.tree.deliver(parent, event as EventObject, actor)
  }

  /** Somebody else than its parent has ended a child: its parent learns it as the child's failure. */
  cutOff(actor: TreeActor): void {
    const { id, _parent: parent } = actor
    if (parent === undefined) return
    actor._stop()
    const error = { name: "Error", message: `${this.#context.address.text}: its child ${id} was stopped` }
    this.tree.deliver(parent, { type: `xstate.error.actor.${id}`, error, actorId: id } as EventObject, actor)
  }

  /** Writes the tree down. */
  taken(): Stepped {
    this.tree.check()
    const { root, revision } = this.tree
    const snapshot = root._snapshot
    const members = this.tree.members()
    const isLive = (actor: TreeActor) => members.has(actor) && actor._snapshot.status === "active"
    const invocations: Record<string, InvocationState> = {}
    const machines: Record<string, number> = {}
    for (const [actor, path] of members) {
      if (actor === root) continue
      if (this.tree.kindOf(actor) !== "run") {
        if (isLive(actor)) machines[path] = this.tree.born.get(actor) ?? revision
      } else if (actor._processingStatus !== STOPPED)
        invocations[path] = this.#invocations.get(actor) ?? { revision, hasEnded: false }
    }
    const timers = this.#timers
      .filter(({ source, target }) => isLive(source) && isLive(target))
      .map(({ id, at, event, source, target }): TimerState => {
        const from = members.get(source)
        const to = members.get(target)
        return { id, at, event, ...(from ? { from } : {}), ...(to ? { to } : {}) }
      })
    const state: DurableState = {
      revision,
      snapshot: writtenDown(root),
      invocations,
      machines,
      timers,
      outgoingSeq: this.#outgoingSeq
    }
    return {
      state,
      snapshot,
      outgoing: this.#outgoing,
      facts: this.#facts,
      actions: this.#actions,
      notes: this.#notes
    }
  }
}

/** Each machine by itself, so that what is not plain is named by where it is. */
const plainTree = (snapshot: Record<string, unknown>, path: string): void => {
  const { children, ...own } = snapshot
  plain(own, path)
  for (const [id, child] of Object.entries(
    (children ?? {}) as Record<string, { readonly snapshot: unknown }>
  ))
    plainTree(child.snapshot as Record<string, unknown>, `${path}.children.${id}`)
}

const writtenDown = (root: TreeActor): PersistedSnapshot => {
  const whole = root.getPersistedSnapshot() as Record<string, unknown>
  const { error, ...rest } = whole
  const kept =
    error === undefined
      ? rest
      : { ...rest, error: jsonProblem(error, "error") === undefined ? error : String(error) }
  plainTree(kept, "snapshot")
  return JSON.parse(JSON.stringify(kept)) as PersistedSnapshot
}

/** Nobody listens: for reading. */
const SILENT: TreeListener = {
  act: () => undefined,
  schedule: () => undefined,
  cancel: () => undefined,
  invoke: () => undefined,
  note: () => undefined,
  sendLate: () => undefined,
  mark: () => () => undefined
}

/** The machine's snapshot, as its own functions want it. Throws where it does not fit the machine. */
export const snapshotOf = (machine: AnyStateMachine, state: DurableState): AnyMachineSnapshot =>
  DurableTree.restored(machine, state.snapshot, state.revision, SILENT).root._snapshot

/** The first state of a machine. Throws where the machine's rules do, or its state is not plain JSON. */
export const begin = (context: StepContext, input: unknown): Stepped => new Step(context, { input }).taken()

/** A state that nothing led to, and the children that begin in it. */
export const put = (
  context: StepContext,
  state: DurableState,
  begun: ReadonlyArray<Spawned & { readonly parent: string }>
): Stepped => {
  const step = new Step(context, state)
  for (const { parent, ...spawned } of begun) {
    const actor = step.at(parent)
    if (actor !== undefined) step.tree.spawn(actor, spawned)
  }
  return step.taken()
}

/** What an event leads to. Throws where the machine's rules do; then nothing has happened. */
export const step = (context: StepContext, state: DurableState, event: EventObject): Stepped => {
  const step = new Step(context, state)
  step.tree.deliver(step.tree.root, event)
  return step.taken()
}

/** A timer's moment has come. */
export const fire = (context: StepContext, state: DurableState, timer: TimerState): Stepped => {
  const timers = state.timers.filter((other) => other !== timer)
  const step = new Step(context, { ...state, timers })
  const { from = "", to = "", event } = timer
  const target = step.at(to)
  // Who has ended has no timers; so it is there.
  if (target !== undefined) step.tree.deliver(target, event as unknown as EventObject, step.at(from))
  return step.taken()
}

/** What comes late finds whom it was for, or `undefined`: then it is dropped. */
export const deliverLate = (
  context: StepContext,
  state: DurableState,
  { to, born, event }: LateEvent
): Stepped | undefined => {
  const step = new Step(context, state)
  const target = step.at(to)
  if (target === undefined || step.tree.kindOf(target) === "run") return undefined
  if (to !== "" && born !== step.tree.born.get(target)) return undefined
  if (event === undefined) step.cutOff(target)
  else step.tree.deliver(target, event)
  return step.taken()
}

/** The end of an Effect; `id` is where it is in the tree. */
export type Ended =
  | { readonly id: string; readonly revision: number; readonly output: unknown }
  | { readonly id: string; readonly revision: number; readonly failure: Schema.JsonObject }

/** Whether the machine still waits for the end of this invocation. */
export const isAwaited = (
  { invocations }: DurableState,
  { id, revision }: { id: string; revision: number }
): boolean => {
  const invocation = invocations[id]
  return invocation?.revision === revision && !invocation.hasEnded
}

/** What a state invoked has ended. */
export const end = (context: StepContext, state: DurableState, ended: Ended): Stepped => {
  const step = new Step(context, state)
  const actor = step.at(ended.id)
  if (actor === undefined || persistedAt(state.snapshot, ended.id) === undefined)
    throw new Error(`${ended.id} is not invoked`)
  step.endInvocation(actor, ended)
  return step.taken()
}
