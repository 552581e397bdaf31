/**
 * A call's text as the events of a subscription.
 *
 * Owns: `text` events in order and complete, then one `finished` or `failed`; and that closing them leaves the call.
 * Does not decide: how they are written to a connection (bridge/).
 */
import { type Cause, Deferred, Effect, Stream } from "effect"
import { encodeErrorData, encodeSuccess } from "../signal/Decode.ts"
import { ERROR_CODES, Overloaded, type SignalError } from "../signal/Errors.ts"
import type { Completion } from "../signal/Providers.ts"
import type { OpenTopic, TopicEvent } from "../signal/SignalRouter.ts"
import type { Event } from "../signal/Subscriptions.ts"
import type { RunningCall } from "./RunningCalls.ts"
import type { TextReader } from "./TextLog.ts"

const topicEvent = (event: Event): TopicEvent => ({ cursor: null, event })

type Encoded = Extract<Event, { finished: unknown }>["finished"]["completion"]

const finishedEvent = (completion: Completion): TopicEvent =>
  topicEvent({
    finished: {
      finish_reason: completion.finish_reason,
      completion: encodeSuccess("complete", completion) as unknown as Encoded
    }
  })

/** A failure as it would stand in a JSON-RPC answer. */
const failedEvent = (error: SignalError): TopicEvent =>
  topicEvent({
    failed: {
      code: ERROR_CODES[error._tag],
      message: error.message,
      data: encodeErrorData(error) as unknown as { readonly [field: string]: Encoded }
    }
  })

const restOf = (completion: Completion, taken: number): ReadonlyArray<TopicEvent> => {
  const rest = completion.content.slice(taken)
  return rest === "" ? [] : [topicEvent({ text: rest })]
}

/** A call that ended before: all of its text at once. */
export const replay = (completion: Completion): OpenTopic => ({
  cursor: null,
  events: Stream.fromIterable([...restOf(completion, 0), finishedEvent(completion)])
})

const tooSlow = new Overloaded({
  message:
    "The text was not taken for too long and the stream was closed; send the call again to get all of it",
  retry_after_ms: 0
})

/** The last events: what was not streamed (a plain call that was joined), and how it ended. */
const ending = (running: RunningCall, reader: TextReader): Stream.Stream<TopicEvent> =>
  Stream.unwrap(
    Effect.suspend(() => {
      if (reader.isLost) return Effect.succeed(Stream.succeed(failedEvent(tooSlow)))
      return Deferred.await(running.outcome).pipe(
        Effect.match({
          onFailure: (error) => Stream.succeed(failedEvent(error)),
          onSuccess: (completion) =>
            Stream.fromIterable([...restOf(completion, reader.taken), finishedEvent(completion)])
        })
      )
    })
  )

/** The text of a call that runs. `leave` is called once, when the reader closes the events or has had them all. */
export const follow = (running: RunningCall, reader: TextReader, leave: Effect.Effect<void>): OpenTopic => {
  const pull = Effect.map(reader.pull, (pieces) => {
    const [first, ...rest] = pieces
    return [topicEvent({ text: [first, ...rest].join("") })] as const
  })
  const texts = Stream.fromPull(Effect.succeed(pull))
  return {
    cursor: null,
    events: Stream.concat(texts, ending(running, reader)).pipe(Stream.ensuring(leave))
  }
}

/** Waits until the call holds its money, or has ended without having got so far: then it fails with that. */
export const admission = (running: RunningCall): Effect.Effect<void, SignalError> =>
  Effect.raceFirst(Deferred.await(running.admitted), Effect.asVoid(Deferred.await(running.outcome))).pipe(
    Effect.catchCause((cause) => Effect.failCause(cause as Cause.Cause<SignalError>))
  )
