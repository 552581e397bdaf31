/**
 * What a statement of the smaller stores fails with: the signal error that a caller can act on.
 *
 * Owns: how long it may take, and the wording. Does not decide: when it is tried again.
 */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { Unavailable } from "../signal/Errors.ts"
import { unreachable } from "./SqlFailures.ts"

const RETRY_AFTER_MS = 1_000
const ANSWER_TIMEOUT = "10 seconds"

const unavailable = (why: string): Unavailable =>
  new Unavailable({ message: `The store cannot do this right now: ${why}`, retry_after_ms: RETRY_AFTER_MS })

export const orUnavailable = <A, R>(
  effect: Effect.Effect<A, SqlError.SqlError, R>
): Effect.Effect<A, Unavailable, R> =>
  effect.pipe(
    Effect.mapError((error) => unavailable(unreachable(error).message)),
    Effect.timeoutOrElse({
      duration: ANSWER_TIMEOUT,
      orElse: () => Effect.fail(unavailable("the database did not answer in time"))
    })
  )
