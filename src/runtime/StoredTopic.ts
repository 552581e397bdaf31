/**
 * A topic that lives in the store.
 *
 * Owns: where a subscription starts, and reading on without loss whenever something was committed; what was removed
 * before it was read is told as a gap.
 * Does not decide: what an event is, or who may see it (Topics, WorkflowsTopic).
 */
import { Effect, Stream } from "effect"
import { invalidParam, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { TopicEvent } from "../signal/SignalRouter.ts"
import type { Outbox } from "./Outbox.ts"

export const PAGE = 200

export const storeAway = (_: unknown): Unavailable =>
  new Unavailable({
    message: "The store cannot be reached; subscribe again from the last cursor",
    retry_after_ms: 1_000
  })

/** Where to start. A cursor from another store would wait in silence until this one has caught up with it. */
export const startAt = (
  from: number | undefined,
  lastSeq: Effect.Effect<number, unknown>
): Effect.Effect<number, SignalError> =>
  Effect.flatMap(Effect.mapError(lastSeq, storeAway), (last) =>
    from !== undefined && from > last
      ? Effect.fail(
          invalidParam(
            ["from_cursor"],
            `This cursor is ahead of all that is recorded here (${last}): is it from another store? Leave it out to start now`
          )
        )
      : Effect.succeed(from ?? last)
  )

/** What was read, and up to where something is no longer there to be read. */
export interface StoredPage<Row> {
  readonly rows: ReadonlyArray<Row>
  readonly removedTo?: number
}

/** A topic that lives in the store: reads what comes after the cursor, then waits for the next commit. */
export const stored = <Row>(options: {
  readonly from: number
  readonly outbox: Outbox
  readonly read: (after: number) => Effect.Effect<StoredPage<Row>, unknown>
  readonly seqOf: (row: Row) => number
  /** `undefined`: the row is not told. */
  readonly eventOf: (row: Row) => TopicEvent["event"] | undefined
  /** The newest number there is; where nothing matches, the next look starts there. */
  readonly newest: Effect.Effect<number, unknown>
  /** Looks without being woken, where others commit as well. */
  readonly lookEveryMs?: number
}): Stream.Stream<TopicEvent, SignalError> => {
  const { untilSomething } = options.outbox
  const waited =
    options.lookEveryMs === undefined
      ? untilSomething
      : Effect.race(untilSomething, Effect.sleep(options.lookEveryMs))
  let at = options.from
  let isBehind = true
  const next: Effect.Effect<ReadonlyArray<TopicEvent>, unknown> = Effect.gen(function* () {
    if (!isBehind) yield* waited
    const passing = options.outbox.takeNow()
    const newest = yield* options.newest
    const { rows, removedTo = 0 }: StoredPage<Row> = newest > at ? yield* options.read(at) : { rows: [] }
    isBehind = rows.length === PAGE
    const gap: ReadonlyArray<TopicEvent> =
      removedTo > at ? [{ cursor: String(removedTo), event: { gap: removedTo - at } }] : []
    const events = rows.flatMap((row): ReadonlyArray<TopicEvent> => {
      const event = options.eventOf(row)
      return event === undefined ? [] : [{ cursor: String(options.seqOf(row)), event }]
    })
    const last = rows.at(-1)
    // More may have been committed after `newest` was read, and these rows may have it already.
    const read = last === undefined ? Math.max(at, removedTo) : options.seqOf(last)
    at = isBehind ? read : Math.max(read, newest)
    return [...gap, ...events, ...passing.map((event) => ({ ...event, cursor: String(at) }))]
  })
  return Stream.flattenIterable(Stream.fromEffectRepeat(next)).pipe(Stream.mapError(storeAway))
}
