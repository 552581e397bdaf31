/**
 * How soon shards that could not be taken are tried again.
 *
 * Owns: the pause. Effect Cluster lets a second pass after it has tried to take shards, whether it got all of them or not;
 * so tenants of a node that comes or goes would wait for that second. The pause is not one of its settings, so it is
 * shortened where it is slept: this clock is the one of Effect Cluster's own fibers, and of nobody else's. What such a fiber
 * does for us (asking whether another node lives, connecting to it) has the node's own clock: a second of ours is a second.
 * Does not decide: who gets a shard (the store).
 */
import { type Clock, Duration } from "effect"
import type { Millis } from "../signal/Text.ts"

/** `Sharding` sleeps so long after it has tried to take shards, and nothing else of it does. */
const SHARDING_SLEEPS_MS: Millis = 1_000

/** The same clock, on which that pause is as long as `pauseMs` says. */
export const takingClock = (clock: Clock.Clock, pauseMs: () => Millis): Clock.Clock => ({
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: (duration) =>
    clock.sleep(Duration.toMillis(duration) === SHARDING_SLEEPS_MS ? Duration.millis(pauseMs()) : duration)
})
