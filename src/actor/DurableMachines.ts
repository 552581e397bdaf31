/**
 * The durable machines of this node.
 *
 * Owns: starting one, finding one wherever it was left, and starting again what a restart ended.
 * Does not decide: on which node a machine lives (cluster/): `place` says which of them are here.
 */
import { Clock, Context, Deferred, Effect, type Fiber, FiberSet, Layer, type Schema } from "effect"
import type { AnyStateMachine, InputFrom } from "xstate"
import { SIGNALS } from "../signal/Catalogue.ts"
import { type Conflict, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Protocol } from "../signal/Protocol.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import type { ActorRef } from "./ActorRef.ts"
import { type ActorOptions, ActorSystem } from "./ActorSystem.ts"
import { type Address, addressFrom, addressProblem } from "./Address.ts"
import { declared } from "./DurableDeclaration.ts"
import { deliverTo } from "./DurableDelivery.ts"
import { viewOf } from "./DurableDraft.ts"
import { type Birth, type DurableEnvironment, standsStill } from "./DurableEnvironment.ts"
import type { DurableKind } from "./DurableKind.ts"
import { DurableLife } from "./DurableLife.ts"
import { DurableLook, lookUntil } from "./DurableLook.ts"
import { type DurableMachine, definitionProblem, type MachineView } from "./DurableMachine.ts"
import { type Registered, readingOf } from "./DurableReading.ts"
import { birthOf, DurableResidents } from "./DurableResidents.ts"
import { type AnsweringKind, answerMachine, noSuchMachine } from "./MachineAnswering.ts"
import { elsewhere, type MachineAsk, type MachinePlaces } from "./MachinePlaces.ts"
import { MachineRouting } from "./MachineRouting.ts"
import { type MachineRow, MachineStore, type MachineStoreUnreachable } from "./MachineStore.ts"
import { MachineTelling } from "./MachineTelling.ts"
import { WatchedMachines } from "./MachineWatching.ts"
import { OpenMachines, OpenMachinesMax } from "./OpenMachines.ts"
import { IdleMs } from "./Passivation.ts"
import { SignalDelivery } from "./SignalDelivery.ts"

export interface RecoverOptions {
  /** Brings those back, too, whose moment comes within this time: so they are there when it comes. Default: 0. */
  readonly aheadMs?: number
  /** Tells kinds that keep a line what of theirs is at rest, of tenants that they do not know yet. Default: no. */
  readonly finds?: boolean
}

export interface DurableMachines {
  /**
   * Makes a kind known. Machines of a kind that nobody has registered stay where they are. What cannot be a part of a
   * durable machine is an error here (DurableDeclaration).
   */
  readonly register: <Machine extends AnyStateMachine, P extends Protocol>(
    definition: DurableMachine<Machine, P>
  ) => Effect.Effect<DurableKind<Machine, P>>
  /**
   * Brings into memory what has to be there: after a start of the process, and again every few seconds for what went idle
   * or moved here. `isMine` says which addresses live on this node. Answers how many were started.
   */
  readonly recover: (
    isMine: (address: Address) => boolean,
    options?: RecoverOptions
  ) => Effect.Effect<number, Unavailable>
  /** Says which addresses live on this node from here on, and how the others are asked where they live. Default: all are here. */
  readonly place: (places: MachinePlaces) => void
  /** Answers another node what it asks of a machine that lives here, as it is written on the wire. */
  readonly answer: (asked: MachineAsk, principal: Principal) => Effect.Effect<Schema.Json, SignalError>
  /**
   * Lets those leave memory that have done nothing but wait for `idleMs`, or for as long as their kind says. Answers how many.
   */
  readonly rest: (idleMs?: number) => Effect.Effect<number>
  /** Stops those in memory whose addresses are these: they live on another node, or are about to. Their rows stay. */
  readonly release: (isGone: (address: Address) => boolean) => Effect.Effect<void>
  /** Starts a parked or failed-over machine anew from the store: after its code or what it waited for has changed. */
  readonly restart: (address: Address) => Effect.Effect<void, SignalError>
  /** Stops those in memory that are at these addresses; none of them is started before the effect is over. */
  readonly whileStill: <A, E, R>(
    addresses: ReadonlySet<string>,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
  /** A tenant was loaded anew, here: kinds that keep a line ask again what its machines at rest wait for, at the next look. */
  readonly tenantLoaded: (tenant: string) => void
  /** Calls back when facts of a tenant have been committed by this node; the store has them. Returns how to stop. */
  readonly onFacts: (listener: (tenant: string) => void) => () => void
}

export const DurableMachines = Context.Service<DurableMachines>("bursar/actor/DurableMachines")

const READY_TIMEOUT = "15 seconds"

const standing = ({ text }: Address): Unavailable =>
  new Unavailable({ message: `${text} stands still for a moment; send it again`, retry_after_ms: SOON_MS })

type AnyRegistered = Registered<AnyStateMachine, Protocol>

const unavailable = (address: string, { message }: { readonly message: string }): Unavailable =>
  new Unavailable({ message: `${address} cannot be read right now: ${message}`, retry_after_ms: 1_000 })

const asked = <A>(look: Effect.Effect<A, MachineStoreUnreachable>): Effect.Effect<A, Unavailable> =>
  Effect.mapError(look, (error) => unavailable("Durable machines", error))

class Machines {
  readonly #system: ActorSystem
  readonly #environment: DurableEnvironment
  readonly #kinds = new Map<string, AnyRegistered>()
  readonly #residents = new DurableResidents()
  /** Addresses where nothing is started for the time being. */
  readonly #still = new Set<ReadonlySet<string>>()
  readonly #listeners = new Set<(tenant: string) => void>()
  readonly #look: DurableLook
  readonly #routing: MachineRouting
  readonly #watched: WatchedMachines
  readonly #telling: MachineTelling

  constructor(
    system: ActorSystem,
    environment: Pick<DurableEnvironment, "store" | "delivery" | "openMax" | "idleMs">,
    run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>,
    now: () => number
  ) {
    this.#system = system
    this.#routing = new MachineRouting(run)
    this.#watched = new WatchedMachines((address, watcher) => system.watch(address, watcher))
    this.#look = new DurableLook({
      store: environment.store,
      residents: this.#residents,
      asked,
      kinds: () => [...this.#kinds.keys()],
      resting: (kind) => this.#kinds.get(kind)?.definition.resting,
      wake: (address) => this.#wake(address),
      passivate: (address) => system.passivate(address),
      run
    })
    this.#environment = {
      store: environment.store,
      idleMs: environment.idleMs,
      openMax: environment.openMax,
      openMachines: new OpenMachines((tenant, kind) => asked(environment.store.openCount(tenant, kind))),
      delivery: {
        deliver: deliverTo({
          kindOf: (kind) => this.#kindOf(kind),
          receiver: system.receiver,
          others: environment.delivery
        })
      },
      definitionOf: ({ to, signal }) => {
        const address = addressFrom(to)
        const actor = system.entry(to) === undefined ? undefined : system.receiver(address)
        const known: Protocol =
          this.#kinds.get(address.kind)?.definition.protocol ?? actor?.protocol ?? SIGNALS
        return Object.hasOwn(known, signal) ? known[signal] : undefined
      },
      newId: () => crypto.randomUUID(),
      onFacts: (tenant) => {
        for (const listener of this.#listeners) listener(tenant)
      }
    }
    const { delivery, definitionOf } = this.#environment
    this.#telling = new MachineTelling({
      ...delivery,
      definitionOf,
      deadLetters: system.deadLetters,
      now,
      run
    })
    system.teller = (from, outgoing) => this.#telling.tell(from, outgoing)
  }

  /** From here on nothing is begun that this node cannot bring to its end. */
  end(): void {
    this.#routing.isEnding = true
    this.#telling.isEnding = true
  }

  register<Machine extends AnyStateMachine, P extends Protocol>(
    definition: DurableMachine<Machine, P>
  ): Effect.Effect<DurableKind<Machine, P>> {
    return Effect.sync(() => {
      const problem = definitionProblem(definition)
      if (problem !== undefined) throw new Error(problem)
      if (this.#kinds.has(definition.kind))
        throw new Error(`Two durable machines are of the kind ${definition.kind}: rename one`)
      const registered = { definition, machine: declared(definition.kind, definition.machine) }
      this.#kinds.set(definition.kind, registered as unknown as AnyRegistered)
      // Whoever has a handle to one that has left memory brings it back by it.
      this.#system.register<P>({
        kind: definition.kind,
        idleMs: Number.POSITIVE_INFINITY,
        endsAtRest: true,
        make: (address) =>
          this.#isStill(address) || !this.#routing.places.isMine(address)
            ? undefined
            : this.#actorOf(registered, address, { now: birthOf(undefined, "ref") }),
        elsewhere: (address) => this.#routing.elsewhere(address, definition.protocol)
      })
      return {
        start: (address, ...[input]) => this.#start(registered, address, input as InputFrom<Machine>),
        find: (address) => this.#find(registered, address),
        wake: (address) => this.#bringBack(address),
        view: (address) => this.#view(registered, address)
      }
    })
  }

  /** A kind as others ask it. */
  #kindOf(kind: string): AnsweringKind | undefined {
    const registered = this.#kinds.get(kind)
    if (registered === undefined) return undefined
    return {
      protocol: registered.definition.protocol,
      find: (address) => this.#find(registered, address),
      start: (address, input) => this.#start(registered, address, input),
      restart: (address) => this.restart(address)
    }
  }

  answer(asked: MachineAsk, principal: Principal): Effect.Effect<Schema.Json, SignalError> {
    const answering = {
      kindOf: (kind: string) => this.#kindOf(kind),
      places: () => this.#routing.places,
      ended: (address: Address) => this.#watched.ended(address)
    }
    return answerMachine(answering, asked, principal)
  }

  #spawn<Machine extends AnyStateMachine, P extends Protocol>(
    registered: Registered<Machine, P>,
    address: Address,
    input: Birth["input"],
    why: Birth["why"] = "asked"
  ): Effect.Effect<{ readonly ref: ActorRef<P>; readonly birth: Birth }, Unavailable> {
    const birth = { now: birthOf(input, why) }
    return Effect.andThen(
      // Who asks may have waited for the store since it was looked whether it may live here.
      this.#mayLive(address),
      Effect.map(
        this.#system.spawn<P>(this.#actorOf(registered, address, birth)),
        // Whoever was quicker has begun it.
        (ref) => ({ ref, birth: this.#residents.birthOf(ref) ?? birth.now })
      )
    )
  }

  /** `birth`: of the life that begins next. */
  #actorOf<Machine extends AnyStateMachine, P extends Protocol>(
    registered: Registered<Machine, P>,
    address: Address,
    birth: { now: Birth }
  ): ActorOptions<P> {
    const { protocol, mailboxCapacity } = registered.definition
    return {
      address,
      protocol,
      isDurable: true,
      checksPayloads: true,
      ...(mailboxCapacity === undefined ? {} : { mailboxCapacity }),
      behaviour: (actor) =>
        Effect.suspend(() => {
          // It may have waited for another life to end.
          if (this.#isStill(address)) return Deferred.fail(birth.now.ready, standing(address))
          if (!this.#routing.places.isMine(address))
            return Deferred.fail(birth.now.ready, elsewhere(address.text))
          birth.now = this.#residents.begins(actor.ref, birth.now)
          this.#routing.holds(address)
          const life = DurableLife.live(registered, this.#environment, actor, birth.now, (rests) =>
            this.#residents.lives(actor.ref, rests)
          )
          // A life that is cut off may have another one after it.
          return Effect.tap(life, () => Effect.sync(() => this.#residents.ends(actor.ref)))
        })
    }
  }

  #start<Machine extends AnyStateMachine, P extends Protocol>(
    registered: Registered<Machine, P>,
    address: Address,
    value: unknown
  ): Effect.Effect<{ readonly ref: ActorRef<P>; readonly isNew: boolean }, SignalError> {
    return Effect.gen({ self: this }, function* () {
      this.#check(registered, address)
      const started = yield* this.#routing.start(address, value)
      if (started !== undefined) return { ...started, ref: yield* this.#handle(registered, address) }
      const input = { value }
      const { ref, birth } = yield* this.#spawn(registered, address, input)
      const { isNew } = yield* this.#awaited(address, birth)
      return { ref, isNew: isNew && birth.input === input }
    })
  }

  #find<Machine extends AnyStateMachine, P extends Protocol>(
    registered: Registered<Machine, P>,
    address: Address
  ): Effect.Effect<ActorRef<P> | undefined, Unavailable> {
    return Effect.gen({ self: this }, function* () {
      this.#check(registered, address)
      const live = this.#system.find<P>(address, registered.definition.protocol)
      if (live !== undefined && !live.isClosed) return live
      const isRouted = this.#routing.isElsewhere(address)
      if (!isRouted) yield* this.#mayLive(address)
      const row = yield* this.#row(address)
      if (row === undefined) return undefined
      if (isRouted) return yield* this.#handle(registered, address)
      return (yield* this.#spawn(registered, address, undefined)).ref
    })
  }

  /** A handle to one that lives on another node, or has just come here. */
  #handle<Machine extends AnyStateMachine, P extends Protocol>(
    { definition: { protocol } }: Registered<Machine, P>,
    address: Address
  ): Effect.Effect<ActorRef<P>, Unavailable> {
    return Effect.suspend(() => {
      const ref = this.#system.refOf<P>(address, protocol)
      return ref === undefined ? Effect.fail(elsewhere(address.text)) : Effect.succeed(ref)
    })
  }

  #row({ text }: Address): Effect.Effect<MachineRow | undefined, Unavailable> {
    return Effect.mapError(this.#environment.store.read(text), (error) => unavailable(text, error))
  }

  #view<Machine extends AnyStateMachine, P extends Protocol>(
    registered: Registered<Machine, P>,
    address: Address
  ): Effect.Effect<MachineView<Machine> | undefined, Conflict | Unavailable> {
    return Effect.gen({ self: this }, function* () {
      this.#check(registered, address)
      const row = yield* this.#row(address)
      if (row === undefined) return undefined
      const reading = readingOf(registered, row, row.updatedAt)
      if (reading._tag === "unreadable") return yield* standsStill(address.text, reading.reason)
      return viewOf({ address }, reading.standing) as MachineView<Machine>
    })
  }

  #check(
    { definition: { kind } }: { readonly definition: { readonly kind: string } },
    address: Address
  ): void {
    const problem = addressProblem(kind, address)
    if (problem !== undefined) throw new Error(problem)
  }

  recover(
    isMine: (address: Address) => boolean,
    { aheadMs = 0, finds = false }: RecoverOptions = {}
  ): Effect.Effect<number, Unavailable> {
    return Effect.gen({ self: this }, function* () {
      this.#routing.places = { ...this.#routing.places, isMine }
      const found = yield* Effect.result(finds ? this.#look.find(isMine) : Effect.void)
      this.#look.ask(isMine)
      const started = yield* this.#look.recover(yield* lookUntil(aheadMs), isMine)
      yield* Effect.fromResult(found)
      return started
    })
  }

  place(places: MachinePlaces): void {
    this.#routing.places = places
  }

  rest(idleMs?: number): Effect.Effect<number> {
    return Effect.map(Clock.currentTimeMillis, (now) => this.#look.rest(now, idleMs))
  }

  release(isGone: (address: Address) => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#environment.openMachines.forget(isGone)
      this.#watched.release(isGone)
      this.#routing.release(isGone)
      // First, so that nobody who stops is brought back by a line.
      this.#look.forget(isGone)
      return this.#stop(isGone)
    })
  }

  #stop(isGone: (address: Address) => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const gone = this.#residents.addresses().filter(isGone)
      const stopped = Effect.forEach(gone, (address) => this.#system.stop(address), {
        concurrency: "unbounded",
        discard: true
      })
      return gone.length === 0 ? Effect.void : stopped
    })
  }

  whileStill<A, E, R>(
    addresses: ReadonlySet<string>,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    if (addresses.size === 0) return effect
    // One set for each time: two may stop the same machine.
    const mine = new Set(addresses)
    return Effect.suspend(() => {
      this.#still.add(mine)
      this.#environment.openMachines.forget(({ text }) => mine.has(text))
      return Effect.andThen(
        Effect.forEach(mine, (text) => this.#system.stop(addressFrom(text)), {
          concurrency: "unbounded",
          discard: true
        }),
        effect
      )
    }).pipe(
      Effect.ensuring(Effect.sync(() => this.#still.delete(mine))),
      Effect.ensuring(this.#look.findAgain(mine))
    )
  }

  #isStill({ text }: Address): boolean {
    for (const addresses of this.#still) if (addresses.has(text)) return true
    return false
  }

  #mayLive(address: Address): Effect.Effect<void, Unavailable> {
    return Effect.suspend(() => {
      if (!this.#routing.places.isMine(address)) return Effect.fail(elsewhere(address.text))
      return this.#isStill(address) ? Effect.fail(standing(address)) : Effect.void
    })
  }

  #wake(address: Address): Effect.Effect<void> {
    const registered = this.#kinds.get(address.kind)
    if (registered === undefined) return Effect.void
    return Effect.flatMap(this.#spawn(registered, address, undefined, "moment"), ({ birth }) =>
      this.#awaited(address, birth)
    ).pipe(Effect.ignore)
  }

  #bringBack(address: Address): Effect.Effect<void, Unavailable> {
    return Effect.andThen(this.#mayLive(address), this.#wake(address))
  }

  restart(address: Address): Effect.Effect<void, SignalError> {
    return Effect.gen({ self: this }, function* () {
      if (yield* this.#routing.restart(address)) return
      const registered = this.#kinds.get(address.kind)
      const row = yield* this.#row(address)
      if (registered === undefined || row === undefined) return yield* noSuchMachine(address)
      yield* this.#mayLive(address)
      yield* this.#system.stop(address)
      const { birth } = yield* this.#spawn(registered, address, undefined)
      yield* this.#awaited(address, birth)
    })
  }

  /** Waits until the machine is known to be in the store, but not for ever. */
  #awaited({ text }: Address, { ready }: Birth): Effect.Effect<{ readonly isNew: boolean }, SignalError> {
    return Effect.timeoutOrElse(Deferred.await(ready), {
      duration: READY_TIMEOUT,
      orElse: () => Effect.fail(unavailable(text, { message: "the store does not answer" }))
    })
  }

  tenantLoaded(tenant: string): void {
    this.#look.loaded(tenant)
  }

  onFacts(listener: (tenant: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

const make = Effect.gen(function* () {
  const store = yield* MachineStore
  const delivery = yield* SignalDelivery
  const openMax = yield* OpenMachinesMax
  const idleMs = yield* IdleMs
  const run = yield* FiberSet.runtime(yield* FiberSet.make<void>())()
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const machines = new Machines(yield* ActorSystem, { store, delivery, openMax, idleMs }, run, now)
  yield* Effect.addFinalizer(() => Effect.sync(() => machines.end()))
  return DurableMachines.of({
    register: (definition) => machines.register(definition),
    recover: (isMine, options) => machines.recover(isMine, options),
    place: (places) => machines.place(places),
    answer: (asked, principal) => machines.answer(asked, principal),
    rest: (idleMs) => machines.rest(idleMs),
    release: (isGone) => machines.release(isGone),
    restart: (address) => machines.restart(address),
    whileStill: (addresses, effect) => machines.whileStill(addresses, effect),
    tenantLoaded: (tenant) => machines.tenantLoaded(tenant),
    onFacts: (listener) => machines.onFacts(listener)
  })
})

/** The machines end with the actor system, in whose order they stop. */
export const layer = Layer.effect(DurableMachines, make)
