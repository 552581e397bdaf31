/**
 * The machine, its child machines and what they invoke, for one step: as XState's own actors, that live in memory for the
 * length of the step and then are written down.
 *
 * Owns: that nothing of them gets out: whatever a rule asks for (an action, a delay, an Effect) is gathered, and the order of
 * events is XState's. Events between machines of one tree are part of the step.
 * Does not decide: what becomes of what was gathered (DurableStep), or what a machine does (the machine).
 *
 * XState tells of every actor before it computes the actor's first state; that is where it is taken in here. Machines process
 * events as they always do; Effects are never started.
 */
import {
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject
} from "xstate"
import { childPath } from "./ChildPath.ts"
import { type ChildKind, DEPTH_MAX, kindOf, strange } from "./DurableDeclaration.ts"
import type { PersistedSnapshot } from "./DurableState.ts"
import { jsonProblem, plainFailure } from "./PlainJson.ts"
import {
  BUILT_IN,
  childrenOf,
  type Executable,
  innerOf,
  type Logic,
  RUNNING,
  STOPPED,
  stopChildrenOf,
  type TreeActor
} from "./XStateInternals.ts"

/** Events that one step may lead to inside the tree; one more is a loop without an end. */
const EVENTS_MAX = 1_000
const MICROSTEPS_MAX = 10_000
/**
 * Child machines of one machine, theirs included, and those that have ended and were not stopped. Each step reads and writes
 * all of them (about 0.1 ms each): more than these want addresses of their own.
 */
const CHILDREN_MAX = 200

/** What a tree tells while it moves. */
export interface TreeListener {
  /** An action of the machine at this path; whoever throws says that it has failed. */
  readonly act: (action: Executable, path: string, actor: TreeActor) => void
  readonly schedule: (
    source: TreeActor,
    target: TreeActor,
    event: EventObject,
    delayMs: number,
    id: string | undefined
  ) => void
  readonly cancel: (source: TreeActor, id: string) => void
  /** An Effect is to run. */
  readonly invoke: (actor: TreeActor) => void
  /** Something to be said, once all is committed. */
  readonly note: (text: string) => void
  /** An action has sent this by itself, when it was run. */
  readonly sendLate: (actor: TreeActor, event: EventObject) => void
  /** Where to go back to, when rules throw on the way. */
  readonly mark: () => () => void
}

/** A child as XState makes one. */
export interface Spawned {
  readonly logic: object
  readonly id: string
  readonly src: string
  readonly input: unknown
  readonly syncSnapshot: boolean
  readonly systemId?: string
}

/** Cycles of transitions end with an error, and not never. */
const withinBounds = <A>(logic: Logic, run: () => A): A => {
  const { options } = logic
  if (options === undefined) return run()
  const { maxIterations } = options
  options.maxIterations = Math.min(maxIterations ?? Number.POSITIVE_INFINITY, MICROSTEPS_MAX)
  try {
    return run()
  } finally {
    options.maxIterations = maxIterations as number
  }
}

/** A failure as it can be kept. */
const kept = (failure: unknown): unknown =>
  failure !== undefined && jsonProblem(failure, "error") === undefined ? failure : plainFailure(failure)

export class DurableTree {
  readonly root: TreeActor
  readonly #listener: TreeListener
  readonly #kinds = new Map<TreeActor, ChildKind>()
  readonly #depths = new Map<TreeActor, number>()
  /** When each machine began: the number of the event that it was begun at. */
  readonly born = new Map<TreeActor, number>()
  #machines = 0
  #events = 0
  #ids = 0
  /** The number of the event that is being processed. */
  revision: number
  /** The machine cannot be durable, and the step is not taken. */
  #problem: Error | undefined
  /** The machine's own rules have thrown, and the step is not taken. */
  #crash: { readonly cause: unknown } | undefined

  private constructor(
    machine: AnyStateMachine,
    revision: number,
    listener: TreeListener,
    options: { readonly input: unknown } | { readonly snapshot: PersistedSnapshot }
  ) {
    this.revision = revision
    this.#listener = listener
    let root: TreeActor | undefined
    const actor = createActor(machine, {
      ...(options as object),
      inspect: (event) => {
        if (event.type !== "@xstate.actor") return
        const joining = innerOf(event.actorRef)
        root ??= joining
        this.#join(joining, root)
      }
    })
    this.root = innerOf(actor)
    // Without anybody who listens, XState throws a failure into the process.
    this.root.subscribe({ error: () => undefined })
  }

  /** A machine in its first state, which is event number 1. Nothing of it has happened until `start`. */
  static begun(machine: AnyStateMachine, input: unknown, listener: TreeListener): DurableTree {
    const tree = new DurableTree(machine, 1, listener, { input })
    const { status, error } = tree.root._snapshot
    if (status === "error") tree.#crash = { cause: error }
    return tree
  }

  /** The tree as it was written down after the event of this number. Throws where it does not fit the machine. */
  static restored(
    machine: AnyStateMachine,
    snapshot: PersistedSnapshot,
    revision: number,
    listener: TreeListener
  ): DurableTree {
    // XState puts its children into the context that it is given.
    const tree = new DurableTree(machine, revision, listener, { snapshot: structuredClone(snapshot) })
    fits(tree.root, snapshot, "")
    tree.#resume(tree.root)
    return tree
  }

  kindOf(actor: TreeActor): ChildKind | undefined {
    return this.#kinds.get(actor)
  }

  /** Does what the first state asks for. */
  start(): void {
    if (this.#crash === undefined) this.root.start()
  }

  /** Begins a child that no transition has begun. */
  spawn(parent: TreeActor, { logic, ...options }: Spawned): void {
    const made = { ...options, parent } as unknown as Parameters<typeof createActor<AnyStateMachine>>[1]
    const child = innerOf(createActor(logic as AnyStateMachine, made))
    const children = { ...parent._snapshot.children, [options.id]: child as unknown as AnyActorRef }
    parent._snapshot = { ...parent._snapshot, children } as AnyMachineSnapshot
    child.start()
  }

  /** Gives an event to one of the tree, and lets all of them come to rest. */
  deliver(target: TreeActor, event: EventObject, source?: TreeActor): void {
    this.root.system._relay(source, target, event)
  }

  /** Throws what keeps the step from being taken. */
  check(): void {
    if (this.#problem !== undefined) throw this.#problem
    if (this.#crash !== undefined) throw this.#crash.cause
  }

  /** All that are part of the machine as it is now, with where they are; what has ended has no children any more. */
  members(): ReadonlyMap<TreeActor, string> {
    const members = new Map<TreeActor, string>()
    const visit = (actor: TreeActor, path: string): void => {
      members.set(actor, path)
      if (actor._snapshot.status !== "active") return
      for (const [id, child] of childrenOf(actor._snapshot)) visit(child, childPath(path, id))
    }
    visit(this.root, "")
    return members
  }

  /** Where an actor is; by its name, also where another one has taken its place. */
  pathOf(actor: TreeActor): string {
    return actor._parent === undefined ? "" : childPath(this.pathOf(actor._parent), actor.id)
  }

  /** The step cannot be taken, whoever catches this. */
  refuse(problem: Error): never {
    this.#problem ??= problem
    throw this.#problem
  }

  // --- taking in

  #join(actor: TreeActor, root: TreeActor): void {
    const kind = actor === root ? "machine" : kindOf(actor.logic)
    this.#kinds.set(actor, kind)
    if (actor === root) this.#takeSystem(actor)
    else this.#admit(actor, kind)
    actor._actorScope.actionExecutor = (action) => this.#carry(actor, action, root)
    actor.send = (event) => this.#listener.sendLate(actor, event)
    if (kind === "run") this.#holdBack(actor)
    else this.#guard(actor, root)
  }

  /** Ids are the same whenever the same step is taken, and no other step's. Delays are moments in a row. */
  #takeSystem({ system }: TreeActor): void {
    const { schedule, cancel } = this.#listener
    system._bookId = () => {
      this.#ids += 1
      return `x:${this.revision}.${this.#ids}`
    }
    // What an actor that has ended has left is not written down.
    system.scheduler = { schedule, cancel, cancelAll: () => undefined }
  }

  #admit(actor: TreeActor, kind: ChildKind): void {
    const { id, src, _parent: parent } = actor
    if (typeof src !== "string")
      this.refuse(
        new Error(
          `${id} is spawned from logic without a name: name it in setup({ actors }) and spawn it by that name`
        )
      )
    if (kind === "strange") this.refuse(strange(id, `as its logic ${src}`))
    if (kind === "run") return
    const depth = (this.#depths.get(parent as TreeActor) ?? 0) + 1
    this.#depths.set(actor, depth)
    this.#machines += 1
    if (depth > DEPTH_MAX)
      this.refuse(new Error(`${id} would be ${depth} machines deep; ${DEPTH_MAX} is the bound`))
    if (this.#machines > CHILDREN_MAX)
      this.refuse(
        new Error(
          `${id} would be the child machine ${this.#machines} of one durable machine; ${CHILDREN_MAX} is the bound. ` +
            "Stop those that have ended (stopChild), or give them addresses of their own"
        )
      )
  }

  /** An Effect runs after the commit, elsewhere. Here it is a name that waits for its end. */
  #holdBack(actor: TreeActor): void {
    actor.start = () => {
      this.#listener.invoke(actor)
      if (actor._syncSnapshot === true && actor._parent !== undefined) {
        const snapshot = actor._snapshot
        this.deliver(actor._parent, { type: `xstate.snapshot.${actor.id}`, snapshot } as EventObject, actor)
      }
      return actor
    }
    actor._send = () => {
      if (actor._snapshot.status === "active" && actor._processingStatus !== STOPPED)
        this.refuse(
          new Error(
            `${actor.id} is an invoked Effect, which takes no events: sendTo reaches child machines; to other actors, tell`
          )
        )
    }
  }

  #guard(actor: TreeActor, root: TreeActor): void {
    const logic = actor.logic as Logic
    const isRoot = actor === root
    actor.logic = Object.assign(Object.create(logic) as object, {
      transition: (...args: ReadonlyArray<unknown>) => this.#transition(actor, logic, isRoot, args),
      getInitialSnapshot: (scope: unknown, input: unknown) => {
        const first = withinBounds(logic, () => logic.getInitialSnapshot(scope, input))
        return first.status === "error" && !isRoot ? { ...first, error: kept(first.error) } : first
      }
    })
    const { start, _send } = actor
    actor.start = () => {
      if (!this.born.has(actor)) this.born.set(actor, this.revision)
      return start.call(actor)
    }
    actor._send = (event) => {
      if (actor._processingStatus !== STOPPED) _send.call(actor, event)
      else if (!event.type.startsWith("xstate."))
        this.#listener.note(`${event.type} was sent to ${this.pathOf(actor)}, which has ended: it is dropped`)
    }
  }

  // --- moving

  #transition(actor: TreeActor, logic: Logic, isRoot: boolean, args: ReadonlyArray<unknown>): unknown {
    if (this.#problem !== undefined) throw this.#problem
    this.#events += 1
    if (this.#events > EVENTS_MAX)
      this.refuse(new Error(`The machine sends itself more than ${EVENTS_MAX} events in one step`))
    this.revision += 1
    const goBack = this.#listener.mark()
    try {
      return withinBounds(logic, () => logic.transition(...args))
    } catch (cause) {
      goBack()
      throw this.#failed(actor, isRoot, cause)
    }
  }

  /** A rule has thrown: the machine has failed, and what it has made ends with it. */
  #failed(actor: TreeActor, isRoot: boolean, cause: unknown): unknown {
    if (isRoot) this.#crash ??= { cause }
    stopChildrenOf(actor._snapshot)
    return isRoot ? cause : kept(cause)
  }

  #carry(actor: TreeActor, action: Executable, root: TreeActor): void {
    const act = (): void => {
      // What only XState itself does, it does. The rest is gathered.
      if (BUILT_IN.has(action.type)) action.exec?.(action.info, action.params)
      else this.#listener.act(action, this.pathOf(actor), actor)
    }
    if (actor._processingStatus === RUNNING) {
      act()
      return
    }
    // A first action runs when its actor starts.
    actor._deferred.push(() => {
      try {
        act()
      } catch (cause) {
        throw this.#failed(actor, actor === root, cause)
      }
    })
  }

  /** Restored, an actor goes on from where it was, and tells nobody. */
  #resume(actor: TreeActor): void {
    if (actor._snapshot.status !== "active") {
      actor._processingStatus = STOPPED
      return
    }
    if (this.#kinds.get(actor) === "run") return
    const { _parent: parent, system } = actor
    if (actor._syncSnapshot === true && parent !== undefined) {
      const next = (snapshot: { readonly status: string }) => {
        if (snapshot.status === "active")
          system._relay(actor, parent, { type: `xstate.snapshot.${actor.id}`, snapshot } as EventObject)
      }
      actor.subscribe({ next: next as never, error: () => undefined })
    }
    system._register(actor.sessionId, actor)
    actor._processingStatus = RUNNING
    actor.mailbox.start()
    for (const [, child] of childrenOf(actor._snapshot)) this.#resume(child)
  }
}

/** Whether what was restored is what was written down. XState leaves out what it does not know, and keeps why. */
const fits = (actor: TreeActor, written: PersistedSnapshot, path: string): void => {
  const { status, error } = actor._snapshot
  const where = path === "" ? "The snapshot" : `The snapshot of its child ${path}`
  if (status === "error" && written.status !== "error")
    throw new Error(`${where} does not fit the machine`, { cause: error })
  const children = new Map(childrenOf(actor._snapshot))
  for (const [id, child] of Object.entries(written.children ?? {})) {
    const restored = children.get(id)
    if (restored === undefined)
      throw new Error(`${where} has a child ${id} made of ${child.src}, which the machine does not have`)
    fits(restored, child.snapshot as unknown as PersistedSnapshot, childPath(path, id))
  }
}
