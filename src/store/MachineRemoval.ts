/**
 * Durable machines that have ended, removed from Postgres.
 *
 * Owns: which rows go with a machine, and what stays of it: its address, so that nothing begins there anew.
 * Does not decide: what is old (tokens/Cleanup).
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { MachineRemoval, MachineStoreUnreachable } from "../actor/MachineStore.ts"
import { isStorable } from "./Columns.ts"
import type { Rows } from "./MachineRewriting.ts"

/** One that owes somebody a signal has not ended yet. What was never committed goes without a trace. */
const ENDED = `m.tenant = $1 AND m.ended_at < $2::timestamptz
AND NOT EXISTS (SELECT 1 FROM machine_outbox o WHERE o.address = m.address)`

const COUNT_ENDED = `SELECT count(*) AS ended FROM machine m WHERE ${ENDED} AND m.revision > 0`

export const REMOVE_ENDED = `WITH gone AS (
  DELETE FROM machine WHERE address IN (
    SELECT m.address FROM machine m WHERE ${ENDED} ORDER BY m.ended_at LIMIT $3::int8 FOR UPDATE SKIP LOCKED
  ) RETURNING address, revision
), seen AS (DELETE FROM machine_seen WHERE address = ANY(ARRAY(SELECT address FROM gone))),
removed AS (
  INSERT INTO machine_removed (address, tenant) SELECT address, $1 FROM gone WHERE revision > 0 ON CONFLICT DO NOTHING
) SELECT count(*) AS taken, count(*) FILTER (WHERE revision > 0) AS removed FROM gone`

/** All up to the last one that is old: what follows keeps its numbers without a gap. */
const REMOVE_OLD_FACTS = `WITH cut AS (
  SELECT max(seq) AS seq FROM machine_fact WHERE tenant = $1 AND at < $2::timestamptz
), feed AS (
  UPDATE machine_feed f SET removed_to = cut.seq FROM cut WHERE f.tenant = $1 AND cut.seq > f.removed_to
  RETURNING f.tenant, f.removed_to
) DELETE FROM machine_fact f USING feed WHERE f.tenant = feed.tenant AND f.seq <= feed.removed_to`

export const machineRemoval = (rows: Rows): MachineRemoval<MachineStoreUnreachable> => ({
  countEnded: (tenant, before) =>
    Effect.map(
      rows<{ readonly ended: bigint }>(COUNT_ENDED, [tenant, PgTypes.timestamptz(before)]),
      ([row]) => Number(row?.ended ?? 0)
    ),
  removeEnded: (tenant, before, limit) =>
    Effect.map(
      rows<{ readonly taken: bigint; readonly removed: bigint }>(REMOVE_ENDED, [
        tenant,
        PgTypes.timestamptz(before),
        BigInt(limit)
      ]),
      ([row]) => ({ removed: Number(row?.removed ?? 0), isMore: Number(row?.taken ?? 0) === limit })
    ),
  removeOldFacts: (tenant, before) =>
    Effect.asVoid(rows(REMOVE_OLD_FACTS, [tenant, PgTypes.timestamptz(before)])),
  wasRemoved: (address) =>
    isStorable(address)
      ? Effect.map(
          rows("SELECT 1 FROM machine_removed WHERE address = $1", [address]),
          (found) => found.length > 0
        )
      : Effect.succeed(false)
})
