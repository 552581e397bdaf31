/**
 * A defect, told to the client as an incident number and to the log in full.
 *
 * Owns: the link between the two. No stack and no SQL reaches the client.
 */
import { type Cause, Effect } from "effect"
import { InternalError } from "../signal/Errors.ts"

/** Logs the cause under a new incident number, and makes the error that carries the number. */
export const reportIncident = (what: string, cause: Cause.Cause<unknown>): Effect.Effect<InternalError> => {
  const incident = crypto.randomUUID()
  return Effect.logError(`${what} failed`, cause).pipe(
    Effect.annotateLogs({ incident }),
    Effect.as(
      new InternalError({
        message: `${what} failed inside the runtime; the log has the cause under incident ${incident}`,
        incident
      })
    )
  )
}
