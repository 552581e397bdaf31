/**
 * Which durable machines have to be in memory, and how many there are, on Postgres.
 *
 * Owns: the queries, each of which reads what it answers and no more: machines that have ended, or wait for a signal, cost
 * nothing.
 * Does not decide: who looks, or when (actor/DurableMachines).
 */
import { PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { MachineLooking, MachinePlace, MachineStoreUnreachable } from "../actor/MachineStore.ts"
import { textArray } from "./Columns.ts"
import { ENTRY_COLUMNS, entryFrom, type StoredMachine } from "./MachineColumns.ts"
import type { Rows } from "./MachineRewriting.ts"

/** In the order of their moments: so the next page begins where this one ended, in the index too. */
export const DUE = `SELECT tenant, address, kind, wakes_at FROM machine
WHERE wakes_at <= $2::timestamptz AND (wakes_at, address) > (coalesce($3::timestamptz, '-infinity'), $4::text)
AND kind = ANY($1::text[]) ORDER BY wakes_at, address LIMIT $5::int8`

/** From one address that owes something to the next, however much each owes. */
export const OWING = `WITH RECURSIVE owing AS (
  (SELECT address, 1 AS place FROM machine_outbox WHERE address > $2::text ORDER BY address LIMIT 1)
  UNION ALL
  SELECT (SELECT o.address FROM machine_outbox o WHERE o.address > owing.address ORDER BY o.address LIMIT 1), place + 1
  FROM owing WHERE owing.address IS NOT NULL AND place < $3::int8
)
SELECT owing.address, m.tenant, m.kind FROM owing
LEFT JOIN machine m ON m.address = owing.address AND m.kind = ANY($1::text[])
WHERE owing.address IS NOT NULL ORDER BY owing.address`

export const OPEN_COUNT =
  "SELECT count(*) AS open FROM machine WHERE tenant = $1 AND kind = $2 AND ended_at IS NULL"

export const OPEN = `SELECT ${ENTRY_COLUMNS} FROM machine WHERE kind = $1 AND tenant = $2 AND address > $3::text
AND ended_at IS NULL ORDER BY address LIMIT $4::int8`

/** From one tenant to the next, however many of the kind each has. */
export const OPEN_TENANTS = `WITH RECURSIVE open AS (
  (SELECT tenant, 1 AS place FROM machine WHERE kind = $1 AND tenant > $2::text AND ended_at IS NULL ORDER BY tenant LIMIT 1)
  UNION ALL
  SELECT (SELECT m.tenant FROM machine m WHERE m.kind = $1 AND m.tenant > open.tenant AND m.ended_at IS NULL
    ORDER BY m.tenant LIMIT 1), place + 1
  FROM open WHERE open.tenant IS NOT NULL AND place < $3::int8
) SELECT tenant FROM open WHERE tenant IS NOT NULL ORDER BY tenant`

/** Of each the first that is found, however much it owes. */
export const OWING_TO = `SELECT a.address FROM unnest($2::text[]) AS a(address) CROSS JOIN LATERAL (
  SELECT 1 FROM machine_outbox o WHERE o.address = a.address AND o.receiver = $1 ORDER BY o.seq LIMIT 1) AS owed`

type Place = Pick<MachinePlace, "tenant" | "address" | "kind">

export const machineLooking = (rows: Rows): MachineLooking<MachineStoreUnreachable> => ({
  due: ({ kinds, now, after, limit }) =>
    Effect.map(
      rows<Place & { readonly wakes_at: Date }>(DUE, [
        textArray(kinds),
        PgTypes.timestamptz(now),
        PgTypes.timestamptz(after?.wakesAt ?? null),
        after?.address ?? "",
        BigInt(limit)
      ]),
      (found) => found.map(({ wakes_at, ...place }) => ({ ...place, wakesAt: wakes_at.getTime() }))
    ),
  owing: ({ kinds, after, limit }) =>
    Effect.map(
      rows<{ readonly address: string; readonly tenant: string | null; readonly kind: string }>(OWING, [
        textArray(kinds),
        after ?? "",
        BigInt(limit)
      ]),
      (found) => ({
        machines: found.flatMap(
          ({ address, tenant, kind }): ReadonlyArray<Place> =>
            tenant === null ? [] : [{ tenant, address, kind }]
        ),
        next: found.length === limit ? (found.at(-1)?.address ?? null) : null
      })
    ),
  owingTo: (receiver, addresses) =>
    Effect.map(rows<{ readonly address: string }>(OWING_TO, [receiver, textArray(addresses)]), (found) =>
      found.map(({ address }) => address)
    ),
  open: ({ kind, tenant, after, limit }) =>
    Effect.map(rows<Omit<StoredMachine, "snapshot">>(OPEN, [kind, tenant, after, BigInt(limit)]), (found) =>
      found.map(entryFrom)
    ),
  openTenants: ({ kind, after, limit }) =>
    Effect.map(rows<{ readonly tenant: string }>(OPEN_TENANTS, [kind, after, BigInt(limit)]), (found) =>
      found.map(({ tenant }) => tenant)
    ),
  openCount: (tenant, kind) =>
    Effect.map(rows<{ readonly open: bigint }>(OPEN_COUNT, [tenant, kind]), ([row]) => Number(row?.open ?? 0))
})
