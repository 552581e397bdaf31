/**
 * Which hold expires next.
 *
 * Owns: a binary heap of deadlines. An entry whose hold was closed or extended meanwhile is stale; the reader
 * checks it against the hold.
 */
import type { Millis } from "../signal/Text.ts"

export interface Deadline {
  readonly id: string
  readonly at: Millis
}

export class DeadlineHeap {
  #entries: Array<Deadline> = []

  get size(): number {
    return this.#entries.length
  }

  get earliest(): Deadline | undefined {
    return this.#entries[0]
  }

  add(id: string, at: Millis): void {
    const entries = this.#entries
    let index = entries.length
    entries.push({ id, at })
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (this.#at(parent) <= this.#at(index)) return
      this.#swap(parent, index)
      index = parent
    }
  }

  /** Forgets all entries but these; for when most are stale. */
  rebuild(deadlines: Iterable<Deadline>): void {
    this.#entries = []
    for (const { id, at } of deadlines) this.add(id, at)
  }

  /** Takes the earliest entry if its deadline has come. */
  takeDue(now: Millis): Deadline | undefined {
    const first = this.#entries[0]
    if (first === undefined || first.at > now) return undefined
    const last = this.#entries.pop()
    if (last !== undefined && this.#entries.length > 0) {
      this.#entries[0] = last
      this.#sink()
    }
    return first
  }

  #sink(): void {
    let index = 0
    for (;;) {
      let least = index
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (this.#at(child) < this.#at(least)) least = child
      }
      if (least === index) return
      this.#swap(index, least)
      index = least
    }
  }

  #at(index: number): Millis {
    return this.#entries[index]?.at ?? Number.POSITIVE_INFINITY
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#entries[a], this.#entries[b]]
    if (first === undefined || second === undefined) return
    this.#entries[a] = second
    this.#entries[b] = first
  }
}
