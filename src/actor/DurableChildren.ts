/**
 * The child machines of a durable machine, as child actors: each as it was last committed.
 *
 * Owns: that what is listed is what is in the store, and that an actor which somebody else ends is told to the machine.
 * Does not decide: how an actor of a child is named and shown (ChildActor), or what the machine makes of the end of a child
 * (its `onError`).
 */
import { type Context, Exit } from "effect"
import type { AnyActorRef, AnyMachineSnapshot } from "xstate"
import type { Address } from "./Address.ts"
import { ChildActor, Nest, type ParentContext } from "./ChildActor.ts"
import { childAt, idsOf, parentPath } from "./ChildPath.ts"
import type { DurableState } from "./DurableState.ts"
import type { LateEvent } from "./DurableStep.ts"

interface Shown {
  readonly actor: ChildActor
  readonly born: number
  snapshot: AnyMachineSnapshot
}

const snapshotOf = (child: AnyActorRef | undefined): AnyMachineSnapshot | undefined => {
  const snapshot = child?.getSnapshot() as AnyMachineSnapshot | undefined
  return snapshot !== undefined && "machine" in snapshot ? snapshot : undefined
}

const byDepth = (one: readonly [string, number], other: readonly [string, number]): number =>
  one[0].split("/").length - other[0].split("/").length

export class DurableChildren {
  readonly #root: Nest
  readonly #services: Context.Context<never>
  readonly #sendLate: (late: LateEvent) => void
  readonly #shown = new Map<string, Shown>()

  constructor(
    address: Address,
    parent: ParentContext,
    services: Context.Context<never>,
    sendLate: (late: LateEvent) => void
  ) {
    this.#root = new Nest(address)
    this.#root.open(parent)
    this.#services = services
    this.#sendLate = sendLate
  }

  /** Children that run and are not shown. */
  get unseen(): number {
    return this.#root.unseen
  }

  /** A step is committed. */
  follow({ machines }: Pick<DurableState, "machines">, snapshot: AnyMachineSnapshot, event?: string): void {
    const live = Object.entries(machines)
    if (live.length === 0 && this.#shown.size === 0) return
    for (const [path, shown] of this.#shown) {
      if (machines[path] === shown.born) continue
      this.#shown.delete(path)
      // Another one in its place says nothing of how it has ended.
      this.#end(shown, path in machines ? undefined : snapshotOf(childAt(snapshot, path)))
    }
    for (const [path, born] of live.sort(byDepth)) {
      const now = snapshotOf(childAt(snapshot, path))
      if (now === undefined) continue
      const known = this.#shown.get(path)
      if (known === undefined) this.#show(path, born, now)
      else if (known.snapshot !== now) {
        known.snapshot = now
        known.actor.follow(event)
      }
    }
  }

  #show(path: string, born: number, snapshot: AnyMachineSnapshot): void {
    const parent = parentPath(path)
    // A child that is not shown shows none either.
    const nest = parent === "" ? this.#root : this.#shown.get(parent)?.actor.nest
    if (nest === undefined) return
    const actor: ChildActor = new ChildActor(
      {
        machine: snapshot.machine,
        snapshot: () => shown.snapshot,
        cutOff: () => {
          // Without the machine's own life nobody takes it; the next one shows the child again.
          if (this.#shown.get(path) === shown) this.#sendLate({ to: path, born, event: undefined })
        }
      },
      nest,
      this.#services
    )
    const shown: Shown = { actor, born, snapshot }
    this.#shown.set(path, shown)
    nest.add(actor, idsOf(path).at(-1) ?? "")
  }

  #end(shown: Shown, last: AnyMachineSnapshot | undefined): void {
    if (last !== undefined && last.status !== "active") shown.snapshot = last
    const { status, error } = shown.snapshot
    shown.actor.end(status === "error" ? Exit.fail(error) : Exit.void)
  }
}
