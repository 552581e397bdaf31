/**
 * Recipients of alerts, and what is owed to them, as rows.
 *
 * Owns: their columns, there and back. Does not decide: who is told (tokens/), or when (alerts/).
 */
import type { PgTypes } from "@effect/sql-pg"
import type { RaisedAlert, RecipientRow } from "../tokens/LedgerStore.ts"
import { int8Array, textArray, timeArray } from "./Columns.ts"

type Columns = ReadonlyArray<readonly [name: string, array: string, value?: string]>
type Parameters = Array<PgTypes.Parameter | string>

export const RECIPIENT_COLUMNS: Columns = [
  ["recipient_id", "text[]"],
  ["kind", "text[]"],
  ["target", "text[]"],
  ["secret", "text[]"]
]

export const recipientParameters = (rows: ReadonlyArray<RecipientRow>): Parameters => [
  textArray(rows.map((row) => row.id)),
  textArray(rows.map((row) => row.kind)),
  textArray(rows.map((row) => row.target)),
  textArray(rows.map((row) => row.secret))
]

export interface StoredRecipient {
  readonly recipient_id: string
  readonly kind: RecipientRow["kind"]
  readonly target: string
  readonly secret: string | null
}

export const SELECT_RECIPIENTS =
  "SELECT recipient_id, kind, target, secret FROM alert_recipient WHERE tenant = $1 ORDER BY recipient_id"

export const recipientFrom = (row: StoredRecipient): RecipientRow => ({
  id: row.recipient_id,
  kind: row.kind,
  target: row.target,
  secret: row.secret
})

export const DELIVERY_COLUMNS: Columns = [
  ["recipient_id", "text[]"],
  ["alert_seq", "int8[]"],
  ["due_at", "timestamptz[]"]
]

/** A row for each alert and recipient: due at once. */
export const deliveryParameters = (alerts: ReadonlyArray<RaisedAlert>): Parameters => {
  const rows = alerts.flatMap(({ seq, alert, recipients }) =>
    recipients.map((recipient) => ({ recipient, seq, dueAt: alert.at }))
  )
  return [
    textArray(rows.map((row) => row.recipient)),
    int8Array(rows.map((row) => row.seq)),
    timeArray(rows.map((row) => row.dueAt))
  ]
}
