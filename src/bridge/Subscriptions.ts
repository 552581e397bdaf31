/**
 * The subscriptions of one connection, streaming calls among them.
 *
 * Owns: their life (open, deliver, close), delivery with back-pressure where nothing may be lost, and a bounded
 * buffer with one gap where something may.
 * Does not decide: what happens in a topic (SignalRouter), or who may watch it (signal/Authorization).
 */
import { Cause, Effect, Exit, Fiber, Latch, Result, type Schema, Stream } from "effect"
import { authorizeSubscription } from "../signal/Authorization.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { encodeEvent } from "../signal/Decode.ts"
import { InvalidRequest, NotFound, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { type OpenTopic, refuse, type SignalRouter, type TopicEvent } from "../signal/SignalRouter.ts"
import { makeEventBuffer } from "./EventBuffer.ts"
import { errorObject, writeEvent } from "./JsonRpc.ts"
import { type Limits, type Tally, tooManySubscriptions } from "./Limits.ts"
import type { Outlet } from "./Outlet.ts"

/** The answer to a signal that opened a subscription. Events flow once `release` was called. */
export interface Opened {
  readonly answer: unknown
  readonly release: () => void
}

export interface SubscriptionsOptions {
  readonly router: SignalRouter
  readonly principal: Principal
  readonly limits: Limits
  readonly tally: Tally
  readonly outlet: Outlet
  readonly runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly errorOf: (cause: Cause.Cause<SignalError>, method: string) => SignalError
  /** Unique among connections: the first part of every subscription's id. */
  readonly connectionId: string
}

export interface Subscriptions {
  readonly subscribe: (payload: SignalPayload<"subscribe">) => Effect.Effect<Opened, SignalError>
  readonly complete: (payload: SignalPayload<"complete">) => Effect.Effect<Opened, SignalError>
  readonly unsubscribe: (payload: SignalPayload<"unsubscribe">) => Effect.Effect<Opened, SignalError>
  /** Interrupts them all. */
  readonly closeAll: () => void
}

interface Subscription {
  isClosed: boolean
  fiber: Fiber.Fiber<void, SignalError> | undefined
}

/** Takes the events of one subscription to the socket. */
interface Delivery {
  readonly deliver: (event: TopicEvent) => Effect.Effect<void>
  readonly release: () => void
}

/** Waits for the reader before each event, and so holds back whoever makes them. */
const makeLossless = (id: string, outlet: Outlet): Delivery => {
  const released = Latch.makeUnsafe(false)
  const write = ({ cursor, event }: TopicEvent) => outlet.write(writeEvent(id, cursor, encodeEvent(event)))
  const deliver = (event: TopicEvent): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (outlet.isFull()) return Effect.andThen(outlet.untilRoom, deliver(event))
      write(event)
      return Effect.void
    })
  return {
    deliver: (event) => Effect.andThen(released.await, deliver(event)),
    release: () => void released.openUnsafe()
  }
}

/** Never waits: what the reader is too slow for is dropped, and told as one gap. */
const makeLossy = (id: string, outlet: Outlet, capacity: number, isClosed: () => boolean): Delivery => {
  const buffer = makeEventBuffer<string>(capacity)
  let isReleased = false
  let isWaiting = false
  const flush = () => {
    isWaiting = false
    while (!isClosed()) {
      if (outlet.isFull()) {
        isWaiting = true
        outlet.onRoom(flush)
        return
      }
      const next = buffer.shift()
      if (next === undefined) return
      outlet.write("gap" in next ? writeEvent(id, null, { gap: next.gap }) : next.value)
    }
  }
  return {
    deliver: ({ cursor, event }) =>
      Effect.sync(() => {
        if (buffer.isDropping()) buffer.drop()
        else buffer.push(writeEvent(id, cursor, encodeEvent(event)))
        if (isReleased && !isWaiting) flush()
      }),
    release: () => {
      isReleased = true
      flush()
    }
  }
}

/** What lives in the store is read as fast as the client reads: nothing of it is lost. */
const isResumable = ({ cursor }: OpenTopic): boolean => cursor !== null

export const makeSubscriptions = (options: SubscriptionsOptions): Subscriptions => {
  const { router, principal, limits, tally, outlet } = options
  const open = new Map<string, Subscription>()
  let made = 0

  const failedEvent = (cause: Cause.Cause<SignalError>, method: string): TopicEvent => ({
    cursor: null,
    event: { failed: errorObject(options.errorOf(cause, method)) as unknown as Schema.Json }
  })

  /** Runs one subscription to its end; `onOpen` hears of its start. */
  const run = (
    method: string,
    acquire: Effect.Effect<OpenTopic, SignalError>,
    deliveryOf: (topic: OpenTopic) => Delivery
  ) =>
    Effect.flatMap(acquire, (topic) => {
      const delivery = deliveryOf(topic)
      return Stream.runForEach(topic.events, delivery.deliver).pipe(
        Effect.catchCause((cause) =>
          Cause.hasInterrupts(cause) ? Effect.failCause(cause) : delivery.deliver(failedEvent(cause, method))
        )
      )
    })

  const start = (
    method: string,
    acquire: Effect.Effect<OpenTopic, SignalError>,
    isLossless: (topic: OpenTopic) => boolean,
    answerOf: (id: string, topic: OpenTopic) => unknown
  ) =>
    Effect.callback<Opened, SignalError>((resume) => {
      if (!tally.enter(principal.tenant)) {
        const error = tooManySubscriptions(limits.subscriptionsPerTenantMax)
        return resume(refuse(router, method, principal, error))
      }
      const id = `${options.connectionId}.${++made}`
      const subscription: Subscription = { isClosed: false, fiber: undefined }
      const deliveryOf = (topic: OpenTopic): Delivery => {
        const delivery = isLossless(topic)
          ? makeLossless(id, outlet)
          : makeLossy(id, outlet, limits.eventBufferMax, () => subscription.isClosed)
        resume(Effect.succeed({ answer: answerOf(id, topic), release: delivery.release }))
        return delivery
      }
      open.set(id, subscription)
      const fiber = options.runFork(run(method, acquire, deliveryOf))
      subscription.fiber = fiber
      fiber.addObserver((exit) => {
        open.delete(id)
        tally.leave(principal.tenant)
        // Without effect when it had opened.
        if (Exit.isFailure(exit)) resume(Effect.failCause(exit.cause))
      })
    })

  const close = (subscription: Subscription) => {
    subscription.isClosed = true
    subscription.fiber?.interruptUnsafe()
  }

  return {
    subscribe: (payload) => {
      const filter = authorizeSubscription(payload, principal)
      if (Result.isFailure(filter)) return refuse(router, "subscribe", principal, filter.failure)
      return start(
        "subscribe",
        router.subscribe(payload.topic, filter.success, payload.from_cursor, principal),
        isResumable,
        (subscription, { cursor }) => ({ subscription, cursor })
      )
    },
    complete: (payload) =>
      start(
        "complete",
        router.stream(payload, principal),
        () => true,
        (subscription) => ({ subscription })
      ),
    unsubscribe: ({ subscription: id }) =>
      Effect.suspend(() => {
        const subscription = open.get(id)
        if (subscription === undefined) {
          const message = `This connection has no subscription ${id}: it has ended, or belongs to another connection`
          return Effect.fail(new NotFound({ message, kind: "subscription", id }))
        }
        close(subscription)
        const { fiber } = subscription
        const ended = fiber === undefined ? Effect.void : Fiber.await(fiber)
        return Effect.as(ended, { answer: { unsubscribed: true }, release: () => {} })
      }),
    closeAll: () => {
      for (const subscription of open.values()) close(subscription)
    }
  }
}

/** A subscription needs an answer to carry its id, so a notification cannot open one. */
export const needsAnswer = () =>
  new InvalidRequest({ message: "A subscription is answered with its id: send this as a request with an id" })
