/**
 * How actors live, one life after another, and end.
 *
 * Owns: beginning a life, what follows its end (another life, leaving memory, the end), that children end before their
 * parent, and that whoever waits or watches is told.
 * Does not decide: what a crash leads to (Supervision), who may be asked for (ActorSystem).
 *
 * An actor has one fiber, its loop's. What is between two lives runs in another, which is not there while it lives.
 */
import { Cause, type Context, Effect, Exit } from "effect"
import { type ActorFact, INSPECTION_VERSION } from "../signal/Inspection.ts"
import type { Actor, Intent } from "./Actor.ts"
import type { ActorSurroundings } from "./ActorRef.ts"
import { Life, type LifeSurroundings } from "./Life.ts"
import { DEFAULT_SUPERVISION } from "./Supervision.ts"
import { apart } from "./Tracing.ts"
import type { Watching } from "./Watching.ts"

export interface LivesOptions {
  readonly surroundings: ActorSurroundings
  readonly services: Context.Context<never>
  readonly watching: Watching
  readonly life: Pick<LifeSurroundings, "spawn" | "watch">
}

/** What a stop undoes, and what undoes nothing: the later of two intents counts where it is the stronger one. */
const STRENGTH: { readonly [Kind in Intent["kind"]]: number } = { passivate: 0, restart: 1, fail: 2, stop: 3 }

const firstLineOf = (cause: Cause.Cause<unknown>): string =>
  Cause.pretty(cause).split("\n", 1)[0]?.slice(0, 500) ?? ""

export class Lives {
  readonly actors = new Map<string, Actor>()
  readonly #options: LivesOptions
  readonly #life: LifeSurroundings

  constructor(options: LivesOptions) {
    this.#options = options
    this.#life = {
      ...options.life,
      services: options.services,
      stopChildren: (actor) => this.stopChildren(actor),
      transition: (actor, state, detail) => {
        actor.state = state
        this.tell(actor, "transition", detail ?? null)
      }
    }
  }

  tell(actor: Actor, fact: ActorFact["fact"], detail: string | null = null): void {
    const { inspection, now } = this.#options.surroundings
    if (!inspection.hears(fact)) return
    inspection.fact(
      { version: INSPECTION_VERSION, fact, at: now(), actor: actor.info, detail },
      actor.ref.address
    )
  }

  /**
   * Makes an actor known, and begins its first life; where one is still ending at its address, after that. Who is stopped
   * before that ends after that too: so nobody is forgotten who still lives.
   */
  add(actor: Actor): void {
    const { address, parent } = actor.options
    const before = this.actors.get(address.text)
    this.actors.set(address.text, actor)
    if (parent !== undefined) this.#adopt(actor, this.actors.get(parent.text))
    if (before === undefined) this.#start(actor)
    else before.onEnd = [...(before.onEnd ?? []), () => this.#start(actor)]
  }

  /** Ends an actor, its children first, and waits until it has ended. */
  stop(actor: Actor): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (actor.status === "stopped" || actor.status === "failed") return resume(Effect.void)
      actor.onEnd ??= []
      actor.onEnd.push(() => resume(Effect.void))
      this.#end(actor, { kind: "stop" })
    })
  }

  /** Ends the life that runs, and begins another. */
  restart(actor: Actor, why: string): void {
    this.#end(actor, { kind: "restart", why })
  }

  /** Lets an idle actor leave memory. What comes until it has left is taken by another life. */
  passivate(actor: Actor): void {
    this.#end(actor, { kind: "passivate" })
  }

  stopChildren(actor: Actor): Effect.Effect<void> {
    return Effect.suspend(() => {
      const children = [...(actor.children ?? [])]
      if (children.length === 0) return Effect.void
      const ended = Effect.forEach(children, (child) => this.stop(child), {
        concurrency: "unbounded",
        discard: true
      })
      // Who was on the way while they ended is a child too.
      return Effect.andThen(ended, this.stopChildren(actor))
    })
  }

  #adopt(actor: Actor, parent: Actor | undefined): void {
    if (parent === undefined) return
    actor.parent = parent
    parent.children ??= new Set()
    parent.children.add(actor)
  }

  #start(actor: Actor): void {
    if (actor.status === "starting") this.tell(actor, "started")
    // Whoever is told may have stopped it.
    if (actor.status === "starting") this.#begin(actor)
    else this.#finish(actor, "stopped", null)
  }

  #begin(actor: Actor): void {
    actor.status = "running"
    actor.interlude = undefined
    actor.farewell = undefined
    const life = new Life(actor, this.#life)
    actor.life = life
    const fiber = Effect.runForkWith(this.#options.services)(
      apart(Effect.suspend(() => actor.options.behaviour(life)))
    )
    actor.fiber = fiber
    fiber.addObserver((exit) => this.#lifeEnded(actor, life, exit))
    // It may have been told to end before it waited for anything.
    if (actor.intent !== undefined) actor.fiber?.interruptUnsafe()
  }

  /** Ends the life that runs, or what is between two lives. */
  #end(actor: Actor, intent: Intent): void {
    if (actor.intent !== undefined && STRENGTH[actor.intent.kind] >= STRENGTH[intent.kind]) return
    if (actor.status === "stopped" || actor.status === "failed") return
    if (actor.life !== undefined) {
      actor.intent = intent
      if (intent.kind === "stop" || intent.kind === "passivate") actor.status = "stopping"
      actor.fiber?.interruptUnsafe()
      return
    }
    if (intent.kind === "fail" && actor.status === "restarting") this.#failBetween(actor, intent)
    // It is being ended already, or it waits for its next life, which begins with or without being asked for.
    if (intent.kind !== "stop" || actor.status === "stopping") return
    const { interlude } = actor
    const isBehind = actor.status === "starting"
    actor.status = "stopping"
    // It has not lived yet: it ends when its turn comes.
    if (isBehind) return
    interlude?.interruptUnsafe()
    if (interlude === undefined) this.#finish(actor, "stopped", null)
    else interlude.addObserver(() => this.#finish(actor, "stopped", null))
  }

  /** A child that outlived its parent's life escalates before the next one: the parent has crashed once more. */
  #failBetween(actor: Actor, intent: Extract<Intent, { readonly kind: "fail" }>): void {
    const { interlude } = actor
    if (interlude === undefined) return
    actor.intent = intent
    interlude.interruptUnsafe()
    interlude.addObserver(() => {
      actor.intent = undefined
      if (actor.status === "restarting") this.#crashed(actor, intent.cause)
    })
  }

  #lifeEnded(actor: Actor, life: Life, exit: Exit.Exit<void, unknown>): void {
    const { intent } = actor
    actor.fiber = undefined
    actor.life = undefined
    actor.intent = undefined
    life.end()
    if (intent?.kind === "stop") this.#finish(actor, "stopped", null)
    else if (intent?.kind === "fail") this.#crashed(actor, intent.cause)
    else if (Exit.isSuccess(exit)) this.#finish(actor, "stopped", actor.farewell?.why.slice(0, 500) ?? null)
    // An interruption from inside the loop is a crash like any other.
    else if (intent === undefined || !Cause.hasInterruptsOnly(exit.cause)) this.#crashed(actor, exit.cause)
    else if (intent.kind === "restart") this.#restartAsked(actor, intent.why)
    else if (actor.ref.unanswered > 0) this.#begin(actor)
    else this.#leaveMemory(actor)
  }

  #restartAsked(actor: Actor, why: string): void {
    const at = this.#options.surroundings.now()
    actor.supervisionLog.add({ at, decision: "asked", why, pauseMs: 0 })
    this.#renew(actor, 0, why)
  }

  #crashed(actor: Actor, cause: Cause.Cause<unknown>): void {
    const policy = actor.options.supervision ?? DEFAULT_SUPERVISION
    const why = firstLineOf(cause)
    const decided = actor.supervisionLog.crashed(policy, why, this.#options.surroundings.now())
    const where = actor.ref.address.text
    if (decided.decision === "restart") {
      this.#fork(Effect.logWarning(`${where} crashed; it restarts in ${decided.pauseMs} ms`, cause))
      this.#renew(actor, decided.pauseMs, why)
      return
    }
    const { parent } = actor
    const escalates = decided.decision === "escalate" && parent !== undefined && parent.status !== "stopping"
    const what = escalates ? `; its parent ${parent.ref.address.text} fails with it` : " and is not restarted"
    this.#fork(Effect.logError(`${where} failed${what}`, cause))
    this.#finish(actor, "failed", why)
    if (escalates) this.#end(parent, { kind: "fail", cause })
  }

  /** Another life: after the children have ended, if they do not stay, and after the pause. */
  #renew(actor: Actor, pauseMs: number, why: string): void {
    actor.status = "restarting"
    const keepsChildren = actor.options.supervision?.children === "keep"
    const between = Effect.andThen(
      keepsChildren ? Effect.void : this.stopChildren(actor),
      pauseMs > 0 ? Effect.sleep(pauseMs) : Effect.yieldNow
    )
    const interlude = Effect.runForkWith(this.#options.services)(between)
    actor.interlude = interlude
    interlude.addObserver((exit) => {
      // Who was stopped meanwhile is ended by whoever did it.
      if (!Exit.isSuccess(exit) || actor.status !== "restarting") return
      actor.restarts += 1
      this.tell(actor, "restarted", why)
      this.#begin(actor)
    })
  }

  #leaveMemory(actor: Actor): void {
    actor.status = "stopped"
    this.#forget(actor)
    actor.ref.sleep()
    this.tell(actor, "stopped", "idle; it comes back when it is asked")
    this.#callEnded(actor)
  }

  #finish(actor: Actor, how: "stopped" | "failed", detail: string | null): void {
    actor.status = "stopping"
    const close = () => this.#close(actor, how, detail)
    if ((actor.children?.size ?? 0) === 0) close()
    else this.#fork(Effect.andThen(this.stopChildren(actor), Effect.sync(close)))
  }

  #close(actor: Actor, how: "stopped" | "failed", detail: string | null): void {
    actor.status = how
    actor.leftAtRestart = actor.parent?.restarts
    this.#forget(actor)
    actor.ref.close(actor.parent === undefined ? undefined : () => actor.mayBeBegunAnew)
    this.tell(actor, how, detail)
    const { farewell } = actor
    const output = how === "failed" || farewell?.output === undefined ? {} : { output: farewell.output }
    this.#options.watching.tell({ address: actor.ref.address.text, reason: how, detail, ...output })
    this.#callEnded(actor)
  }

  #forget(actor: Actor): void {
    const { text } = actor.ref.address
    if (this.actors.get(text) === actor) this.actors.delete(text)
    actor.parent?.children?.delete(actor)
  }

  #callEnded(actor: Actor): void {
    const waiting = actor.onEnd ?? []
    actor.onEnd = undefined
    for (const tell of waiting) tell()
  }

  #fork(effect: Effect.Effect<void>): void {
    Effect.runForkWith(this.#options.services)(effect)
  }
}
