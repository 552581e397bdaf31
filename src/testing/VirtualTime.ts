/**
 * Time that stands still until a test lets it pass.
 *
 * Owns: letting everything run that can run without time passing, and letting time pass.
 * Does not decide: what runs when. Effect's scheduler runs fibers one after the other, in the order in which they became
 * ready, or in one that is drawn from a seed (SeededScheduler); its TestClock wakes sleepers in the order of their moments, each with everything that it wakes in turn, before
 * the next. So the same test does the same in each run, as long as nothing in it waits for the outside world.
 */
import { Effect } from "effect"
import { TestClock } from "effect/testing"

/** More than the longest chain of hand-overs in a test: what one turn wakes runs in the next. */
const TURNS = 128

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Lets everything run that is ready, callbacks of promises included, until nothing is. No time passes. */
export const settle: Effect.Effect<void> = Effect.gen(function* () {
  for (let turns = 0; turns < TURNS; turns += 1) yield* turn
})

/** Lets so much time pass, and everything run that comes due. In steps, what a step wakes from outside Effect runs before the next. */
export const pass = (millis: number, stepMs = millis): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let passed = 0; passed < millis; passed += stepMs) {
      yield* settle
      yield* TestClock.adjust(Math.min(stepMs, millis - passed))
    }
    yield* settle
  })
