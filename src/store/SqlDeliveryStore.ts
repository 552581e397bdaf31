/**
 * Alerts that are owed to somebody, on Postgres.
 *
 * Owns: that two processes never take the same delivery, and that no transaction is open while one is delivered.
 * Does not decide: when a delivery is tried again, or given up (alerts/).
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { ALERTS_ADDRESS } from "../alerts/AlertLetter.ts"
import {
  type Claimed,
  type ClaimQuery,
  type Delivery,
  DeliveryStore,
  type DueQuery,
  type Lane
} from "../alerts/DeliveryStore.ts"
import type { Alert } from "../signal/Budget.ts"
import { isStorable, textArray } from "./Columns.ts"
import { LETTER_COLUMNS, letterNumbers, letterValues } from "./SqlDeadLetters.ts"
import { orUnavailable } from "./Unavailable.ts"

/** Recipients of a kind ($1), but for those at work ($2, $3). */
const FREE = `r.kind = $1 AND NOT EXISTS (SELECT 1 FROM unnest($2::text[], $3::text[]) AS busy(tenant, recipient_id)
WHERE busy.tenant = r.tenant AND busy.recipient_id = r.recipient_id)`

/**
 * What is due first at each recipient, looked up by index, row by row: the cost grows with the recipients and not
 * with what waits. A row that somebody else is taking at this moment is passed over.
 */
const CLAIM = `WITH due AS (
  SELECT d.tenant, d.recipient_id, d.alert_seq, r.target, r.secret
  FROM alert_recipient r CROSS JOIN LATERAL (
    SELECT tenant, recipient_id, alert_seq FROM alert_delivery
    WHERE tenant = r.tenant AND recipient_id = r.recipient_id AND due_at <= $4
    ORDER BY due_at, alert_seq LIMIT 1 FOR UPDATE SKIP LOCKED
  ) d
  WHERE ${FREE} ORDER BY random() LIMIT $5::int8
)
UPDATE alert_delivery d SET due_at = $6, attempts = d.attempts + 1, claim = $7
FROM due, alert a
WHERE d.tenant = due.tenant AND d.recipient_id = due.recipient_id AND d.alert_seq = due.alert_seq
AND a.tenant = d.tenant AND a.alert_seq = d.alert_seq
RETURNING d.tenant, d.recipient_id, d.alert_seq, d.attempts, due.target, due.secret, a.alert`

const NEXT_DUE = `SELECT min(d.due_at) AS at FROM alert_recipient r CROSS JOIN LATERAL (
  SELECT due_at FROM alert_delivery
  WHERE tenant = r.tenant AND recipient_id = r.recipient_id ORDER BY due_at LIMIT 1
) d WHERE ${FREE}`

/** The row, as long as it is still this claim's. */
const MINE = "WHERE tenant = $1 AND recipient_id = $2 AND alert_seq = $3 AND claim = $4"

const DROP_ORPHANS = `WITH gone AS (
  DELETE FROM alert_delivery d WHERE NOT EXISTS (
    SELECT 1 FROM alert_recipient r WHERE r.tenant = d.tenant AND r.recipient_id = d.recipient_id
  ) RETURNING d.tenant, d.recipient_id
) SELECT tenant, recipient_id, count(*) AS dropped FROM gone GROUP BY tenant, recipient_id`

const COUNTS = `SELECT (SELECT count(*) FROM alert_delivery WHERE tenant = $1) AS pending,
(SELECT count(*) FROM dead_letter WHERE tenant = $1 AND address = '${ALERTS_ADDRESS}') AS dead`

/** One statement: it is not owed any more, and it is a dead letter. */
const GIVE_UP = `WITH mine AS (DELETE FROM alert_delivery ${MINE} RETURNING tenant), ${letterNumbers("mine", "1", "0")}
INSERT INTO dead_letter (${LETTER_COLUMNS})
SELECT head.tenant, head.last_seq, $5::timestamptz, $6, $7, $8, $9, $10, $11 FROM head`

const OWE_AGAIN = `INSERT INTO alert_delivery AS d (tenant, recipient_id, alert_seq, due_at)
SELECT r.tenant, r.recipient_id, a.alert_seq, $4 FROM alert_recipient r JOIN alert a USING (tenant)
WHERE r.tenant = $1 AND r.recipient_id = $2 AND a.alert_seq = $3
ON CONFLICT (tenant, recipient_id, alert_seq) DO UPDATE SET due_at = d.due_at RETURNING tenant`

interface StoredDelivery {
  readonly tenant: string
  readonly recipient_id: string
  readonly alert_seq: bigint
  readonly attempts: number
  readonly target: string
  readonly secret: string | null
  readonly alert: Alert
}

const deliveryFrom = (row: StoredDelivery, { kind, claim }: ClaimQuery): Delivery => ({
  tenant: row.tenant,
  recipientId: row.recipient_id,
  seq: Number(row.alert_seq),
  claim,
  alert: row.alert,
  attempt: row.attempts,
  kind,
  target: row.target,
  secret: row.secret
})

const freeOf = ({ kind, busy }: DueQuery): ReadonlyArray<unknown> => [
  kind,
  textArray(busy.map((lane) => lane.tenant)),
  textArray(busy.map((lane) => lane.recipientId))
]

const mineOf = ({ tenant, recipientId, seq, claim }: Claimed): ReadonlyArray<unknown> => [
  tenant,
  recipientId,
  BigInt(seq),
  claim
]

const laneFrom = (row: { readonly tenant: string; readonly recipient_id: string }): Lane => ({
  tenant: row.tenant,
  recipientId: row.recipient_id
})

const make = Effect.map(PgClient.PgClient, (sql) => {
  const rows = <Row extends object>(statement: string, parameters: ReadonlyArray<unknown> = []) =>
    orUnavailable(sql.unsafe<Row>(statement, parameters))
  const change = (statement: string, claimed: Claimed, ...more: ReadonlyArray<unknown>) =>
    Effect.asVoid(rows(statement, [...mineOf(claimed), ...more]))

  return DeliveryStore.of({
    claimDue: (query) =>
      Effect.map(
        rows<StoredDelivery>(CLAIM, [
          ...freeOf(query),
          PgTypes.timestamptz(query.now),
          BigInt(query.limit),
          PgTypes.timestamptz(query.leaseUntil),
          query.claim
        ]),
        (due) => due.map((row) => deliveryFrom(row, query))
      ),
    nextDueAt: (query) =>
      Effect.map(rows<{ readonly at: Date | null }>(NEXT_DUE, freeOf(query)), ([row]) => row?.at?.getTime()),
    givenUp: (claimed, letter) => change(GIVE_UP, claimed, ...letterValues(letter)),
    owedAgain: ({ tenant, recipientId, seq }, now) =>
      Effect.map(
        rows(OWE_AGAIN, [tenant, recipientId, BigInt(seq), PgTypes.timestamptz(now)]),
        (owed) => owed.length > 0
      ),
    delivered: (claimed) => change(`DELETE FROM alert_delivery ${MINE}`, claimed),
    failed: (claimed, dueAt, failure) =>
      change(
        `UPDATE alert_delivery SET due_at = $5, failure = $6, claim = NULL ${MINE}`,
        claimed,
        PgTypes.timestamptz(dueAt),
        failure
      ),
    released: (claimed, now) =>
      change(
        `UPDATE alert_delivery SET due_at = $5, attempts = attempts - 1, claim = NULL ${MINE}`,
        claimed,
        PgTypes.timestamptz(now)
      ),
    dropOrphans: Effect.map(
      rows<{ readonly tenant: string; readonly recipient_id: string; readonly dropped: bigint }>(
        DROP_ORPHANS
      ),
      (gone) => gone.map((row) => ({ ...laneFrom(row), dropped: Number(row.dropped) }))
    ),
    counts: (tenant) =>
      isStorable(tenant)
        ? Effect.map(
            rows<{ readonly pending: bigint; readonly dead: bigint }>(COUNTS, [tenant]),
            ([row]) => ({ pending: Number(row?.pending ?? 0), deadLetters: Number(row?.dead ?? 0) })
          )
        : Effect.succeed({ pending: 0, deadLetters: 0 })
  })
})

export const deliveryStoreLayer = Layer.effect(DeliveryStore, make)
