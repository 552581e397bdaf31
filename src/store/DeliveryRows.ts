/**
 * Recipients of alerts, and what is owed to them, as rows.
 *
 * Owns: their columns, there and back. Does not decide: who is told (tokens/), or when (alerts/).
 */
import type { RaisedAlert, RecipientRow } from "../tokens/LedgerStore.ts"
import { type Columns, int8Column, textColumn, timeColumn } from "./Columns.ts"

export const RECIPIENT_COLUMNS: Columns = [
  ["recipient_id", "text"],
  ["kind", "text"],
  ["target", "text"],
  ["secret", "text"]
]

export const recipientValues = (rows: ReadonlyArray<RecipientRow>) => [
  textColumn(rows.map((row) => row.id)),
  textColumn(rows.map((row) => row.kind)),
  textColumn(rows.map((row) => row.target)),
  textColumn(rows.map((row) => row.secret))
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
  ["recipient_id", "text"],
  ["alert_seq", "int8"],
  ["due_at", "timestamptz"]
]

/** A row for each alert and recipient: due at once. */
export const deliveryValues = (alerts: ReadonlyArray<RaisedAlert>) => {
  const rows = alerts.flatMap(({ seq, alert, recipients }) =>
    recipients.map((recipient) => ({ recipient, seq, dueAt: alert.at }))
  )
  return [
    textColumn(rows.map((row) => row.recipient)),
    int8Column(rows.map((row) => row.seq)),
    timeColumn(rows.map((row) => row.dueAt))
  ]
}
