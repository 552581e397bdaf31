/**
 * Refusals on Postgres.
 *
 * Owns: that a tenant's are bounded, that those which are gone are counted, and that the same refusals are one row.
 * Does not decide: which are the same (tokens/RefusedCall), or when they are written (tokens/RefusalKeeper).
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schema } from "effect"
import { RefusedRequest } from "../signal/KeptRefusals.ts"
import {
  hourOf,
  type KeptRefusal,
  type NewRefusal,
  REFUSALS_KEPT,
  RefusalStore
} from "../tokens/RefusalStore.ts"
import { int8Column, textColumn, timeColumn } from "./Columns.ts"
import { orUnavailable } from "./Unavailable.ts"

/**
 * One statement: what is there already is counted on; the others get the tenant's next numbers, and the oldest go. Two
 * processes that write the same one at the same moment: one of them fails, and sends it again.
 */
const ADD = `WITH given AS (
  SELECT * FROM unnest($3::text[], $4::text[], $5::int8[], $6::timestamptz[], $7::timestamptz[], $8::int8[], $9::text[],
    $10::text[], $11::text[])
  WITH ORDINALITY AS g(request_id, digest, hour, first_at, last_at, count, attribution, budget_ids, request, place)
), again AS (
  UPDATE refusal r SET first_at = least(r.first_at, g.first_at), last_at = greatest(r.last_at, g.last_at),
    count = r.count + g.count, attribution = g.attribution::jsonb, budget_ids = g.budget_ids::jsonb, request = g.request
  FROM given g
  WHERE r.tenant = $1 AND r.request_id = g.request_id AND r.digest = g.digest AND r.hour = g.hour
  RETURNING g.place
), fresh AS (
  SELECT g.*, row_number() OVER (ORDER BY g.place) AS number, count(*) OVER () AS all_fresh
  FROM given g WHERE g.place NOT IN (SELECT place FROM again)
), head AS (
  INSERT INTO refusal_head AS h (tenant, last_seq, lost) VALUES ($1, (SELECT count(*) FROM fresh), $2::int8)
  ON CONFLICT (tenant) DO UPDATE SET last_seq = h.last_seq + excluded.last_seq, lost = h.lost + excluded.lost
  RETURNING last_seq
), gone AS (
  DELETE FROM refusal r USING head WHERE r.tenant = $1 AND r.seq <= head.last_seq - ${REFUSALS_KEPT}
)
INSERT INTO refusal (tenant, seq, request_id, digest, hour, first_at, last_at, count, attribution, budget_ids, request)
SELECT $1, head.last_seq - f.all_fresh + f.number, f.request_id, f.digest, f.hour, f.first_at, f.last_at, f.count,
  f.attribution::jsonb, f.budget_ids::jsonb, f.request
FROM head, fresh f`

const PAGE = `SELECT seq, digest, (extract(epoch FROM first_at) * 1000)::int8 AS first_ms,
  (extract(epoch FROM last_at) * 1000)::int8 AS last_ms, count, request
FROM refusal
WHERE tenant = $1 AND ($2::int8 IS NULL OR seq < $2) AND ($3::text IS NULL OR request_id = $3)
AND ($4::text IS NULL OR budget_ids @> to_jsonb($4::text))
AND ($5::timestamptz IS NULL OR last_at >= $5::timestamptz)
AND ($6::timestamptz IS NULL OR first_at < $6::timestamptz)
AND ($7::text IS NULL OR attribution @> $7::jsonb)
ORDER BY seq DESC LIMIT $8::int8`

const DROPPED = `SELECT h.last_seq - h.cleaned + h.lost - (SELECT count(*) FROM refusal WHERE tenant = $1) AS dropped
FROM refusal_head h WHERE h.tenant = $1`

const REWRITE = `UPDATE refusal r SET attribution = g.attribution::jsonb, request = g.request
FROM unnest($2::int8[], $3::text[], $4::text[]) AS g(seq, attribution, request)
WHERE r.tenant = $1 AND r.seq = g.seq`

const COUNT_OLD = `SELECT count(*) AS old FROM refusal
WHERE tenant = $1 AND last_at < $2::timestamptz`

const REMOVE_OLD = `WITH gone AS (
  DELETE FROM refusal WHERE tenant = $1 AND last_at < $2::timestamptz RETURNING 1
)
UPDATE refusal_head SET cleaned = cleaned + (SELECT count(*) FROM gone) WHERE tenant = $1
RETURNING (SELECT count(*) FROM gone) AS old`

interface Stored {
  readonly seq: bigint
  readonly digest: string
  readonly first_ms: bigint
  readonly last_ms: bigint
  readonly count: bigint
  readonly request: string
}

const encodeRequest = Schema.encodeSync(RefusedRequest)
const decodeRequest = Schema.decodeUnknownSync(RefusedRequest)

const refusalFrom = ({ seq, digest, first_ms, last_ms, count, request }: Stored): KeptRefusal => ({
  seq: Number(seq),
  digest,
  firstAt: Number(first_ms),
  lastAt: Number(last_ms),
  count: Number(count),
  request: decodeRequest(JSON.parse(request))
})

const attributions = (refusals: ReadonlyArray<Pick<NewRefusal, "request">>) =>
  textColumn(refusals.map(({ request }) => JSON.stringify(request.attribution))).all

const requests = (refusals: ReadonlyArray<Pick<NewRefusal, "request">>) =>
  textColumn(refusals.map(({ request }) => JSON.stringify(encodeRequest(request)))).all

const budgetIdsOf = ({ request }: NewRefusal): string =>
  JSON.stringify(request.violations.map(({ budget_id }) => budget_id))

const valuesOf = (refusals: ReadonlyArray<NewRefusal>) => [
  textColumn(refusals.map(({ request }) => request.request_id)).all,
  textColumn(refusals.map(({ digest }) => digest)).all,
  int8Column(refusals.map(({ firstAt }) => hourOf(firstAt))).all,
  timeColumn(refusals.map(({ firstAt }) => firstAt)).all,
  timeColumn(refusals.map(({ lastAt }) => lastAt)).all,
  int8Column(refusals.map(({ count }) => count)).all,
  attributions(refusals),
  textColumn(refusals.map(budgetIdsOf)).all,
  requests(refusals)
]

const make = Effect.map(PgClient.PgClient, (sql) => {
  const counted = (statement: string, tenant: string, before: number) =>
    orUnavailable(
      Effect.map(
        sql.unsafe<{ readonly old: bigint }>(statement, [tenant, timeColumn([before]).one]),
        ([row]) => Number(row?.old ?? 0n)
      )
    )
  return RefusalStore.of({
    add: (tenant, refusals, lost) =>
      orUnavailable(Effect.asVoid(sql.unsafe(ADD, [tenant, BigInt(lost), ...valuesOf(refusals)]))),
    page: (tenant, { before, requestId, budgetId, from, to, attribution = {}, limit }) =>
      orUnavailable(
        Effect.gen(function* () {
          const rows = yield* sql.unsafe<Stored>(PAGE, [
            tenant,
            before === undefined ? null : BigInt(before),
            requestId ?? null,
            budgetId ?? null,
            timeColumn([from ?? null]).one,
            timeColumn([to ?? null]).one,
            Object.keys(attribution).length === 0 ? null : JSON.stringify(attribution),
            BigInt(limit)
          ])
          const [head] = yield* sql.unsafe<{ readonly dropped: bigint }>(DROPPED, [tenant])
          return { refusals: rows.map(refusalFrom), dropped: Number(head?.dropped ?? 0n) }
        })
      ),
    rewrite: (tenant, refusals) =>
      orUnavailable(
        Effect.asVoid(
          sql.unsafe(REWRITE, [
            tenant,
            int8Column(refusals.map(({ seq }) => seq)).all,
            attributions(refusals),
            requests(refusals)
          ])
        )
      ),
    countOld: (tenant, before) => counted(COUNT_OLD, tenant, before),
    removeOld: (tenant, before) => counted(REMOVE_OLD, tenant, before)
  })
})

export const refusalStoreLayer = Layer.effect(RefusalStore, make)
