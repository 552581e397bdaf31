/**
 * Signals that nobody could take.
 *
 * Owns: the bounded list of the newest of them, and their count since the start.
 * Does not decide: whether they are sent again.
 */
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { NEVER_SHOWN } from "./Redaction.ts"

const KEPT_MAX = 1000
const PREVIEW_LENGTH = 2_000
const PREVIEW_PARTS = 200

/** The beginning of a value as text, without what is `hidden`. Looks at no more of it than it shows. */
export const previewOf = (value: unknown, hidden: ReadonlySet<string> = NEVER_SHOWN): string => {
  let parts = 0
  const show = (inner: unknown, depth: number): string => {
    parts += 1
    if (parts > PREVIEW_PARTS || depth > 4) return "…"
    if (typeof inner === "string") return JSON.stringify(inner.slice(0, 200))
    if (typeof inner !== "object" || inner === null) return String(inner)
    if (Array.isArray(inner))
      return `[${inner
        .slice(0, 20)
        .map((item) => show(item, depth + 1))
        .join(",")}]`
    const shown: Array<string> = []
    for (const name in inner) {
      if (parts > PREVIEW_PARTS) break
      const field = hidden.has(name) ? "…" : (inner as Record<string, unknown>)[name]
      shown.push(`${name.slice(0, 200)}:${show(field, depth + 1)}`)
    }
    return `{${shown.join(",")}}`
  }
  return show(value, 0).slice(0, PREVIEW_LENGTH).toWellFormed()
}

export interface DeadLetter {
  /** Where it was sent; a notification that never reached an actor stops at the `bridge`. */
  readonly address: string
  readonly signal: string
  /** Its beginning, as text: what it carried is not kept whole. */
  readonly payload: string
  readonly principal: Principal
  readonly at: Millis
  readonly why: string
}

/** A letter on its way to where it is kept. */
export interface WholeLetter extends DeadLetter {
  /** Its whole payload as it is on the wire, as far as it may be kept. It holds the payload: whoever lists letters drops it. */
  readonly whole?: () => string | null
}

export class DeadLetters {
  readonly #letters: Array<DeadLetter> = []
  readonly #tell: (letter: DeadLetter) => void
  #total = 0

  /** `tell` hears of each. */
  constructor(tell: (letter: DeadLetter) => void = () => {}) {
    this.#tell = tell
  }

  /** Where each is kept, if anywhere. */
  keep: ((letter: WholeLetter) => void) | undefined

  get total(): number {
    return this.#total
  }

  /** Keeps a letter's beginning; the oldest goes when there are more than a thousand. */
  add(given: WholeLetter): void {
    const { whole: _whole, ...letter } = given
    this.#total += 1
    this.#letters.push(letter)
    if (this.#letters.length > KEPT_MAX) this.#letters.shift()
    this.#tell(letter)
    this.keep?.(given)
  }

  /** The newest letters, the newest first. */
  newest(count: number): ReadonlyArray<DeadLetter> {
    return this.#letters.slice(Math.max(0, this.#letters.length - count)).reverse()
  }
}
