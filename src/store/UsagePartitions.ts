/**
 * The months that usage rows are kept in.
 *
 * Owns: making them ahead of time, without ever being in the way of a commit.
 * Does not decide: when old months go.
 *
 * A row whose month is not there goes to the DEFAULT partition, so no commit depends on this. When the month is
 * made, such rows move into it in one transaction. A month is made beside the table and then attached, because
 * that lets commits go on. It gives up soon when it would have to wait for a long report, and is tried again.
 */
import { Clock, Effect, Layer, Schedule } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import type { Millis } from "../signal/Text.ts"

/** Months that are there beforehand, besides the current one. */
const MONTHS_AHEAD = 2

interface Month {
  readonly name: string
  readonly from: string
  readonly to: string
}

const monthOf = (at: Millis, ahead: number): Month => {
  const date = new Date(at)
  const first = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + ahead, 1))
  const next = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 1))
  const from = first.toISOString()
  return { name: `usage_${from.slice(0, 7).replace("-", "_")}`, from, to: next.toISOString() }
}

const exists = (sql: SqlClient.SqlClient, month: Month) =>
  Effect.map(
    sql<{ found: boolean }>`SELECT to_regclass(${month.name}) IS NOT NULL AS found`,
    ([row]) => row?.found === true
  )

/** Makes one month. The names and times in the text are made above; nothing of a caller is in them. */
const makeMonth = (sql: SqlClient.SqlClient, { name, from, to }: Month) =>
  sql.withTransaction(
    Effect.gen(function* () {
      yield* sql.unsafe("SET LOCAL lock_timeout = '2s'").unprepared
      yield* sql.unsafe("SET LOCAL statement_timeout = '10min'").unprepared
      yield* sql.unsafe(`CREATE TABLE ${name} (LIKE usage INCLUDING ALL)`).unprepared
      yield* sql.unsafe(
        `WITH moved AS (
          DELETE FROM usage_default WHERE recorded_at >= '${from}' AND recorded_at < '${to}' RETURNING *
        ) INSERT INTO ${name} SELECT * FROM moved`
      ).unprepared
      yield* sql.unsafe(`ALTER TABLE usage ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}')`)
        .unprepared
    })
  )

/** Makes this month and the next ones, where they are missing. */
export const ensureMonths: Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient> = Effect.gen(
  function* () {
    const sql = yield* SqlClient.SqlClient
    const now = yield* Clock.currentTimeMillis
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) {
      const month = monthOf(now, ahead)
      if (yield* exists(sql, month)) continue
      yield* makeMonth(sql, month).pipe(
        // Another process may have made it meanwhile.
        Effect.catch((error) =>
          Effect.flatMap(exists(sql, month), (isThere) => (isThere ? Effect.void : Effect.fail(error)))
        )
      )
    }
  }
)

/** Looks once a day. A failure is logged: the rows are safe in the DEFAULT partition. */
export const monthsAheadLayer = Layer.effectDiscard(
  ensureMonths.pipe(
    Effect.catch((error) => Effect.logWarning("the next months of usage could not be made yet", error)),
    Effect.catchDefect((defect) =>
      Effect.logWarning("the next months of usage could not be made yet", defect)
    ),
    Effect.repeat(Schedule.spaced("1 day")),
    Effect.forkScoped
  )
)
