/**
 * Signals that nobody could take.
 *
 * Owns: the bounded list of the newest of them, and their count since the start.
 * Does not decide: whether they are sent again.
 */
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"

const KEPT_MAX = 1000

export interface DeadLetter {
  /** Where it was sent; a notification that never reached an actor stops at the `bridge`. */
  readonly address: string
  readonly signal: string
  readonly payload: unknown
  readonly principal: Principal
  readonly at: Millis
  readonly why: string
}

export class DeadLetters {
  readonly #letters: Array<DeadLetter> = []
  #total = 0

  get total(): number {
    return this.#total
  }

  /** Keeps a letter; the oldest goes when there are more than a thousand. */
  add(letter: DeadLetter): void {
    this.#total += 1
    this.#letters.push(letter)
    if (this.#letters.length > KEPT_MAX) this.#letters.shift()
  }

  /** The newest letters, the newest first. */
  newest(count: number): ReadonlyArray<DeadLetter> {
    return this.#letters.slice(Math.max(0, this.#letters.length - count)).reverse()
  }
}
