/**
 * A child machine as an actor under its parent: `PARENT/CHILD_ID`.
 *
 * Owns: which name it has, that it is listed with its own state and graph, and that its actor ends with it.
 * Does not decide: where the machine runs (ChildMachines, DurableChildren), and what its parent makes of its end (XState).
 */
import { type Context, Effect, type Exit } from "effect"
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate"
import { protocol } from "../signal/Protocol.ts"
import type { ActorContext, ActorInsight } from "./ActorContext.ts"
import type { Address } from "./Address.ts"
import { graphOf, marksOf, stateText } from "./Machine.ts"
import { NEVER_RESTART } from "./Supervision.ts"

/** Signals reach the parent alone; a child gets its events from it. */
const CHILD_PROTOCOL = protocol()
type ChildProtocol = typeof CHILD_PROTOCOL

/** Children of one machine that are shown at once. More run like any others, and the parent shows how many. */
const SHOWN_MAX = 1_000
const ID_MAX = 200

export type ParentContext = Pick<ActorContext<ChildProtocol>, "spawn" | "watch">

/** An id as a part of an address. */
const nameOf = (id: string): string => id.slice(0, ID_MAX).replaceAll("/", "_")

/** Where child machines hang: the machine that is an actor by itself, or one of its children. */
export class Nest {
  readonly address: Address
  readonly #names = new Map<string, ChildActor>()
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
  add(child: ChildActor, id: string): void {
    if (this.#names.size >= SHOWN_MAX) {
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

/** A child machine, wherever it runs. */
export interface ShownMachine {
  readonly machine: AnyStateMachine
  /** As it is now. */
  readonly snapshot: () => AnyMachineSnapshot
  /** Somebody else than its parent has ended its actor. */
  readonly cutOff: (address: Address) => void
}

export class ChildActor {
  readonly #shown: ShownMachine
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

  constructor(shown: ShownMachine, parent: Nest, services: Context.Context<never>) {
    this.#shown = shown
    this.#parent = parent
    this.#services = services
  }

  get hasEnded(): boolean {
    return this.#exit !== undefined
  }

  get #snapshot(): AnyMachineSnapshot {
    return this.#shown.snapshot()
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
  follow(event: string | undefined): void {
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
      machine: graphOf(this.#shown.machine),
      ...marksOf(snapshot),
      context: { status, ...(unseen > 0 ? { children_not_shown: unseen } : {}) }
    }
  }

  #cutOff(context: ActorContext<ChildProtocol>): void {
    if (!this.hasEnded) this.#shown.cutOff(context.ref.address)
  }

  /** The machine has ended: so does its actor. */
  end(exit: Exit.Exit<void, unknown>): void {
    if (this.#exit !== undefined) return
    this.#exit = exit
    for (const tell of this.#ended.splice(0)) tell(exit)
  }
}
