/**
 * What a node says of a store that it does not reach.
 *
 * Owns: that it is one line when it begins, one a minute while it lasts, and one when it is over; and that what Effect
 * Cluster writes of the same at each of its tries, with its stacks, is not written.
 * Does not decide: whether the store is away (whoever asks it), or what follows (Lease).
 */
import { Effect, Layer, Logger } from "effect"
import { formatTimestamp, type Millis } from "../signal/Text.ts"
import { LEASE_MS } from "./Timing.ts"

const TOLD_EVERY_MS: Millis = 60_000

export class Outage {
  #since: Millis | undefined
  #toldAt = Number.NEGATIVE_INFINITY
  /** Whether its beginning was told: a store that comes and goes is told of once a minute, too. */
  #isTold = false

  /** It did not answer. What is to be said, if anything. */
  failed(why: string, now: Millis): string | undefined {
    const isNew = this.#since === undefined
    this.#since ??= now
    if (now - this.#toldAt < TOLD_EVERY_MS) return undefined
    this.#toldAt = now
    this.#isTold = true
    return isNew
      ? `The store cannot be reached (${why}): unless it is back within ${LEASE_MS / 1000} s nobody has this node's tenants, nothing is admitted and nothing recorded; what was acknowledged is in it`
      : `The store cannot be reached since ${formatTimestamp(this.#since)} (${why}); it is tried again all the time`
  }

  /** It answered. What is to be said, if anything. */
  answered(now: Millis): string | undefined {
    const since = this.#since
    this.#since = undefined
    if (since === undefined || !this.#isTold) return undefined
    this.#isTold = false
    return `The store is back after ${((now - since) / 1000).toFixed(1)} s`
  }
}

/** Effect Cluster's own words for it, from its tries every two seconds and less. */
const SAID_BY_OTHERS: ReadonlySet<unknown> = new Set([
  "Could not acquire/release shards",
  "Could not release shards, retrying",
  "Shard lock storage is unhealthy",
  "Shard lock storage is still unhealthy",
  "Shard lock storage has recovered"
])

const textOf = (message: unknown): unknown => (Array.isArray(message) ? message[0] : message)

/** The loggers that there are, without these. */
export const withoutTries: Layer.Layer<never> = Layer.effect(
  Logger.CurrentLoggers,
  Effect.map(
    Effect.service(Logger.CurrentLoggers),
    (loggers) =>
      new Set(
        Array.from(loggers, (logger) =>
          Logger.make((entry) => {
            if (!SAID_BY_OTHERS.has(textOf(entry.message))) logger.log(entry)
          })
        )
      )
  )
)
