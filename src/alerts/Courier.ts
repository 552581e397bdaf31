/**
 * Delivers what is due by one way: webhooks, or e-mail.
 *
 * Owns: taking deliveries, so many at once and one at a time for each recipient; what becomes of each.
 * Does not decide: how one is sent (Webhook, Email), when it is tried again (DeliverySchedule).
 *
 * It runs beside everything else: nothing waits for it, and it holds no connection of the store while it sends.
 */
import { Cause, Clock, Effect, Exit, FiberSet, Latch, Metric, Schedule } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"
import { letterOfDelivery } from "./AlertLetter.ts"
import { ATTEMPTS_MAX, pauseAfter } from "./DeliverySchedule.ts"
import type { Delivery, DeliveryStore, Lane, RecipientKind } from "./DeliveryStore.ts"
import type { DeliveryFailed, Message, Send } from "./Sending.ts"

export interface CourierOptions {
  readonly kind: RecipientKind
  readonly store: DeliveryStore
  readonly send: Send
  /** Deliveries under way at once. */
  readonly atOnce: number
  /** How long nobody else takes what was taken: longer than a try can last. */
  readonly leaseMs: number
  readonly messageOf: (delivery: Delivery) => Message
  /** From 0 up to 1. */
  readonly random: () => number
}

/** Looks at least this often, for what another process left behind. */
const LOOK_MS = 60_000
const LOOK_MS_MIN = 100
const STORE_AWAY_MS = 5_000

/** What is known of a delivery after it was sent must be kept: the store is asked again for a while. */
const PATIENCE = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("2 seconds")])
const PATIENCE_TRIES = 8

const deliveries = Metric.counter("bursar_alert_deliveries_total", {
  description: "Alerts sent to channels, by channel and outcome: delivered, failed, dead_letter, dropped",
  incremental: true
})

export const count = (
  channel: RecipientKind | "any",
  outcome: "delivered" | "failed" | "dead_letter" | "dropped",
  times = 1
): Effect.Effect<void> => Metric.update(Metric.withAttributes(deliveries, { channel, outcome }), times)

const laneKey = ({ tenant, recipientId }: Lane): string => `${recipientId} ${tenant}`

const whatFailed = (cause: Cause.Cause<DeliveryFailed>): string => {
  const failure = cause.reasons.find(Cause.isFailReason)
  return failure === undefined ? "it failed inside the runtime" : failure.error.message
}

class Courier {
  readonly #options: CourierOptions
  readonly #fibers: FiberSet.FiberSet
  readonly #busy = new Map<string, Lane>()
  /** Open when there may be something to do. */
  readonly #work = Latch.makeUnsafe(false)

  constructor(options: CourierOptions, fibers: FiberSet.FiberSet) {
    this.#options = options
    this.#fibers = fibers
  }

  readonly wake = (): void => {
    this.#work.openUnsafe()
  }

  readonly run: Effect.Effect<never> = Effect.suspend(() =>
    this.#turn().pipe(
      Effect.catch((error) => this.#waitForStore(error)),
      Effect.catchDefect((defect) => this.#waitForStore(defect)),
      Effect.forever
    )
  )

  #waitForStore(error: unknown): Effect.Effect<void> {
    return Effect.andThen(
      Effect.logWarning(`alerts for ${this.#options.kind} channels wait for the store`, error),
      Effect.sleep(STORE_AWAY_MS)
    )
  }

  #turn(): Effect.Effect<void, Unavailable> {
    return Effect.gen({ self: this }, function* () {
      this.#work.closeUnsafe()
      const taken = yield* this.#start()
      if (taken === 0) yield* this.#waitForWork()
    })
  }

  /** Takes what is due and starts with it. Nothing stops it in between: what was taken would wait until its lease ends. */
  #start(): Effect.Effect<number, Unavailable> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(this.#take()), (taken) =>
        Effect.as(
          Effect.forEach(taken, (delivery) => this.#begin(delivery), { discard: true }),
          taken.length
        )
      )
    )
  }

  #begin(delivery: Delivery): Effect.Effect<unknown> {
    this.#busy.set(laneKey(delivery), delivery)
    return FiberSet.run(this.#fibers, this.#deliver(delivery))
  }

  #take(): Effect.Effect<ReadonlyArray<Delivery>, Unavailable> {
    return Effect.gen({ self: this }, function* () {
      const { store, kind, atOnce, leaseMs } = this.#options
      const limit = atOnce - this.#busy.size
      if (limit <= 0) return []
      const now = yield* Clock.currentTimeMillis
      const claim = crypto.randomUUID()
      return yield* store.claimDue({ ...this.#query(kind, now), leaseUntil: now + leaseMs, claim, limit })
    })
  }

  #query(kind: RecipientKind, now: Millis) {
    return { kind, now, busy: [...this.#busy.values()] }
  }

  #waitForWork(): Effect.Effect<void, Unavailable> {
    return Effect.gen({ self: this }, function* () {
      const { store, kind, atOnce } = this.#options
      if (this.#busy.size >= atOnce) return yield* this.#work.await
      const now = yield* Clock.currentTimeMillis
      const next = yield* store.nextDueAt(this.#query(kind, now))
      const pauseMs = Math.min(Math.max((next ?? Number.POSITIVE_INFINITY) - now, LOOK_MS_MIN), LOOK_MS)
      yield* Effect.raceFirst(this.#work.await, Effect.sleep(pauseMs))
    })
  }

  /** Whatever happens to a delivery, its lane is free afterwards. */
  #deliver(delivery: Delivery): Effect.Effect<void> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.exit(restore(Effect.suspend(() => this.#options.send(this.#options.messageOf(delivery))))).pipe(
        Effect.flatMap((exit) => this.#settle(delivery, exit))
      )
    ).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          this.#busy.delete(laneKey(delivery))
          this.wake()
        })
      )
    )
  }

  #settle(delivery: Delivery, exit: Exit.Exit<void, DeliveryFailed>): Effect.Effect<void> {
    const { store, kind } = this.#options
    if (Exit.isSuccess(exit)) {
      return Effect.andThen(count(kind, "delivered"), this.#keep(delivery, store.delivered(delivery)))
    }
    if (!Cause.hasInterruptsOnly(exit.cause)) return this.#fail(delivery, exit.cause)
    // The process is stopping: somebody else, or its successor, tries it at once.
    return Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.ignore(store.released(delivery, now)))
  }

  #fail(delivery: Delivery, cause: Cause.Cause<DeliveryFailed>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { store, kind, random } = this.#options
      const pauseMs = pauseAfter(delivery.attempt, random())
      const now = yield* Clock.currentTimeMillis
      const failure = whatFailed(cause)
      yield* this.#keep(
        delivery,
        pauseMs === undefined
          ? store.givenUp(delivery, letterOfDelivery(delivery, now, failure))
          : store.failed(delivery, now + pauseMs, failure)
      )
      yield* count(kind, pauseMs === undefined ? "dead_letter" : "failed")
      yield* this.#tell(delivery, cause, failure, pauseMs)
    })
  }

  /** A failure of ours is told whole; one of the other side in its own words. Neither has a secret in it. */
  #tell(
    { tenant, recipientId, alert, attempt, kind }: Delivery,
    cause: Cause.Cause<DeliveryFailed>,
    failure: string,
    pauseMs: number | undefined
  ): Effect.Effect<void> {
    const what = `${alert.id} did not reach a ${kind} channel (try ${attempt} of ${ATTEMPTS_MAX}): ${failure}`
    const details = cause.reasons.some(Cause.isDieReason) ? [cause] : []
    const told =
      pauseMs === undefined
        ? Effect.annotateLogs(Effect.logError(`a dead letter: ${what}`, ...details), {
            incident: crypto.randomUUID()
          })
        : Effect.logWarning(`${what}; it is tried again in ${Math.round(pauseMs / 1000)} s`, ...details)
    return Effect.annotateLogs(told, { tenant, recipient: recipientId })
  }

  #keep(delivery: Delivery, change: Effect.Effect<void, Unavailable>): Effect.Effect<void> {
    return change.pipe(
      Effect.retry({ schedule: PATIENCE, times: PATIENCE_TRIES }),
      Effect.catch((error) =>
        Effect.logWarning(
          `what became of ${delivery.alert.id} could not be kept: it may be delivered again`,
          error
        )
      )
    )
  }
}

/** Delivers until the scope closes. Answers how to say that there may be something new. */
export const startCourier = Effect.fnUntraced(function* (options: CourierOptions) {
  const courier = new Courier(options, yield* FiberSet.make())
  yield* Effect.forkScoped(courier.run)
  return courier.wake
})
