/**
 * Brings what a durable machine has sent to whom it was sent to.
 *
 * Owns: the order (to each receiver one after the other), trying again until there is an answer, and saying so to the
 * store afterwards.
 * Does not decide: how a receiver is found (SignalDelivery), or what was sent (the commit).
 *
 * A signal is delivered before the store hears of it; so after a crash in between it is delivered again, under its id.
 */
import { Effect, FiberSet, Result, Schedule, type Scope } from "effect"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import type { Address } from "./Address.ts"
import type { DeadLetters } from "./DeadLetters.ts"
import type { MachineStore, OutgoingSignal } from "./MachineStore.ts"
import { senderOf, undeliveredOf } from "./SeenSignals.ts"
import type { SignalDelivery } from "./SignalDelivery.ts"
import { readTraceparent, within } from "./TraceContext.ts"
import { undelivered } from "./Undelivered.ts"

/** Signals that may wait to be delivered. With more, the machine takes nothing until some have arrived. */
export const OUTGOING_MAX = 1_000

const ANSWER_TIMEOUT = "30 seconds"
const PAUSE_MS_MAX = 30_000
const CONFIRMING = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")])

/** What is over some time: a machine that is parked takes what waits for it when it is begun again. */
const passes = (error: SignalError): boolean =>
  error._tag === "Unavailable" ||
  error._tag === "Overloaded" ||
  (error._tag === "Conflict" && error.reason === "machine_parked")

/** A receiver whose rules throw on a signal will throw again: this often it is believed that they may not. */
const CRASHES_MAX = 5

interface Surroundings {
  readonly address: Address
  readonly store: MachineStore
  readonly delivery: SignalDelivery
  readonly deadLetters: DeadLetters
  /** What a signal is, where its receiver is known: what of it may be shown and kept. */
  readonly definitionOf: (outgoing: OutgoingSignal) => AnySignal | undefined
  readonly now: () => number
  /** Something has arrived. */
  readonly onDelivered: () => void
}

export class MachineOutbox {
  readonly #surroundings: Surroundings
  readonly #run: (effect: Effect.Effect<void>) => unknown
  /** By receiver, the oldest first. */
  readonly #waiting = new Map<string, Array<OutgoingSignal>>()
  #depth = 0

  private constructor(surroundings: Surroundings, run: (effect: Effect.Effect<void>) => unknown) {
    this.#surroundings = surroundings
    this.#run = run
  }

  /** Makes an outbox whose deliveries end with the scope. */
  static maker(
    surroundings: Omit<Surroundings, "onDelivered">
  ): Effect.Effect<(onDelivered: () => void) => MachineOutbox, never, Scope.Scope> {
    return Effect.gen(function* () {
      const run = yield* FiberSet.runtime(yield* FiberSet.make<void>())()
      return (onDelivered) => new MachineOutbox({ ...surroundings, onDelivered }, run)
    })
  }

  get depth(): number {
    return this.#depth
  }

  /** Takes what was committed. What is known to wait already is passed over. */
  add(outgoing: ReadonlyArray<OutgoingSignal>): void {
    for (const signal of outgoing) {
      const lane = this.#waiting.get(signal.to)
      if (lane === undefined) {
        this.#waiting.set(signal.to, [signal])
        this.#run(this.#empty(signal.to))
      } else if (lane.every(({ seq }) => seq < signal.seq)) lane.push(signal)
      else continue
      this.#depth += 1
    }
  }

  /** Delivers to one receiver until nothing is left. */
  #empty(to: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const lane = this.#waiting.get(to) ?? []
      for (let signal = lane[0]; signal !== undefined; signal = lane[0]) {
        yield* this.#deliver(signal)
        yield* this.#confirm(signal)
        lane.shift()
        if (lane.length === 0) this.#waiting.delete(to)
        this.#depth -= 1
        this.#surroundings.onDelivered()
      }
    })
  }

  #deliver(signal: OutgoingSignal): Effect.Effect<void> {
    const { address, delivery } = this.#surroundings
    const delivered = delivery.deliver(senderOf(address, signal), signal)
    const once = within(readTraceparent(signal.traceparent), delivered).pipe(
      Effect.timeoutOrElse({
        duration: ANSWER_TIMEOUT,
        orElse: () =>
          Effect.fail(new Unavailable({ message: `${signal.to} does not answer`, retry_after_ms: 0 }))
      }),
      Effect.result
    )
    return Effect.gen({ self: this }, function* () {
      let crashes = 0
      for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
        const answer = yield* once
        if (Result.isSuccess(answer)) return
        const error = answer.failure
        if (error._tag === "InternalError") crashes += 1
        else if (!passes(error)) return this.#bury(signal, error)
        if (crashes >= CRASHES_MAX) return this.#bury(signal, error)
        yield* Effect.sleep(pauseMs)
      }
    })
  }

  /** Until the store knows, nothing else goes to this receiver. */
  #confirm({ seq }: OutgoingSignal): Effect.Effect<void> {
    const { address, store } = this.#surroundings
    return store.delivered(address.text, [seq]).pipe(Effect.retry(CONFIRMING), Effect.ignore)
  }

  /** It was refused for good. */
  #bury(outgoing: OutgoingSignal, error: SignalError): void {
    const { address, deadLetters, now, definitionOf } = this.#surroundings
    const about = {
      principal: undeliveredOf(address, outgoing),
      definition: definitionOf(outgoing),
      at: now()
    }
    deadLetters.add(undelivered(outgoing, error, about))
  }
}
