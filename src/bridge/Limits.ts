/**
 * How much one connection, one key and one tenant may ask of the bridge at once.
 *
 * Owns: the limits, their defaults, and counting against them. Whoever is past one is told so, never left waiting.
 */
import { Overloaded, Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"

export interface Limits {
  /** A frame, or a body. */
  readonly messageBytesMax: number
  /** Requests of one WebSocket that are not answered yet; over HTTP, of one key. */
  readonly inFlightMax: number
  readonly requestsPerSecondPerKey: number
  /** Requests of one key that may come at once, before the rate applies. */
  readonly requestBurstPerKey: number
  readonly connectionsPerTenantMax: number
  /** Subscriptions and streaming calls. */
  readonly subscriptionsPerTenantMax: number
  /** Events that wait for a slow reader of one subscription; past them comes one gap. */
  readonly eventBufferMax: number
  /** Bytes of answers that wait for a slow reader; past them its requests are no longer read. */
  readonly answerBacklogBytesMax: number
}

export const DEFAULT_LIMITS: Limits = {
  messageBytesMax: 1_048_576,
  inFlightMax: 256,
  requestsPerSecondPerKey: 20_000,
  requestBurstPerKey: 40_000,
  connectionsPerTenantMax: 1_000,
  subscriptionsPerTenantMax: 1_000,
  eventBufferMax: 1_024,
  answerBacklogBytesMax: 4_194_304
}

/** A bucket per key that fills at a steady rate: each request takes one token out of it. */
export interface RateLimiter {
  /** Takes `count` tokens and answers 0; or takes nothing and answers how many ms until it could. */
  readonly take: (key: string, count: number, now: Millis) => number
}

interface Bucket {
  tokens: number
  filledAt: Millis
}

/** What adding up fractions may have lost: far less than a token. */
const ROUNDING = 1e-6

/** Keys whose buckets are remembered; those that are full again are forgotten first. */
const BUCKETS_MAX = 10_000

export const makeRateLimiter = (perSecond: number, burst: number): RateLimiter => {
  const buckets = new Map<string, Bucket>()
  const fill = (bucket: Bucket, now: Millis) => {
    const gained = (Math.max(0, now - bucket.filledAt) * perSecond) / 1000
    bucket.tokens = Math.min(burst, bucket.tokens + gained)
    bucket.filledAt = now
  }
  const forgetFull = (now: Millis) => {
    for (const [key, bucket] of buckets) {
      fill(bucket, now)
      if (bucket.tokens >= burst) buckets.delete(key)
    }
  }
  const bucketOf = (key: string, now: Millis): Bucket => {
    const known = buckets.get(key)
    if (known !== undefined) return known
    if (buckets.size >= BUCKETS_MAX) forgetFull(now)
    const fresh = { tokens: burst, filledAt: now }
    buckets.set(key, fresh)
    return fresh
  }
  return {
    take: (key, count, now) => {
      const bucket = bucketOf(key, now)
      fill(bucket, now)
      if (bucket.tokens + ROUNDING >= count) {
        bucket.tokens -= count
        return 0
      }
      return Math.max(1, Math.ceil(((count - bucket.tokens) * 1000) / perSecond - ROUNDING))
    }
  }
}

/** Counts what is open per name, up to a limit. */
export interface Tally {
  /** Counts one more of `name`, or answers `false`. */
  readonly enter: (name: string) => boolean
  readonly leave: (name: string) => void
  readonly total: () => number
}

export const makeTally = (max: number): Tally => {
  const counts = new Map<string, number>()
  let total = 0
  return {
    enter: (name) => {
      const count = counts.get(name) ?? 0
      if (count >= max) return false
      counts.set(name, count + 1)
      total++
      return true
    },
    leave: (name) => {
      const count = counts.get(name) ?? 0
      if (count > 1) counts.set(name, count - 1)
      else counts.delete(name)
      total--
    },
    total: () => total
  }
}

const RETRY_SOON_MS = 100
const RETRY_LATER_MS = 1000

export const tooManyInFlight = (max: number) =>
  new Overloaded({
    message: `${max} requests are not answered yet: wait for answers before sending more`,
    retry_after_ms: RETRY_SOON_MS
  })

export const tooFast = (limits: Limits, retryAfterMs: Millis) =>
  new Overloaded({
    message: `This key may send ${limits.requestsPerSecondPerKey} requests per second: slow down`,
    retry_after_ms: retryAfterMs
  })

export const tooManySubscriptions = (max: number) =>
  new Overloaded({
    message: `This tenant has ${max} open subscriptions: close one first`,
    retry_after_ms: RETRY_LATER_MS
  })

export const tooManyConnections = (max: number) =>
  new Overloaded({
    message: `This tenant has ${max} open connections: close one first`,
    retry_after_ms: RETRY_LATER_MS
  })

/** Said from the first moment on, while what is in flight is still answered: whoever hears it need not wait for this server. */
export const goingAway = () =>
  new Unavailable({
    message: "This server is closing: send it again, to another node if there are several",
    retry_after_ms: RETRY_SOON_MS
  })
