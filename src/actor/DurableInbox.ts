/**
 * What a durable machine has still to take: signals, ends of what it invoked, events that it has sent itself.
 *
 * Owns: their order, that nothing is taken off before it is committed, and waking who waits for more.
 * Does not decide: what any of it means (DurableDraft).
 */
import { Effect } from "effect"
import type { EventObject } from "xstate"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Ended } from "./DurableStep.ts"
import type { AnyEnvelope } from "./Envelope.ts"

/** Some of what waits. Signals have left the mailbox; the rest stays until `took`. */
export interface Taken {
  readonly ended: ReadonlyArray<Ended>
  readonly sentSelf: ReadonlyArray<EventObject>
  readonly envelopes: ReadonlyArray<AnyEnvelope>
}

export class DurableInbox<P extends Protocol> {
  readonly #ref: ActorRef<P>
  #ended: ReadonlyArray<Ended> = []
  #sentSelf: ReadonlyArray<EventObject> = []
  #wake: (() => void) | undefined

  constructor(ref: ActorRef<P>) {
    this.#ref = ref
    ref.mailbox.onArrival = this.wake
  }

  get isEmpty(): boolean {
    return this.#ended.length === 0 && this.#sentSelf.length === 0 && this.#ref.mailbox.depth === 0
  }

  readonly wake = (): void => this.#wake?.()

  readonly end = (ended: Ended): void => {
    this.#ended = [...this.#ended, ended]
    this.wake()
  }

  readonly sendSelf = (event: EventObject): void => {
    this.#sentSelf = [...this.#sentSelf, event]
    this.wake()
  }

  /** The machine's own events first: what has ended, what it has sent itself. */
  peek(atMost: number): Taken {
    const ended = this.#ended.slice(0, atMost)
    const sentSelf = this.#sentSelf.slice(0, atMost - ended.length)
    const left = atMost - ended.length - sentSelf.length
    return { ended, sentSelf, envelopes: left > 0 ? this.#ref.mailbox.takeNow(left) : [] }
  }

  /** It is committed. */
  took({ ended, sentSelf }: Taken): void {
    this.#ended = this.#ended.slice(ended.length)
    this.#sentSelf = this.#sentSelf.slice(sentSelf.length)
  }

  /** Waits until somebody wakes it; not at all where there is something to do already. */
  wait(hasWork: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.#wake = () => {
        this.#wake = undefined
        resume(Effect.void)
      }
      if (hasWork()) this.#wake()
      return Effect.sync(() => {
        this.#wake = undefined
      })
    })
  }
}
