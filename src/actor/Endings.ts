/**
 * What runs for a machine and is interrupted with it: it is waited for, so that its cleaning up is over when the machine is.
 *
 * Owns: who has not gone yet, and for how long they are waited for. A promise that ignores its signal never goes.
 * Does not decide: when anything is interrupted (Invocations, XState).
 */
import { Effect, Fiber } from "effect"
import type { Address } from "./Address.ts"

/** A machine that ends waits no longer; a node that leaves, and a process that ends, have to. */
const ENDING_MS = 10_000
const NAMES_SHOWN = 10

export class Endings {
  readonly #names = new Map<Promise<unknown>, string>()

  add(name: string, done: Promise<unknown>): void {
    this.#names.set(done, name)
    const gone = () => {
      this.#names.delete(done)
    }
    void done.then(gone, gone)
  }

  /** Waits until all have gone, and no longer than it takes to say that they do not. Interrupted, it goes on. */
  gone(of: Address): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#names.size === 0) return Effect.void
      const all = Effect.promise(() => Promise.allSettled([...this.#names.keys()]))
      const leftBehind = Effect.suspend(() =>
        Effect.logWarning(
          `${of.text} has ended, and what it invoked has not, ${ENDING_MS} ms after it was interrupted; it is left behind: ${this.#shown}`
        )
      )
      const waited = Effect.timeoutOrElse(Effect.asVoid(all), {
        duration: ENDING_MS,
        orElse: () => leftBehind
      })
      // In a fiber of its own: this one is being interrupted, and could not be interrupted by the clock.
      return Effect.asVoid(Effect.flatMap(Effect.forkDetach(waited), Fiber.await))
    })
  }

  get #shown(): string {
    return [...this.#names.values()].slice(0, NAMES_SHOWN).join(", ")
  }
}
