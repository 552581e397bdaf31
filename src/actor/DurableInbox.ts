/**
 * What a durable machine has still to take: signals, ends of what it invoked, events that its actions have sent.
 *
 * Owns: their order, that nothing is taken off before it is committed, and waking who waits for more.
 * Does not decide: what any of it means (DurableDraft).
 */
import { Effect } from "effect"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Ended, LateEvent } from "./DurableStep.ts"
import type { AnyEnvelope } from "./Envelope.ts"

/** Some of what waits. Signals have left the mailbox; the rest stays until `took`. */
export interface Taken {
  readonly ended: ReadonlyArray<Ended>
  readonly late: ReadonlyArray<LateEvent>
  readonly envelopes: ReadonlyArray<AnyEnvelope>
}

export class DurableInbox<P extends Protocol> {
  readonly #ref: ActorRef<P>
  #ended: ReadonlyArray<Ended> = []
  #late: ReadonlyArray<LateEvent> = []
  #wake: (() => void) | undefined

  constructor(ref: ActorRef<P>) {
    this.#ref = ref
    ref.mailbox.onArrival = this.wake
  }

  get isEmpty(): boolean {
    return this.#ended.length === 0 && this.#late.length === 0 && this.#ref.mailbox.depth === 0
  }

  readonly wake = (): void => this.#wake?.()

  readonly end = (ended: Ended): void => {
    this.#ended = [...this.#ended, ended]
    this.wake()
  }

  readonly sendLate = (late: LateEvent): void => {
    this.#late = [...this.#late, late]
    this.wake()
  }

  /** The machine's own events first: what has ended, what its actions have sent. */
  peek(atMost: number): Taken {
    const ended = this.#ended.slice(0, atMost)
    const late = this.#late.slice(0, atMost - ended.length)
    const left = atMost - ended.length - late.length
    return { ended, late, envelopes: left > 0 ? this.#ref.mailbox.takeNow(left) : [] }
  }

  /** It is committed. */
  took({ ended, late }: Pick<Taken, "ended" | "late">): void {
    this.#ended = this.#ended.slice(ended.length)
    this.#late = this.#late.slice(late.length)
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
