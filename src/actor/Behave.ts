/**
 * A behaviour as one function for each signal: `(state, payload, turn) → next state and reply`.
 *
 * Owns: one signal at a time, in the order of their coming; what becomes of a signal whose handler refuses it, throws or
 * is interrupted; and that each life begins with a state of its own.
 * Does not decide: what follows a crash (Supervision).
 *
 * A handler is plain: it is given what it needs and answers what shall be, so that a table tests it. Where it has to do
 * something it answers an Effect; until that has ended, no other signal is looked at.
 */
import { Cause, Effect, Exit } from "effect"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import { FUNCTION, type Known, OBJECT, optionsRefused } from "../signal/KnownOptions.ts"
import type { Principal } from "../signal/Principal.ts"
import type { NameIn, PayloadIn, Protocol, SuccessIn } from "../signal/Protocol.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import type { Millis } from "../signal/Text.ts"
import type { ActorContext, ActorInsight, ActorOptions } from "./ActorContext.ts"
import type { EnvelopeIn } from "./Envelope.ts"
import { reportIncident } from "./Incident.ts"
import { TURNS_AT_ONCE } from "./Mailbox.ts"
import { handlersProblem } from "./RulesProblem.ts"
import { doesNotAnswer } from "./Unanswered.ts"

/** What a handler knows beside the state and the payload. */
export interface Turn<P extends Protocol> {
  /** The actor itself. To ask it from its own handler would wait for ever; `tell` does not wait. */
  readonly self: ActorContext<P>["ref"]
  /** Who has sent the signal. */
  readonly principal: Principal
  readonly now: Millis
  /** Timers, children, watching: what a handler does beside deciding. */
  readonly context: ActorContext<P>
}

/** What a handler decides. Without a `state` it stays as it was. */
export type Step<State, Reply> = (
  | { readonly state?: State; readonly reply: Reply }
  /** Whoever asked gets the error; it is no crash. */
  | { readonly state?: State; readonly error: SignalError }
  /** Not now: the signal waits, unanswered, until a step says `unstash`. */
  | { readonly state?: State; readonly stash: true }
) & {
  /** What was put aside is looked at next, in its order. */
  readonly unstash?: boolean
  /** The actor has done its work: it stops when this is answered. */
  readonly ends?: boolean
}

export type Handler<P extends Protocol, Name extends NameIn<P>, State> = (
  state: State,
  payload: PayloadIn<P, Name>,
  turn: Turn<P>
) => Step<State, SuccessIn<P, Name>> | Effect.Effect<Step<State, SuccessIn<P, Name>>, SignalError>

export interface BehaveOptions<P extends Protocol, State> {
  readonly protocol: P
  /** The state that each life begins with: made anew, or read from where it was kept. */
  readonly initial: (context: ActorContext<P>) => State | Effect.Effect<State, unknown>
  readonly handlers: { readonly [Name in NameIn<P>]: Handler<P, Name, State> }
  /** What `inspect_actor` shows of the state. Default: nothing. */
  readonly show?: (state: State) => ActorInsight["context"]
  /**
   * What is left to do when a life ends because a step says so, or because the actor is stopped, restarted by somebody or leaves
   * memory: to write the state where `initial` finds it, say. Its children have ended by then, unless they are kept. After a
   * crash it is not run, be it a child's that escalates, or an interruption of its own.
   */
  readonly leave?: (state: State, context: ActorContext<P>) => Effect.Effect<void>
}

/** What of an actor's options its behaviour says; an address, and whatever else is wanted, come beside it. */
export type Behaviour<P extends Protocol> = Required<Pick<ActorOptions<P>, "protocol" | "behaviour">>

type AnyStep = Step<unknown, unknown>
type AnyHandler = (
  state: unknown,
  payload: unknown,
  turn: unknown
) => AnyStep | Effect.Effect<AnyStep, SignalError>

class Life<P extends Protocol, State> {
  readonly #context: ActorContext<P>
  readonly #handlers: { readonly [name: string]: AnyHandler }
  #state: State
  hasEnded = false

  constructor(context: ActorContext<P>, options: BehaveOptions<P, State>, state: State) {
    this.#context = context
    this.#handlers = options.handlers as unknown as { readonly [name: string]: AnyHandler }
    this.#state = state
  }

  get state(): State {
    return this.#state
  }

  /** Handles one signal; where that takes an Effect, it is what is returned. */
  handle(envelope: EnvelopeIn<P>): Effect.Effect<void> | undefined {
    const handler = Object.hasOwn(this.#handlers, envelope.name) ? this.#handlers[envelope.name] : undefined
    if (handler === undefined) {
      envelope.fail(doesNotAnswer(this.#context.ref.address.text, envelope.name, this.#handlers))
      return undefined
    }
    let step: ReturnType<AnyHandler>
    try {
      step = handler(this.#state, envelope.payload, this.#turnOf(envelope))
    } catch (cause) {
      return this.#crash(envelope, Cause.die(cause))
    }
    if (Effect.isEffect(step)) return this.#wait(envelope, step)
    this.#take(envelope, step)
    return undefined
  }

  #turnOf({ principal }: EnvelopeIn<P>): Turn<P> {
    const { ref } = this.#context
    return { self: ref, principal, now: ref.surroundings.now(), context: this.#context }
  }

  #take(envelope: EnvelopeIn<P>, step: AnyStep): void {
    if ("state" in step) this.#state = step.state as State
    if (step.ends === true) this.hasEnded = true
    if (step.unstash === true) this.#context.unstash()
    if ("stash" in step) this.#context.stash(envelope)
    else if ("error" in step) envelope.fail(step.error)
    else envelope.succeed(step.reply as never)
  }

  #wait(envelope: EnvelopeIn<P>, step: Effect.Effect<AnyStep, SignalError>): Effect.Effect<void> {
    const { tracing } = this.#context.ref.surroundings
    const traced = tracing === undefined ? step : tracing.under(envelope.span, step)
    return Effect.matchCauseEffect(traced, {
      onSuccess: (decided) => Effect.sync(() => this.#take(envelope, decided)),
      onFailure: (cause) => {
        const [reason] = cause.reasons
        if (cause.reasons.length === 1 && reason?._tag === "Fail")
          return Effect.sync(() => envelope.fail(reason.error))
        return this.#crash(envelope, cause)
      }
    }).pipe(Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : this.#leaveUnanswered(envelope))))
  }

  /** Whoever asked is told the incident; the actor crashes with the cause. */
  #crash(envelope: EnvelopeIn<P>, cause: Cause.Cause<unknown>): Effect.Effect<never> {
    const what = `The signal ${envelope.name} to ${this.#context.ref.address.text}`
    return Effect.flatMap(reportIncident(what, cause), (error) => {
      envelope.fail(error)
      return Effect.failCause(cause as Cause.Cause<never>)
    })
  }

  /** The actor was stopped while it waited. After a crash this is answered already. */
  #leaveUnanswered(envelope: EnvelopeIn<P>): Effect.Effect<void> {
    return Effect.sync(() =>
      envelope.fail(
        new Unavailable({
          message: `${this.#context.ref.address.text} was stopped while it worked on this; whether it was done is not known`,
          retry_after_ms: SOON_MS
        })
      )
    )
  }
}

const run = <P extends Protocol, State>(
  context: ActorContext<P>,
  life: Life<P, State>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const { mailbox } = context.ref
    for (let turns = 1; !life.hasEnded; turns++) {
      const envelope = mailbox.take()
      if (envelope === undefined) {
        yield* mailbox.nonEmpty
        continue
      }
      const waiting = life.handle(envelope)
      if (waiting !== undefined) yield* waiting
      else if (turns % TURNS_AT_ONCE === 0) yield* Effect.yieldNow
    }
  })

/** An interruption that nobody outside has asked for is a crash like any other. */
const isCrash = <P extends Protocol>(context: ActorContext<P>, exit: Exit.Exit<void, unknown>): boolean =>
  Exit.isFailure(exit) && !(context.isLeaving && Cause.hasInterruptsOnly(exit.cause))

const live = <P extends Protocol, State>(context: ActorContext<P>, options: BehaveOptions<P, State>) =>
  Effect.gen(function* () {
    const made = options.initial(context)
    const state = Effect.isEffect(made) ? yield* made as Effect.Effect<State, unknown> : made
    const life = new Life(context, options, state)
    const { show, leave } = options
    if (show !== undefined) context.shows(() => ({ machine: null, context: show(life.state) }))
    if (leave === undefined) return yield* run(context, life)
    return yield* Effect.onExit(run(context, life), (exit) =>
      isCrash(context, exit) ? Effect.void : Effect.andThen(context.childrenEnded, leave(life.state, context))
    )
  })

const KNOWN: Known<BehaveOptions<Protocol, unknown>> = {
  protocol: OBJECT,
  initial: FUNCTION,
  handlers: OBJECT,
  show: FUNCTION,
  leave: FUNCTION
}

/** A behaviour by its handlers: `system.spawn({ address, ...behave({ protocol, initial, handlers }) })`. */
export const behave = <P extends Protocol, State>(options: BehaveOptions<P, State>): Behaviour<P> => {
  const problem =
    optionsRefused<object>(options, KNOWN)?.message ?? handlersProblem(options.protocol, options.handlers)
  if (problem !== undefined) throw new Error(`behave: ${problem}`)
  return { protocol: options.protocol, behaviour: (context) => live(context, options) }
}
