/**
 * One step of a durable machine, pure: `(state, event, now) → state, what goes out, what is told, what is to be done`.
 *
 * Owns: how what XState says is to be done becomes rows (invocations, timers, outgoing signals, facts), and that all of a
 * state is plain JSON.
 * Does not decide: what the machine does (the machine), or when any of it is carried out (DurableKeeping).
 *
 * XState's own `transition` makes an actor each time and computes the machine's first state with it; here it is given
 * the scope of an actor that was restored from what is kept. That actor is never started.
 */
import type { Schema } from "effect"
import {
  type AnyActor,
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  initialTransition
} from "xstate"
import type { Millis } from "../signal/Text.ts"
import type { Address } from "./Address.ts"
import { type Outgoing, tellOf } from "./DurableLogic.ts"
import type { DurableState, InvocationState, PersistedSnapshot, TimerState } from "./DurableState.ts"
import type { MachineFact, OutgoingSignal } from "./MachineStore.ts"
import { jsonProblem } from "./PlainJson.ts"
import { requestIdOf } from "./RequestKey.ts"

/** What a step was: its result, and what follows from it once it is committed. */
export interface Stepped {
  readonly state: DurableState
  readonly snapshot: AnyMachineSnapshot
  readonly outgoing: ReadonlyArray<OutgoingSignal>
  readonly facts: ReadonlyArray<MachineFact>
  /** Actions of the machine's own, in their order. */
  readonly actions: ReadonlyArray<() => void>
}

export interface StepContext {
  readonly machine: AnyStateMachine
  readonly address: Address
  readonly now: Millis
  /** Takes what an action sends to the machine itself, by `self.send`, when it is run. */
  readonly sendSelf: (event: EventObject) => void
}

/** Steps that may follow each other because the machine sends itself events; one more is a loop without an end. */
const SELF_EVENTS_MAX = 1_000
const MICROSTEPS_MAX = 10_000

/** An action as XState hands it over. */
interface Executable {
  readonly type: string
  readonly info: { readonly self: AnyActorRef }
  readonly params: unknown
  readonly exec: ((info: unknown, params: unknown) => void) | undefined
}

interface SendParams {
  readonly to?: unknown
  readonly event: EventObject
  readonly id?: string
  readonly delay?: number
}

const plain = (value: unknown, path: string): Schema.JsonObject => {
  const problem = jsonProblem(value, path)
  if (problem !== undefined)
    throw new Error(
      `${problem}. What a durable machine keeps is plain JSON: it has to be the same after a restart`
    )
  return value as Schema.JsonObject
}

/** Of a machine a copy whose cycles of transitions end with an error, and not never. */
export const bounded = <Machine extends AnyStateMachine>(machine: Machine): Machine => {
  const copy = machine.provide({}) as Machine
  const { maxIterations = Number.POSITIVE_INFINITY } = copy.options as { maxIterations?: number }
  copy.options = { ...copy.options, maxIterations: Math.min(maxIterations, MICROSTEPS_MAX) }
  return copy
}

/** An actor of the machine in this state, that is never started: children and all. */
const restored = (machine: AnyStateMachine, snapshot: PersistedSnapshot): AnyActor => {
  // XState puts its children into the context that it is given.
  const actor = createActor(machine, { snapshot: structuredClone(snapshot) as never })
  const { status, error } = actor.getSnapshot() as AnyMachineSnapshot
  if (status === "error" && snapshot.status !== "error")
    throw new Error("The snapshot does not fit the machine", { cause: error })
  return actor
}

/** The machine's snapshot, as its own functions want it. */
export const snapshotOf = (machine: AnyStateMachine, state: DurableState): AnyMachineSnapshot =>
  restored(machine, state.snapshot).getSnapshot() as AnyMachineSnapshot

interface Moved {
  readonly self: AnyActorRef
  readonly before: AnyMachineSnapshot | undefined
  readonly after: AnyMachineSnapshot
  readonly executed: ReadonlyArray<Executable>
}

const move = (context: StepContext, snapshot: PersistedSnapshot, event: EventObject): Moved => {
  const { machine, sendSelf } = context
  const self = restored(machine, snapshot)
  Object.assign(self, { send: sendSelf })
  const executed: Array<Executable> = []
  const system = self.system as unknown as { readonly _unregister: (child: unknown) => void }
  const scope = {
    self,
    system: self.system,
    id: self.id,
    sessionId: self.sessionId,
    logger: () => undefined,
    defer: () => undefined,
    stopChild: () => undefined,
    emit: () => undefined,
    actionExecutor: (action: Executable) => {
      executed.push(action)
      // As XState does it: another child may take the name within the same step.
      if (action.type === "xstate.stopChild" && action.params !== undefined) system._unregister(action.params)
    }
  }
  const before = self.getSnapshot() as AnyMachineSnapshot
  const after = machine.transition(before, event, scope as never) as AnyMachineSnapshot
  return { self, before, after, executed }
}

/** Gathers what follows from a step. */
class Consequences {
  readonly outgoing: Array<OutgoingSignal> = []
  readonly facts: Array<MachineFact> = []
  readonly actions: Array<() => void> = []
  readonly selfEvents: Array<EventObject> = []
  timers: ReadonlyArray<TimerState>
  readonly #context: StepContext
  readonly #revision: number
  #outgoingSeq: number

  constructor(
    context: StepContext,
    revision: number,
    timers: ReadonlyArray<TimerState>,
    outgoingSeq: number
  ) {
    this.#context = context
    this.#revision = revision
    this.timers = timers
    this.#outgoingSeq = outgoingSeq
  }

  get outgoingSeq(): number {
    return this.#outgoingSeq
  }

  add(action: Executable, self: AnyActorRef): void {
    switch (action.type) {
      case "xstate.raise":
        this.#raise(action.params as SendParams)
        break
      case "xstate.sendTo":
        this.#send(action.params as SendParams, self)
        break
      case "xstate.cancel":
        this.#cancel((action.params as { readonly sendId: string }).sendId)
        break
      case "xstate.emit":
        this.#emit((action.params as { readonly event: EventObject }).event)
        break
      // What runs is seen from the children of the snapshot, however they came there.
      case "xstate.spawnChild":
      case "xstate.stopChild":
        break
      default:
        this.#own(action)
    }
  }

  /** Without a delay XState has applied it already. */
  #raise({ event, id, delay }: SendParams): void {
    if (typeof delay === "number") this.#delay(event, id, delay)
  }

  #send({ to, event, id, delay }: SendParams, self: AnyActorRef): void {
    if (to !== self) {
      const target = (to as { readonly id?: string } | undefined)?.id ?? "another actor"
      throw new Error(
        `sendTo cannot reach ${target} from a durable machine: an invoked Effect takes no events; to other actors, tell`
      )
    }
    if (typeof delay === "number") this.#delay(event, id, delay)
    else this.selfEvents.push(event)
  }

  #delay(event: EventObject, id: string | undefined, delay: number): void {
    const { now } = this.#context
    const timerId = id ?? `${event.type}.${this.#revision}.${this.timers.length}`
    const timer = { id: timerId, at: now + Math.max(0, delay), event: plain(event, `delayed ${event.type}`) }
    this.timers = [...this.timers.filter((other) => other.id !== timerId), timer]
  }

  #cancel(id: string): void {
    this.timers = this.timers.filter((timer) => timer.id !== id)
  }

  #emit({ type, ...body }: EventObject): void {
    this.facts.push({ kind: type, body: plain(body, `emitted ${type}`) })
  }

  #own({ exec, info, params }: Executable): void {
    if (exec === undefined) return
    const tells = tellOf(exec)
    if (tells === undefined) {
      this.actions.push(() => exec(info, params))
      return
    }
    const told = tells(info as never, params)
    if (told === undefined) return
    for (const outgoing of Array.isArray(told) ? told : [told as Outgoing]) this.#tell(outgoing)
  }

  #tell({ to, signal, params, isCommand }: Outgoing): void {
    this.#outgoingSeq += 1
    const seq = this.#outgoingSeq
    const isNamed = !isCommand || params.request_id !== undefined
    const named = isNamed
      ? params
      : { ...params, request_id: requestIdOf(`${this.#context.address.text}#${seq}`) }
    this.outgoing.push({ seq, to: to.text, signal, params: plain(named, signal) })
  }
}

/** Whether a child's logic is that of a promise: the only one that can be begun again under its key. */
const isPromiseLike = (child: AnyActorRef): boolean => {
  const { logic } = child as unknown as {
    readonly logic: {
      readonly transition: (...args: ReadonlyArray<unknown>) => { readonly status?: unknown }
    }
  }
  try {
    const tried = { status: "active", output: undefined, error: undefined, input: undefined }
    return logic.transition(tried, { type: "xstate.promise.resolve", data: null }, {}).status === "done"
  } catch {
    return false
  }
}

const checked = (id: string, child: AnyActorRef): void => {
  if (typeof child.src !== "string")
    throw new Error(
      `${id} is spawned from logic without a name: name it in setup({ actors }) and spawn it by that name`
    )
  if (!isPromiseLike(child))
    throw new Error(
      `${id} invokes ${child.src}, which is no Effect and no promise: a durable machine can begin only these again`
    )
}

/** What runs after a step: what ran before under its old key, what is new under this step's. */
const invocationsAfter = (
  { before, after }: Moved,
  known: DurableState["invocations"],
  revision: number
): DurableState["invocations"] => {
  const running: Record<string, InvocationState> = {}
  for (const [id, child] of Object.entries(after.children) as ReadonlyArray<
    [string, AnyActorRef | undefined]
  >) {
    if (child === undefined) throw new Error(`${id} invokes logic that the machine does not have`)
    const same = before?.children[id] === child ? known[id] : undefined
    if (same === undefined) checked(id, child)
    running[id] = same ?? { revision, hasEnded: false }
  }
  return running
}

const persisted = (machine: AnyStateMachine, snapshot: AnyMachineSnapshot): PersistedSnapshot => {
  const whole = machine.getPersistedSnapshot(snapshot) as unknown as Record<string, unknown>
  const { error, ...rest } = whole
  const kept =
    error === undefined
      ? rest
      : { ...rest, error: jsonProblem(error, "error") === undefined ? error : String(error) }
  return JSON.parse(JSON.stringify(plain(kept, "snapshot"))) as PersistedSnapshot
}

type Concluded = Stepped & { readonly selfEvents: ReadonlyArray<EventObject> }

const concluded = (context: StepContext, moved: Moved, known: DurableState | undefined): Concluded => {
  const revision = (known?.revision ?? 0) + 1
  const consequences = new Consequences(context, revision, known?.timers ?? [], known?.outgoingSeq ?? 0)
  for (const action of moved.executed) consequences.add(action, moved.self)
  const isActive = moved.after.status === "active"
  const state: DurableState = {
    revision,
    snapshot: persisted(context.machine, moved.after),
    invocations: isActive ? invocationsAfter(moved, known?.invocations ?? {}, revision) : {},
    timers: isActive ? consequences.timers : [],
    outgoingSeq: consequences.outgoingSeq
  }
  const { outgoing, facts, actions, selfEvents } = consequences
  return { state, snapshot: moved.after, outgoing, facts, actions, selfEvents }
}

/** With the steps that follow because the machine has sent itself events. */
const settled = (context: StepContext, first: Concluded): Stepped => {
  let so: Stepped = first
  const events = [...first.selfEvents]
  for (let count = 1; so.snapshot.status === "active"; count++) {
    const event = events.shift()
    if (event === undefined) break
    if (count > SELF_EVENTS_MAX)
      throw new Error(`The machine sends itself more than ${SELF_EVENTS_MAX} events in one step`)
    const next = concluded(context, move(context, so.state.snapshot, event), so.state)
    events.push(...next.selfEvents)
    so = {
      state: next.state,
      snapshot: next.snapshot,
      outgoing: [...so.outgoing, ...next.outgoing],
      facts: [...so.facts, ...next.facts],
      actions: [...so.actions, ...next.actions]
    }
  }
  return so
}

/** The first state of a machine. Throws where the machine's rules do, or its state is not plain JSON. */
export const begin = (context: StepContext, input: unknown): Stepped => {
  const { machine } = context
  const [after, actions] = initialTransition(machine, input as never) as unknown as [
    AnyMachineSnapshot,
    ReadonlyArray<Executable>
  ]
  if (after.status === "error") throw after.error
  const self = actions[0]?.info.self ?? createActor(machine, { input: input as never })
  Object.assign(self, { send: context.sendSelf })
  return settled(
    context,
    concluded(context, { self, before: undefined, after, executed: actions }, undefined)
  )
}

/** What an event leads to. Throws where the machine's rules do; then nothing has happened. */
export const step = (context: StepContext, state: DurableState, event: EventObject): Stepped =>
  settled(context, concluded(context, move(context, state.snapshot, event), state))

/** A timer's moment has come. */
export const fire = (context: StepContext, state: DurableState, timer: TimerState): Stepped =>
  step(
    context,
    { ...state, timers: state.timers.filter((other) => other !== timer) },
    timer.event as unknown as EventObject
  )

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
  const { id } = ended
  const child = state.snapshot.children[id]
  const invocation = state.invocations[id]
  if (child === undefined || invocation === undefined) throw new Error(`${id} is not invoked`)
  if ("output" in ended && ended.output !== undefined) plain(ended.output, `the output of ${id}`)
  const result =
    "failure" in ended
      ? { status: "error", error: ended.failure }
      : { status: "done", output: (ended.output ?? null) as Schema.Json }
  const event =
    "failure" in ended
      ? { type: `xstate.error.actor.${id}`, error: ended.failure, actorId: id }
      : { type: `xstate.done.actor.${id}`, output: ended.output, actorId: id }
  const snapshot: PersistedSnapshot = {
    ...state.snapshot,
    children: { ...state.snapshot.children, [id]: { ...child, snapshot: { ...child.snapshot, ...result } } }
  }
  const invocations = { ...state.invocations, [id]: { ...invocation, hasEnded: true } }
  return step(context, { ...state, snapshot, invocations }, event)
}
