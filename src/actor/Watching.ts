/**
 * Who is told when an actor ends.
 *
 * Owns: that each is told once, with the reason, also when the actor is gone already.
 * Does not decide: when an actor has ended (Lives). One that only left memory has not.
 */
import type { Complain } from "./Complaint.ts"

/** How an actor ended. `gone`: nobody lived there when it was watched. */
export interface Ended {
  readonly address: string
  readonly reason: "stopped" | "failed" | "gone"
  /** Of a failure: what it was; of an end that the actor explains: why. */
  readonly detail: string | null
  /** What it ended with, where its own loop says so. */
  readonly output?: unknown
}

/** Is called in the actor system's own turn: it must be quick. What it throws is logged, and disturbs nobody else. */
export type Watcher = (ended: Ended) => void

export class Watching {
  readonly #watchers = new Map<string, Set<Watcher>>()
  readonly #complain: Complain

  constructor(complain: Complain) {
    this.#complain = complain
  }

  /** How many are waiting to be told. */
  get size(): number {
    let size = 0
    for (const watchers of this.#watchers.values()) size += watchers.size
    return size
  }

  add(address: string, watcher: Watcher): () => void {
    let watchers = this.#watchers.get(address)
    if (watchers === undefined) {
      watchers = new Set()
      this.#watchers.set(address, watchers)
    }
    // A wrapper, so that who watches twice is told twice, and leaves by itself.
    const told: Watcher = (ended) => watcher(ended)
    watchers.add(told)
    return () => this.#remove(address, told)
  }

  tell(ended: Ended): void {
    const watchers = this.#watchers.get(ended.address)
    if (watchers === undefined) return
    this.#watchers.delete(ended.address)
    for (const watcher of watchers) this.tellOne(watcher, ended)
  }

  /** Tells one, whatever comes of it. */
  tellOne(watcher: Watcher, ended: Ended): void {
    try {
      watcher(ended)
    } catch (error) {
      this.#complain(
        `A watcher of ${ended.address} threw when it was told of its end (${ended.reason})`,
        error
      )
    }
  }

  #remove(address: string, watcher: Watcher): void {
    const watchers = this.#watchers.get(address)
    if (watchers === undefined) return
    watchers.delete(watcher)
    if (watchers.size === 0) this.#watchers.delete(address)
  }
}
