/**
 * What a durable machine's steps change, as one statement.
 *
 * Owns: its text and its parameters. The statement is its own transaction: the machine's row is updated first, where it
 * still belongs to the claim and is still at the revision that the steps build on, and everything else is written FROM
 * that row. Where it is not, nothing is.
 * Does not decide: what a failure means (SqlFailures).
 */
import { PgTypes } from "@effect/sql-pg"
import type { MachineClaim, MachineCommit } from "../actor/MachineStore.ts"
import { int8Array, isStorable, type Parameter, textArray, Unencodable } from "./Columns.ts"

const UPDATE = `m AS (UPDATE machine SET revision = $5, commit_id = $6, status = $7, state = $8, reason = $9, about = $10,
version = $11, snapshot = $12, wakes_at = $13, updated_at = $14,
ended_at = CASE WHEN $7 IN ('done', 'failed') THEN $14::timestamptz END,
created_at = CASE WHEN revision = 0 THEN $14 ELSE created_at END
WHERE address = $1 AND owner = $2 AND epoch = $3 AND revision = $4 RETURNING tenant, address)`

const count = (value: number): bigint => {
  if (!Number.isSafeInteger(value)) throw new Unencodable(`${value} is not a safe integer`)
  return BigInt(value)
}

const storable = (text: string): string => {
  if (!isStorable(text)) throw new Unencodable("a text has U+0000 or a lone surrogate")
  return text
}

const headOf = (claim: MachineClaim, commit: MachineCommit): Array<Parameter> => [
  claim.address,
  claim.owner,
  count(claim.epoch),
  count(commit.revision),
  count(commit.nextRevision),
  commit.id,
  commit.status,
  storable(commit.state),
  commit.reason === null ? null : storable(commit.reason),
  JSON.stringify(commit.about),
  commit.version,
  commit.snapshot,
  PgTypes.timestamptz(commit.wakesAt),
  PgTypes.timestamptz(commit.at)
]

/** One statement, and its parameters in order. Answers one row: how many machines it wrote (`heads`). */
export const machineStatement = (
  claim: MachineClaim,
  commit: MachineCommit
): { readonly text: string; readonly parameters: ReadonlyArray<Parameter> } => {
  const parameters = headOf(claim, commit)
  const parts = [UPDATE]
  const next = (...values: ReadonlyArray<Parameter>): number => {
    parameters.push(...values)
    return parameters.length - values.length + 1
  }
  const { outgoing, seen, forgotten, facts } = commit
  if (outgoing.length > 0) {
    const at = next(
      int8Array(outgoing.map(({ seq }) => seq)),
      textArray(outgoing.map(({ to }) => storable(to))),
      textArray(outgoing.map(({ signal }) => signal)),
      textArray(outgoing.map(({ params }) => JSON.stringify(params))),
      textArray(outgoing.map(({ traceparent }) => traceparent ?? ""))
    )
    parts.push(`outbox AS (INSERT INTO machine_outbox (address, seq, receiver, signal, params, traceparent)
SELECT m.address, x.seq, x.receiver, x.signal, x.params, nullif(x.trace, '') FROM m, unnest(
  $${at}::int8[], $${at + 1}::text[], $${at + 2}::text[], $${at + 3}::text[], $${at + 4}::text[]
) AS x(seq, receiver, signal, params, trace))`)
  }
  if (forgotten.length > 0) {
    const at = next(textArray(forgotten))
    parts.push(`forgotten AS (DELETE FROM machine_seen s USING m
WHERE s.address = m.address AND s.id = ANY($${at}::text[]))`)
  }
  if (seen.length > 0) {
    const at = next(
      textArray(seen.map(({ id }) => storable(id))),
      int8Array(seen.map(({ mark }) => mark)),
      textArray(seen.map(({ digest }) => digest ?? ""))
    )
    parts.push(`seen AS (INSERT INTO machine_seen (address, id, mark, digest, revision, place)
SELECT m.address, x.id, x.mark, nullif(x.digest, ''), $5, x.place
FROM m, unnest($${at}::text[], $${at + 1}::int8[], $${at + 2}::text[]) WITH ORDINALITY AS x(id, mark, digest, place)
ON CONFLICT (address, id) DO UPDATE SET
  mark = excluded.mark, digest = excluded.digest, revision = excluded.revision, place = excluded.place)`)
  }
  if (facts.length > 0) {
    const at = next(
      BigInt(facts.length),
      textArray(facts.map(({ kind }) => storable(kind))),
      textArray(facts.map(({ body }) => JSON.stringify(body)))
    )
    parts.push(`feed AS (UPDATE machine_feed f SET last_seq = f.last_seq + $${at}::int8 FROM m
WHERE f.tenant = m.tenant RETURNING f.tenant, f.last_seq - $${at}::int8 AS base)`)
    parts.push(`facts AS (INSERT INTO machine_fact (tenant, seq, address, kind, body, at)
SELECT feed.tenant, feed.base + x.place, $1, x.kind, x.body, $14
FROM feed, unnest($${at + 1}::text[], $${at + 2}::text[]) WITH ORDINALITY AS x(kind, body, place))`)
  }
  return { text: `WITH ${parts.join(",\n")} SELECT count(*) AS heads FROM m`, parameters }
}
