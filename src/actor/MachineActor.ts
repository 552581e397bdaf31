/**
 * An XState machine as an actor that lives in memory, by one call:
 * `system.spawn(machineActor({ address, machine, input, protocol, signals }))`.
 *
 * Owns: events from signals and answers from states, what becomes of a signal that the machine fails on, and that the
 * actor ends as its machine does.
 * Does not decide: what the machine does (the machine), or what follows a failure (Supervision).
 *
 * `signals` is what a durable machine has: a definition made for `durableMachine` can be spread into this one, and its
 * `durably` runs here too, under keys of this run alone, and its `tell` sends at most once.
 */
import { Cause, type Context, Effect, Exit, type Schema } from "effect"
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  type InputFrom,
  type InspectionEvent,
  type SnapshotFrom
} from "xstate"
import type { SignalError } from "../signal/Errors.ts"
import type { Protocol } from "../signal/Protocol.ts"
import { isRefusal } from "../signal/Refusing.ts"
import type { ActorContext, ActorInsight, ActorOptions } from "./ActorContext.ts"
import { ChildMachines } from "./ChildMachines.ts"
import { ruleFailed } from "./DurableEnvironment.ts"
import type { AnyRule, DurableMachine, MachineView, SignalRules } from "./DurableMachine.ts"
import { Endings } from "./Endings.ts"
import type { EnvelopeIn } from "./Envelope.ts"
import { hostSystem } from "./HostedSystems.ts"
import { reportIncident } from "./Incident.ts"
import { effectClock, graphOf, marksOf, stateText } from "./Machine.ts"
import type { MachineStatus } from "./MachineStore.ts"
import { TURNS_AT_ONCE } from "./Mailbox.ts"
import { namedBy, type Outgoing, strangerProblem } from "./Outgoing.ts"
import { messageOf, NotDurable } from "./PlainJson.ts"
import { machineRulesProblem } from "./RulesProblem.ts"
import { NEVER_RESTART } from "./Supervision.ts"
import { writeTraceparent } from "./TraceContext.ts"
import type { ParentSpan } from "./Tracing.ts"
import { doesNotAnswer } from "./Unanswered.ts"
import { stopChildrenOf } from "./XStateInternals.ts"

/** What the machine begins with, in each life. It may be left out where the machine's types allow it. */
type InputOf<Machine extends AnyStateMachine> =
  undefined extends InputFrom<Machine>
    ? { readonly input?: InputFrom<Machine> }
    : { readonly input: InputFrom<Machine> }

/**
 * The options of the actor, and its machine. A machine that fails is at its end, as XState has it, and so is its actor;
 * with a `supervision` of its own it begins again.
 */
export type MachineActor<Machine extends AnyStateMachine, P extends Protocol> = Omit<
  ActorOptions<P>,
  "behaviour" | "insight" | "protocol"
> &
  InputOf<Machine> & {
    readonly machine: Machine
    readonly protocol: P
    /** A rule for each signal of the protocol. */
    readonly signals: SignalRules<Machine, P>
    /** What `inspect_actor` shows of it, beside its status and state. Plain JSON, and small. */
    readonly about?: (snapshot: SnapshotFrom<Machine>) => Schema.Json
  }

type AnyDefinition = MachineActor<AnyStateMachine, Protocol>

const STATUS: { readonly [status: string]: MachineStatus } = { done: "done", error: "failed" }

/** One life of the machine. */
class MachineLife {
  readonly #actor: ActorContext<Protocol>
  readonly #definition: AnyDefinition
  readonly #children: ChildMachines
  readonly #machine: ReturnType<typeof createActor<AnyStateMachine>>
  readonly #running = new Endings()
  readonly #createdAt: number
  readonly #life = crypto.randomUUID()
  #updatedAt: number
  #revision = 0
  #state: string | undefined
  #invocations = 0
  /** Signals that it has told others. */
  #told = 0
  /** Of the signal that is being taken. */
  #span: ParentSpan | undefined
  /** How the machine has ended. */
  ended: Exit.Exit<void, unknown> | undefined
  onEnd: (() => void) | undefined

  constructor(actor: ActorContext<Protocol>, definition: AnyDefinition, services: Context.Context<never>) {
    this.#actor = actor
    this.#definition = definition
    this.#createdAt = this.#now
    this.#updatedAt = this.#createdAt
    this.#children = new ChildMachines(actor.ref.address, services)
    this.#children.open(actor)
    this.#machine = createActor(definition.machine, {
      input: definition.input,
      clock: effectClock(services),
      logger: (...said) => Effect.runForkWith(services)(Effect.logInfo(actor.ref.address.text, ...said)),
      inspect: (event) => this.#inspect(event)
    })
    hostSystem(this.#machine.system, {
      services,
      invocation: (id) => this.#invocation(id),
      runs: (id, done) => this.#running.add(id, done),
      tells: (told) => {
        for (const one of told) this.#tell(one)
      }
    })
    this.#machine.subscribe({
      complete: () => this.#end(Exit.void),
      error: (error) => {
        stopChildrenOf(this.#snapshot)
        this.#end(Exit.fail(error))
      }
    })
  }

  start(): void {
    this.#actor.shows(() => this.#insight)
    this.#machine.start()
  }

  /** The machine and its children are stopped, and what they have invoked has cleaned up, as long as that may take. */
  readonly stopped: Effect.Effect<void> = Effect.suspend(() => {
    this.ended ??= Exit.void
    this.#machine.stop()
    return this.#running.gone(this.#actor.ref.address)
  })

  /** Takes one signal; where something has failed on it, what is returned says so to whoever asked. */
  take(envelope: EnvelopeIn<Protocol>): Effect.Effect<void> | undefined {
    const rules = this.#definition.signals as unknown as { readonly [name: string]: AnyRule }
    const rule = Object.hasOwn(rules, envelope.name) ? rules[envelope.name] : undefined
    if (rule === undefined) {
      envelope.fail(doesNotAnswer(this.#actor.ref.address.text, envelope.name, rules))
      return undefined
    }
    try {
      const refusal = this.#apply(rule, envelope)
      if (this.ended !== undefined && Exit.isFailure(this.ended))
        return this.#incident(envelope, this.ended.cause)
      const answer = refusal ?? rule.answer(this.#view, envelope.payload)
      if (isRefusal(answer)) envelope.fail(answer)
      else envelope.succeed(answer as never)
      return undefined
    } catch (cause) {
      return this.#incident(envelope, Cause.die(cause))
    }
  }

  /** Waits for a signal, or for the end of the machine. */
  readonly somethingNew: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const { mailbox } = this.#actor.ref
    const wake = () => {
      mailbox.onArrival = undefined
      this.onEnd = undefined
      resume(Effect.void)
    }
    if (mailbox.depth > 0 || this.ended !== undefined) {
      wake()
      return undefined
    }
    mailbox.onArrival = wake
    this.onEnd = wake
    return Effect.sync(wake)
  })

  #apply(rule: AnyRule, { payload, principal, span }: EnvelopeIn<Protocol>): SignalError | undefined {
    const event = rule.event?.(payload, this.#view, { principal, now: this.#now })
    if (event === undefined || isRefusal(event)) return event
    this.#span = span
    this.#machine.send(event as EventObject)
    this.#span = undefined
    return undefined
  }

  #incident(envelope: EnvelopeIn<Protocol>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const what = `The signal ${envelope.name} to ${this.#actor.ref.address.text}`
    const thrown = Cause.squash(cause)
    const incident = thrown instanceof NotDurable ? ruleFailed(what, thrown) : reportIncident(what, cause)
    const told = Effect.map(incident, (error) => envelope.fail(error))
    return Effect.uninterruptible(told)
  }

  #inspect(event: InspectionEvent): void {
    if (event.actorRef !== this.#machine) {
      this.#children.inspect(event)
      return
    }
    if (event.type !== "@xstate.snapshot") return
    this.#revision += 1
    this.#updatedAt = this.#now
    const state = stateText((event.snapshot as AnyMachineSnapshot).value)
    if (state === this.#state) return
    this.#state = state
    this.#actor.transition(state, event.event.type)
  }

  #invocation(id: string) {
    const { address } = this.#actor.ref
    this.#invocations += 1
    const revision = this.#invocations
    // Another life counts from 1 again, and nothing that it asks for was asked for before.
    return {
      key: `${address.text}:${id}:${this.#life}:${revision}`,
      address,
      id,
      revision,
      isOver: () => true
    }
  }

  #tell(outgoing: Outgoing): void {
    const { address, surroundings } = this.#actor.ref
    const problem = strangerProblem(address, outgoing)
    if (problem !== undefined) throw problem
    this.#told += 1
    const { to, signal } = outgoing
    surroundings.tells?.(address, {
      ...{ seq: this.#told, to: to.text, signal },
      // Another life counts from 1 again, and tells nothing that was told before.
      params: namedBy(`${address.text}:${this.#life}#${this.#told}`, outgoing),
      ...(this.#span === undefined ? {} : { traceparent: writeTraceparent(this.#span) })
    })
  }

  #end(exit: Exit.Exit<void, unknown>): void {
    if (this.ended !== undefined) return
    this.ended = exit
    const { status, value, output } = this.#snapshot
    if (status === "done") this.#actor.ends(`done in ${stateText(value)}`, output)
    else if (Exit.isSuccess(exit)) this.#actor.ends("its machine was stopped")
    this.onEnd?.()
  }

  get #now(): number {
    return this.#actor.ref.surroundings.now()
  }

  get #snapshot(): AnyMachineSnapshot {
    return this.#machine.getSnapshot() as AnyMachineSnapshot
  }

  get #view(): MachineView<AnyStateMachine> {
    const snapshot = this.#snapshot
    return {
      address: this.#actor.ref.address,
      snapshot,
      status: STATUS[snapshot.status] ?? "active",
      reason: snapshot.status === "error" ? messageOf(snapshot.error) : null,
      revision: this.#revision,
      createdAt: this.#createdAt,
      updatedAt: this.#updatedAt
    }
  }

  get #insight(): ActorInsight {
    const { snapshot, status, reason, revision } = this.#view
    const { unseen } = this.#children
    return {
      machine: graphOf(this.#definition.machine),
      ...marksOf(snapshot),
      context: {
        status,
        reason,
        revision,
        ...(unseen > 0 ? { children_not_shown: unseen } : {}),
        about: this.#about(snapshot)
      }
    }
  }

  #about(snapshot: AnyMachineSnapshot): Schema.Json {
    try {
      return this.#definition.about?.(snapshot) ?? null
    } catch (cause) {
      return { problem: messageOf(cause) }
    }
  }
}

const live = (actor: ActorContext<Protocol>, definition: AnyDefinition): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const life = new MachineLife(actor, definition, yield* Effect.context<never>())
    const { mailbox } = actor.ref
    const running = Effect.gen(function* () {
      life.start()
      for (let turns = 1; life.ended === undefined; turns++) {
        const envelope = mailbox.take()
        if (envelope === undefined) {
          yield* life.somethingNew
          continue
        }
        const waiting = life.take(envelope)
        if (waiting !== undefined) yield* waiting
        else if (turns % TURNS_AT_ONCE === 0) yield* Effect.yieldNow
      }
      return yield* life.ended
    })
    return yield* Effect.ensuring(running, life.stopped)
  })

/** What the definition of a durable machine has beside: here nothing is kept, and there is nothing to begin again. */
const OF_DURABLE_ONES: ReadonlySet<string> = new Set<keyof DurableMachine<AnyStateMachine, Protocol>>([
  "kind",
  "version",
  "migrate",
  "facts",
  "openMax",
  "idleMs",
  "resting"
])

/** A machine as an actor: `system.spawn(machineActor({ address, machine, input, protocol, signals }))`. */
export const machineActor = <Machine extends AnyStateMachine, P extends Protocol>(
  definition: MachineActor<Machine, P>
): ActorOptions<P> => {
  const { machine, input, signals, about, ...rest } = definition as unknown as AnyDefinition
  const problem = machineRulesProblem(rest.protocol, signals)
  if (problem !== undefined) throw new Error(`machineActor: ${problem}`)
  const options = Object.fromEntries(Object.entries(rest).filter(([name]) => !OF_DURABLE_ONES.has(name)))
  return {
    supervision: NEVER_RESTART,
    // What it is would be lost.
    mayPassivate: () => false,
    ...options,
    behaviour: (actor: ActorContext<Protocol>) => live(actor, definition as unknown as AnyDefinition)
  } as unknown as ActorOptions<P>
}
