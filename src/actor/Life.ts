/**
 * One life of an actor: from the start of its loop to its end.
 *
 * Owns: what ends with it: timers, watches, what was put aside. Does not decide: when it ends (Lives).
 */
import { type Context, Effect } from "effect"
import { Overloaded } from "../signal/Errors.ts"
import { DEFAULT_TENANT, type Principal } from "../signal/Principal.ts"
import type { Protocol } from "../signal/Protocol.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import type { Actor } from "./Actor.ts"
import type { ActorContext, ActorOptions } from "./ActorContext.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { EnvelopeIn } from "./Envelope.ts"
import { Timers } from "./Timers.ts"
import type { Watcher } from "./Watching.ts"

const DEFAULT_STASH_CAPACITY = 1_000
/** Who sends what an actor sends on its own behalf. It has no role: no door would let it in. */
export const actorPrincipal = ({ text, tenant }: Address): Principal => ({
  keyId: text,
  owner: text,
  tenant: tenant ?? DEFAULT_TENANT,
  roles: [],
  attribution: {},
  isInstallation: false
})

/** What a life asks of the system that it is part of. */
export interface LifeSurroundings {
  readonly services: Context.Context<never>
  readonly spawn: <P extends Protocol>(options: ActorOptions<P>) => Effect.Effect<ActorRef<P>>
  readonly watch: (address: Address, watcher: Watcher) => () => void
  readonly stopChildren: (actor: Actor) => Effect.Effect<void>
  readonly transition: (actor: Actor, state: string, detail: string | undefined) => void
}

type Envelope = EnvelopeIn<Protocol>

export class Life implements ActorContext<Protocol> {
  readonly #actor: Actor
  readonly #around: LifeSurroundings
  #timers: Timers | undefined
  #watched: Map<string, () => void> | undefined
  #stashed: Array<Envelope> | undefined
  #hasEnded = false

  constructor(actor: Actor, around: LifeSurroundings) {
    this.#actor = actor
    this.#around = around
  }

  get ref(): ActorRef<Protocol> {
    return this.#actor.ref
  }

  /** Whether it has something that would be lost with it. */
  get isBusy(): boolean {
    return this.#timers?.isWaiting === true || (this.#stashed?.length ?? 0) > 0
  }

  get stashed(): number {
    return this.#stashed?.length ?? 0
  }

  get goesOn(): boolean {
    return this.#actor.intent !== undefined && this.#actor.intent.kind !== "stop"
  }

  get isLeaving(): boolean {
    return this.#actor.intent !== undefined && this.#actor.intent.kind !== "fail"
  }

  // Read, each is a function that needs no `this`; unread it costs an idle actor nothing.

  get transition(): ActorContext<Protocol>["transition"] {
    return (state, detail) => {
      if (!this.#hasEnded) this.#around.transition(this.#actor, state, detail)
    }
  }

  get shows(): ActorContext<Protocol>["shows"] {
    return (insight) => {
      if (!this.#hasEnded) this.#actor.insight = insight
    }
  }

  get ends(): ActorContext<Protocol>["ends"] {
    return (why, output) => {
      if (!this.#hasEnded) this.#actor.farewell = { why, output }
    }
  }

  get spawn(): ActorContext<Protocol>["spawn"] {
    return <Q extends Protocol>(options: Omit<ActorOptions<Q>, "parent">) =>
      Effect.suspend(() => {
        this.#mustLive("spawn")
        return this.#around.spawn<Q>({ ...options, parent: this.ref.address } as ActorOptions<Q>)
      })
  }

  get watch(): ActorContext<Protocol>["watch"] {
    return (address, watcher) => this.#watch(address, watcher)
  }

  get unwatch(): ActorContext<Protocol>["unwatch"] {
    return (address) => this.#unwatch(address)
  }

  get after(): ActorContext<Protocol>["after"] {
    return (key, delayMs, name, payload) =>
      this.#openTimers().after(key, delayMs, () => this.#remind(name, payload))
  }

  get every(): ActorContext<Protocol>["every"] {
    return (key, intervalMs, name, payload) =>
      this.#openTimers().every(key, intervalMs, () => this.#remind(name, payload))
  }

  get cancel(): ActorContext<Protocol>["cancel"] {
    return (key) => this.#timers?.cancel(key)
  }

  get stash(): ActorContext<Protocol>["stash"] {
    return (envelope) => this.#stash(envelope)
  }

  get unstash(): ActorContext<Protocol>["unstash"] {
    return () => this.#unstash()
  }

  get childrenEnded(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const keeps = this.goesOn && this.#actor.options.supervision?.children === "keep"
      return keeps || this.#hasEnded ? Effect.void : this.#around.stopChildren(this.#actor)
    })
  }

  /** Another life, if there is one, has a context of its own; what is begun with this one would belong to nobody. */
  #mustLive(what: string): void {
    if (!this.#hasEnded) return
    throw new Error(
      `${what}: this life of ${this.ref.address.text} has ended; a context is used in the life that it was given to`
    )
  }

  #watch(address: Address, watcher: Watcher): void {
    this.#mustLive("watch")
    this.#unwatch(address)
    this.#watched ??= new Map()
    const watched = this.#watched
    let isTold = false
    const leave = this.#around.watch(address, (ended) => {
      isTold = true
      watched.delete(address.text)
      watcher(ended)
    })
    if (!isTold) watched.set(address.text, leave)
  }

  #unwatch(address: Address): void {
    this.#watched?.get(address.text)?.()
    this.#watched?.delete(address.text)
  }

  #stash(envelope: Envelope): boolean {
    this.#mustLive("stash")
    const capacity = this.#actor.options.stashCapacity ?? DEFAULT_STASH_CAPACITY
    this.#stashed ??= []
    if (this.#stashed.length < capacity) {
      this.#stashed.push(envelope)
      return true
    }
    this.ref.counts.refused += 1
    envelope.fail(
      new Overloaded({
        message: `${this.ref.address.text} has put ${capacity} signals aside, which is its bound; send it again later`,
        retry_after_ms: SOON_MS
      })
    )
    return false
  }

  #unstash(): void {
    const stashed = this.#stashed
    if (stashed === undefined) return
    this.#stashed = undefined
    this.ref.mailbox.putBack(stashed)
  }

  /** Nothing of it stays. */
  end(): void {
    this.#hasEnded = true
    this.#timers?.cancelAll()
    for (const leave of this.#watched?.values() ?? []) leave()
    this.#unstash()
  }

  #openTimers(): Timers {
    this.#mustLive("after and every")
    this.#timers ??= new Timers(this.#around.services)
    return this.#timers
  }

  #remind(name: string, payload: unknown): () => void {
    return this.ref.remind(name, payload, actorPrincipal(this.ref.address))
  }
}
