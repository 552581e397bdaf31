/**
 * A batch as one statement.
 *
 * Owns: its text and its parameters. The statement is its own transaction: the head row is updated first, where
 * it still belongs to this owner, and everything else is written FROM that row. Where it does not, nothing is.
 * Does not decide: what a failure means (SqlFailures).
 *
 * Only the parts that have rows are in the text, so there are few texts and each is prepared once.
 */
import { PgTypes } from "@effect/sql-pg"
import { formatAmount } from "../signal/Money.ts"
import type { Batch, Claim } from "../tokens/LedgerStore.ts"
import { AUDIT_COLUMNS, auditValues } from "./AuditRows.ts"
import {
  ALERT_COLUMNS,
  alertValues,
  BUDGET_COLUMNS,
  budgetValues,
  COMMAND_COLUMNS,
  commandValues,
  PERIOD_COLUMNS,
  PRICE_COLUMNS,
  periodValues,
  priceValues
} from "./BudgetRows.ts"
import { CLEANED_COLUMNS, CLEANED_GROW, cleanedValues } from "./CleanedRows.ts"
import {
  type Column,
  type Columns,
  int8Array,
  oneOf,
  type Parameter,
  rowsOf,
  textArray,
  Unencodable
} from "./Columns.ts"
import { DELIVERY_COLUMNS, deliveryValues, RECIPIENT_COLUMNS, recipientValues } from "./DeliveryRows.ts"
import { OVERRIDE_COLUMNS, overrideValues } from "./OverrideRows.ts"
import { RATE_COLUMNS, rateValues } from "./RateRows.ts"
import { pageOf, REQUEST_COLUMNS, requestValues } from "./RequestRows.ts"
import { UNPRICED_COLUMNS, unpricedValues } from "./UnpricedRows.ts"
import { USAGE_COLUMNS, usageValues } from "./UsageRows.ts"

export interface Statement {
  readonly text: string
  readonly parameters: ReadonlyArray<Parameter>
}

/** Collects parts of the statement with their parameters, numbered in order. */
class Parts {
  readonly texts: Array<string> = []
  readonly parameters: Array<Parameter> = []

  /** The place of a parameter that comes next. */
  parameter(value: Parameter): string {
    this.parameters.push(value)
    return `$${this.parameters.length}`
  }

  insert(table: string, columns: Columns, values: ReadonlyArray<Column>, onConflict = ""): void {
    const names = columns.map(([name]) => name).join(", ")
    const selected = columns.map(([name]) => `x.${name}`).join(", ")
    const rows = rowsOf(columns, values, this.parameters)
    this.texts.push(
      `${table}_in AS (INSERT INTO ${table} (tenant, ${names}) SELECT h.tenant, ${selected} FROM h, ${rows}${onConflict})`
    )
  }

  upsert(table: string, keys: number, columns: Columns, values: ReadonlyArray<Column>): void {
    const key = columns.slice(0, keys).map(([name]) => name)
    const changes = columns.slice(keys).map(([name]) => `${name} = excluded.${name}`)
    const onConflict = ` ON CONFLICT (tenant, ${key.join(", ")}) DO UPDATE SET ${changes.join(", ")}`
    this.insert(table, columns, values, onConflict)
  }
}

const count = (value: number): bigint => {
  if (!Number.isSafeInteger(value)) throw new Unencodable(`${value} is not a safe integer`)
  return BigInt(value)
}

const HEAD = `h AS (UPDATE tenant_head SET journal_seq = journal_seq + 1, batch_id = $5, usage_seq = $6,
alert_seq = $7, id_seq = $8, tracked = $9, tokens = $10::numeric, cost = $11::numeric`
const FENCE = "WHERE tenant = $1 AND owner = $2 AND epoch = $3 AND journal_seq = $4 RETURNING tenant)"

const headOf = (parts: Parts, claim: Claim, batch: Batch): void => {
  const { head, config } = batch
  parts.parameters.push(claim.tenant, claim.owner, count(claim.epoch), count(batch.journalSeq), batch.id)
  parts.parameters.push(count(head.usageSeq), count(head.alertSeq), count(head.idSeq), count(head.tracked))
  parts.parameters.push(formatAmount(head.tokens), formatAmount(head.cost))
  const changes = [HEAD]
  const last = batch.audit.at(-1)
  if (last !== undefined) {
    changes.push(`audit_seq = ${parts.parameter(count(last.seq))}::int8`)
    changes.push(`audit_hash = ${parts.parameter(last.hash)}`)
  }
  if (config !== undefined) changes.push(`config = ${parts.parameter(JSON.stringify(config))}::jsonb`)
  parts.texts.push(`${changes.join(", ")} ${FENCE}`)
}

/** Requests that ended a hold or recorded an attempt. One that is there already is found by its primary key. */
const addRequests = (parts: Parts, { journalSeq, newRequests, changedRequests }: Batch): void => {
  if (newRequests.length > 0) parts.insert("request", REQUEST_COLUMNS, requestValues(newRequests, journalSeq))
  if (changedRequests.length === 0) return
  const ids = parts.parameters.push(textArray(changedRequests.map((row) => row.requestId)))
  const changes = REQUEST_COLUMNS.slice(1).map(([name]) => `${name} = x.${name}`)
  const rows = rowsOf(REQUEST_COLUMNS, requestValues(changedRequests, journalSeq), parts.parameters)
  parts.texts.push(
    `request_up AS (UPDATE request q SET ${changes.join(", ")} FROM h, ${rows}
WHERE q.tenant = h.tenant AND q.request_id = x.request_id
AND q.tenant = $1 AND q.request_id = ${oneOf(ids, "text")} RETURNING 1)`
  )
}

/** The holds that are open now, as one page; and the pages that nothing open is in any more. */
const addPages = (parts: Parts, { journalSeq, openHolds, closedPages }: Batch): void => {
  if (openHolds.length > 0) {
    const seq = parts.parameter(count(journalSeq))
    const page = parts.parameter(pageOf(openHolds))
    parts.texts.push(
      `hold_page_in AS (INSERT INTO hold_page (tenant, journal_seq, holds)
SELECT h.tenant, ${seq}::int8, ${page}::text FROM h)`
    )
  }
  if (closedPages.length > 0) {
    const seqs = parts.parameters.push(int8Array(closedPages))
    parts.texts.push(
      `hold_page_del AS (DELETE FROM hold_page p USING h WHERE p.tenant = h.tenant
AND p.tenant = $1 AND p.journal_seq = ${oneOf(seqs, "int8")})`
    )
  }
}

/** What waits for a price from now on, and what does not any more. */
const addUnpriced = (parts: Parts, { unpriced: { added, removed } }: Batch): void => {
  if (added.length > 0) parts.insert("unpriced_usage", UNPRICED_COLUMNS, unpricedValues(added))
  if (removed.length === 0) return
  const rows = rowsOf(UNPRICED_COLUMNS, unpricedValues(removed), parts.parameters)
  parts.texts.push(
    `unpriced_usage_del AS (DELETE FROM unpriced_usage u USING h, ${rows} WHERE u.tenant = h.tenant AND u.tenant = $1
AND u.provider = x.provider AND u.model = x.model AND u.booked_at = x.booked_at AND u.usage_seq = x.usage_seq)`
  )
}

/** Alerts, and that they are owed to their recipients. */
const addAlerts = (parts: Parts, { alerts }: Batch): void => {
  if (alerts.length === 0) return
  parts.insert("alert", ALERT_COLUMNS, alertValues(alerts))
  if (alerts.some(({ recipients }) => recipients.length > 0)) {
    parts.insert("alert_delivery", DELIVERY_COLUMNS, deliveryValues(alerts))
  }
}

const addRecipients = (parts: Parts, { recipients }: Batch): void => {
  if (recipients === undefined) return
  parts.parameters.push(textArray(recipients.map(({ id }) => id)))
  parts.texts.push(
    `alert_recipient_del AS (DELETE FROM alert_recipient r USING h WHERE r.tenant = h.tenant
AND r.recipient_id <> ALL($${parts.parameters.length}::text[]))`
  )
  if (recipients.length > 0) {
    parts.upsert("alert_recipient", 1, RECIPIENT_COLUMNS, recipientValues(recipients))
  }
}

/**
 * Says how many head rows were ours: 1, or 0 for an owner that is fenced. A changed request that is not there
 * fails the statement (a text that is no number), which undoes all of it: a batch is written whole or not at all.
 */
const outcome = (parts: Parts, { changedRequests, cleaned }: Batch): string => {
  const touched: Array<string> = []
  if (changedRequests.length > 0) touched.push("SELECT 1 FROM request_up")
  if (cleaned !== undefined) touched.push("SELECT 1 FROM usage_del")
  if (touched.length === 0) return "SELECT count(*) AS heads FROM h"
  const expected = parts.parameter(count(changedRequests.length + (cleaned?.seqs.length ?? 0)))
  return `SELECT CASE WHEN n.heads = 0 OR n.changed = ${expected} THEN n.heads
ELSE ('of the changed requests and deleted rows only these are there: ' || n.changed)::int8 END AS heads
FROM (SELECT (SELECT count(*) FROM h) AS heads, (SELECT count(*) FROM (${touched.join(" UNION ALL ")}) t) AS changed) n`
}

/** Old usage goes, and its sums are added to the cells. */
const cleanUsage = (parts: Parts, { cleaned }: Batch): void => {
  if (cleaned === undefined) return
  const seqs = parts.parameters.push(int8Array(cleaned.seqs))
  const before = parts.parameter(PgTypes.timestamptz(cleaned.before))
  parts.texts.push(
    `usage_del AS (DELETE FROM usage u USING h WHERE u.tenant = h.tenant AND u.tenant = $1
AND u.usage_seq = ${oneOf(seqs, "int8")} AND u.recorded_at < ${before}::timestamptz RETURNING 1)`
  )
  // What waited for a price never gets one.
  parts.texts.push(
    `unpriced_cleaned AS (DELETE FROM unpriced_usage u USING h WHERE u.tenant = h.tenant AND u.tenant = $1
AND u.usage_seq = ${oneOf(seqs, "int8")})`
  )
  parts.insert("usage_cleaned", CLEANED_COLUMNS, cleanedValues(cleaned.cells), CLEANED_GROW)
}

/** Throws `Unencodable` when a value cannot be sent as it is. */
export const commitStatement = (claim: Claim, batch: Batch): Statement => {
  const parts = new Parts()
  headOf(parts, claim, batch)
  if (batch.usage.length > 0) parts.insert("usage", USAGE_COLUMNS, usageValues(batch.usage))
  addUnpriced(parts, batch)
  addRequests(parts, batch)
  addPages(parts, batch)
  if (batch.periods.length > 0) {
    parts.upsert("budget_period", 2, PERIOD_COLUMNS, periodValues(batch.periods))
  }
  if (batch.budgets.length > 0) parts.upsert("budget", 1, BUDGET_COLUMNS, budgetValues(batch.budgets))
  if (batch.overrides.length > 0) {
    parts.upsert("budget_override", 1, OVERRIDE_COLUMNS, overrideValues(batch.overrides))
  }
  if (batch.prices.length > 0) parts.upsert("price", 1, PRICE_COLUMNS, priceValues(batch.prices))
  if (batch.rates.length > 0) parts.insert("exchange_rate", RATE_COLUMNS, rateValues(batch.rates))
  addAlerts(parts, batch)
  addRecipients(parts, batch)
  if (batch.commands.length > 0) parts.insert("command", COMMAND_COLUMNS, commandValues(batch.commands))
  if (batch.audit.length > 0) parts.insert("audit", AUDIT_COLUMNS, auditValues(batch.audit))
  cleanUsage(parts, batch)
  const text = `WITH ${parts.texts.join(",\n")}\n${outcome(parts, batch)}`
  return { text, parameters: parts.parameters }
}
