/**
 * A trace as it travels: the header `traceparent` of W3C Trace Context, version 00.
 *
 * Owns: how it is read and written. What cannot be read is no trace, as the recommendation has it.
 */
import { Context, Effect, Tracer } from "effect"
import type { ParentSpan } from "./Tracing.ts"

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/u
const NOTHING = /^0+$/u

/** The caller's span, where the header names one. Later versions are read as far as they are like this one. */
export const readTraceparent = (
  header: string | ReadonlyArray<string> | undefined
): ParentSpan | undefined => {
  if (typeof header !== "string") return undefined
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(header.trim()) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined
  if (NOTHING.test(traceId) || NOTHING.test(spanId)) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

export const writeTraceparent = ({ traceId, spanId, sampled }: ParentSpan): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`

/** The trace around this fiber, to be sent along; absent where there is none. */
export const currentTraceparent: Effect.Effect<string | undefined> = Effect.withFiber((fiber) => {
  const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
  return Effect.succeed(span === undefined ? undefined : writeTraceparent(span))
})

/** Runs it as a part of a caller's trace. */
export const within = <A, E, R>(
  parent: ParentSpan | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  parent === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, parent)
