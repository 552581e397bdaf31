/**
 * The machines that a machine has spawned or invoked, as child actors: `PARENT/CHILD_ID`.
 *
 * Owns: that each is listed under its parent with its own state and graph, and ends with it; which name it has; and that who
 * ends the actor ends the machine.
 * Does not decide: when a machine begins, ends or fails, and what its parent makes of that (XState).
 */
import { type Context, Effect, Exit } from "effect"
import {
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventObject,
  type InspectionEvent,
  StateMachine
} from "xstate"
import { protocol } from "../signal/Protocol.ts"
import type { ActorContext, ActorInsight } from "./ActorContext.ts"
import type { Address } from "./Address.ts"
import { graphOf, marksOf, stateText } from "./Machine.ts"
import { NEVER_RESTART } from "./Supervision.ts"

/** Signals reach the parent alone; a child gets its events from it. */
const CHILD_PROTOCOL = protocol()
type ChildProtocol = typeof CHILD_PROTOCOL

/** Children of one machine that are shown at once. More run like any others, and the parent shows how many. */
const CHILDREN_MAX = 1_000
const ID_MAX = 200

type ParentContext = Pick<ActorContext<ChildProtocol>, "spawn" | "watch">

/** XState stops a child only for its parent, and forgets those of a machine that fails. */
const stopUnasked = (ref: AnyActorRef): void => (ref as unknown as { readonly _stop: () => void })._stop()

/** Stops what a machine that has failed leaves running. One that failed at its very start has nothing. */
export const stopChildrenOf = (snapshot: AnyMachineSnapshot): void => {
  const children: { readonly [id: string]: AnyActorRef | undefined } = snapshot.children ?? {}
  for (const child of Object.values(children)) if (child !== undefined) stopUnasked(child)
}

/** An id as a part of an address. */
const nameOf = (id: string): string => id.slice(0, ID_MAX).replaceAll("/", "_")

/** Where child machines hang: the machine that is an actor by itself, or one of its children. */
class Nest {
  readonly address: Address
  readonly #names = new Map<string, ChildMachine>()
  #context: ParentContext | undefined
  #waiting: Array<(context: ParentContext) => void> = []
  /** Children that run and are not shown. */
  unseen = 0

  constructor(address: Address) {
    this.address = address
  }

  open(context: ParentContext): void {
    this.#context = context
    for (const spawn of this.#waiting.splice(0)) spawn(context)
  }

  /** Calls back with the parent as soon as it is there. */
  whenOpen(spawn: (context: ParentContext) => void): void {
    if (this.#context === undefined) this.#waiting.push(spawn)
    else spawn(this.#context)
  }

  /** Gives the child a name; who had it before and has ended leaves first. */
  add(child: ChildMachine, id: string): void {
    if (this.#names.size >= CHILDREN_MAX) {
      this.unseen += 1
      child.onEnd(() => {
        this.unseen -= 1
      })
      return
    }
    let name = nameOf(id)
    for (let count = 2; this.#names.get(name)?.hasEnded === false; count++) name = `${nameOf(id)}.${count}`
    const before = this.#names.get(name)
    this.#names.set(name, child)
    const { kind, tenant, text } = this.address
    const begin = () => child.begin({ kind, tenant, text: `${text}/${name}` })
    child.onLeft = () => {
      if (this.#names.get(name) === child) this.#names.delete(name)
    }
    if (before === undefined) begin()
    else {
      const leave = before.onLeft
      before.onLeft = () => {
        leave()
        begin()
      }
    }
  }
}

class ChildMachine {
  readonly #ref: AnyActorRef
  readonly #machine: AnyStateMachine
  readonly #parent: Nest
  readonly #services: Context.Context<never>
  nest: Nest | undefined
  #context: ActorContext<ChildProtocol> | undefined
  #exit: Exit.Exit<void, unknown> | undefined
  #ended: Array<(exit: Exit.Exit<void, unknown>) => void> = []
  #told: string | undefined
  #lastEvent: string | undefined
  /** Its actor has gone. */
  onLeft: () => void = () => undefined

  constructor(ref: AnyActorRef, machine: AnyStateMachine, parent: Nest, services: Context.Context<never>) {
    this.#ref = ref
    this.#machine = machine
    this.#parent = parent
    this.#services = services
    ref.subscribe({
      complete: () => this.#end(Exit.void),
      error: (error) => {
        stopChildrenOf(this.#snapshot)
        this.#end(Exit.fail(error))
      }
    })
  }

  get hasEnded(): boolean {
    return this.#exit !== undefined
  }

  get #snapshot(): AnyMachineSnapshot {
    return this.#ref.getSnapshot() as AnyMachineSnapshot
  }

  onEnd(tell: (exit: Exit.Exit<void, unknown>) => void): void {
    if (this.#exit === undefined) this.#ended.push(tell)
    else tell(this.#exit)
  }

  begin(address: Address): void {
    this.nest = this.nest ?? new Nest(address)
    this.#parent.whenOpen((parent) => {
      const spawned = parent.spawn<ChildProtocol>({
        address,
        protocol: CHILD_PROTOCOL,
        mailboxCapacity: 1,
        // What follows is XState's to decide: its parent's onError, or nothing.
        supervision: NEVER_RESTART,
        mayPassivate: () => false,
        behaviour: (context) => this.#live(context, parent)
      })
      Effect.runForkWith(this.#services)(
        Effect.catchCause(spawned, (cause) => {
          this.onLeft()
          return Effect.logWarning(`The machine ${address.text} runs, and is not shown as an actor`, cause)
        })
      )
    })
  }

  /** The state after an event. */
  follow(event: string): void {
    this.#lastEvent = event
    this.#tell()
  }

  #tell(): void {
    const { value } = this.#snapshot
    if (this.#context === undefined || value === undefined) return
    const state = stateText(value)
    if (state === this.#told) return
    this.#told = state
    this.#context.transition(state, this.#lastEvent)
  }

  #live(context: ActorContext<ChildProtocol>, parent: ParentContext): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function* () {
      this.#context = context
      parent.watch(context.ref.address, () => this.onLeft())
      context.shows(() => this.#insight)
      this.#tell()
      this.nest?.open(context)
      // It may have ended already; who has made it must be able to see it end.
      yield* Effect.yieldNow
      yield* Effect.callback<void, unknown>((resume) => {
        this.onEnd((exit) => resume(exit))
        return Effect.sync(() => this.#cutOff(context))
      })
      const { status, value } = this.#snapshot
      context.ends(
        status === "done" ? `done in ${stateText(value)}` : "its parent has stopped it",
        this.#output
      )
    })
  }

  get #output(): unknown {
    const { status, output } = this.#snapshot
    return status === "done" ? output : undefined
  }

  get #insight(): ActorInsight {
    const snapshot = this.#snapshot
    const { status } = snapshot
    const unseen = this.nest?.unseen ?? 0
    return {
      machine: graphOf(this.#machine),
      ...marksOf(snapshot),
      context: { status, ...(unseen > 0 ? { children_not_shown: unseen } : {}) }
    }
  }

  /** Somebody else than its parent has ended the actor: the parent learns it as the child's failure. */
  #cutOff(context: ActorContext<ChildProtocol>): void {
    if (this.hasEnded) return
    const { id, _parent: parent } = this.#ref
    stopUnasked(this.#ref)
    // A child whose id another one has taken is XState's no more: it ends here, with its parent.
    if (parent?.getSnapshot().status !== "active") return
    const error = new Error(`${context.ref.address.text} was stopped`)
    parent.send({ type: `xstate.error.actor.${id}`, error, actorId: id } as EventObject)
  }

  #end(exit: Exit.Exit<void, unknown>): void {
    if (this.#exit !== undefined) return
    this.#exit = exit
    for (const tell of this.#ended.splice(0)) tell(exit)
  }
}

/** The child machines of one machine that is an actor, and theirs. */
export class ChildMachines {
  readonly #root: Nest
  readonly #services: Context.Context<never>
  /** Forgotten with the machine's own reference. */
  readonly #children = new WeakMap<AnyActorRef, ChildMachine>()

  constructor(address: Address, services: Context.Context<never>) {
    this.#root = new Nest(address)
    this.#services = services
  }

  /** Children that run and are not shown. */
  get unseen(): number {
    return this.#root.unseen
  }

  open(context: ParentContext): void {
    this.#root.open(context)
  }

  /** What XState tells of any actor of the machine's system but the machine itself. */
  inspect(event: InspectionEvent): void {
    const ref = event.actorRef
    if (event.type === "@xstate.event" && event.event.type === "xstate.init") this.#add(ref as AnyActorRef)
    else if (event.type === "@xstate.snapshot")
      this.#children.get(ref as AnyActorRef)?.follow(event.event.type)
  }

  #add(ref: AnyActorRef): void {
    const { logic } = ref as unknown as { readonly logic: unknown }
    const { id, _parent: parent } = ref
    if (!(logic instanceof StateMachine) || parent === undefined) return
    const known = this.#children.get(parent)
    // A child that is not shown shows none either.
    const nest = known === undefined ? this.#root : known.nest
    if (nest === undefined) return
    const child = new ChildMachine(ref, logic, nest, this.#services)
    this.#children.set(ref, child)
    nest.add(child, id)
  }
}
