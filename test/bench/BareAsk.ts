/**
 * The least that an ask could be: an Effect Queue and a Deferred, with one consumer that drains in batches.
 */
import { Deferred, Effect, Queue } from "effect"

interface Question {
  readonly text: string
  readonly answer: Deferred.Deferred<string>
}

/** A question with its answer's place goes into a queue; who drains it answers. */
export const bareAsk = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<Question>()
  const consumer = Effect.gen(function* () {
    while (true) {
      for (const question of yield* Queue.takeAll(queue)) {
        Deferred.doneUnsafe(question.answer, Effect.succeed(question.text))
      }
    }
  })
  yield* Effect.forkDetach(consumer)
  return (text: string): Effect.Effect<unknown> =>
    Effect.suspend(() => {
      const answer = Deferred.makeUnsafe<string>()
      return Effect.andThen(Queue.offer(queue, { text, answer }), Deferred.await(answer))
    })
})
