/**
 * Asking an address wherever it lives.
 *
 * Owns: trying again while an address moves, in bounded time; what a failure of the cluster is to whoever asked.
 * Does not decide: which node has an address.
 *
 * Nothing that is sent is stored. What had no answer is sent again, so that it may be done before this node hears of
 * it; a command without a `request_id` therefore gets one: whatever is asked twice is done once.
 */
import { Cause, Effect, Exit, Scope, Stream } from "effect"
import type { ClusterError } from "effect/cluster"
import type { Rpc, RpcClient } from "effect/rpc"
import { type Address, restOf } from "../actor/Address.ts"
import type { TopicRequest } from "../actor/Placement.ts"
import { currentTraceparent } from "../actor/TraceContext.ts"
import type { ActorSignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Overloaded, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { repeatable } from "../signal/Repeatable.ts"
import type { OpenTopic, TopicEvent } from "../signal/SignalRouter.ts"
import { formatTimestamp, type Millis } from "../signal/Text.ts"
import {
  AGAIN_WITHIN_MS,
  PATIENCE_MS,
  RETRIED_EVERY_MS,
  RETRIED_FIRST_MS,
  STORE_PATIENCE_MS
} from "./Timing.ts"
import {
  type Answer,
  type entityOf,
  readEvent,
  readOpened,
  readSuccess,
  writePayload,
  writePrincipal,
  writeRequest
} from "./Wire.ts"

type ClusterFailure =
  | ClusterError.MailboxFull
  | ClusterError.AlreadyProcessingMessage
  | ClusterError.PersistenceError
  | ClusterError.EntityNotAssignedToRunner

type Rpcs = ReturnType<typeof entityOf>["protocol"] extends {
  readonly requests: ReadonlyMap<string, infer R>
}
  ? R
  : never
/** Asks the addresses of one kind, by what stands behind the kind. */
export type Client = (rest: string) => RpcClient.RpcClient.From<Rpcs & Rpc.Any, ClusterFailure>

/** These work for as long as there is work. */
const LONG: ReadonlySet<ActorSignalName> = new Set(["cleanup_old_data", "forget_named"])
const LONG_MS: Millis = 3_600_000

const RETRY_AFTER_MS = 500

const MOVED = { _tag: "moved" } as const
/** Nobody has answered in time. */
const SILENT = { _tag: "silent" } as const

const unavailable = (address: Address): Unavailable =>
  new Unavailable({
    message: `No node could be reached that has ${address.text}; send the same request_id again, nothing is counted twice`,
    retry_after_ms: RETRY_AFTER_MS
  })

const storeAway = (address: Address, confirmedAt: Millis): Unavailable =>
  new Unavailable({
    message: `The store cannot be reached from this node since ${formatTimestamp(confirmedAt)}, so that nobody has ${address.text} now: nothing is admitted, nothing is recorded and no figures can be told; what was acknowledged is in the store. Send the same request_id again once it is back, nothing is counted twice`,
    retry_after_ms: RETRY_AFTER_MS
  })

const overloaded = (address: Address): Overloaded =>
  new Overloaded({
    message: `${address.text} has as many signals waiting as it may have; send it again later`,
    retry_after_ms: RETRY_AFTER_MS
  })

/** What the cluster failed with, and what that is to whoever asks. A node that goes away interrupts what it has begun. */
const answerOf = (cause: Cause.Cause<ClusterFailure>, address: Address): Effect.Effect<Answer<never>> => {
  const failure = cause.reasons.find(Cause.isFailReason)?.error
  if (failure?._tag === "MailboxFull") return Effect.succeed({ _tag: "error", error: overloaded(address) })
  if (failure !== undefined || Cause.hasInterruptsOnly(cause)) return Effect.succeed(MOVED)
  return Effect.failCause(cause as Cause.Cause<never>)
}

export interface AskingOptions {
  readonly client: Client
  readonly address: Address
  readonly principal: Principal
  /** This node is going away: it has nobody to wait for. */
  readonly isLeaving: () => boolean
  /** This node has not reached the store for as long as its lease. */
  readonly isCutOff: () => boolean
  /** When it was reached for the last time. */
  readonly confirmedAt: () => Millis
  /** Until another node has come or gone: what had moved is found then. */
  readonly changed: Effect.Effect<void>
}

/** Tries until there is an answer, for as long as `withinMs`. */
const persistently = <A>(
  { address, isLeaving, isCutOff, confirmedAt, changed }: AskingOptions,
  withinMs: Millis,
  attempt: Effect.Effect<Answer<A>>
): Effect.Effect<A, SignalError> => {
  /** How long to wait next time, after this time. */
  const paused = (pauseMs: Millis): Effect.Effect<Millis> =>
    Effect.raceFirst(
      Effect.as(Effect.sleep(pauseMs), Math.min(pauseMs * 2, RETRIED_EVERY_MS)),
      Effect.as(changed, RETRIED_FIRST_MS)
    )
  /**
   * What is written on a connection to a node that is just leaving may never have an answer, and no error. An owner may
   * need its time, too: whoever was silent gets twice as long.
   */
  const again = (givenMs: Millis): Effect.Effect<Answer<A> | typeof SILENT> =>
    withinMs > PATIENCE_MS
      ? attempt
      : Effect.timeoutOrElse(attempt, { duration: givenMs, orElse: () => Effect.succeed(SILENT) })
  const trying = (
    pauseMs: Millis,
    givenMs: Millis,
    asking: Effect.Effect<Answer<A> | typeof SILENT>
  ): Effect.Effect<A, SignalError> =>
    Effect.flatMap(asking, (answer) => {
      switch (answer._tag) {
        case "success":
          return Effect.succeed(answer.success)
        case "error":
          return Effect.fail(answer.error)
        case "moved":
        case "silent": {
          if (isLeaving()) return Effect.fail(unavailable(address))
          const nextMs = answer === SILENT ? givenMs * 2 : givenMs
          return Effect.flatMap(paused(pauseMs), (nextPauseMs) => trying(nextPauseMs, nextMs, again(nextMs)))
        }
      }
    })
  return Effect.suspend(() =>
    Effect.timeoutOrElse(trying(RETRIED_FIRST_MS, AGAIN_WITHIN_MS, attempt), {
      duration: isCutOff() ? Math.min(withinMs, STORE_PATIENCE_MS) : withinMs,
      orElse: () => Effect.fail(isCutOff() ? storeAway(address, confirmedAt()) : unavailable(address))
    })
  )
}

export const askRemotely = <Name extends ActorSignalName>(
  options: AskingOptions,
  name: Name,
  given: SignalPayload<Name>
): Effect.Effect<SignalSuccess<Name>, SignalError> =>
  Effect.flatMap(currentTraceparent, (traceparent) => {
    const { client, address, principal } = options
    const message = {
      name,
      payload: writePayload(name, repeatable(name, given)),
      principal: writePrincipal(principal),
      ...(traceparent !== undefined && { traceparent })
    }
    const attempt = client(restOf(address))
      .ask(message)
      .pipe(
        Effect.map((text): Answer<SignalSuccess<Name>> => readSuccess(name, text)),
        Effect.catchCause((cause) => answerOf(cause, address))
      )
    return persistently(options, LONG.has(name) ? LONG_MS : PATIENCE_MS, attempt)
  })

/** Events until the address moves. */
const eventsOf = (texts: Stream.Stream<string, ClusterFailure>): Stream.Stream<TopicEvent, SignalError> =>
  texts.pipe(
    Stream.map(readEvent),
    Stream.catchCause((cause) =>
      Cause.hasDies(cause)
        ? Stream.failCause(cause as Cause.Cause<never>)
        : Stream.succeed<Answer<TopicEvent>>(MOVED)
    ),
    Stream.takeWhile(({ _tag }) => _tag !== "moved"),
    Stream.mapEffect((answer) => {
      if (answer._tag === "success") return Effect.succeed(answer.success)
      return answer._tag === "error" ? Effect.fail(answer.error) : Effect.die(new Error("a move is no event"))
    })
  )

/** Opens a topic where the address lives; what happens from the opening on is in its events. */
export const followRemotely = (
  options: AskingOptions,
  request: TopicRequest
): Effect.Effect<OpenTopic, SignalError> => {
  const { client, address, principal } = options
  const message = { request: writeRequest(request), principal: writePrincipal(principal) }
  const attempt = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const close = Scope.close(scope, Exit.void)
    const opening = Effect.gen(function* () {
      const pull = yield* Scope.provide(Stream.toPull(client(restOf(address)).follow(message)), scope)
      const [first, ...early] = yield* pull
      const opened = readOpened(first)
      if (opened._tag !== "success") return opened
      const texts = Stream.concat(Stream.fromIterable(early), Stream.fromPull(Effect.succeed(pull)))
      const events = Stream.ensuring(eventsOf(texts), close)
      const topic: OpenTopic = { cursor: opened.success, events }
      return { _tag: "success", success: topic } as const
    })
    return yield* opening.pipe(
      Effect.catchCause(
        (cause): Effect.Effect<Answer<never>> =>
          // A stream that ends before it has begun has moved.
          Cause.hasDies(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Effect.succeed(MOVED)
      ),
      Effect.tap((answer) => (answer._tag === "success" ? Effect.void : close)),
      Effect.onError(() => close)
    )
  })
  return persistently<OpenTopic>(options, PATIENCE_MS, attempt)
}
