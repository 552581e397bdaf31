/**
 * Texts of durable machines written anew, on Postgres.
 *
 * Owns: how rows that mention something are found, some at a time, and the statement that takes a machine away from
 * whoever has it.
 * Does not decide: what is written (runtime/UserTraces).
 */
import { Effect } from "effect"
import type { FactText, MachineRewriting, MachineTexts, Mentioning } from "../actor/MachineRewriting.ts"
import type { MachineStatus, MachineStoreUnreachable } from "../actor/MachineStore.ts"
import { int8Array, textArray } from "./Columns.ts"

/** Asks the database, with the store's own patience. */
export type Rows = <Row extends object>(
  text: string,
  parameters: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, MachineStoreUnreachable>

const MENTIONING = `SELECT m.address, m.status, m.revision, m.reason, x.hit,
CASE WHEN x.hit THEN m.about END AS about, CASE WHEN x.hit THEN m.snapshot END AS snapshot
FROM (SELECT * FROM machine WHERE tenant = $1 AND address > $2 AND revision > 0 ORDER BY address LIMIT $4::int8) m,
LATERAL (SELECT position($3::text in m.snapshot) > 0 OR position($3::text in m.about) > 0 OR EXISTS (
  SELECT 1 FROM machine_outbox o WHERE o.address = m.address AND position($3::text in o.params) > 0
) AS hit) x ORDER BY m.address`

/** An owner that nobody is: an old one finds out, also one that asks how its last commit has ended. */
const REWRITE = `WITH m AS (
  UPDATE machine SET owner = '', epoch = epoch + 1, reason = $3, about = $4, snapshot = $5
  WHERE address = $1 AND revision = $2 RETURNING address
), o AS (
  UPDATE machine_outbox t SET params = x.params FROM m, unnest($6::int8[], $7::text[]) AS x(seq, params)
  WHERE t.address = m.address AND t.seq = x.seq
) SELECT count(*) AS heads FROM m`

const FACTS = `SELECT f.seq, CASE WHEN position($3::text in f.body) > 0 THEN f.body END AS body
FROM machine_fact f WHERE f.tenant = $1 AND f.seq > $2::int8 ORDER BY f.seq LIMIT $4::int8`

const REWRITE_FACTS = `UPDATE machine_fact t SET body = x.body FROM unnest($2::int8[], $3::text[]) AS x(seq, body)
WHERE t.tenant = $1 AND t.seq = x.seq`

const mentioning = (rows: Rows, { tenant, text, after, limit }: Mentioning<string>) =>
  Effect.gen(function* () {
    const read = yield* rows<{
      readonly address: string
      readonly status: MachineStatus
      readonly revision: bigint
      readonly reason: string | null
      readonly hit: boolean
      readonly about: string
      readonly snapshot: string
    }>(MENTIONING, [tenant, after, text, BigInt(limit)])
    const hits = read.filter(({ hit }) => hit)
    const outgoing = yield* rows<{
      readonly address: string
      readonly seq: bigint
      readonly params: string
    }>("SELECT address, seq, params FROM machine_outbox WHERE address = ANY($1::text[]) ORDER BY seq", [
      textArray(hits.map(({ address }) => address))
    ])
    const machines = hits.map(
      ({ hit: _, revision, status, ...row }): MachineTexts => ({
        ...row,
        hasEnded: status === "done" || status === "failed",
        revision: Number(revision),
        outgoing: outgoing
          .filter(({ address }) => address === row.address)
          .map(({ seq, params }) => ({ seq: Number(seq), params }))
      })
    )
    return { machines, next: read.length === limit ? (read.at(-1)?.address ?? null) : null }
  })

const rewrite = (rows: Rows, { address, revision, reason, about, snapshot, outgoing }: MachineTexts) =>
  Effect.map(
    rows<{ readonly heads: bigint }>(REWRITE, [
      address,
      BigInt(revision),
      reason,
      about,
      snapshot,
      int8Array(outgoing.map(({ seq }) => seq)),
      textArray(outgoing.map(({ params }) => params))
    ]),
    ([row]) => row?.heads === 1n
  )

export const machineRewriting = (rows: Rows): MachineRewriting<MachineStoreUnreachable> => ({
  mentioning: (query) => mentioning(rows, query),
  rewrite: (machine) => rewrite(rows, machine),
  factsMentioning: ({ tenant, text, after, limit }) =>
    Effect.map(
      rows<{ readonly seq: bigint; readonly body: string | null }>(FACTS, [
        tenant,
        BigInt(after),
        text,
        BigInt(limit)
      ]),
      (read) => ({
        facts: read.flatMap(
          ({ seq, body }): ReadonlyArray<FactText> => (body === null ? [] : [{ seq: Number(seq), body }])
        ),
        next: read.length === limit ? Number(read.at(-1)?.seq) : null
      })
    ),
  rewriteFacts: (tenant, facts) =>
    Effect.asVoid(
      rows(REWRITE_FACTS, [
        tenant,
        int8Array(facts.map(({ seq }) => seq)),
        textArray(facts.map(({ body }) => body))
      ])
    )
})
