/**
 * Finished calls on Postgres.
 *
 * Owns: that a call that ended comes back exactly as it ended, whatever a model wrote.
 * Does not decide: when a call has ended (provider/).
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schema } from "effect"
import { type CallOutcome, CompletionLog, type FinishedCall } from "../provider/BudgetKeeper.ts"
import { ProviderFailed } from "../signal/Errors.ts"
import { Completion } from "../signal/Providers.ts"
import { isStorable } from "./Columns.ts"
import { orUnavailable } from "./Unavailable.ts"

/** As JSON text in a `json` column, which takes every escape; `jsonb` refuses U+0000, and models do write it. */
const Outcome = Schema.Union([
  Schema.Struct({ completion: Completion }),
  Schema.Struct({ error: ProviderFailed })
])
const OutcomeText = Schema.fromJsonString(Schema.toCodecJson(Outcome))
// Bounds belong to the door, not to the archive: what a call did end with is kept.
const encode = Schema.encodeEffect(OutcomeText, { disableChecks: true })
const decode = Schema.decodeUnknownEffect(OutcomeText, { disableChecks: true })

interface StoredCompletion {
  readonly digest: string
  readonly outcome: string
}

const make = Effect.map(PgClient.PgClient, (sql) => {
  const find = Effect.fnUntraced(function* (tenant: string, requestId: string) {
    if (!isStorable(requestId)) return undefined
    const [row] = yield* orUnavailable(
      sql.unsafe<StoredCompletion>(
        "SELECT digest, outcome::text AS outcome FROM completion WHERE tenant = $1 AND request_id = $2",
        [tenant, requestId]
      )
    )
    if (row === undefined) return undefined
    // We wrote it: if it cannot be read, that is a fault of ours, not the caller's.
    const outcome: CallOutcome = yield* Effect.orDie(decode(row.outcome))
    return { digest: row.digest, outcome }
  })

  /** The first end of a call is its end. */
  const save = Effect.fnUntraced(function* (tenant: string, requestId: string, finished: FinishedCall) {
    const outcome = yield* Effect.orDie(encode(finished.outcome))
    yield* orUnavailable(
      sql.unsafe(
        `INSERT INTO completion (tenant, request_id, digest, outcome) VALUES ($1, $2, $3, $4::json)
ON CONFLICT (tenant, request_id) DO NOTHING`,
        [tenant, requestId, finished.digest, outcome]
      )
    )
  })

  return CompletionLog.of({ find, save })
})

export const completionLogLayer = Layer.effect(CompletionLog, make)
