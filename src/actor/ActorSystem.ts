/**
 * The actors of this node.
 *
 * Owns: spawn, find, ask by address, stop, restart, watch; and that all of them end in order.
 * Does not decide: what an actor does (its behaviour), how its lives follow each other (Lives), or where an actor lives
 * among nodes (cluster/).
 */
import { Clock, Context, Effect, Fiber, Layer, Option, Result, Schema } from "effect"
import type { ActorInfo } from "../signal/Actors.ts"
import { ACTOR_SIGNALS, type ActorSignals } from "../signal/Catalogue.ts"
import { invalidParam, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Protocol } from "../signal/Protocol.ts"
import { Actor, type AnyOptions } from "./Actor.ts"
import type { ActorInsight, ActorOptions } from "./ActorContext.ts"
import { ActorRef, type ActorSurroundings, type MailboxPolicy } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import { complainWith } from "./Complaint.ts"
import { DeadLetterStore } from "./DeadLetterStore.ts"
import { DeadLetters } from "./DeadLetters.ts"
import { Inspection } from "./Inspection.ts"
import { LetterKeeper } from "./LetterKeeper.ts"
import { Lives } from "./Lives.ts"
import type { OutgoingSignal } from "./MachineStore.ts"
import { optionsProblem } from "./OptionsProblem.ts"
import { type ActorKind, type Elsewhere, hasBeenIdle, IdleMs, Kinds } from "./Passivation.ts"
import { DEFAULT_SUPERVISION, isRestartable, type SupervisionEntry } from "./Supervision.ts"
import { CurrentTracing } from "./Tracing.ts"
import { type Ended, type Watcher, Watching } from "./Watching.ts"

export type { ActorContext, ActorInsight, ActorOptions } from "./ActorContext.ts"

/** An actor as it is listed: its facts, its address, and how to look inside. */
export interface ActorEntry {
  readonly address: Address
  readonly info: ActorInfo
  readonly insight: () => ActorInsight
  /** What a list does not show. */
  readonly details: () => ActorDetails
}

export interface LivingActor {
  readonly address: Address
  readonly mailboxDepth: number
}

export interface ActorDetails {
  readonly isDurable: boolean
  readonly children: ReadonlyArray<string>
  readonly supervision: ReadonlyArray<SupervisionEntry>
  readonly mailbox: {
    readonly policy: MailboxPolicy["kind"]
    readonly refused: number
    readonly dropped: number
    readonly waited: number
    readonly waiting: number
    readonly stashed: number
  }
}

const MAILBOX_FACTS_MS = 500
/** How long the actors of a system that ends are waited for. */
const SHUTDOWN_MS = 60_000
const CHILDREN_SHOWN = 100

const detailsOf = (actor: Actor): ActorDetails => {
  const { ref } = actor
  const children = Array.from(actor.children ?? []).slice(0, CHILDREN_SHOWN)
  return {
    isDurable: actor.options.isDurable ?? false,
    children: children.map((child) => child.ref.address.text),
    supervision: [...(actor.log?.entries ?? [])],
    mailbox: {
      policy: ref.policy.kind,
      ...ref.counts,
      waiting: ref.mailbox.waiting,
      stashed: actor.life?.stashed ?? 0
    }
  }
}

const entryOf = (actor: Actor): ActorEntry => ({
  address: actor.ref.address,
  info: actor.info,
  insight: actor.insight,
  details: () => detailsOf(actor)
})

function* livingOf(actors: Iterable<Actor>): Iterable<LivingActor> {
  for (const { ref } of actors) yield { address: ref.address, mailboxDepth: ref.mailbox.depth }
}

const askOnWire = (
  ref: ActorRef<Protocol>,
  name: string,
  params: unknown,
  principal: Principal
): Effect.Effect<unknown, SignalError> => {
  const schema = ref.protocol[name]?.payloadSchema as Schema.Codec<unknown, unknown>
  const decoded = Schema.decodeUnknownResult(schema)(params)
  return Result.isSuccess(decoded)
    ? ref.ask(name, decoded.success, principal)
    : Effect.fail(invalidParam([], `What was kept is no payload of ${name} any more`))
}

/** Who only moves has not ended: it is watched where it goes. */
const watchWhereItLives = (
  watcher: Watcher,
  elsewhere: () => Elsewhere<Protocol> | undefined,
  watchHere: (watcher: Watcher) => () => void
): (() => void) => {
  let isOver = false
  let leave = (): void => undefined
  const over = (ended: Ended): void => {
    if (isOver) return
    isOver = true
    watcher(ended)
  }
  const begin = (): void => {
    if (isOver) return
    const away = elsewhere()
    leave =
      away === undefined
        ? watchHere((ended) =>
            ended.reason === "stopped" && elsewhere() !== undefined ? begin() : over(ended)
          )
        : away.watch((ended) => (ended === undefined ? begin() : over(ended)))
  }
  begin()
  return () => {
    isOver = true
    leave()
  }
}

class System implements ActorSystem {
  readonly inspection: Inspection
  readonly deadLetters = new DeadLetters((letter) => this.inspection.deadLetter(letter))
  readonly #surroundings: ActorSurroundings
  readonly #watching: Watching
  readonly #kinds: Kinds
  readonly #lives: Lives
  #isClosing = false

  constructor(
    services: Context.Context<never>,
    clock: Clock.Clock,
    idleMs: number,
    tracing: ActorSurroundings["tracing"]
  ) {
    const complain = complainWith(services)
    this.inspection = new Inspection(complain)
    this.#watching = new Watching(complain)
    this.#kinds = new Kinds(idleMs)
    this.#surroundings = {
      inspection: this.inspection,
      deadLetters: this.deadLetters,
      complain,
      now: () => clock.currentTimeMillisUnsafe(),
      tracing,
      wake: (address) => this.#wakeForSender(address),
      tells: (from, outgoing) => this.teller(from, outgoing),
      carrierTo: (address) => this.#kinds.elsewhere(address)?.carry,
      // Of a system that ends nobody can say who comes back.
      comesBack: (address) =>
        this.#isClosing ||
        this.comesBack(address) ||
        this.#lives.actors.get(address.text)?.ref.isClosed === false
    }
    this.#lives = new Lives({
      surroundings: this.#surroundings,
      services,
      watching: this.#watching,
      life: {
        spawn: (options) => this.spawn(options),
        watch: (address, watcher) => this.watch(address, watcher)
      }
    })
  }

  readonly spawn = <P extends Protocol = ActorSignals>(
    options: ActorOptions<P>
  ): Effect.Effect<ActorRef<P>> =>
    this.#spawn(options as unknown as AnyOptions) as unknown as Effect.Effect<ActorRef<P>>

  readonly find = <P extends Protocol = ActorSignals>(
    address: Address,
    protocol = ACTOR_SIGNALS as Protocol as P
  ): ActorRef<P> | undefined => {
    const ref = this.#lives.actors.get(address.text)?.ref
    return ref?.protocol === protocol ? (ref as unknown as ActorRef<P>) : undefined
  }

  readonly refOf = <P extends Protocol = ActorSignals>(
    address: Address,
    protocol = ACTOR_SIGNALS as Protocol as P
  ): ActorRef<P> | undefined => {
    const ref = this.#wake(address)
    return ref?.protocol === protocol ? (ref as unknown as ActorRef<P>) : undefined
  }

  readonly register = <P extends Protocol = ActorSignals>(kind: ActorKind<P>): void =>
    this.#kinds.register(kind as unknown as ActorKind<Protocol>)

  readonly stop = (address: Address): Effect.Effect<void> =>
    Effect.suspend(() => {
      const actor = this.#lives.actors.get(address.text)
      return actor === undefined ? Effect.void : this.#lives.stop(actor)
    })

  readonly passivate = (address: Address): boolean => {
    const actor = this.#lives.actors.get(address.text)
    if (actor === undefined || !this.#kinds.has(address.kind) || !actor.isIdle) return false
    this.#lives.passivate(actor)
    return true
  }

  readonly restart = (address: Address, why: string): boolean => {
    const actor = this.#lives.actors.get(address.text)
    if (actor === undefined || !isRestartable(actor.options.supervision ?? DEFAULT_SUPERVISION)) return false
    this.#lives.restart(actor, why)
    return true
  }

  readonly comesBack = ({ kind }: Address): boolean => this.#kinds.has(kind)

  readonly receiver = (address: Address): ActorRef<Protocol> | undefined => this.#wake(address)

  teller: ActorSystem["teller"] = (from) => {
    throw new Error(`${from.text} tells others, and nobody brings it to them: that needs DurableMachines`)
  }

  readonly deliver = (
    address: string,
    name: string,
    params: unknown,
    principal: Principal
  ): Effect.Effect<unknown, SignalError> => {
    const kind = address.slice(0, address.indexOf("/"))
    const ref =
      this.#lives.actors.get(address)?.ref ?? this.#wake({ kind, tenant: principal.tenant, text: address })
    return ref === undefined || !Object.hasOwn(ref.protocol, name)
      ? Effect.fail(new Unavailable({ message: `Nobody at ${address} takes ${name}`, retry_after_ms: 1_000 }))
      : askOnWire(ref, name, params, principal)
  }

  readonly watch = (address: Address, watcher: Watcher): (() => void) =>
    this.#kinds.mayMove(address)
      ? watchWhereItLives(
          watcher,
          () => this.#kinds.elsewhere(address),
          (told) => this.#watchHere(address, told)
        )
      : this.#watchHere(address, watcher)

  #watchHere(address: Address, watcher: Watcher): () => void {
    if (this.#lives.actors.has(address.text)) return this.#watching.add(address.text, watcher)
    // Before it is brought back: it may have ended, and be gone again at once.
    const leave = this.#watching.add(address.text, watcher)
    const comes = this.#kinds.endsAtRest(address)
      ? this.#wake(address) !== undefined
      : this.comesBack(address)
    if (comes) return leave
    leave()
    this.#watching.tellOne(watcher, { address: address.text, reason: "gone", detail: null })
    return () => undefined
  }

  readonly entry = (address: string): ActorEntry | undefined => {
    const actor = this.#lives.actors.get(address)
    return actor === undefined ? undefined : entryOf(actor)
  }

  readonly entries = (): ReadonlyArray<ActorEntry> => Array.from(this.#lives.actors.values(), entryOf)

  readonly living = (): Iterable<LivingActor> => livingOf(this.#lives.actors.values())

  get watchers(): number {
    return this.#watching.size
  }

  /** Mailboxes move too often to tell each time: twice a second, of those that have moved, if anybody looks. */
  get tellingMailboxes(): Effect.Effect<never> {
    const tell = Effect.sync(() => {
      if (!this.inspection.hears("mailbox")) return
      for (const actor of this.#lives.actors.values())
        if (actor.hasMoved()) this.#lives.tell(actor, "mailbox")
    })
    const tellInTime = Effect.andThen(Effect.sleep(MAILBOX_FACTS_MS), tell)
    return Effect.forever(Effect.andThen(this.inspection.mailboxesHeard, tellInTime))
  }

  get sweeping(): Effect.Effect<never> {
    return this.#kinds.sweeping(() => {
      const now = this.#surroundings.now()
      for (const actor of this.#lives.actors.values())
        if (hasBeenIdle(actor, now)) this.#lives.passivate(actor)
    })
  }

  /** No new actors; all there are end, children before their parents. */
  get close(): Effect.Effect<void> {
    const { actors } = this.#lives
    const all: Effect.Effect<void> = Effect.suspend(() => {
      this.#isClosing = true
      const roots = [...actors.values()].filter(({ parent }) => parent === undefined)
      const left = roots.length > 0 ? roots : [...actors.values()]
      if (left.length === 0) return Effect.void
      const ended = Effect.forEach(left, (actor) => this.#lives.stop(actor), {
        concurrency: "unbounded",
        discard: true
      })
      return Effect.andThen(ended, all)
    })
    const leftBehind = Effect.suspend(() => {
      const names = [...actors.keys()].slice(0, 10).join(", ")
      return Effect.logError(
        `${actors.size} actor(s) have not ended within ${SHUTDOWN_MS} ms and are left behind: ${names}`
      )
    })
    return Effect.timeoutOrElse(all, { duration: SHUTDOWN_MS, orElse: () => leftBehind })
  }

  #spawn(options: AnyOptions): Effect.Effect<ActorRef<Protocol>> {
    return Effect.suspend(() => {
      // Without an address there is nobody to look for: what follows says what is wrong.
      const known = this.#lives.actors.get(options.address?.text)
      if (known === undefined) return Effect.succeed(this.#add(options).ref)
      if (known.status === "stopping") return Effect.andThen(this.#over(known), this.#spawn(options))
      return known.ref.protocol === (options.protocol ?? ACTOR_SIGNALS)
        ? Effect.succeed(known.ref)
        : Effect.die(new Error(`Another kind of actor lives at ${options.address.text}: stop it first`))
    })
  }

  /**
   * The end of one that is stopping. Of one that leaves memory only the life that runs: it stays for a signal that has come
   * meanwhile, and whoever spawns may have none.
   */
  #over(actor: Actor): Effect.Effect<void> {
    if (actor.intent?.kind !== "passivate") return this.#lives.stop(actor)
    // What follows the life's end is done before anybody hears of that.
    return actor.fiber === undefined ? Effect.yieldNow : Effect.asVoid(Fiber.await(actor.fiber))
  }

  #add(options: AnyOptions): Actor {
    const problem = optionsProblem(options)
    if (problem !== undefined) throw new Error(problem)
    const actor = new Actor(options, this.#surroundings)
    actor.idleMs = this.#kinds.idleMsOf(options.address)
    if (this.#isClosing) {
      actor.ref.close()
      return actor
    }
    const { address, parent } = options
    if (parent !== undefined && !this.#lives.actors.has(parent.text))
      throw new Error(
        `${address.text} cannot be a child of ${parent.text}, which is not there: start the parent first, or leave it out`
      )
    this.#lives.add(actor)
    return actor
  }

  /** The actor that lives at the address, or one of its kind that is made now, or a handle to where it lives. */
  #wake(address: Address): ActorRef<Protocol> | undefined {
    const known = this.#lives.actors.get(address.text)
    if (known !== undefined && (known.status !== "stopping" || known.intent?.kind === "passivate"))
      return known.ref
    if (this.#isClosing) return undefined
    const away = this.#kinds.elsewhere(address)
    if (away !== undefined) return ActorRef.elsewhere(address, away.protocol, this.#surroundings)
    const options = this.#kinds.make(address)
    return options === undefined ? undefined : this.#add(options).ref
  }

  /** The same for who sends through a handle: a `make` that throws is not theirs to hear of. */
  #wakeForSender(address: Address): ActorRef<Protocol> | undefined {
    try {
      return this.#wake(address)
    } catch (error) {
      this.#surroundings.complain(`The kind ${address.kind} threw when ${address.text} was to be made`, error)
      return undefined
    }
  }
}

const make = Effect.gen(function* () {
  const services = yield* Effect.context<never>()
  const system = new System(services, yield* Clock.Clock, yield* IdleMs, yield* CurrentTracing)
  const store = yield* Effect.serviceOption(DeadLetterStore)
  if (Option.isSome(store)) {
    const keeper = new LetterKeeper(store.value)
    system.deadLetters.keep = keeper.keep
    yield* Effect.forkScoped(keeper.running)
    // After all actors have ended: what they could not answer is kept too.
    yield* Effect.addFinalizer(() => keeper.flushed)
  }
  yield* Effect.addFinalizer(() => system.close)
  yield* Effect.forkScoped(system.tellingMailboxes)
  yield* Effect.forkScoped(system.sweeping)
  return system as ActorSystem
})

export interface ActorSystem {
  /** Starts an actor; where one lives at the address already, that one is answered. One that leaves is waited for. */
  readonly spawn: <P extends Protocol = ActorSignals>(options: ActorOptions<P>) => Effect.Effect<ActorRef<P>>
  /** Registers a kind of actors, which start when they are asked for. A kind is registered once. */
  readonly register: <P extends Protocol = ActorSignals>(kind: ActorKind<P>) => void
  /** The actor that lives at the address, if it takes this protocol. Default: the product's own. */
  readonly find: <P extends Protocol = ActorSignals>(
    address: Address,
    protocol?: P
  ) => ActorRef<P> | undefined
  /** The same; where nobody lives there and the kind is registered, its actor starts. Nobody starts in a system that ends. */
  readonly refOf: <P extends Protocol = ActorSignals>(
    address: Address,
    protocol?: P
  ) => ActorRef<P> | undefined
  /**
   * Ends the actor that lives at the address or is next there, and waits until it, its children and whoever was there before
   * it have ended. What its machine invoked is waited for as well, for ten seconds at most.
   */
  readonly stop: (address: Address) => Effect.Effect<void>
  /** Lets an actor leave memory at once, where it is idle and its kind is registered. False: it does something, or is not there. */
  readonly passivate: (address: Address) => boolean
  /** Whether an actor at this address is made again when it is asked. */
  readonly comesBack: (address: Address) => boolean
  /** Who lives at the address, or is made there, whatever it takes. */
  readonly receiver: (address: Address) => ActorRef<Protocol> | undefined
  /** Brings what machines in memory tell to others. It is set by what knows them all (DurableMachines). */
  teller: (from: Address, outgoing: OutgoingSignal) => void
  /** Asks whoever lives at the address, or is made there, whatever it takes; `params` are as they are on the wire. */
  readonly deliver: (
    address: string,
    name: string,
    params: unknown,
    principal: Principal
  ) => Effect.Effect<unknown, SignalError>
  /** Ends the life that runs; another follows. False: nobody lives there, or it lives once. */
  readonly restart: (address: Address, why: string) => boolean
  /**
   * Tells once when the actor at the address ends, also when it is gone already; the returned function unwatches. Who only
   * leaves memory has not ended.
   */
  readonly watch: (address: Address, watcher: Watcher) => () => void
  readonly entry: (address: string) => ActorEntry | undefined
  readonly entries: () => ReadonlyArray<ActorEntry>
  /** All in memory, with next to nothing made of them: for who counts a hundred thousand every few seconds. */
  readonly living: () => Iterable<LivingActor>
  /** How many watches there are. */
  readonly watchers: number
  readonly inspection: Inspection
  readonly deadLetters: DeadLetters
}

export const ActorSystem = Context.Service<ActorSystem>("bursar/actor/ActorSystem")

/** All actors end with the layer's scope. */
export const layer: Layer.Layer<ActorSystem> = Layer.effect(ActorSystem, make)
