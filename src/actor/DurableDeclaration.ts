/**
 * What a durable machine may be made of, looked at when it is declared.
 *
 * Owns: which logic can be a child of a durable machine, and saying of any other where it stands and what to do.
 * Does not decide: what a child does.
 *
 * A machine and `fromTransition` are functions: their snapshots are kept with the parent's. An Effect (`durably`) and a
 * promise can be begun again under their key. A callback or an observable has a state that nobody can keep.
 */
import type { AnyStateMachine, StateNode } from "xstate"
import { isMachine } from "./XStateInternals.ts"

/** `pure`: a state and a function, without a life of its own. `run`: an Effect or a promise. */
export type ChildKind = "machine" | "pure" | "run" | "strange"

/** How deep machines may be in each other; the durable machine itself is not counted. */
export const DEPTH_MAX = 8

interface Invoke {
  readonly src: unknown
}

interface Logic {
  readonly start?: unknown
  readonly transition: (...args: ReadonlyArray<unknown>) => { readonly status?: unknown }
}

/** Only a promise's logic ends with what a promise was resolved with. */
const isPromiseLike = (logic: Logic): boolean => {
  try {
    const tried = { status: "active", output: undefined, error: undefined, input: undefined }
    return logic.transition(tried, { type: "xstate.promise.resolve", data: null }, {}).status === "done"
  } catch {
    return false
  }
}

export const kindOf = (logic: object): ChildKind => {
  if (isMachine(logic)) return "machine"
  const { start, transition } = logic as Partial<Logic>
  if (typeof transition !== "function") return "strange"
  if (start === undefined) return "pure"
  return isPromiseLike(logic as Logic) ? "run" : "strange"
}

const listOf = <A>(value: A | ReadonlyArray<A> | undefined): ReadonlyArray<A> =>
  value === undefined ? [] : Array.isArray(value) ? value : [value as A]

const INVOKED_IN_PLACE = /^xstate\.invoke\.(\d+)\.(.*)$/u

/** The logic that a machine means by a name; XState names what is invoked in place by where that is. */
export const logicOf = (machine: AnyStateMachine, src: string): object | undefined => {
  const [, index, nodeId] = INVOKED_IN_PLACE.exec(src) ?? []
  if (index === undefined || nodeId === undefined)
    return (machine.implementations.actors as { readonly [name: string]: object | undefined })[src]
  const invokes = listOf(machine.getStateNodeById(nodeId).config.invoke as Invoke | ReadonlyArray<Invoke>)
  return invokes[Number(index)]?.src as object | undefined
}

export const strange = (where: string, what: string): Error =>
  new Error(
    `${where} has ${what}, which is no machine, no Effect and no promise: a durable machine can keep or begin again only ` +
      "these. Invoke an Effect made by `durably`, or let another actor do it and tell this one by a signal"
  )

interface Spawn {
  readonly type?: unknown
  readonly src?: unknown
}

const nodesOf = (machine: AnyStateMachine): ReadonlyArray<StateNode> => [
  ...(machine as unknown as { readonly idMap: ReadonlyMap<string, StateNode> }).idMap.values()
]

const actionsOf = (node: StateNode): ReadonlyArray<unknown> => [
  ...node.entry,
  ...node.exit,
  ...[...node.transitions.values()].flat().flatMap(({ actions }) => actions)
]

/** Looks at one machine, and at what it has: named, invoked in place, spawned in place. */
class Look {
  readonly #machine: AnyStateMachine
  readonly #where: string
  readonly #depth: number
  readonly #within: ReadonlySet<AnyStateMachine>

  constructor(machine: AnyStateMachine, where: string, depth: number, within: ReadonlySet<AnyStateMachine>) {
    this.#machine = machine
    this.#where = where
    this.#depth = depth
    this.#within = within
  }

  all(): void {
    const { actors, actions } = this.#machine.implementations
    for (const [name, logic] of Object.entries(actors as { readonly [name: string]: object }))
      this.#logic(logic, `the actor "${name}"`)
    for (const action of Object.values(actions as { readonly [name: string]: unknown })) this.#action(action)
    for (const node of nodesOf(this.#machine)) {
      for (const { src } of listOf(node.config.invoke as Invoke | ReadonlyArray<Invoke> | undefined))
        this.#source(src, `what its state "${node.id}" invokes`)
      for (const action of actionsOf(node)) this.#action(action)
    }
  }

  #action(action: unknown): void {
    const { type, src } = (typeof action === "function" ? action : {}) as Spawn
    if (type !== "xstate.spawnChild") return
    if (typeof src === "string") this.#source(src, `what its action spawns`)
    else
      throw new Error(
        `${this.#where} spawns logic that has no name: after a restart nobody would know what it was. Name it in ` +
          "setup({ actors }), and spawn it by that name"
      )
  }

  #source(src: unknown, what: string): void {
    if (typeof src !== "string") this.#logic(src as object, what)
    else if (!Object.hasOwn(this.#machine.implementations.actors, src))
      throw new Error(`${this.#where} names the actor "${src}" (${what}), and nobody provides it`)
  }

  #logic(logic: object, what: string): void {
    const kind = kindOf(logic)
    if (kind === "strange") throw strange(this.#where, what)
    if (kind !== "machine") return
    const machine = logic as AnyStateMachine
    // A machine that can be its own child is bounded when it runs.
    if (this.#within.has(machine)) return
    const where = `${this.#where} › ${machine.id}`
    if (this.#depth >= DEPTH_MAX)
      throw new Error(
        `${where} is more than ${DEPTH_MAX} machines deep: give some of them addresses of their own`
      )
    new Look(machine, where, this.#depth + 1, new Set([...this.#within, machine])).all()
  }
}

/** The machine, if it can be durable, whatever it invokes and spawns by name. Throws otherwise. */
export const declared = <Machine extends AnyStateMachine>(kind: string, machine: Machine): Machine => {
  new Look(machine, `The durable machine ${kind}`, 0, new Set([machine])).all()
  return machine
}
