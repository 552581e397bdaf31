/**
 * One actor: its handle, its state of life, and what belongs to it.
 *
 * Owns: what is known of it. Does not decide: what happens to it (Lives).
 */
import type { Cause, Fiber } from "effect"
import type { ActorInfo } from "../signal/Actors.ts"
import { ACTOR_SIGNALS } from "../signal/Catalogue.ts"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorInsight, ActorOptions } from "./ActorContext.ts"
import { ActorRef, type ActorSurroundings } from "./ActorRef.ts"
import { SupervisionLog } from "./Supervision.ts"

/** An actor's options, whatever it takes: its behaviour is only ever run with its own context. */
export type AnyOptions = ActorOptions<Protocol>

/** What is known of the life that runs. */
interface RunningLife {
  /** Whether it has something that would be lost with it. */
  readonly isBusy: boolean
  /** Signals that it has put aside. */
  readonly stashed: number
}

/** Why the life that runs is ended from outside. */
export type Intent =
  | { readonly kind: "stop" }
  | { readonly kind: "passivate" }
  | { readonly kind: "restart"; readonly why: string }
  /** A child has failed, and escalates. */
  | { readonly kind: "fail"; readonly cause: Cause.Cause<unknown> }

export interface Farewell {
  readonly why: string
  readonly output: unknown
}

const DEFAULT_MAILBOX_CAPACITY = 1000
const NO_INSIGHT: ActorInsight = { machine: null, context: {} }

export class Actor {
  readonly ref: ActorRef<Protocol>
  readonly options: AnyOptions
  readonly startedAt: number
  status: ActorInfo["status"] = "starting"
  state: string | null = null
  restarts = 0
  parent: Actor | undefined
  children: Set<Actor> | undefined
  /** How often its parent had begun anew when this one ended. */
  leftAtRestart: number | undefined
  log: SupervisionLog | undefined
  /** The life that runs, and the fiber that runs its loop. */
  life: RunningLife | undefined
  fiber: Fiber.Fiber<void, unknown> | undefined
  /** What happens between two lives. */
  interlude: Fiber.Fiber<void> | undefined
  intent: Intent | undefined
  /** What its loop says of its end. */
  farewell: Farewell | undefined
  insight: () => ActorInsight
  /** Called when it has ended. */
  onEnd: Array<() => void> | undefined
  /** How long it may be idle before it leaves memory; `undefined`: for ever. */
  idleMs: number | undefined
  idleSince: number
  idleAtSignal = 0
  /** What was last told of its mailbox. */
  #toldDepth = 0
  #toldHandled = 0

  constructor(options: AnyOptions, surroundings: ActorSurroundings) {
    this.options = options
    this.insight = options.insight ?? (() => NO_INSIGHT)
    this.ref = new ActorRef<Protocol>(
      options.address,
      options.protocol ?? ACTOR_SIGNALS,
      {
        capacity: options.mailboxCapacity ?? DEFAULT_MAILBOX_CAPACITY,
        ...(options.mailboxPolicy === undefined ? {} : { policy: options.mailboxPolicy })
      },
      surroundings,
      options
    )
    this.startedAt = surroundings.now()
    this.idleSince = this.startedAt
  }

  /** Whether its mailbox has moved since the last time this was asked. */
  hasMoved(): boolean {
    const { mailbox, signalsHandled } = this.ref
    if (mailbox.depth === this.#toldDepth && signalsHandled === this.#toldHandled) return false
    this.#toldDepth = mailbox.depth
    this.#toldHandled = signalsHandled
    return true
  }

  /** Whether nothing would be lost if it left memory now. */
  get isIdle(): boolean {
    if (this.status !== "running" || this.ref.unanswered > 0 || this.ref.mailbox.depth > 0) return false
    if ((this.children?.size ?? 0) > 0 || this.life?.isBusy === true) return false
    return this.#mayPassivate()
  }

  /** Where the host's own rule throws it stays, and is asked again when it was idle for as long once more. */
  #mayPassivate(): boolean {
    try {
      return this.options.mayPassivate?.() ?? true
    } catch (error) {
      const { complain, now } = this.ref.surroundings
      complain(`mayPassivate of ${this.ref.address.text} threw; the actor stays in memory`, error)
      this.idleSince = now()
      return false
    }
  }

  /**
   * Whether its parent may still begin it anew: it ended in a life of its parent that is over, and the parent goes on. While that
   * life lasts nobody brings it back: who ended in it ended by itself, or was stopped.
   */
  get mayBeBegunAnew(): boolean {
    const { parent, leftAtRestart } = this
    if (parent === undefined) return false
    if (parent.status === "restarting") return true
    if (parent.status !== "running") return parent.mayBeBegunAnew
    return leftAtRestart !== undefined && parent.restarts > leftAtRestart
  }

  get supervisionLog(): SupervisionLog {
    this.log ??= new SupervisionLog()
    return this.log
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
