/**
 * How long an answer of the database is waited for.
 *
 * Owns: that a connection which is dead without a word keeps nobody waiting.
 * Does not decide: how long that is, or what is said then.
 */
import { type Duration, Effect, Fiber } from "effect"

/**
 * Waits no longer than `duration`. Ending a statement on a connection that is dead without a word takes the client
 * seconds of its own; that goes on behind.
 */
export const patiently = <A, E, E2>(
  effect: Effect.Effect<A, E>,
  duration: Duration.Input,
  orElse: () => Effect.Effect<never, E2>
): Effect.Effect<A, E | E2> =>
  Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) =>
    Fiber.join(fiber).pipe(
      Effect.timeoutOrElse({ duration, orElse }),
      Effect.ensuring(
        Effect.suspend(() =>
          fiber.pollUnsafe() === undefined ? Effect.forkDetach(Fiber.interrupt(fiber)) : Effect.void
        )
      )
    )
  )
