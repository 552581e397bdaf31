/**
 * An actor's timers.
 *
 * Owns: one timer for each key, on the runtime's clock; that none outlives its actor's life, nor what it has sent: a signal
 * of a timer that was cancelled is taken out of the mailbox again.
 */
import { type Context, Effect, type Fiber } from "effect"

/** More are a mistake: a timer for each signal that waits, and nobody who cancels them. */
const TIMERS_MAX = 10_000

interface Timer {
  fiber: Fiber.Fiber<unknown> | undefined
  /** Takes back what was sent last, if nobody has looked at it yet. */
  takeBack: () => void
}

export class Timers {
  readonly #services: Context.Context<never>
  readonly #timers = new Map<string, Timer>()

  constructor(services: Context.Context<never>) {
    this.#services = services
  }

  get size(): number {
    return this.#timers.size
  }

  /** `send` sends the timer's signal, and answers how it is taken back. */
  after(key: string, delayMs: number, send: () => () => void): void {
    if (Number.isNaN(delayMs)) throw new Error(`The timer ${key}: its delay is no number of milliseconds`)
    const timer = this.#open(key)
    const fire = Effect.sync(() => {
      timer.fiber = undefined
      // What it sent can be taken back until the next timer of this key: so it stays known.
      timer.takeBack = send()
    })
    this.#run(timer, Effect.andThen(Effect.sleep(delayMs), fire))
  }

  every(key: string, intervalMs: number, send: () => () => void): void {
    if (!(intervalMs > 0))
      throw new Error(
        `The timer ${key}: its interval is ${intervalMs}, and has to be above zero, in milliseconds`
      )
    const timer = this.#open(key)
    const fire = Effect.sync(() => {
      // Where the actor is slow, ticks do not pile up: the last one waits, no more.
      timer.takeBack()
      timer.takeBack = send()
    })
    this.#run(timer, Effect.forever(Effect.andThen(Effect.sleep(Math.max(1, intervalMs)), fire)))
  }

  cancel(key: string): void {
    const timer = this.#timers.get(key)
    if (timer === undefined) return
    this.#timers.delete(key)
    this.#end(timer)
  }

  cancelAll(): void {
    for (const timer of this.#timers.values()) this.#end(timer)
    this.#timers.clear()
  }

  /** Whether a timer is running. */
  get isWaiting(): boolean {
    for (const { fiber } of this.#timers.values()) if (fiber !== undefined) return true
    return false
  }

  #open(key: string): Timer {
    this.cancel(key)
    if (this.#timers.size >= TIMERS_MAX) {
      this.#forgetFired()
      if (this.#timers.size >= TIMERS_MAX)
        throw new Error(`An actor has ${TIMERS_MAX} timers at most: cancel some, or use one key again`)
    }
    const timer: Timer = { fiber: undefined, takeBack: () => undefined }
    this.#timers.set(key, timer)
    return timer
  }

  #forgetFired(): void {
    for (const [key, { fiber }] of this.#timers) if (fiber === undefined) this.#timers.delete(key)
  }

  #run(timer: Timer, effect: Effect.Effect<unknown>): void {
    timer.fiber = Effect.runForkWith(this.#services)(effect)
  }

  #end(timer: Timer): void {
    timer.fiber?.interruptUnsafe()
    timer.takeBack()
  }
}
