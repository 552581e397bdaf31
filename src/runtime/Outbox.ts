/**
 * What waits between somebody who tells and a subscriber who reads.
 *
 * Owns: the bound. When it is full the oldest go, and one gap stands in place of all that went.
 */
import { Effect, Latch, Stream } from "effect"
import type { TopicEvent } from "../signal/SignalRouter.ts"

const WAITING_MAX = 1_000

export class Outbox {
  #waiting: Array<TopicEvent> = []
  #dropped = 0
  readonly #latch = Latch.makeUnsafe(false)

  put(event: TopicEvent): void {
    if (this.#waiting.length >= WAITING_MAX) {
      this.#waiting.shift()
      this.#dropped += 1
    }
    this.#waiting.push(event)
    this.#latch.openUnsafe()
  }

  /** Wakes the reader without an event. */
  wake(): void {
    this.#latch.openUnsafe()
  }

  /** What waits now; a gap first, if something was dropped. */
  takeNow(): ReadonlyArray<TopicEvent> {
    const events = this.#waiting
    this.#waiting = []
    this.#latch.closeUnsafe()
    if (this.#dropped === 0) return events
    const gap: TopicEvent = { cursor: null, event: { gap: this.#dropped } }
    this.#dropped = 0
    return [gap, ...events]
  }

  readonly untilSomething: Effect.Effect<void> = this.#latch.await

  /** Everything that is put in, for ever. */
  readonly events: Stream.Stream<TopicEvent> = Stream.flattenIterable(
    Stream.fromEffectRepeat(Effect.map(this.untilSomething, () => this.takeNow()))
  )
}
