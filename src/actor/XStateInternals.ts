/**
 * What of XState is used here, and not promised by its types.
 *
 * Owns: every name that starts with an underscore, and whatever else another version of XState may change without saying so; a
 * test asks XState for each of them.
 * Does not decide: what is done with it (DurableTree, DurableMigration, ChildMachines).
 */
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine, EventObject, StateNode } from "xstate"

/** An action as XState hands it over. */
export interface Executable {
  readonly type: string
  readonly info: unknown
  readonly params: unknown
  readonly exec: ((info: unknown, params: unknown) => void) | undefined
}

/** An actor's `_processingStatus`; one that has not begun is 0. */
export const RUNNING = 1
export const STOPPED = 2

/** What of XState's actor is used here, and not in its types. */
export interface TreeActor {
  readonly id: string
  readonly src: unknown
  readonly sessionId: string
  readonly system: {
    _bookId: () => string
    scheduler: object
    readonly _register: (sessionId: string, actor: TreeActor) => void
    readonly _relay: (source: TreeActor | undefined, target: TreeActor, event: EventObject) => void
  }
  readonly options: { readonly input?: unknown }
  readonly _parent: TreeActor | undefined
  readonly _syncSnapshot: boolean | undefined
  readonly _deferred: Array<() => void>
  readonly _actorScope: { actionExecutor: (action: Executable) => void }
  readonly mailbox: { readonly start: () => void }
  _processingStatus: number
  _snapshot: AnyMachineSnapshot
  logic: object
  start: () => TreeActor
  send: (event: EventObject) => void
  _send: (event: EventObject) => void
  readonly _stop: () => void
  readonly subscribe: AnyActorRef["subscribe"]
  readonly getPersistedSnapshot: () => unknown
}

export interface Logic {
  readonly options?: { maxIterations?: number }
  readonly transition: (...args: ReadonlyArray<unknown>) => unknown
  readonly getInitialSnapshot: (scope: unknown, input: unknown) => { status: unknown; error: unknown }
}

/** Actions that only XState itself does. */
export const BUILT_IN: ReadonlySet<string> = new Set([
  "xstate.raise",
  "xstate.sendTo",
  "xstate.cancel",
  "xstate.spawnChild",
  "xstate.stopChild"
])

/**
 * Whether logic is a machine. By its shape: a host may have a copy of XState 5 of its own, whose machines are of another class
 * than ours.
 */
export const isMachine = (logic: unknown): logic is AnyStateMachine => {
  const { config, implementations, transition, getInitialSnapshot, getStateNodeById } = Object(
    logic
  ) as Partial<AnyStateMachine>
  return (
    [transition, getInitialSnapshot, getStateNodeById].every((has) => typeof has === "function") &&
    [config, implementations].every((has) => typeof has === "object" && has !== null)
  )
}

export const innerOf = (actor: unknown): TreeActor => actor as TreeActor

export const childrenOf = (snapshot: AnyMachineSnapshot): ReadonlyArray<[string, TreeActor]> =>
  Object.entries(
    (snapshot.children ?? {}) as unknown as { readonly [id: string]: TreeActor | undefined }
  ).filter((entry): entry is [string, TreeActor] => entry[1] !== undefined)

/** XState stops a child only for its parent. */
export const stopUnasked = (actor: unknown): void => innerOf(actor)._stop()

/** Stops what a machine that has failed leaves running: XState forgets it. One that failed at its very start has nothing. */
export const stopChildrenOf = (snapshot: AnyMachineSnapshot | undefined): void => {
  if (snapshot !== undefined) for (const [, child] of childrenOf(snapshot)) stopUnasked(child)
}

/** The states that a machine is in, those around them too. */
export const nodesOf = (snapshot: AnyMachineSnapshot): ReadonlyArray<StateNode> =>
  (snapshot as unknown as { readonly _nodes: ReadonlyArray<StateNode> })._nodes

/** What a state invokes. */
export interface Invoked {
  readonly id: string
  readonly src: string
  readonly input?: unknown
  readonly systemId?: string
  readonly onSnapshot?: unknown
}

export const invokesOf = (snapshot: AnyMachineSnapshot): ReadonlyArray<Invoked> =>
  nodesOf(snapshot).flatMap((node) => node.invoke as unknown as ReadonlyArray<Invoked>)
