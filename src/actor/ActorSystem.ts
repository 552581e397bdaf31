/**
 * The actors of this node.
 *
 * Owns: spawn, find, stop, supervision with restart, and the facts that are told about it.
 * Does not decide: what an actor does (its behaviour), or where an actor lives among nodes (cluster/).
 */
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, type Schema } from "effect"
import type { ActorInfo, MachineGraph } from "../signal/Actors.ts"
import { ACTOR_SIGNALS, type ActorSignals } from "../signal/Catalogue.ts"
import { type ActorFact, INSPECTION_VERSION } from "../signal/Inspection.ts"
import type { Protocol } from "../signal/Protocol.ts"
import { ActorRef, type ActorSurroundings } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import { DeadLetters } from "./DeadLetters.ts"
import { Inspection } from "./Inspection.ts"
import { DEFAULT_SUPERVISION, pauseBeforeRestart, type SupervisionPolicy } from "./Supervision.ts"
import { apart, CurrentTracing } from "./Tracing.ts"

/** What a behaviour knows of its own actor. */
export interface ActorContext<P extends Protocol = ActorSignals> {
  readonly ref: ActorRef<P>
  /** Says in which state the actor's machine is now; `detail` is the event that led there. */
  readonly transition: (state: string, detail?: string) => void
  /** Says how to look inside this life. */
  readonly shows: (insight: () => ActorInsight) => void
}

/** What an actor shows of itself when it is inspected. */
export interface ActorInsight {
  readonly machine: MachineGraph | null
  readonly context: { readonly [name: string]: Schema.Json }
}

export interface ActorOptions<P extends Protocol = ActorSignals> {
  readonly address: Address
  /** The signals that it takes. Default: the product's own. */
  readonly protocol?: P
  readonly parent?: Address
  readonly mailboxCapacity?: number
  readonly supervision?: SupervisionPolicy
  /** The actor's loop. When it returns the actor has stopped; when it fails or dies, supervision decides. */
  readonly behaviour: (context: ActorContext<P>) => Effect.Effect<void, unknown>
  readonly insight?: () => ActorInsight
}

const DEFAULT_MAILBOX_CAPACITY = 1000

/** An actor's options, whatever it takes: its behaviour is only ever run with its own context. */
type AnyOptions = ActorOptions<Protocol>

/** One actor: its handle, its state of life, and the fiber that runs its loop. */
class Actor {
  readonly ref: ActorRef<Protocol>
  readonly options: AnyOptions
  readonly startedAt: number
  status: ActorInfo["status"] = "starting"
  state: string | null = null
  restarts = 0
  readonly crashes: Array<number> = []
  fiber: Fiber.Fiber<void> | undefined
  insight: () => ActorInsight
  /** What was last told of its mailbox. */
  #toldDepth = 0
  #toldHandled = 0

  constructor(options: AnyOptions, surroundings: ActorSurroundings) {
    this.options = options
    this.insight = options.insight ?? (() => NO_INSIGHT)
    this.ref = new ActorRef<Protocol>(
      options.address,
      options.protocol ?? ACTOR_SIGNALS,
      options.mailboxCapacity ?? DEFAULT_MAILBOX_CAPACITY,
      surroundings
    )
    this.startedAt = surroundings.now()
  }

  /** Whether its mailbox has moved since the last time this was asked. */
  hasMoved(): boolean {
    const { mailbox, signalsHandled } = this.ref
    if (mailbox.depth === this.#toldDepth && signalsHandled === this.#toldHandled) return false
    this.#toldDepth = mailbox.depth
    this.#toldHandled = signalsHandled
    return true
  }

  get info(): ActorInfo {
    return {
      address: this.ref.address.text,
      kind: this.ref.address.kind,
      status: this.status,
      parent: this.options.parent?.text ?? null,
      started_at: this.startedAt,
      restarts: this.restarts,
      mailbox_depth: this.ref.mailbox.depth,
      mailbox_capacity: this.ref.mailbox.capacity,
      signals_handled: this.ref.signalsHandled,
      state: this.state
    }
  }
}

/** An actor as it is listed: its facts, its address, and how to look inside. */
export interface ActorEntry {
  readonly address: Address
  readonly info: ActorInfo
  readonly insight: () => ActorInsight
}

const MAILBOX_FACTS_MS = 500

const NO_INSIGHT: ActorInsight = { machine: null, context: {} }

const entryOf = (actor: Actor): ActorEntry => ({
  address: actor.ref.address,
  info: actor.info,
  insight: actor.insight
})

const make = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const actors = new Map<string, Actor>()
  const inspection = new Inspection()
  const surroundings: ActorSurroundings = {
    inspection,
    deadLetters: new DeadLetters((letter) => inspection.deadLetter(letter)),
    now: () => clock.currentTimeMillisUnsafe(),
    tracing: yield* CurrentTracing
  }

  const tell = (actor: Actor, fact: ActorFact["fact"], detail: string | null = null): void => {
    if (!surroundings.inspection.isObserved) return
    surroundings.inspection.fact(
      { version: INSPECTION_VERSION, fact, at: surroundings.now(), actor: actor.info, detail },
      actor.ref.address
    )
  }

  /** Mailboxes move too often to tell each time: twice a second, of those that have moved, if anybody looks. */
  const tellMailboxes = Effect.sync(() => {
    if (!surroundings.inspection.isObserved) return
    for (const actor of actors.values()) if (actor.hasMoved()) tell(actor, "mailbox")
  })
  const tellInTime = Effect.andThen(Effect.sleep(MAILBOX_FACTS_MS), tellMailboxes)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(surroundings.inspection.observed, tellInTime)))

  const contextOf = (actor: Actor): ActorContext<Protocol> => ({
    ref: actor.ref,
    transition: (state, detail) => {
      actor.state = state
      tell(actor, "transition", detail ?? null)
    },
    shows: (insight) => {
      actor.insight = insight
    }
  })

  /** Runs the loop once, and says whether it has to run again. */
  const runOnce = Effect.fnUntraced(function* (actor: Actor) {
    actor.status = "running"
    const exit = yield* Effect.exit(Effect.suspend(() => actor.options.behaviour(contextOf(actor))))
    if (Exit.isSuccess(exit)) return false
    // Who is stopped does not come here; an interruption from inside the loop is a crash like any other.
    const now = surroundings.now()
    actor.crashes.push(now)
    if (actor.crashes.length > 100) actor.crashes.shift()
    const pauseMs = pauseBeforeRestart(actor.options.supervision ?? DEFAULT_SUPERVISION, actor.crashes, now)
    if (pauseMs === undefined) {
      yield* Effect.logError(`${actor.ref.address.text} failed and is not restarted`, exit.cause)
      actor.status = "failed"
      return false
    }
    yield* Effect.logWarning(`${actor.ref.address.text} crashed; it restarts in ${pauseMs} ms`, exit.cause)
    actor.status = "restarting"
    yield* Effect.sleep(pauseMs)
    actor.restarts += 1
    tell(actor, "restarted", Cause.pretty(exit.cause).split("\n", 1)[0] ?? null)
    return true
  })

  const runToEnd = (actor: Actor): Effect.Effect<void> =>
    Effect.gen(function* () {
      while (yield* runOnce(actor)) {
        // each turn is one life of the actor
      }
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          const failed = actor.status === "failed"
          if (!failed) actor.status = "stopped"
          if (actors.get(actor.ref.address.text) === actor) actors.delete(actor.ref.address.text)
          actor.ref.close()
          tell(actor, failed ? "failed" : "stopped")
        })
      )
    )

  const start = (options: AnyOptions): Effect.Effect<ActorRef<Protocol>> =>
    Effect.suspend(() => {
      const known = actors.get(options.address.text)
      if (known?.status === "stopping" && known.fiber !== undefined) {
        return Effect.andThen(Fiber.await(known.fiber), start(options))
      }
      if (known !== undefined) {
        return known.ref.protocol === (options.protocol ?? ACTOR_SIGNALS)
          ? Effect.succeed(known.ref)
          : Effect.die(new Error(`Another kind of actor lives at ${options.address.text}: stop it first`))
      }
      const actor = new Actor(options, surroundings)
      actor.status = "running"
      actors.set(options.address.text, actor)
      tell(actor, "started")
      // At once: a loop that was stopped before it began would never say that it has ended.
      return Effect.forkIn(apart(runToEnd(actor)), scope, { startImmediately: true }).pipe(
        Effect.map((fiber) => {
          actor.fiber = fiber
          return actor.ref
        })
      )
    })

  const stop = (address: Address): Effect.Effect<void> =>
    Effect.suspend(() => {
      const actor = actors.get(address.text)
      if (actor?.fiber === undefined) return Effect.void
      actor.status = "stopping"
      return Fiber.interrupt(actor.fiber)
    })

  const find = <P extends Protocol>(address: Address, protocol: P): ActorRef<P> | undefined => {
    const ref = actors.get(address.text)?.ref
    return ref?.protocol === protocol ? (ref as unknown as ActorRef<P>) : undefined
  }

  const system: ActorSystem = {
    spawn: <P extends Protocol>(options: ActorOptions<P>) =>
      start(options as unknown as AnyOptions) as unknown as Effect.Effect<ActorRef<P>>,
    stop,
    find: (address: Address, protocol: Protocol = ACTOR_SIGNALS) => find(address, protocol) as never,
    entry: (address: string) => {
      const actor = actors.get(address)
      return actor === undefined ? undefined : entryOf(actor)
    },
    entries: () => Array.from(actors.values(), entryOf),
    inspection: surroundings.inspection,
    deadLetters: surroundings.deadLetters
  }
  return system
})

export interface ActorSystem {
  /** Starts an actor; where one lives at the address already, that one is answered. */
  readonly spawn: <P extends Protocol = ActorSignals>(options: ActorOptions<P>) => Effect.Effect<ActorRef<P>>
  /** Interrupts an actor's loop and waits until it has ended. */
  readonly stop: (address: Address) => Effect.Effect<void>
  /** The actor that lives at the address, if it takes this protocol. Default: the product's own. */
  readonly find: <P extends Protocol = ActorSignals>(
    address: Address,
    protocol?: P
  ) => ActorRef<P> | undefined
  readonly entry: (address: string) => ActorEntry | undefined
  readonly entries: () => ReadonlyArray<ActorEntry>
  readonly inspection: Inspection
  readonly deadLetters: DeadLetters
}

export const ActorSystem = Context.Service<ActorSystem>("bursar/actor/ActorSystem")

/** All actors end with the layer's scope. */
export const layer: Layer.Layer<ActorSystem> = Layer.effect(ActorSystem, make)
