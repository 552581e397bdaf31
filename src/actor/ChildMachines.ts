/**
 * The machines that a machine in memory has spawned or invoked, as child actors.
 *
 * Owns: that each begins and ends with its machine, and that who ends the actor ends the machine.
 * Does not decide: how an actor of a child is named and shown (ChildActor), or when a machine begins, ends or fails (XState).
 */
import { type Context, Exit } from "effect"
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine, EventObject, InspectionEvent } from "xstate"
import type { Address } from "./Address.ts"
import { ChildActor, Nest, type ParentContext } from "./ChildActor.ts"
import { innerOf, isMachine, stopChildrenOf, stopUnasked } from "./XStateInternals.ts"

/** Somebody else than its parent has ended the actor: the parent learns it as the child's failure. */
const stopFor = (ref: AnyActorRef, { text }: Address): void => {
  const { id, _parent: parent } = ref
  stopUnasked(ref)
  // A child whose id another one has taken is XState's no more: it ends here, with its parent.
  if (parent?.getSnapshot().status !== "active") return
  const error = new Error(`${text} was stopped`)
  parent.send({ type: `xstate.error.actor.${id}`, error, actorId: id } as EventObject)
}

/** The child machines of one machine that is an actor, and theirs. */
export class ChildMachines {
  readonly #root: Nest
  readonly #services: Context.Context<never>
  /** Forgotten with the machine's own reference. */
  readonly #children = new WeakMap<AnyActorRef, ChildActor>()

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
    const { logic } = innerOf(ref)
    const { id, _parent: parent } = ref
    if (!isMachine(logic) || parent === undefined) return
    const known = this.#children.get(parent)
    // A child that is not shown shows none either.
    const nest = known === undefined ? this.#root : known.nest
    if (nest === undefined) return
    const child = this.#actorOf(ref, logic, nest)
    this.#children.set(ref, child)
    nest.add(child, id)
  }

  #actorOf(ref: AnyActorRef, machine: AnyStateMachine, nest: Nest): ChildActor {
    const snapshot = () => ref.getSnapshot() as AnyMachineSnapshot
    const cutOff = (address: Address) => stopFor(ref, address)
    const child = new ChildActor({ machine, snapshot, cutOff }, nest, this.#services)
    ref.subscribe({
      complete: () => child.end(Exit.void),
      error: (error) => {
        stopChildrenOf(snapshot())
        child.end(Exit.fail(error))
      }
    })
    return child
  }
}
