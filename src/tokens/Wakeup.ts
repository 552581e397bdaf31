/**
 * Wakes the loop of a shift: a signal has come, the commit is done, or a deadline has.
 *
 * Owns: that it wakes not at once, but when whoever runs now has had its turn: signals that are sent in one turn are
 * then decided, written and answered together.
 */
import { Effect } from "effect"

const SOON = Promise.resolve()

export class Wakeup {
  #isSet = false
  #isWaking = false
  #resume: ((effect: Effect.Effect<void>) => void) | undefined

  readonly notify = (): void => {
    this.#isSet = true
    if (this.#resume === undefined || this.#isWaking) return
    this.#isWaking = true
    void SOON.then(this.#wake)
  }

  readonly #wake = (): void => {
    const resume = this.#resume
    this.#isWaking = false
    this.#resume = undefined
    if (resume === undefined) return
    this.#isSet = false
    resume(Effect.void)
  }

  readonly wait: Effect.Effect<void> = Effect.callback<void>((resume) => {
    this.#resume = resume
    if (this.#isSet) this.notify()
  })
}
