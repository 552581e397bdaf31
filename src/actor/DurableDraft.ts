/**
 * What is decided of a durable machine before it is committed: one or more steps, in memory only.
 *
 * Owns: what a signal, an end, or a timer becomes, and who is answered what. It can be thrown away at any moment: nothing of
 * it has left.
 * Does not decide: whether it is committed (DurableKeeping).
 */
import type { Schema } from "effect"
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate"
import { Conflict, NotFound, Overloaded, type SignalError } from "../signal/Errors.ts"
import type { Protocol } from "../signal/Protocol.ts"
import { isRefusal } from "../signal/Refusing.ts"
import type { Millis } from "../signal/Text.ts"
import { standsStill } from "./DurableEnvironment.ts"
import type { AnyRule, DurableMachine, MachineView } from "./DurableMachine.ts"
import { wakesAtOf } from "./DurableRest.ts"
import { type DurableState, nextTimer, textOf } from "./DurableState.ts"
import {
  deliverLate,
  type Ended,
  end,
  fire,
  isAwaited,
  type LateEvent,
  type StepContext,
  type Stepped,
  step
} from "./DurableStep.ts"
import type { AnyEnvelope } from "./Envelope.ts"
import { stateText } from "./Machine.ts"
import type { MachineCommit, MachineFact, MachineStatus, OutgoingSignal, SeenSignal } from "./MachineStore.ts"
import { jsonProblem, messageOf } from "./PlainJson.ts"
import { markOf, repeats, SENDERS_MAX, type SeenSignals } from "./SeenSignals.ts"
import { writeTraceparent } from "./TraceContext.ts"
import type { ParentSpan } from "./Tracing.ts"
import { doesNotAnswer } from "./Unanswered.ts"

/** A machine between two commits. */
export interface Standing {
  readonly state: DurableState
  readonly snapshot: AnyMachineSnapshot
  readonly status: MachineStatus
  readonly reason: string | null
  readonly createdAt: Millis
  readonly updatedAt: Millis
}

/** An answer that waits for the commit. */
export interface Answer {
  readonly envelope: AnyEnvelope
  readonly answer: unknown
}

/** A rule of the machine threw on this signal; nothing of it has happened. */
export interface Poisoned {
  readonly envelope: AnyEnvelope
  readonly cause: unknown
}

/** How a machine's own status is kept. */
export const statusOf = (snapshot: AnyMachineSnapshot): { status: MachineStatus; reason: string | null } => {
  switch (snapshot.status) {
    case "done":
      return { status: "done", reason: null }
    case "active":
      return { status: "active", reason: null }
    case "error":
      return { status: "failed", reason: messageOf(snapshot.error) }
    default:
      return { status: "failed", reason: "it was stopped" }
  }
}

const reused = (signal: string, payload: unknown): Conflict => {
  const { request_id: requestId } = payload as { readonly request_id?: unknown }
  return new Conflict({
    reason: "request_reused_with_different_content",
    message: `The request_id ${requestId} was used for another ${signal}; take a new one`
  })
}

/** Timers of one draft. A machine whose delays are 0 fires again and again; others get their turn in between. */
const TIMERS_MAX = 100

const ofStep = (standing: Standing | undefined, stepped: Stepped, now: Millis): Standing => ({
  state: stepped.state,
  snapshot: stepped.snapshot,
  ...statusOf(stepped.snapshot),
  createdAt: standing?.createdAt ?? now,
  updatedAt: now
})

/** What goes out because of a signal goes on with its trace, also when it goes out after a restart. */
const tracedBy = (span: ParentSpan, stepped: Stepped): Stepped => {
  const traceparent = writeTraceparent(span)
  return { ...stepped, outgoing: stepped.outgoing.map((signal) => ({ ...signal, traceparent })) }
}

export class Draft<Machine extends AnyStateMachine, P extends Protocol> {
  readonly #definition: DurableMachine<Machine, P>
  readonly #context: StepContext
  readonly #seen: SeenSignals
  readonly #from: Standing | undefined
  #standing: Standing | undefined
  readonly outgoing: Array<OutgoingSignal> = []
  readonly facts: Array<MachineFact> = []
  readonly actions: Array<() => void> = []
  /** What is logged. */
  readonly notes: Array<string> = []
  readonly answers: Array<Answer> = []
  readonly poisoned: Array<Poisoned> = []
  readonly marks = new Map<string, SeenSignal>()
  /** The type of the last event. */
  event: string | undefined

  constructor(
    definition: DurableMachine<Machine, P>,
    context: StepContext,
    seen: SeenSignals,
    standing: Standing | undefined
  ) {
    this.#definition = definition
    this.#context = context
    this.#seen = seen
    this.#from = standing
    this.#standing = standing
  }

  /** Where it leads to. */
  get standing(): Standing | undefined {
    return this.#standing
  }

  get hasChanged(): boolean {
    return this.#standing !== this.#from
  }

  get isActive(): boolean {
    return this.#standing?.status === "active"
  }

  /** What is committed of it. */
  commitOf(id: string): MachineCommit {
    const { state, snapshot, status, reason } = this.#standing as Standing
    const isOver = status === "done" || status === "failed"
    return {
      id,
      revision: this.#from?.state.revision ?? 0,
      nextRevision: state.revision,
      status,
      state: stateText(snapshot.value),
      reason,
      about: this.#about(snapshot),
      version: this.#definition.version,
      snapshot: textOf(state),
      // A parked machine is tried again by whoever starts next.
      wakesAt: status === "parked" ? 0 : isOver ? null : wakesAtOf(state, snapshot),
      outgoing: this.outgoing,
      seen: [...this.marks.values()],
      forgotten: this.#seen.surplus(this.marks),
      facts: this.facts,
      at: this.#context.now
    }
  }

  #about(snapshot: AnyMachineSnapshot): Schema.Json {
    try {
      const about = this.#definition.about?.(snapshot as never) ?? null
      const problem = jsonProblem(about, "about")
      return problem === undefined ? about : { problem }
    } catch (cause) {
      return { problem: messageOf(cause) }
    }
  }

  /** Begins the machine. */
  begin(stepped: Stepped): void {
    this.#take(stepped)
    this.event = "xstate.init"
  }

  /** Puts the machine into a state that nothing led to: a migration. */
  put(stepped: Stepped): void {
    this.#standing = ofStep(this.#from, stepped, this.#context.now)
    this.#gather(stepped)
  }

  /** The machine takes nothing until it is started again. */
  park(reason: string): void {
    this.#mark({ status: "parked", reason })
  }

  /** What parked it may be over. */
  unpark(): void {
    this.#mark({ status: "active", reason: null })
  }

  #mark(fields: Pick<Standing, "status" | "reason">): void {
    const standing = this.#standing as Standing
    const state = { ...standing.state, revision: standing.state.revision + 1 }
    this.#standing = { ...standing, ...fields, state, updatedAt: this.#context.now }
  }

  /** Fires the timers whose moment has come. */
  fireTimers(atMost = TIMERS_MAX): number {
    let fired = 0
    for (; this.isActive && fired < atMost; fired++) {
      const { state } = this.#standing as Standing
      const timer = nextTimer(state)
      if (timer === undefined || timer.at > this.#context.now) break
      this.#internal(timer.id, () => fire(this.#context, state, timer))
    }
    return fired
  }

  /** What a state invoked has ended. Where nobody waits for it any more, nothing happens. */
  end(ended: Ended): void {
    const standing = this.#standing as Standing
    if (!this.isActive || !isAwaited(standing.state, ended)) return
    this.#internal(`the end of ${ended.id}`, () => end(this.#context, standing.state, ended))
  }

  /** What an action has sent to its own machine or to a child of it. */
  deliverLate(late: LateEvent): void {
    const standing = this.#standing as Standing
    const what = late.event?.type ?? `the end of ${late.to}`
    if (this.isActive) this.#internal(what, () => deliverLate(this.#context, standing.state, late))
  }

  /** An event of the machine's own cannot be refused to anybody: where the rules throw on it, the machine parks. */
  #internal(what: string, run: () => Stepped | undefined): void {
    try {
      const stepped = run()
      if (stepped === undefined) {
        this.notes.push(`${what} has found nobody: it is dropped`)
        return
      }
      this.#take(stepped)
      this.event = what
    } catch (cause) {
      this.park(`${what} could not be taken: ${messageOf(cause)}`)
    }
  }

  /** Decides on a signal. */
  signal(envelope: AnyEnvelope): void {
    const rules = this.#definition.signals as unknown as { readonly [name: string]: AnyRule }
    const rule = Object.hasOwn(rules, envelope.name) ? rules[envelope.name] : undefined
    if (rule === undefined) {
      const answer = doesNotAnswer(this.#context.address.text, envelope.name, rules)
      this.answers.push({ envelope, answer })
      return
    }
    const undo = this.#undo()
    try {
      const refusal = this.#apply(rule, envelope)
      this.answers.push({ envelope, answer: refusal ?? rule.answer(this.view(), envelope.payload) })
    } catch (cause) {
      undo()
      this.poisoned.push({ envelope, cause })
    }
  }

  /** Takes back what is decided from here on. */
  #undo(): () => void {
    const standing = this.#standing
    const marks = new Map(this.marks)
    const lists = [this.outgoing, this.facts, this.actions, this.notes] as const
    const lengths = lists.map((list) => list.length)
    return () => {
      this.#standing = standing
      for (const [index, list] of lists.entries()) list.length = lengths[index] as number
      this.marks.clear()
      for (const [id, mark] of marks) this.marks.set(id, mark)
    }
  }

  #apply(rule: AnyRule, envelope: AnyEnvelope): SignalError | undefined {
    if (rule.event === undefined) return undefined
    const { payload, principal, name } = envelope
    const mark = markOf(principal, name, payload)
    const known =
      mark === undefined ? "new" : repeats(this.marks.get(mark.id) ?? this.#seen.get(mark.id), mark)
    if (known === "same") return undefined
    if (known === "other") return reused(name, payload)
    const event = rule.event(payload, this.view() as never, { principal, now: this.#context.now })
    if (event === undefined || isRefusal(event)) return event
    const refusal = this.#refusal() ?? (mark === undefined ? undefined : this.#noRoomFor(mark))
    if (refusal !== undefined) return refusal
    const stepped = step(this.#context, (this.#standing as Standing).state, event as EventObject)
    this.#take(envelope.span === undefined ? stepped : tracedBy(envelope.span, stepped))
    this.event = (event as EventObject).type
    if (mark !== undefined) this.#remember(mark)
    return undefined
  }

  /** The last that is taken is the last to be forgotten. */
  #remember(mark: SeenSignal): void {
    this.marks.delete(mark.id)
    this.marks.set(mark.id, mark)
  }

  /** What cannot be remembered would be taken twice. */
  #noRoomFor(mark: SeenSignal): SignalError | undefined {
    if (this.#seen.hasRoomFor(mark, this.marks)) return undefined
    const { text } = this.#context.address
    return new Overloaded({
      message: `${text} hears ${SENDERS_MAX} durable machines that may still send something again: send it again later`,
      retry_after_ms: 1_000
    })
  }

  /** Why no event can be taken now. */
  #refusal(): SignalError | undefined {
    const { status, reason } = this.#standing as Standing
    const { text, kind } = this.#context.address
    if (status === "active") return undefined
    if (status === "parked") return standsStill(text, reason ?? "its log says why")
    const why = status === "failed" && reason !== null ? `, because ${reason}` : ""
    return new NotFound({
      kind,
      id: text,
      message: `${text} has ended (${status}${why}): it takes nothing any more. Start another one under another id`
    })
  }

  #take(stepped: Stepped): void {
    const before = this.#standing
    const after = ofStep(before, stepped, this.#context.now)
    const facts = this.#definition.facts?.(
      viewOf(this.#context, after) as MachineView<Machine>,
      before && (viewOf(this.#context, before) as MachineView<Machine>)
    )
    this.#standing = after
    this.#gather(stepped)
    this.facts.push(...(facts ?? []))
  }

  #gather({ outgoing, facts, actions, notes }: Stepped): void {
    this.outgoing.push(...outgoing)
    this.facts.push(...facts)
    this.actions.push(...actions)
    this.notes.push(...notes)
  }

  view(): MachineView<AnyStateMachine> {
    return viewOf(this.#context, this.#standing as Standing)
  }
}

export const viewOf = (
  { address }: Pick<StepContext, "address">,
  { state, snapshot, status, reason, createdAt, updatedAt }: Standing
): MachineView<AnyStateMachine> => ({
  address,
  snapshot,
  status,
  reason,
  revision: state.revision,
  createdAt,
  updatedAt
})
