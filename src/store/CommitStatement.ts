/**
 * A batch as one statement.
 *
 * Owns: its text and its parameters. The statement is its own transaction: the head row is updated first, where
 * it still belongs to this owner, and everything else is written FROM that row. Where it does not, nothing is.
 * Does not decide: what a failure means (SqlFailures).
 *
 * Only the parts that have rows are in the text, so there are few texts and each is prepared once.
 */
import type { PgTypes } from "@effect/sql-pg"
import { formatAmount } from "../signal/Money.ts"
import type { Batch, Claim, RequestRow } from "../tokens/LedgerStore.ts"
import {
  ALERT_COLUMNS,
  alertParameters,
  BUDGET_COLUMNS,
  budgetParameters,
  COMMAND_COLUMNS,
  commandParameters,
  PERIOD_COLUMNS,
  PRICE_COLUMNS,
  periodParameters,
  priceParameters
} from "./BudgetRows.ts"
import { oneOf, textArray, Unencodable } from "./Columns.ts"
import {
  DELIVERY_COLUMNS,
  deliveryParameters,
  RECIPIENT_COLUMNS,
  recipientParameters
} from "./DeliveryRows.ts"
import { REQUEST_COLUMNS, requestParameters } from "./RequestRows.ts"
import { USAGE_COLUMNS, usageParameters } from "./UsageRows.ts"

type Columns = ReadonlyArray<readonly [name: string, array: string, value?: string]>
type Parameter = PgTypes.Parameter | string | number | bigint

export interface Statement {
  readonly text: string
  readonly parameters: ReadonlyArray<Parameter>
}

/** Collects parts of the statement with their parameters, numbered in order. */
class Parts {
  readonly texts: Array<string> = []
  readonly parameters: Array<Parameter> = []

  /** `unnest` of these columns, whose parameters come next. */
  rows(columns: Columns, parameters: ReadonlyArray<Parameter>): string {
    const arrays = columns.map(([, array], index) => `$${this.parameters.length + index + 1}::${array}`)
    for (const parameter of parameters) this.parameters.push(parameter)
    return `unnest(${arrays.join(", ")}) AS x(${columns.map(([name]) => name).join(", ")})`
  }

  insert(table: string, columns: Columns, parameters: ReadonlyArray<Parameter>, onConflict = ""): void {
    const names = columns.map(([name]) => name).join(", ")
    const values = columns.map(([name, , value]) => `x.${value ?? name}`).join(", ")
    const rows = this.rows(columns, parameters)
    this.texts.push(
      `${table}_in AS (INSERT INTO ${table} (tenant, ${names}) SELECT h.tenant, ${values} FROM h, ${rows}${onConflict})`
    )
  }

  upsert(table: string, keys: number, columns: Columns, parameters: ReadonlyArray<Parameter>): void {
    const key = columns.slice(0, keys).map(([name]) => name)
    const changes = columns.slice(keys).map(([name]) => `${name} = excluded.${name}`)
    const onConflict = ` ON CONFLICT (tenant, ${key.join(", ")}) DO UPDATE SET ${changes.join(", ")}`
    this.insert(table, columns, parameters, onConflict)
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
  if (config === undefined) {
    parts.texts.push(`${HEAD} ${FENCE}`)
    return
  }
  parts.parameters.push(JSON.stringify(config))
  parts.texts.push(`${HEAD}, config = $${parts.parameters.length}::jsonb ${FENCE}`)
}

const isOpen = (row: RequestRow): boolean => row.hold?.state === "held"
const idsOf = (rows: ReadonlyArray<RequestRow>) => textArray(rows.map((row) => row.requestId))

const OPEN_COLUMNS: Columns = [["request_id", "text[]"]]

/** Finds rows by tenant and id in their primary key. */
const byId = (table: string, idsAt: number): string =>
  `${table}.tenant = $1 AND ${table}.request_id = ${oneOf(idsAt, "text")}`

/** Requests, and beside them the list of those whose hold is open. */
const addRequests = (parts: Parts, { newRequests, changedRequests }: Batch): void => {
  if (newRequests.length > 0) parts.insert("request", REQUEST_COLUMNS, requestParameters(newRequests))
  if (changedRequests.length > 0) {
    const idsAt = parts.parameters.length + 1
    const rows = parts.rows(REQUEST_COLUMNS, requestParameters(changedRequests))
    parts.texts.push(
      `request_up AS (UPDATE request q SET state = x.state, expires_at = x.expires_at, hold = x.hold::json,
attempts = x.attempts::json FROM h, ${rows} WHERE q.tenant = h.tenant AND q.request_id = x.request_id
AND ${byId("q", idsAt)} RETURNING 1)`
    )
  }
  const opened = newRequests.filter(isOpen)
  if (opened.length > 0) parts.insert("open_hold", OPEN_COLUMNS, [idsOf(opened)])
  const reopened = changedRequests.filter(isOpen)
  if (reopened.length > 0) {
    const rows = parts.rows(OPEN_COLUMNS, [idsOf(reopened)])
    parts.texts.push(
      `open_hold_again AS (INSERT INTO open_hold (tenant, request_id) SELECT h.tenant, x.request_id FROM h, ${rows}
ON CONFLICT DO NOTHING)`
    )
  }
  const closed = changedRequests.filter((row) => row.hold !== null && !isOpen(row))
  if (closed.length > 0) {
    parts.parameters.push(idsOf(closed))
    parts.texts.push(
      `open_hold_del AS (DELETE FROM open_hold o USING h WHERE o.tenant = h.tenant
AND ${byId("o", parts.parameters.length)})`
    )
  }
}

/** Alerts, and that they are owed to their recipients. */
const addAlerts = (parts: Parts, { alerts }: Batch): void => {
  if (alerts.length === 0) return
  parts.insert("alert", ALERT_COLUMNS, alertParameters(alerts))
  if (alerts.some(({ recipients }) => recipients.length > 0)) {
    parts.insert("alert_delivery", DELIVERY_COLUMNS, deliveryParameters(alerts))
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
    parts.upsert("alert_recipient", 1, RECIPIENT_COLUMNS, recipientParameters(recipients))
  }
}

/**
 * Says how many head rows were ours: 1, or 0 for an owner that is fenced. A changed request that is not there
 * fails the statement (a text that is no number), which undoes all of it: a batch is written whole or not at all.
 */
const outcome = (parts: Parts, changed: number): string => {
  if (changed === 0) return "SELECT count(*) AS heads FROM h"
  parts.parameters.push(count(changed))
  return `SELECT CASE WHEN n.heads = 0 OR n.changed = $${parts.parameters.length} THEN n.heads
ELSE ('of the changed requests only these are there: ' || n.changed)::int8 END AS heads
FROM (SELECT (SELECT count(*) FROM h) AS heads, (SELECT count(*) FROM request_up) AS changed) n`
}

/** Throws `Unencodable` when a value cannot be sent as it is. */
export const commitStatement = (claim: Claim, batch: Batch): Statement => {
  const parts = new Parts()
  headOf(parts, claim, batch)
  if (batch.usage.length > 0) parts.insert("usage", USAGE_COLUMNS, usageParameters(batch.usage))
  addRequests(parts, batch)
  if (batch.periods.length > 0) {
    parts.upsert("budget_period", 2, PERIOD_COLUMNS, periodParameters(batch.periods))
  }
  if (batch.budgets.length > 0) parts.upsert("budget", 1, BUDGET_COLUMNS, budgetParameters(batch.budgets))
  if (batch.prices.length > 0) parts.upsert("price", 1, PRICE_COLUMNS, priceParameters(batch.prices))
  addAlerts(parts, batch)
  addRecipients(parts, batch)
  if (batch.commands.length > 0) parts.insert("command", COMMAND_COLUMNS, commandParameters(batch.commands))
  const text = `WITH ${parts.texts.join(",\n")}\n${outcome(parts, batch.changedRequests.length)}`
  return { text, parameters: parts.parameters }
}
