/**
 * Actors that are made when they are asked for, and leave memory when they are idle.
 *
 * Owns: the registered kinds, and finding those of their actors that have been idle for long enough.
 * Does not decide: whether an idle actor may leave (its `mayPassivate`), or how it leaves (Lives).
 *
 * One fiber looks at all actors, so that an idle actor costs no timer; and not at all while no kind is registered. It looks
 * twice in the shortest time that any may be idle: so an actor leaves when it was idle for one to one and a half times as
 * long as its kind says.
 */
import { Context, Effect, Latch } from "effect"
import type { ActorSignals } from "../signal/Catalogue.ts"
import type { Protocol } from "../signal/Protocol.ts"
import type { Actor } from "./Actor.ts"
import type { ActorOptions } from "./ActorContext.ts"
import type { Carry } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { Ended } from "./Watching.ts"

/** How long an actor of a registered kind may be idle, where the kind says nothing else. */
export const IdleMs = Context.Reference<number>("bursar/actor/IdleMs", { defaultValue: () => 600_000 })

export interface ActorKind<P extends Protocol = ActorSignals> {
  /** The first part of its addresses. */
  readonly kind: string
  /** The actor of an address; `undefined` where none can live there. What it keeps, it has to find again by itself. */
  readonly make: (address: Address) => ActorOptions<P> | undefined
  /** Default: `IdleMs`. `Infinity`: for ever, unless somebody else lets it leave. */
  readonly idleMs?: number
  /** One may have ended for good while it is not in memory: who begins to watch it then has it look. Default: no. */
  readonly endsAtRest?: boolean
  /** Where its actors live on some node of several: how an address is reached that is not here. Default: all are here. */
  readonly elsewhere?: (address: Address) => Elsewhere<P> | undefined
}

/** An address on another node. */
export interface Elsewhere<P extends Protocol> {
  readonly protocol: P
  readonly carry: Carry
  /** Tells how its actor has ended, or `undefined`: it lives here now. Returns how to stop. */
  readonly watch: (told: (ended: Ended | undefined) => void) => () => void
}

export class Kinds {
  readonly #kinds = new Map<string, ActorKind<Protocol>>()
  readonly #idleMs: number
  readonly #registered = Latch.makeUnsafe(false)

  constructor(idleMs: number) {
    this.#idleMs = idleMs
  }

  register(kind: ActorKind<Protocol>): void {
    if (this.#kinds.has(kind.kind)) throw new Error(`The kind ${kind.kind} is registered already`)
    if (kind.idleMs !== undefined && !(kind.idleMs > 0))
      throw new Error(
        `The kind ${kind.kind}: idleMs is ${kind.idleMs}, and has to be above zero, or Infinity`
      )
    this.#kinds.set(kind.kind, kind)
    if (Number.isFinite(kind.idleMs ?? this.#idleMs)) this.#registered.openUnsafe()
  }

  has(kind: string): boolean {
    return this.#kinds.has(kind)
  }

  endsAtRest({ kind }: Address): boolean {
    return this.#kinds.get(kind)?.endsAtRest ?? false
  }

  /** Whether an actor of the kind may live on another node, now or later. */
  mayMove({ kind }: Address): boolean {
    return this.#kinds.get(kind)?.elsewhere !== undefined
  }

  elsewhere(address: Address): Elsewhere<Protocol> | undefined {
    return this.#kinds.get(address.kind)?.elsewhere?.(address)
  }

  make(address: Address): ActorOptions<Protocol> | undefined {
    return this.#kinds.get(address.kind)?.make(address)
  }

  /** How long an actor at this address may be idle; `undefined`: for ever. */
  idleMsOf({ kind }: Address): number | undefined {
    const known = this.#kinds.get(kind)
    if (known === undefined) return undefined
    const idleMs = known.idleMs ?? this.#idleMs
    return Number.isFinite(idleMs) ? idleMs : undefined
  }

  /** Calls `sweep` again and again, from the first kind on whose actors may leave. */
  sweeping(sweep: () => void): Effect.Effect<never> {
    const pause = Effect.suspend(() => Effect.sleep(Math.max(1, this.#shortest() / 2)))
    return Effect.andThen(this.#registered.await, Effect.forever(Effect.andThen(pause, Effect.sync(sweep))))
  }

  #shortest(): number {
    const times = Array.from(this.#kinds.values(), ({ idleMs }) => idleMs ?? this.#idleMs)
    return Math.min(...times.filter(Number.isFinite))
  }
}

/** Whether an actor has been idle for long enough; keeps since when. */
export const hasBeenIdle = (actor: Actor, now: number): boolean => {
  if (actor.idleMs === undefined) return false
  const { signalsSent } = actor.ref
  if (actor.idleAtSignal !== signalsSent || actor.ref.unanswered > 0) {
    actor.idleAtSignal = signalsSent
    actor.idleSince = now
    return false
  }
  return now - actor.idleSince >= actor.idleMs && actor.isIdle
}
