/**
 * The page's one store: changes go in at any speed, models come out at most once per frame.
 *
 * Owns: batching, its bound, and telling React.
 * Does not decide: what a change means (Reduce).
 */
import { type Change, EMPTY_MODEL, type Model, PENDING_MAX } from "./Model.ts"
import { reduce } from "./Reduce.ts"

/** Runs a callback before the next frame, or soon when the page is hidden and has no frames. */
export type Schedule = (callback: () => void) => void

const HIDDEN_MS = 500

/** The browser's frames; hidden pages get a timer instead, so that their buffers stay small. */
export const onFrame: Schedule = (callback) => {
  if (document.visibilityState === "hidden") setTimeout(callback, HIDDEN_MS)
  else requestAnimationFrame(callback)
}

export class Store {
  #model: Model = EMPTY_MODEL
  #pending: Array<Change> = []
  #droppedSignals = 0
  #isScheduled = false
  readonly #listeners = new Set<() => void>()
  readonly #schedule: Schedule

  constructor(schedule: Schedule) {
    this.#schedule = schedule
  }

  get model(): Model {
    return this.#model
  }

  /** Changes that wait for the next frame. */
  get pendingCount(): number {
    return this.#pending.length
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  push(...changes: ReadonlyArray<Change>): void {
    this.#pending.push(...changes)
    if (this.#pending.length > PENDING_MAX) this.#dropOldSignals()
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#schedule(() => this.flush())
  }

  /** Applies what waits, now. */
  flush(): void {
    this.#isScheduled = false
    if (this.#pending.length === 0) return
    const changes = this.#pending
    this.#pending = []
    if (this.#droppedSignals > 0) {
      const why = "this page could not keep up"
      changes.unshift({ kind: "gap", topic: "signals", count: this.#droppedSignals, why, now: Date.now() })
      this.#droppedSignals = 0
    }
    this.#model = reduce(this.#model, changes)
    for (const listener of this.#listeners) listener()
  }

  /** Signals are for the eye, so they may go; money, budgets and actors never do: they are applied instead. */
  #dropOldSignals(): void {
    const kept: Array<Change> = []
    let surplus = this.#pending.length - PENDING_MAX / 2
    for (const change of this.#pending) {
      if (surplus > 0 && change.kind === "event" && change.topic === "signals") {
        surplus -= 1
        this.#droppedSignals += 1
      } else kept.push(change)
    }
    this.#pending = kept
    if (kept.length > PENDING_MAX) this.flush()
  }
}
